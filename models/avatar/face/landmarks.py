"""From FAN's heat maps to the 68 points that the rest of the field speaks in."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]

CHIN: Final = slice(0, 17)
LEFT_EYE: Final = slice(36, 42)
RIGHT_EYE: Final = slice(42, 48)
NOSE_TIP: Final = 30
MOUTH_CORNERS: Final = (48, 54)

_PAIRS: Final = (
    *((2 * i, 2 * i) for i in range(17)),  # outline: every other of 33
    (33, 33), (34, 41), (35, 40), (36, 39), (37, 38),  # brows: the middle of upper and lower edge
    (42, 50), (43, 49), (44, 48), (45, 47), (46, 46),
    *((i, i) for i in range(51, 60)),  # nose
    *((i, i) for i in (60, 61, 63, 64, 65, 67)),  # eyes: eight points to six
    *((i, i) for i in (68, 69, 71, 72, 73, 75)),
    *((i, i) for i in range(76, 96)),  # mouth
)  # fmt: skip
"""For each of the 68 points (Sagonas et al., 300-W, 2013) the two of WFLW's 98 (Wu et al., CVPR
2018) that it lies between.
"""


def heat_points(heat: NDArray[np.float32]) -> Points:
    """Heat maps (K, H, W) -> points (K, 2), x and y in heat-map pixels, pixel centres at .5.

    The maximum, moved a quarter of a pixel towards its higher neighbour on each axis; neighbours
    are taken along the flattened map and stop at its ends.
    """
    count, height, width = heat.shape
    flat = heat.reshape(count, -1)
    peak = flat.argmax(axis=1)
    rows, last = np.arange(count), height * width - 1

    def lean(step: int) -> NDArray[np.float32]:
        above, below = np.minimum(peak + step, last), np.maximum(peak - step, 0)
        leaning: NDArray[np.float32] = np.sign(flat[rows, above] - flat[rows, below])
        return leaning

    x = peak % width + 0.25 * lean(1) + 0.5
    y = peak // width + 0.25 * lean(width) + 0.5
    return np.stack((x, y), axis=1).astype(np.float64)


def to_68(points: Points) -> Points:
    """WFLW's 98 points (98, 2) -> 300-W's 68 (68, 2)."""
    first, second = np.array(_PAIRS).T
    middle: Points = (points[first] + points[second]) / 2
    return middle


def five(points: Points) -> Points:
    """68 points -> centres of the eyes, tip of the nose, corners of the mouth (5, 2), in the
    order of the 3DMM's.

    An eye's centre here is the middle of two points of its upper and lower lid, as the 3DMM's
    landmarks are defined.
    """
    left, right = points[[37, 40]].mean(axis=0), points[[43, 46]].mean(axis=0)
    return np.stack((left, right, points[30], points[48], points[54]))
