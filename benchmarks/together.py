"""Requests of several episodes through one neural engine: one episode after another, and together.

    OMP_NUM_THREADS=1 python -m benchmarks.together musicgen-tiny musicgen-small vits

Random weights: a tiny MusicGen, one of the published size of `musicgen-small` (2.6 GiB of memory),
and a VITS of the published size. Every episode asks for one cue or for two lines, in turn or all at
the same time, as in a batch: what gathers while the engine works is its next call. Prints a
Markdown row per model: calls, seconds of wall clock and of processor, ratios, and how far the sound
of both ways is apart.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.music import CueSpec, open_composer
from models.music.musicgen_weights import require_packages
from models.voice import LineSpec, open_voice
from studio.gathering import Call, Gathering, Party
from studio.specs import DeviceSpec, MusicSpec, VoiceSpec

EPISODES, BATCH = 8, 8
CPU = DeviceSpec(device="cpu", threads=1)
PROMPTS = ("soft piano", "epic drums", "calm strings", "synth pulse")
LINES = ("Good evening, and welcome to the programme.", "Tonight we talk about waiting.")

Sound = NDArray[np.float32]
Work = Callable[[Sequence[Any]], Iterator[Any]]


@contextmanager
def musicgen(folder: Path, *, small: bool) -> Iterator[tuple[Work, list[list[Any]]]]:
    """What composes, and a cue of one second for every episode."""
    require_packages()
    if small:
        import torch

        from benchmarks.published_sizes import save_musicgen

        save_musicgen(folder, "small", torch.float32)
    else:
        from tests.models.music.tiny_musicgen import save_tiny_musicgen

        save_tiny_musicgen(folder)
    spec = MusicSpec(engine=("musicgen_hf",), weights_dir=str(folder), batch=BATCH)
    cues = [
        [CueSpec(prompt=PROMPTS[number % len(PROMPTS)], seconds=1.0, seed=number)]
        for number in range(EPISODES)
    ]
    with open_composer("musicgen_hf", spec, CPU) as composer:
        yield composer.compose, cues


@contextmanager
def vits(folder: Path) -> Iterator[tuple[Work, list[list[Any]]]]:
    """What speaks, and two lines for every episode."""
    from benchmarks.published_sizes import save_vits

    save_vits(folder)
    lines = [
        [LineSpec(text=text, voice="p225", seed=number) for text in LINES]
        for number in range(EPISODES)
    ]
    spec = VoiceSpec(engine=("coqui_tts",), weights_dir=str(folder))
    with open_voice("coqui_tts", spec, CPU) as voice:
        yield voice.say, lines


def answered(
    work: Work, asked: Sequence[Sequence[Any]], *, together: bool
) -> tuple[list[list[Any]], list[Call]]:
    """What every episode gets, and the calls that it took."""
    calls: list[Call] = []
    gathering: Gathering[Any, Any] = Gathering(work, most=BATCH)

    def episode(number: int) -> list[Any]:
        return list(gathering.ask(asked[number], Party(name=str(number), note=calls.append)))

    with ThreadPoolExecutor(EPISODES if together else 1) as threads:
        return list(threads.map(episode, range(EPISODES))), calls


def sound(answer: Any) -> Sound:
    """The samples of a piece or an utterance."""
    found = answer.samples if hasattr(answer, "samples") else next(iter(answer.chunks))
    return np.asarray(found, np.float32)


def row(name: str, work: Work, asked: Sequence[Sequence[Any]]) -> str:
    """Both ways, after a first call that nobody counts."""
    list(work(asked[0]))
    spent, made, counts = [], [], []
    for together in (False, True):
        wall_s, cpu_s = time.monotonic(), time.process_time()
        answers, calls = answered(work, asked, together=together)
        spent.append((time.monotonic() - wall_s, time.process_time() - cpu_s))
        made.append([sound(answer) for episode in answers for answer in episode])
        counts.append(len(calls))
    apart = max(
        float(np.abs(one - other).max() / np.abs(one).max())
        for one, other in zip(*made, strict=True)
    )
    (alone_s, alone_cpu_s), (wall_s, cpu_s) = spent
    return (
        f"| {name} | {counts[0]} | {alone_s:.1f} | {alone_cpu_s:.1f} | {counts[1]} | {wall_s:.1f} "
        f"| {cpu_s:.1f} | {alone_cpu_s / cpu_s:.2f} | {apart:.1e} |"
    )


def main() -> None:
    """Measure the models that are named."""
    models: dict[str, Callable[[Path], AbstractContextManager[tuple[Work, list[list[Any]]]]]] = {
        "musicgen-tiny": lambda folder: musicgen(folder, small=False),
        "musicgen-small": lambda folder: musicgen(folder, small=True),
        "vits": vits,
    }
    print(f"{EPISODES} episodes, at most {BATCH} requests a call, {os.cpu_count()} processors\n")
    print(
        "| model | calls alone | wall s | CPU s | calls together | wall s | CPU s | ratio | apart |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for name in sys.argv[1:] or ["musicgen-tiny"]:
        with tempfile.TemporaryDirectory() as folder, models[name](Path(folder)) as (work, asked):
            print(row(name, work, asked), flush=True)


if __name__ == "__main__":
    main()
