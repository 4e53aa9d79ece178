"""Music of exactly the length that its placement needs, as a stream.

Every sample of the result is a sum over chunks at fixed places, so the result does not depend on
how it is cut into blocks, and no more than one block is in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from studio.errors import MusicError
from studio.types import SAMPLE_RATE

Sound = NDArray[np.float32]
Reader = Callable[[int, int], Sound]
"""read(start, num_samples): a stretch of the piece's stored audio (all chunks one after another,
then the ending), stereo.
"""

BLOCK_SAMPLES = SAMPLE_RATE
CROSSFADE_SAMPLES = 2 * SAMPLE_RATE
"""The longest crossfade at which a recording is looped; a short one takes a quarter of its length.
"""

CLOSE_SAMPLES = round(1.2 * SAMPLE_RATE)
"""How long a final chord that must be cut takes to fade: long enough to sound like a hand on the
strings.
"""

DECLICK_SAMPLES = round(0.02 * SAMPLE_RATE)
"""The shortest fade at which cut music does not click: a period of 50 Hz."""

OPENING_CHUNKS = 4
"""A piece that must go on after its last chunk repeats from here, so that its introduction is heard
once.
"""


class Shape(Protocol):
    """What must be known of a piece; `studio.types.MusicPiece` has it."""

    @property
    def hop_samples(self) -> int:
        """Distance between the beginnings of chunks."""
        ...

    @property
    def chunk_samples(self) -> tuple[int, ...]:
        """Length of each chunk."""
        ...

    @property
    def ending_samples(self) -> int:
        """Length of the ending, 0 for none."""
        ...


@dataclass(frozen=True, slots=True)
class _Slice:
    """`num_samples` of the stored audio from `source`, heard from `at` on, under gains that rise
    and fall.

    `rise` and `fall` are lengths in samples of equal-power fades at the two ends; `close` that of a
    raised cosine.
    """

    at: int
    source: int
    num_samples: int
    rise: int = 0
    fall: int = 0
    close: int = 0


def fit(
    read: Reader,
    shape: Shape,
    num_samples: int,
    *,
    offset: int = 0,
    block_samples: int = BLOCK_SAMPLES,
) -> Iterator[Sound]:
    """The piece as stereo blocks of `block_samples` (the last one shorter), `num_samples` in all.

    Composed music plays bar after bar (repeating whole bars when it runs out) until the ending must
    begin for its final chord to ring into the last sample. A recording begins at its sample
    `offset`, is looped by an equal-power crossfade when it is too short, and is cut without a
    click. Fades asked for by a script are applied by the mix, after this.

    Raises `MusicError` when `offset` lies beyond the recording's end, `ValueError` for a negative
    length or no block.
    """
    if num_samples < 0 or block_samples < 1:
        raise ValueError(f"num_samples {num_samples}, block_samples {block_samples}")
    looped = len(shape.chunk_samples) == 1 and not shape.ending_samples
    plan = _recording if looped else _composition
    slices = plan(shape, num_samples, offset)
    return _stream(read, slices, num_samples, block_samples)


def _stream(
    read: Reader, slices: Iterator[_Slice], num_samples: int, block_samples: int
) -> Iterator[Sound]:
    """Overlap-add of `slices`, which come in the order of `at`."""
    active: list[_Slice] = []
    upcoming = next(slices, None)
    for start in range(0, num_samples, block_samples):
        stop = min(start + block_samples, num_samples)
        while upcoming is not None and upcoming.at < stop:
            active.append(upcoming)
            upcoming = next(slices, None)
        block = np.zeros((stop - start, 2), np.float32)
        for part in active:
            first = max(start, part.at)
            last = min(stop, part.at + part.num_samples)
            if last > first:
                sound = read(part.source + first - part.at, last - first)
                block[first - start : last - start] += sound * _gain(
                    part, first - part.at, len(sound)
                )
        active = [part for part in active if part.at + part.num_samples > stop]
        yield block


def _gain(part: _Slice, first: int, count: int) -> Sound:
    """The slice's gain over `count` samples from its sample `first` on, as a column."""
    place = np.arange(first, first + count, dtype=np.float64) + 0.5
    gain = np.ones(count)
    if part.rise:
        gain *= np.sin(np.minimum(1.0, place / part.rise) * np.pi / 2)
    left = part.num_samples - place
    if part.fall:
        gain *= np.sin(np.minimum(1.0, left / part.fall) * np.pi / 2)
    if part.close:
        gain *= np.sin(np.minimum(1.0, left / part.close) * np.pi / 2) ** 2
    return gain.astype(np.float32)[:, None]


def _composition(shape: Shape, num_samples: int, offset: int) -> Iterator[_Slice]:
    """Bars, then the ending. The bars' tails ring on under the ending."""
    lengths, hop = shape.chunk_samples, shape.hop_samples
    sources = (0, *accumulate(lengths))
    spare = num_samples - shape.ending_samples
    bars = max(0, -(-spare // hop)) if lengths else 0
    skipped = offset // hop if lengths else 0
    if not shape.ending_samples:
        bars = -(-num_samples // hop)
    for place in range(bars):
        index = _repeated(place + skipped, len(lengths))
        length = min(lengths[index], num_samples - place * hop)
        cut = length < lengths[index]
        close = min(length, CLOSE_SAMPLES) if cut else 0
        yield _Slice(place * hop, sources[index], length, close=close)
    if shape.ending_samples:
        length = min(shape.ending_samples, num_samples - bars * hop)
        # Half of what is heard at most, so that a very short cue still has its beginning.
        close = min(CLOSE_SAMPLES, length // 2) if length < shape.ending_samples else 0
        yield _Slice(bars * hop, sources[-1], length, close=close)


def _repeated(place: int, num_chunks: int) -> int:
    """Which chunk is heard at `place`: beyond the last one, whole phrases again, without the
    opening.
    """
    if place < num_chunks:
        return place
    opening = OPENING_CHUNKS if num_chunks > OPENING_CHUNKS else 0
    return opening + (place - opening) % (num_chunks - opening)


def _recording(shape: Shape, num_samples: int, offset: int) -> Iterator[_Slice]:
    """One slice when the recording is long enough, else copies of it that cross fade, all from
    `offset` on.
    """
    length = shape.chunk_samples[0] - offset
    if length < 1:
        raise MusicError(
            f"music offset {offset / SAMPLE_RATE:g} s",
            f"the recording is only {shape.chunk_samples[0] / SAMPLE_RATE:g} s long",
            "Choose an offset inside the recording",
        )
    rise = min(DECLICK_SAMPLES, length // 2) if offset else 0
    fade = min(CROSSFADE_SAMPLES, length // 4)
    at = 0
    while at < num_samples:
        left = num_samples - at
        if left <= length:
            close = min(DECLICK_SAMPLES, left // 2)
            yield _Slice(at, offset, left, rise=rise, close=close)
            return
        yield _Slice(at, offset, length, rise=rise, fall=fade)
        at += max(1, length - fade)
        rise = fade
