"""Small recordings in the folder format of LJSpeech: tones that come and go, different in each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

RATE = 22_050


def sound(index: int, seconds: float) -> NDArray[np.float32]:
    """A tone that swells three times a second, with a little noise; another for every index."""
    time = np.arange(round(seconds * RATE)) / RATE
    noise = np.random.default_rng(index).standard_normal(len(time))
    tone = np.sin(2 * np.pi * (180.0 + 37.0 * (index % 11)) * time)
    swell = 0.55 + 0.45 * np.sin(2 * np.pi * 3.0 * time + index)
    return np.asarray(0.2 * tone * swell + 0.004 * noise, np.float32)


def write_recordings(folder: Path, count: int, *, longest_s: float = 2.0) -> Path:
    """`count` good clips of 0.5 s to `longest_s` with distinct texts."""
    (folder / "wavs").mkdir(parents=True)
    lengths = np.random.default_rng(5).uniform(0.5, longest_s, count)
    for index, seconds in enumerate(lengths):
        path = folder / "wavs" / f"clip-{index:03d}.wav"
        soundfile.write(path, sound(index, float(seconds)), RATE, subtype="PCM_16")
    write_list(folder, [(f"clip-{n:03d}", words(n, lengths[n])) for n in range(count)])
    return folder


def words(index: int, seconds: float) -> str:
    """A text that somebody could say in `seconds`."""
    spoken = ("red", "green", "blue", "black", "white", "grey", "pink")
    return " ".join(spoken[(index + k) % 7] for k in range(1 + int(seconds * 2))) + "."


def write_list(folder: Path, rows: list[tuple[str, str]]) -> None:
    """`metadata.csv` with these ids and texts."""
    text = "".join(f"{name}|{said}|{said}\n" for name, said in rows)
    (folder / "metadata.csv").write_text(text, encoding="utf-8")


def bytes_of(folder: Path) -> dict[str, bytes]:
    """The files of a store that its content determines."""
    told = {p.name: p.read_bytes() for p in sorted(folder.iterdir()) if p.is_file()}
    return {
        name: data for name, data in told.items() if name not in ("stamps.json", "prepare.lock")
    }
