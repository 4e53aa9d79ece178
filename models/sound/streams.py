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
class Layer:
    """Where and how loud a piece sounds, in samples of the timeline; `gain` is linear.

    Fades follow a quarter of a sine, so that one piece's fade-out over another's fade-in is a
    crossfade of constant power.
    """

    start: int
    num_samples: int
    gain: float
    fade_in: int
    fade_out: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Bed:
    """A piece of music on the timeline: its first sample lies at `start`, its layers add up.

    `open` starts the piece's stereo stream from its beginning, in blocks of any length. What lies
    before the first layer is skipped; a change of level is one more layer, not one more stream.
    """

    start: int
    layers: tuple[Layer, ...]
    open: Callable[[], Iterator[Samples]]

    @property
    def first(self) -> int:
        """The first sample of the timeline at which the piece sounds."""
        return min(layer.start for layer in self.layers)

    @property
    def end(self) -> int:
        """The sample after the last one."""
        return max(layer.start + layer.num_samples for layer in self.layers)


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
    waiting = sorted(beds, key=lambda bed: bed.first)
    sounding: list[tuple[Bed, Feed]] = []
    taken = 0
    for start in range(0, num_samples, BLOCK):
        block = np.zeros((min(BLOCK, num_samples - start), 2), np.float32)
        end = start + len(block)
        while taken < len(waiting) and waiting[taken].first < end:
            bed = waiting[taken]
            feed = Feed(bed.open())
            feed.skip(bed.first - bed.start)
            sounding.append((bed, feed))
            taken += 1
        for bed, feed in sounding:
            first, last = max(start, bed.first), min(end, bed.end)
            level = np.zeros(last - first, np.float32)
            for layer in bed.layers:
                _add_layer(level, first, layer)
            block[first - start : last - start] += feed.take(last - first) * level[:, None]
        sounding = [(bed, feed) for bed, feed in sounding if bed.end > end]
        yield block


def _add_layer(level: Samples, start: int, layer: Layer) -> None:
    """Add a layer's gain to the gains `level` from sample `start` of the timeline on."""
    first = max(start, layer.start)
    last = min(start + len(level), layer.start + layer.num_samples)
    if first < last:
        fades = _fades(layer, first - layer.start, last - first)
        level[first - start : last - start] += np.float32(layer.gain) * fades


def _fades(layer: Layer, position: int, num_samples: int) -> Samples | np.float32:
    """The shape of a layer's fades from its own sample `position` on; 1 where there is none.

    sin² + cos² = 1 at every sample of two fades of equal length: the half-sample offset makes the
    shapes exact mirror images.
    """
    rises = position < layer.fade_in
    falls = layer.num_samples - position - num_samples < layer.fade_out
    if not rises and not falls:
        return np.float32(1.0)
    at = np.arange(position, position + num_samples) + 0.5
    shape = np.ones(num_samples)
    if rises:
        shape *= np.sin(np.minimum(at / layer.fade_in, 1.0) * (np.pi / 2))
    if falls:
        left = layer.num_samples - at
        shape *= np.sin(np.minimum(left / layer.fade_out, 1.0) * (np.pi / 2))
    return shape.astype(np.float32)


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
