"""What decides which of a profile's alternatives serves: packages, weights and keys that are here.

A stage that stepped down for want of one of them is made again as soon as it is there; so these
belong to its key. Where a profile lists one engine, nothing else can serve and nothing is looked
at.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path

from models.music.musicgen_audiocraft import audiocraft_home
from studio.specs import AvatarSpec, MusicSpec, VoiceSpec
from studio.store import studio_home

EngineSpec = VoiceSpec | MusicSpec | AvatarSpec

PACKAGES = {
    "coqui_tts": ("torch", "torchaudio", "TTS"),
    "musicgen_hf": ("torch", "transformers"),
    "wav2lip": ("torch",),
    "sadtalker": ("torch",),
}
"""What an engine that runs here imports."""


def within_reach(values: Iterable[object]) -> tuple[str, ...]:
    """What the alternatives of all engine specs among `values` find on this machine, as words.

    Fetched weights are known by the folder `studio engines fetch` leaves its files or its notes in,
    others by the folder that the spec names. Keys in Prefect blocks are not looked for: a server
    would have to be asked.
    """
    return tuple(
        f"{engine}: {found}"
        for spec in values
        if isinstance(spec, EngineSpec) and len(spec.engine) > 1
        for engine in spec.engine
        for found in _found(engine, spec)
    )


def _found(engine: str, spec: EngineSpec) -> Iterator[str]:
    if engine == "gtts_cloud" and isinstance(spec, VoiceSpec):
        yield f"key {bool(os.environ.get(f'{spec.cloud.upper()}_API_KEY'))}"
    elif engine == "did_api":
        yield f"key {bool(os.environ.get('DID_API_KEY'))}"
    elif engine in PACKAGES or engine == "musicgen_audiocraft":
        if engine == "musicgen_audiocraft":
            yield f"environment {audiocraft_home().is_dir()}"
        yield from (f"{name} {bool(find_spec(name))}" for name in PACKAGES.get(engine, ()))
        yield from _files(Path(spec.weights_dir).expanduser() if spec.weights_dir else None)


def _files(given: Path | None) -> Iterator[str]:
    """Names and lengths of all files of a folder, by default that of what was fetched."""
    folder = given or studio_home(os.environ) / "weights"
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield f"{path.relative_to(folder)} {path.stat().st_size}"
