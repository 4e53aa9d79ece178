"""Mel-cepstral distortion: how far spoken sound is from a recording of the same words, in dB."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

NUM_COEFFICIENTS = 13
"""c1 to c13: the vocal tract's shape. c0 is the level, higher ones are the voice's harmonics."""


def cepstrum(mel: Floats, num_coefficients: int = NUM_COEFFICIENTS) -> NDArray[np.float64]:
    """Mel cepstra c1.. `(t, num_coefficients)` of log mel magnitudes `(t, n_mels)`.

    `log|H| = c0 + sum_m c_m cos(m w)` at the bands' centres, hence c_m is twice the mean of
    `log|H| cos(m w)`: the one-sided cepstrum that the customary formula of the distortion is for.
    """
    bands = mel.shape[1]
    angles = np.pi * (np.arange(bands) + 0.5) / bands
    cosines = np.cos(np.arange(1, num_coefficients + 1)[:, None] * angles)
    return np.asarray(mel.astype(np.float64) @ cosines.T * (2.0 / bands))


def align_by_time_warping(cost: NDArray[np.float64]) -> NDArray[np.int64]:
    """The cheapest monotone path `(n, 2)` through a cost matrix `(a, b)` from corner to corner,
    with steps of one frame on either side or both (Sakoe & Chiba, 1978).
    """
    rows, columns = cost.shape
    total = np.full((rows + 1, columns + 1), np.inf)
    total[0, 0] = 0.0
    for diagonal in range(2, rows + columns + 1):
        i = np.arange(max(1, diagonal - columns), min(rows, diagonal - 1) + 1)
        j = diagonal - i
        cheapest = np.minimum(total[i - 1, j - 1], np.minimum(total[i - 1, j], total[i, j - 1]))
        total[i, j] = cost[i - 1, j - 1] + cheapest
    path = [(rows, columns)]
    while path[-1] != (1, 1):
        i, j = path[-1]
        steps = ((i - 1, j - 1), (i - 1, j), (i, j - 1))
        path.append(min(steps, key=lambda at: float(total[at])))
    return np.array(path[::-1], np.int64) - 1


def mel_cepstral_distortion(spoken: Floats, reference: Floats) -> float:
    """MCD in dB between log mel magnitudes `(a, n_mels)` and `(b, n_mels)`, time-warped.

    `10 / ln 10 * sqrt(2 * sum_m (c_m - c'_m)^2)`, averaged along the path (Kubichek, "Mel-cepstral
    distance measure for objective speech quality assessment", 1993): the root-mean-square
    difference of the two smoothed spectra in dB. Natural speech of one speaker said twice is
    around 4 to 5 dB; two unrelated sentences are beyond 10.
    """
    left, right = cepstrum(spoken), cepstrum(reference)
    squares = (left**2).sum(1)[:, None] + (right**2).sum(1)[None] - 2.0 * left @ right.T
    distance = np.sqrt(np.maximum(squares, 0.0))
    path = align_by_time_warping(distance)
    return float(10.0 / math.log(10.0) * math.sqrt(2.0) * distance[path[:, 0], path[:, 1]].mean())
