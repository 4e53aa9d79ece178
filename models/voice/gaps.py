"""Words that a take leaves out, says twice or adds: what leaping over a stretch would explain.

A warping path has to pass every frame of the text and every frame of the speech. Where words are
missing it squeezes them into no time at all, at a high price. So the price of the best path is
compared with that of the best path that may once leap over a stretch of the text (left out) or of
the speech (added), paying `LEAP_PRICE` for each frame leapt over. Both come out of one table of
costs from the beginning and one from the end.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from models.voice import LineSpec
from models.voice.align import REFERENCE_VOICES, Spoken, spoken
from models.voice.espeak_ng import FASTEST_WPM, SLOWEST_WPM, utter

Floats = NDArray[np.float32]

POOL = 2
"""Frames taken together, to steps of 25 ms: half a phoneme."""

STEP_PENALTY = 0.3
"""Added to a step along one sequence only."""

LEAP_PRICE = 0.7
"""Of a frame that is leapt over, as a share of the median distance of any two frames of text and
speech. Frames that belong together cost 0.4 to 0.6 in a voice of another synthesiser; at 0.6 leaps
over right but unlike words pay, at 0.8 leaps over missing ones no longer do."""

CLEAR = 4.7
"""Above this words are missing or added. The highest of 424 right takes in four voices of another
synthesiser at three tempos had 4.6."""

SUSPECT = 2.5
"""One right take of twenty passes this; with an odd length of the take besides, one of 424."""

_FAR = np.float32(1e9)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gaps:
    """What a leap saves, in units of the median distance of two frames: over `left_out` text, over
    `added` speech. 0 when nothing.
    """

    left_out: float
    added: float


def find_gaps(line: LineSpec, target: Spoken) -> Gaps:
    """What is missing from or added to `line` in the speech `target`.

    The reference speaks at the line's own rate, at which a missing word keeps its length; where
    something is found it is searched for again at the speech's rate, for slow and fast voices.
    """
    voices = (_in_voice(replace(line, voice=voice, pitch_pct=50), target) for voice in _VOICES)
    return min(voices, key=lambda gaps: max(gaps.left_out, gaps.added))


_VOICES = REFERENCE_VOICES


def _in_voice(line: LineSpec, target: Spoken) -> Gaps:
    frames = _pooled(target.frames)
    gaps, tempo = _at_rate(line, frames)
    if max(gaps.left_out, gaps.added) <= SUSPECT or 1 / 1.1 < tempo < 1.1:
        return gaps
    rate = min(max(round(line.rate_wpm * tempo), SLOWEST_WPM), FASTEST_WPM)
    again, _ = _at_rate(replace(line, rate_wpm=rate), frames)
    return Gaps(left_out=min(gaps.left_out, again.left_out), added=min(gaps.added, again.added))


def _at_rate(line: LineSpec, frames: Floats) -> tuple[Gaps, float]:
    """The gaps, and how many frames of text there are for each of speech."""
    said = utter(line)
    expected = _pooled(spoken(said.samples, said.sample_rate, line.text).frames)
    distances = _distances(expected, frames)
    unit = float(np.median(distances)) or 1.0
    begun = _costs(distances)
    ended = np.ascontiguousarray(_costs(distances[::-1, ::-1])[::-1, ::-1])
    price = LEAP_PRICE * unit
    gaps = Gaps(
        left_out=_saved(begun, ended, price) / unit, added=_saved(begun.T, ended.T, price) / unit
    )
    return gaps, len(expected) / len(frames)


def _pooled(frames: Floats) -> Floats:
    """Means of `POOL` frames each."""
    starts = np.arange(0, len(frames), POOL)
    counts = np.diff([*starts, len(frames)])[:, None]
    return np.asarray(np.add.reduceat(frames, starts, axis=0) / counts, np.float32)


def _distances(first: Floats, second: Floats) -> Floats:
    """Euclidean distances of all pairs of rows."""
    squared = (first**2).sum(axis=1)[:, None] + (second**2).sum(axis=1) - 2.0 * first @ second.T
    return np.asarray(np.sqrt(np.maximum(squared, 0.0)), np.float32)


def _costs(distances: Floats) -> Floats:
    """The cost of the best path from the first pair to each pair.

    A step along both sequences counts its distance twice (the symmetric form of Sakoe and Chiba,
    1978), so that all paths weigh the same whatever their shape.
    """
    n, m = distances.shape
    costs = np.full((n + 1, m + 1), _FAR, np.float32)
    for k in range(n + m - 1):
        rows = np.arange(max(0, k - m + 1), min(k, n - 1) + 1)
        columns = k - rows
        distance = distances[rows, columns]
        if k == 0:
            costs[1, 1] = 2.0 * distance[0]
            continue
        along_one = np.minimum(costs[rows, columns + 1], costs[rows + 1, columns]) + STEP_PENALTY
        both = costs[rows, columns] + distance
        costs[rows + 1, columns + 1] = np.minimum(both, along_one) + distance
    return costs[1:, 1:]


def _saved(begun: Floats, ended: Floats, price: float) -> float:
    """What one leap over rows saves of the cost of the path from the first pair to the last."""
    total = float(begun[-1, -1])
    rows = np.arange(len(begun), dtype=np.float32)[:, None]
    # At the beginning nothing comes before the leap, at the end nothing after it.
    before = float((ended[:, 0] + price * rows[:, 0]).min())
    after = float((begun[:, -1] + price * (rows[-1, 0] - rows[:, 0])).min())
    cheapest = min(total, before, after)
    if len(begun) > 2:
        # The cheapest row to leap from, for every row to land on two rows on or further.
        leap_from = np.minimum.accumulate(begun - price * rows, axis=0)[:-2, :-1]
        landed = ended[2:, 1:] + price * (rows[2:] - 1.0)
        cheapest = min(cheapest, float((leap_from + landed).min()))
    return total - cheapest
