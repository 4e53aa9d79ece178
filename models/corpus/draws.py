"""Chance without state: numbers that depend on who asks, never on when.

Philox and SplitMix64 are defined bit by bit (Salmon et al. 2011; Steele, Lea and Flood 2014), so
these numbers are the same on every machine and with every version of numpy; `Generator`'s methods
promise that not.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]


def permutation(num: int, seed: int, *purpose: int) -> NDArray[np.int64]:
    """The numbers 0 to `num - 1` in an order that depends on `seed` and `purpose` alone."""
    key = np.zeros(2, np.uint64)
    key[0] = splitmix64(np.uint64(seed))
    for word in purpose:
        key[1] = splitmix64(key[1] ^ np.uint64(word))
    words = np.random.Philox(key=key).random_raw(num)
    return np.argsort(words, kind="stable").astype(np.int64)


def uniform(seed: int, epoch: int, clips: NDArray[np.int64], num: int) -> NDArray[np.float64]:
    """`num` numbers in [0, 1) for every clip: `(len(clips), num)`, by (seed, epoch, clip) alone."""
    start = splitmix64(splitmix64(np.uint64(seed)) ^ np.uint64(epoch))
    each = splitmix64(start ^ clips.astype(np.uint64))
    with np.errstate(over="ignore"):
        steps = np.arange(1, num + 1, dtype=np.uint64) * _GOLDEN
        words = splitmix64(each[:, None] + steps)
    return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53


_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def splitmix64(word: Words | np.uint64) -> Words:
    """The output of SplitMix64 for a state: every bit in changes about half of the bits out."""
    with np.errstate(over="ignore"):
        z = np.asarray(word, np.uint64) + _GOLDEN
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return np.asarray(z ^ (z >> np.uint64(31)), np.uint64)
