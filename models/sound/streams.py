"""Sources of an episode as streams: lines of speech at their samples, pieces of music in theirs.

A stream is an iterator of float32 blocks of `BLOCK` samples (the last one shorter). Only what
sounds in the present block is open.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from studio.audio import BLOCK, Samples


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of speech: where it begins, how long it is, how its mono samples are read."""

    start: int
    num_samples: int
    read: Callable[[], Samples]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bed:
    """A piece of music on the timeline, in samples; `gain` is linear.

    `open` starts the piece's stereo stream from its beginning, in blocks of any length. The first
    `offset` samples of it are skipped. Fades follow a quarter of a sine, so that one bed's fade-out
    over another's fade-in is a crossfade of constant power.
    """

    start: int
    num_samples: int
    gain: float
    fade_in: int
    fade_out: int
    open: Callable[[], Iterator[Samples]]
    offset: int = 0


def join_lines(lines: Sequence[Line], num_samples: int) -> Iterator[Samples]:
    """All lines on one mono timeline. Lines that overlap are added."""
    waiting = sorted(lines, key=lambda line: line.start)
    sounding: list[tuple[int, Samples]] = []
    taken = 0
    for start in range(0, num_samples, BLOCK):
        block = np.zeros(min(BLOCK, num_samples - start), np.float32)
        while taken < len(waiting) and waiting[taken].start < start + len(block):
            line = waiting[taken]
            sounding.append((line.start, line.read()[: line.num_samples]))
            taken += 1
        for at, samples in sounding:
            _add(block, start, at, samples)
        sounding = [
            (at, samples) for at, samples in sounding if at + len(samples) > start + len(block)
        ]
        yield block


def _add(block: Samples, start: int, at: int, samples: Samples) -> None:
    first, last = max(start, at), min(start + len(block), at + len(samples))
    if first < last:
        block[first - start : last - start] += samples[first - at : last - at]


def lay_beds(beds: Sequence[Bed], num_samples: int) -> Iterator[Samples]:
    """All music on one stereo timeline, with its gains and fades."""
    waiting = sorted(beds, key=lambda bed: bed.start)
    sounding: list[tuple[Bed, Feed]] = []
    taken = 0
    for start in range(0, num_samples, BLOCK):
        block = np.zeros((min(BLOCK, num_samples - start), 2), np.float32)
        end = start + len(block)
        while taken < len(waiting) and waiting[taken].start < end:
            bed = waiting[taken]
            feed = Feed(bed.open())
            feed.skip(bed.offset)
            sounding.append((bed, feed))
            taken += 1
        for bed, feed in sounding:
            first, last = max(start, bed.start), min(end, bed.start + bed.num_samples)
            part = feed.take(last - first)
            shape = bed.gain * _fades(bed, first - bed.start, last - first)
            block[first - start : last - start] += part * shape[:, None]
        sounding = [(bed, feed) for bed, feed in sounding if bed.start + bed.num_samples > end]
        yield block


def _fades(bed: Bed, position: int, num_samples: int) -> Samples:
    """The shape `(num_samples,)` of a bed's fades from its own sample `position` on.

    sin² + cos² = 1 at every sample of two fades of equal length: the half-sample offset makes the
    shapes exact mirror images.
    """
    at = np.arange(position, position + num_samples, dtype=np.float32) + np.float32(0.5)
    shape = np.ones(num_samples, np.float32)
    if bed.fade_in > position:
        shape *= np.sin(np.clip(at / bed.fade_in, 0.0, 1.0) * np.float32(np.pi / 2))
    left = np.float32(bed.num_samples) - at
    if bed.fade_out and bed.num_samples - position - num_samples < bed.fade_out:
        shape *= np.sin(np.clip(left / bed.fade_out, 0.0, 1.0) * np.float32(np.pi / 2))
    return shape


class Feed:
    """Hands out a stream in the lengths that are asked for; silence after its end."""

    def __init__(self, blocks: Iterator[Samples]) -> None:
        self._blocks = blocks
        self._rest = np.zeros((0, 2), np.float32)

    def take(self, num_samples: int) -> Samples:
        """The next stereo samples."""
        parts, missing = [], num_samples
        while missing > 0:
            if not len(self._rest):
                following = next(self._blocks, None)
                if following is None:
                    parts.append(np.zeros((missing, 2), np.float32))
                    break
                self._rest = following
            part, self._rest = self._rest[:missing], self._rest[missing:]
            parts.append(part)
            missing -= len(part)
        return parts[0] if len(parts) == 1 else np.concatenate([self._rest[:0], *parts])

    def skip(self, num_samples: int) -> None:
        """Drop the next samples without keeping them."""
        while num_samples > 0:
            step = min(num_samples, BLOCK)
            self.take(step)
            num_samples -= step
