"""Boxes of faces: from a detector's raw maps to a short list, and steady over time."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.avatar.face.s3fd import STRIDES

Floats = NDArray[np.float32]

CENTRE_VARIANCE: Final = 0.1
SIZE_VARIANCE: Final = 0.2
"""Offsets were trained divided by these (SSD, Liu et al., ECCV 2016)."""

RETINA_LEVELS: Final = ((8, (16, 32)), (16, (64, 128)), (32, (256, 512)))
"""Stride and the sides of its two square anchors in pixels (RetinaFace, table 2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """A face: `box` is left, top, right, bottom in pixels; `points` (5, 2) are eyes, nose, mouth
    corners, if known.
    """

    box: tuple[float, float, float, float]
    score: float
    points: Floats | None = None

    @property
    def area(self) -> float:
        """In square pixels."""
        return max(0.0, self.box[2] - self.box[0]) * max(0.0, self.box[3] - self.box[1])


def decode_boxes(offsets: Floats, anchors: Floats) -> Floats:
    """Offsets (N, 4) on anchors (N, 4: centre x, centre y, width, height) -> boxes (N, 4: left,
    top, right, bottom).
    """
    centre = anchors[:, :2] + offsets[:, :2] * CENTRE_VARIANCE * anchors[:, 2:]
    size = anchors[:, 2:] * np.exp(offsets[:, 2:] * SIZE_VARIANCE)
    corner = centre - size / 2
    return np.concatenate((corner, corner + size), axis=1)


def decode_points(offsets: Floats, anchors: Floats) -> Floats:
    """Landmark offsets (N, 10) on anchors (N, 4) -> points (N, 5, 2)."""
    scaled = offsets.reshape(-1, 5, 2) * CENTRE_VARIANCE * anchors[:, None, 2:]
    points: Floats = anchors[:, None, :2] + scaled
    return points


def retina_anchors(height: int, width: int) -> Floats:
    """RetinaFace's anchors (N, 4: centre x, centre y, width, height), as fractions of the image."""
    rows = []
    for stride, sides in RETINA_LEVELS:
        places = product(range(-(-height // stride)), range(-(-width // stride)), sides)
        rows += [
            ((x + 0.5) * stride / width, (y + 0.5) * stride / height, side / width, side / height)
            for y, x, side in places
        ]
    return np.asarray(rows, np.float32)


def s3fd_candidates(maps: list[tuple[Floats, Floats]], threshold: float = 0.05) -> Floats:
    """S3FD's maps of one image, per stride face probability (h, w) and offsets (4, h, w) -> (N,
    5) boxes and scores.

    The anchor of every place is a square of four strides.
    """
    found = []
    for stride, (score, offsets) in zip(STRIDES, maps, strict=True):
        y, x = np.nonzero(score > threshold)
        side = np.full(len(x), 4.0 * stride)
        anchors = np.stack(((x + 0.5) * stride, (y + 0.5) * stride, side, side), axis=1)
        boxes = decode_boxes(offsets[:, y, x].T, anchors.astype(np.float32))
        found.append(np.column_stack((boxes, score[y, x])))
    return np.concatenate(found).astype(np.float32)


def suppress(boxes: Floats, scores: Floats, overlap: float) -> list[int]:
    """Greedy non-maximum suppression: indices of the boxes that stay, best first.

    Areas count pixels (right - left + 1), as both detectors were tuned with.
    """
    left, top, right, bottom = boxes.T
    areas = (right - left + 1) * (bottom - top + 1)
    order = np.argsort(-scores, kind="stable")
    kept = []
    while len(order):
        best, order = int(order[0]), order[1:]
        kept.append(best)
        wide = np.minimum(right[best], right[order]) - np.maximum(left[best], left[order]) + 1
        high = np.minimum(bottom[best], bottom[order]) - np.maximum(top[best], top[order]) + 1
        common = np.maximum(0.0, wide) * np.maximum(0.0, high)
        order = order[common / (areas[best] + areas[order] - common) <= overlap]
    return kept


def smooth(boxes: NDArray[np.float64], window: int = 5) -> NDArray[np.int64]:
    """Steadies the boxes (T, 4) of a film: each becomes the mean of the next `window`, itself
    included.

    Done in place, later windows see smoothed values only in their past; the last frames share the
    mean of the last `window`.
    """
    steady = boxes.astype(np.float64)
    for first in range(len(steady)):
        start = min(first, max(0, len(steady) - window))
        steady[first] = steady[start : start + window].mean(axis=0)
    return steady.astype(np.int64)
