"""A few static shapes for clips of all lengths, chosen so that the least is padded.

A bucket holds the clips up to its cap. Caps at even quantiles of the lengths are the usual choice;
the caps that waste least for the same number of shapes follow from dynamic programming over the
distinct (rounded) lengths and are used here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Frames and tokens that every row of a batch is padded to."""

    frames: int
    tokens: int


def best_caps(lengths: Ints, num_buckets: int, round_to: int) -> tuple[int, ...]:
    """At most `num_buckets` rising multiples of `round_to`, the last at least the longest length,
    with the least padding in total when every clip is padded to the first cap that holds it.

    Costs O(buckets * distinct^2), with some 150 distinct rounded lengths in a corpus of up to 15 s.
    """
    if not len(lengths):
        return ()
    rounded = -(-lengths // round_to) * round_to
    values, counts = np.unique(rounded, return_counts=True)
    if len(values) <= num_buckets:
        return tuple(int(value) for value in values)
    sums = np.concatenate([[0], np.cumsum(counts)])
    # cost[i]: padded frames of the clips among the first i lengths, in the buckets used so far.
    cost = np.full(len(values) + 1, np.inf)
    cost[0] = 0.0
    choices: list[Ints] = []
    for _ in range(num_buckets):
        # total[i, j]: the first i lengths as before, lengths i to j in one bucket with cap j.
        total = cost[:-1, None] + np.where(
            np.arange(len(values))[:, None] <= np.arange(len(values)),
            values * (sums[None, 1:] - sums[:-1, None]),
            np.inf,
        )
        choice = np.argmin(total, axis=0)
        choices.append(choice)
        cost = np.concatenate([[np.inf], total[choice, np.arange(len(values))]])
    caps: list[int] = []
    end = len(values)
    for choice in reversed(choices):
        caps.append(int(values[end - 1]))
        end = int(choice[end - 1])
    return tuple(reversed(caps))


def quantile_caps(lengths: Ints, num_buckets: int, round_to: int) -> tuple[int, ...]:
    """Caps at even quantiles of the lengths: what `best_caps` is compared with."""
    if not len(lengths):
        return ()
    edges = np.quantile(lengths, np.arange(1, num_buckets + 1) / num_buckets, method="higher")
    return tuple(int(cap) for cap in np.unique(-(-edges // round_to) * round_to))


def shapes_for(
    num_frames: Ints, num_tokens: Ints, caps: tuple[int, ...], round_to: int
) -> tuple[Shape, ...]:
    """The shape of each bucket. Tokens never shrink with the cap, so that a clip may also stand in
    any longer bucket.
    """
    bucket = bucket_of(num_frames, caps)
    most = 0
    shapes = []
    for index, cap in enumerate(caps):
        most = max(most, int(num_tokens[bucket == index].max(initial=0)))
        shapes.append(Shape(frames=cap, tokens=-(-most // round_to) * round_to))
    return tuple(shapes)


def bucket_of(num_frames: Ints, caps: tuple[int, ...]) -> Ints:
    """The first bucket that holds each clip."""
    return np.searchsorted(np.array(caps, np.int64), num_frames).astype(np.int64, copy=False)
