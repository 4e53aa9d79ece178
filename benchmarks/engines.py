"""The weightless engines against real time, in CPU seconds on one thread.

    OMP_NUM_THREADS=1 python benchmarks/engines.py

Prints a Markdown row per engine: CPU seconds per minute of its output and how many times faster
than real time that is. Medians of three runs in one process.
"""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable

import cv2

from models.avatar import LineSound, Sitting, open_painter, open_performer
from models.music import CueSpec, open_composer
from models.voice import LineSpec, open_voice
from models.voice.polish import polish
from studio.specs import DeviceSpec, MusicSpec, VoiceSpec
from studio.types import SAMPLE_RATE

TEXT = (
    "Somewhere tonight, a graphics card that cost more than a car is doing nothing at all. "
    "It is not broken, it is waiting for a file, and nobody has asked it why."
)
FPS = 25


def speech() -> float:
    """Speak and polish; returns seconds of sound."""
    spec, device = VoiceSpec(), DeviceSpec()
    with open_voice("espeak_ng", spec, device) as voice:
        lines = [LineSpec(text=f"{n}. {TEXT}") for n in range(5)]
        return sum(len(polish(u, spec).samples) for u in voice.say(lines)) / SAMPLE_RATE


def music() -> float:
    """Compose and render a minute."""
    with open_composer("arranger", MusicSpec(), DeviceSpec()) as composer:
        (piece,) = composer.compose([CueSpec(prompt="warm piano, strings, soft drums", seconds=60)])
        return sum(piece.hop_samples for _ in piece.chunks) / SAMPLE_RATE


def host() -> float:
    """Animate and paint a drawn host at 512 px, cold."""
    spec = VoiceSpec()
    with open_voice("espeak_ng", spec, DeviceSpec()) as voice:
        utterance = polish(next(voice.say([LineSpec(text=" ".join([TEXT] * 4))])), spec)
    num_frames = len(utterance.samples) * FPS // SAMPLE_RATE
    line = LineSound(
        samples=utterance.samples,
        phonemes=utterance.phonemes,
        words=utterance.words,
        num_frames=num_frames,
        fps=FPS,
        seed=7,
    )
    with open_performer("viseme") as performer:
        motion = performer.perform(line)
    sitting = Sitting(look="nova", size_px=512, fps=FPS, seed=7)
    with open_painter("viseme", sitting, [(0, motion)]) as painter:
        for frame in range(num_frames):
            painter.paint(frame)
    return num_frames / FPS


def cpu_s_per_minute(work: Callable[[], float], repeats: int = 3) -> float:
    """Median CPU seconds that a minute of output takes."""
    figures = []
    for _ in range(repeats):
        begin = time.process_time()
        seconds = work()
        figures.append((time.process_time() - begin) * 60 / seconds)
    return statistics.median(figures)


def main() -> None:
    """Measure all of them."""
    cv2.setNumThreads(1)
    print(f"{platform.machine()}, {os.cpu_count()} cores, {time.strftime('%F')}\n")
    print("| engine | CPU s per minute | times real time |")
    print("|---|---|---|")
    for name, work in (("espeak_ng", speech), ("arranger", music), ("viseme, 512 px", host)):
        cost = cpu_s_per_minute(work)
        print(f"| {name} | {cost:.2f} | {60 / cost:.0f} |", flush=True)


if __name__ == "__main__":
    main()
