"""Where a portrait's eyes, lips and chin are: the curves that the warp needs, and three ways to
them.

From 68 points in the widely used iBUG order; from five points (eyes, mouth's corners, chin); or
from the two eyes alone, which place an average adult face. All positions are pixels of the upright
picture, x to the right, y downwards; "left" and "right" are as seen in the picture.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from studio.errors import MediaError

Curve = NDArray[np.float32]
"""(n, 2), from left to right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Landmarks:
    """A face. Lips and lids are curves; `crown` is the top of the forehead, `left` and `right` the
    face's widest points.

    In a closed mouth `inner_top` and `inner_bottom` coincide.
    """

    outer_top: Curve
    inner_top: Curve
    inner_bottom: Curve
    outer_bottom: Curve
    lids: tuple[tuple[Curve, Curve], tuple[Curve, Curve]]
    nose: Curve
    chin: Curve
    crown: Curve
    left: Curve
    right: Curve

    @property
    def eye_distance(self) -> float:
        """Between the eyes' middles, in pixels."""
        (a, b), (c, d) = self.lids
        return float(np.linalg.norm((a.mean(0) + b.mean(0)) / 2 - (c.mean(0) + d.mean(0)) / 2))

    def moved(self, matrix: ArrayLike) -> Landmarks:
        """The face under an affine map (2, 3) of the picture."""
        m = np.asarray(matrix, np.float32)

        def go(points: Curve) -> Curve:
            return np.asarray(points @ m[:, :2].T + m[:, 2], np.float32)

        (a, b), (c, d) = self.lids
        return Landmarks(
            outer_top=go(self.outer_top),
            inner_top=go(self.inner_top),
            inner_bottom=go(self.inner_bottom),
            outer_bottom=go(self.outer_bottom),
            lids=((go(a), go(b)), (go(c), go(d))),
            nose=go(self.nose),
            chin=go(self.chin),
            crown=go(self.crown),
            left=go(self.left),
            right=go(self.right),
        )

    def with_lip_line(self, line: Curve, lower_line: Curve | None = None) -> Landmarks:
        """The face with its lips on a line that was seen: corners at its ends, lips' thickness
        kept.

        `lower_line` is the lower lip's edge where teeth show; without it the mouth is closed.
        """
        lower_line = line if lower_line is None else lower_line
        old_left, old_right = self.inner_top[0], self.inner_top[-1]
        new_left, new_right = line[0], line[-1]
        stretch = (new_right[0] - new_left[0]) / (old_right[0] - old_left[0])

        def laid(curve: Curve, onto: Curve, thickness: float) -> Curve:
            x = new_left[0] + (curve[:, 0] - old_left[0]) * stretch
            chord = np.interp(curve[:, 0], [old_left[0], old_right[0]], [old_left[1], old_right[1]])
            y = np.interp(x, onto[:, 0], onto[:, 1]) + (curve[:, 1] - chord) * thickness
            return np.stack([x, y], 1).astype(np.float32)

        return replace(
            self,
            outer_top=laid(self.outer_top, line, 1.0),
            inner_top=laid(self.inner_top, line, 0.0),
            inner_bottom=laid(self.inner_bottom, lower_line, 0.0),
            outer_bottom=laid(self.outer_bottom, lower_line, 1.0),
        )


MOUTH_LINE = 1.13
"""The closed lips below the eyes' line, in distances between the eyes."""

MOUTH_HALF_WIDTH = 0.40


def average_face() -> Landmarks:
    """An adult face looking straight on, in distances between the pupils, the origin between the
    eyes.

    After the means of Farkas, "Anthropometry of the Head and Face" (1994), women's and men's
    averaged: pupils 63 mm apart, lips 71 mm and chin 115 mm below, mouth 51 mm, face 134 mm and lid
    fissure 30 mm wide.
    """
    u = np.linspace(-1, 1, 13)
    bow = 1 - np.abs(u) ** 2.2
    dip = 0.022 * np.exp(-((u / 0.16) ** 2))
    lip_x = MOUTH_HALF_WIDTH * u

    def curve(x: NDArray[np.float64], y: NDArray[np.float64]) -> Curve:
        return np.stack([x, y], 1).astype(np.float32)

    flat = np.full_like(u, MOUTH_LINE)
    eye = 1 - u**2

    def lids(x: float) -> tuple[Curve, Curve]:
        return (curve(x + 0.235 * u, -0.085 * eye), curve(x + 0.235 * u, 0.070 * eye))

    def point(x: float, y: float) -> Curve:
        return np.array([x, y], np.float32)

    return Landmarks(
        outer_top=curve(lip_x, MOUTH_LINE - 0.125 * bow + dip),
        inner_top=curve(lip_x, flat),
        inner_bottom=curve(lip_x, flat),
        outer_bottom=curve(lip_x, MOUTH_LINE + 0.165 * bow),
        lids=(lids(-0.5), lids(0.5)),
        nose=point(0, 0.76),
        chin=point(0, 1.82),
        crown=point(0, -1.05),
        left=point(-1.06, 0.3),
        right=point(1.06, 0.3),
    )


def similarity(eye_left: ArrayLike, eye_right: ArrayLike) -> NDArray[np.float32]:
    """The map (2, 3) from `average_face` to a picture in which the pupils lie at these points."""
    a, b = np.asarray(eye_left, np.float64), np.asarray(eye_right, np.float64)
    (c, s), middle = b - a, (a + b) / 2
    return np.array([[c, -s, middle[0]], [s, c, middle[1]]], np.float32)


def from_eyes(eye_left: ArrayLike, eye_right: ArrayLike) -> Landmarks:
    """An average face laid through two eyes."""
    return average_face().moved(similarity(eye_left, eye_right))


def from_five(points: dict[str, NDArray[np.float32]]) -> Landmarks:
    """A face from `left_eye`, `right_eye`, `mouth_left`, `mouth_right` (corners) and `chin`; the
    mouth is closed.
    """
    face = from_eyes(points["left_eye"], points["right_eye"])
    corners = np.stack([points["mouth_left"], points["mouth_right"]])
    line = np.linspace(corners[0], corners[1], 13).astype(np.float32)
    middle = (points["left_eye"] + points["right_eye"]) / 2
    mouth = corners.mean(0)
    return replace(
        face.with_lip_line(line),
        chin=points["chin"],
        nose=np.asarray(middle + (mouth - middle) * (0.76 / MOUTH_LINE), np.float32),
    )


def from_68(points: Curve) -> Landmarks:
    """A face from 68 points in iBUG order: jaw 0-16, brows 17-26, nose 27-35, eyes 36-47, lips
    48-67.
    """
    p = points

    def lids(first: int) -> tuple[Curve, Curve]:
        upper = p[[first, first + 1, first + 2, first + 3]]
        return (upper, p[[first, first + 5, first + 4, first + 3]])

    eyes = (p[36:42].mean(0) + p[42:48].mean(0)) / 2
    return Landmarks(
        outer_top=p[48:55],
        inner_top=p[[48, 60, 61, 62, 63, 64, 54]],
        inner_bottom=p[[48, 60, 67, 66, 65, 64, 54]],
        outer_bottom=p[[48, 59, 58, 57, 56, 55, 54]],
        lids=(lids(36), lids(42)),
        nose=p[33],
        chin=p[8],
        # The points end at the brows: the forehead is as high as from the eyes to the nose's base,
        # and a third.
        crown=np.asarray(eyes - (p[33] - eyes) * 1.38, np.float32),
        left=p[0],
        right=p[16],
    )


_FORMAT = (
    'Give {"points": [[x, y], ... 68 of them]} in iBUG order, or {"left_eye": [x, y], '
    '"right_eye": ..., "mouth_left": ..., "mouth_right": ..., "chin": ...}, in pixels.'
)


def read_sidecar(data: bytes, name: str, width: int, height: int) -> Landmarks:
    """Landmarks from a JSON file beside a portrait of that size.

    Raises:
        MediaError: It is not JSON, holds neither form, or points lie outside the picture or in no
            face's order.
    """
    try:
        content = json.loads(data.decode("utf-8-sig"))
    except ValueError as error:
        raise MediaError(name, "the landmarks are not JSON", _FORMAT) from error
    if not isinstance(content, dict):
        raise MediaError(name, "the landmarks are not an object", _FORMAT)
    names = ("left_eye", "right_eye", "mouth_left", "mouth_right", "chin")
    if "points" in content:
        points = _points(content["points"], (68, 2), name)
        face = from_68(points)
    elif all(key in content for key in names):
        five = {key: _points(content[key], (2,), name) for key in names}
        points = np.stack(list(five.values()))
        _check_five(five, name)
        face = from_five(five)
    else:
        missing = next(key for key in names if key not in content)
        raise MediaError(name, f'neither "points" nor {missing!r} is given', _FORMAT)
    if (points < 0).any() or (points > [width, height]).any():
        raise MediaError(
            name, f"points lie outside the picture of {width}x{height} pixels", _FORMAT
        )
    _check_order(face, name)
    return face


def _points(value: Any, shape: tuple[int, ...], name: str) -> NDArray[np.float32]:
    try:
        points = np.array(value, np.float32)
    except (TypeError, ValueError) as error:
        raise MediaError(name, "a point is not a pair of numbers", _FORMAT) from error
    if points.shape != shape or not np.isfinite(points).all():
        raise MediaError(name, f"{shape} numbers are needed, {points.shape} are given", _FORMAT)
    return points


def _check_five(points: dict[str, NDArray[np.float32]], name: str) -> None:
    for left, right in (("left_eye", "right_eye"), ("mouth_left", "mouth_right")):
        if points[left][0] + 4 > points[right][0]:
            found = f"{left} is not to the left of {right}, as seen in the picture"
            raise MediaError(name, found, _FORMAT)


def _check_order(face: Landmarks, name: str) -> None:
    """Eyes above nose above mouth above chin, along y; mirrored or shuffled points fail here."""
    heights = {
        "the eyes": float(np.mean([lid[:, 1].mean() for pair in face.lids for lid in pair])),
        "the nose": float(face.nose[1]),
        "the mouth": float(face.inner_top[:, 1].mean()),
        "the chin": float(face.chin[1]),
    }
    for (upper, y0), (lower, y1) in pairwise(heights.items()):
        if y0 >= y1:
            raise MediaError(name, f"{upper} do not lie above {lower}", _FORMAT)
    if face.chin[1] <= face.outer_bottom[:, 1].max():
        raise MediaError(name, "the mouth does not lie above the chin", _FORMAT)
    lips = (face.outer_top, face.inner_top, face.inner_bottom, face.outer_bottom)
    for curve in (*lips, *(lid for pair in face.lids for lid in pair)):
        if (np.diff(curve[:, 0]) < -2).any():
            raise MediaError(name, "lips or lids do not run from left to right", _FORMAT)
    if face.eye_distance < 12:
        raise MediaError(name, f"the eyes are {face.eye_distance:.0f} pixels apart", _FORMAT)
