"""A user's portrait, moved: lids, lips and a pseudo-3D turn of the head, all by warping the one
picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.avatar.viseme.idle import Pose
from models.avatar.viseme.landmarks import Curve, Landmarks
from models.avatar.viseme.lipwarp import LipWarp
from models.avatar.viseme.planes import Layer, to_yuva
from models.avatar.viseme.portrait import Portrait

_FACES_HIGH = 2.35
"""The square shows two and a third faces' heights: head and shoulders."""

_ABOVE = 0.62
"""Room above the forehead, in faces' heights, of which hair takes about half."""

CORNER_PCT = 6.0
"""Radius of the frame's corners, of its width."""

_Field = NDArray[np.float32]


def _ease(x: NDArray[np.float64]) -> NDArray[np.float64]:
    x = np.clip(x, 0, 1)
    return np.asarray(x * x * (3 - 2 * x), np.float64)


def framed(portrait: Portrait, size_px: int) -> tuple[NDArray[np.float32], Landmarks]:
    """The square around the face at its final size, as premultiplied RGBA in 0..1, and its
    landmarks.

    The picture is scaled by one factor: nothing is stretched. A picture smaller than the square is
    shown whole.
    """
    image, face = portrait.rgba, portrait.face
    height, width = image.shape[:2]
    face_height = float(np.linalg.norm(face.chin - face.crown))
    side = min(_FACES_HIGH * face_height, height, width)
    x = float((face.left[0] + face.right[0]) / 2) - side / 2
    y = float(face.crown[1]) - _ABOVE * face_height * side / (_FACES_HIGH * face_height)
    x, y = float(np.clip(x, 0, width - side)), float(np.clip(y, 0, height - side))
    scale = size_px / side
    matrix = np.array([[scale, 0, -x * scale], [0, scale, -y * scale]], np.float32)
    # Only what is shown, and a little around it for the averaging, is worth converting.
    left, top = max(0, int(x) - 8), max(0, int(y) - 8)
    part = image[top : int(y + side) + 9, left : int(x + side) + 9]
    pixels = part.astype(np.float32) / np.float32(255)
    pixels[..., :3] *= pixels[..., 3:]
    if scale < 1:
        # Averaging before the warp keeps hair and cloth from shimmering.
        pixels = np.asarray(cv2.GaussianBlur(pixels, (0, 0), 0.45 / scale), np.float32)
    flags = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_LINEAR
    onto = matrix + np.array([[0, 0, left * scale], [0, 0, top * scale]], np.float32)
    square = cv2.warpAffine(
        pixels, onto, (size_px, size_px), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    return np.clip(np.asarray(square, np.float32), 0, 1), face.moved(matrix)


def _rounded(size_px: int) -> _Field:
    """Coverage of a square with round corners."""
    radius = CORNER_PCT / 100 * size_px
    axis = np.abs(np.arange(size_px) + 0.5 - size_px / 2) - (size_px / 2 - radius)
    outside = np.hypot(np.maximum(axis[None, :], 0), np.maximum(axis[:, None], 0))
    return np.asarray(np.clip(radius + 0.5 - outside, 0, 1), np.float32)


class LikenessPainter:
    """A portrait at one size. `changed` is the box of the planes that the last `paint` has changed:
    x, y, width, height.
    """

    def __init__(self, portrait: Portrait, size_px: int) -> None:
        self.size_px = size_px
        self.changed = (0, 0, size_px, size_px)
        rgba, face = framed(portrait, size_px)
        if not portrait.cut_out:
            rgba = rgba * _rounded(size_px)[..., None]
        self._layer = to_yuva(rgba)
        self._work = self._layer.copy()
        self._frame = self._layer.copy()
        self._planes = np.ascontiguousarray(self._layer.transpose(2, 0, 1))
        self._painted = False
        self._lips = LipWarp(self._layer, face)
        self._lids = [_Lid(self._layer, upper, lower) for upper, lower in face.lids]
        self._turn = _Turn(face, size_px)

    def paint(self, pose: Pose, mouth: NDArray[np.float32]) -> NDArray[np.uint8]:
        """The portrait in a pose with its mouth in a state: planes (4, size_px, size_px), valid
        until the next call.
        """
        np.copyto(self._work, self._layer)
        for lid in self._lids:
            lid.apply(self._work, pose.blink)
        self._lips.apply(self._work, mouth)
        self._turn.apply(self._work, self._frame, pose)
        rows, columns = self._turn.region.rows, self._turn.region.columns
        cv2.split(self._frame[rows, columns], [plane[rows, columns] for plane in self._planes])
        if self._painted:
            width, height = columns.stop - columns.start, rows.stop - rows.start
            self.changed = (columns.start, rows.start, width, height)
        self._painted = True
        return self._planes


_LASH_MARGIN, _STRIP = 0.13, 0.13
"""Lashes and crease reach this far above the lid's edge, and the skin to be used lies above them;
in widths of the eye.
"""


class _Lid:
    """One eye: the skin above it is pulled down over it."""

    def __init__(self, layer: Layer, upper: Curve, lower: Curve) -> None:
        self._layer = layer
        self._width = width = float(np.linalg.norm(upper[-1] - upper[0]))
        x, y = (upper.mean(0) + lower.mean(0)) / 2
        x0, x1 = int(max(0, x - 0.72 * width)), int(min(layer.shape[1], x + 0.72 * width))
        y0, y1 = int(max(0, y - 0.95 * width)), int(min(layer.shape[0], y + 0.45 * width))
        self._box = (x0, y0, x1, y1)
        columns = np.arange(x0, x1, dtype=np.float32)
        self._rows = np.arange(y1 - y0, dtype=np.float32)[:, None]
        across = np.arange(x1 - x0, dtype=np.float32)
        self._map_x = np.ascontiguousarray(np.broadcast_to(across, (y1 - y0, x1 - x0)))
        self._upper = (np.interp(columns, upper[:, 0], upper[:, 1]) - y0)[None, :]
        self._lower = (np.interp(columns, lower[:, 0], lower[:, 1]) - y0)[None, :]
        self._reach = _ease((0.62 * width - np.abs(columns - x)) / (0.14 * width))[None, :]

    def apply(self, picture: Layer, blink: float) -> None:
        """Close the eye by `blink` in 0..1."""
        if blink < 0.03:
            return
        x0, y0, x1, y1 = self._box
        width, shut = self._width, blink * self._reach
        edge = self._upper + (self._lower - self._upper) * 0.94 * shut
        above = edge - self._rows
        # A strip of skin above the lashes is stretched down to the edge; brow and cheek stay.
        strip_end = self._upper - _LASH_MARGIN * width * np.minimum(shut * 3, 1)
        strip_start = self._upper - (_LASH_MARGIN + _STRIP) * width
        along = (self._rows - strip_start) / np.maximum(edge - strip_start, 1)
        stretched = strip_start + along * (strip_end - strip_start)
        source = np.where((above > 0) & (along > 0), stretched, self._rows)
        part = self._layer[y0:y1, x0:x1]
        lid = np.asarray(
            cv2.remap(part, self._map_x, source.astype(np.float32), cv2.INTER_LINEAR), np.float32
        )
        lashes = np.exp(-((above / (0.045 * width)) ** 2)) * np.minimum(shut * 2, 1)
        lid[..., 0] *= 1 - 0.6 * lashes
        picture[y0:y1, x0:x1] = lid.astype(np.uint8)


@dataclass(frozen=True, slots=True)
class _Region:
    rows: slice
    columns: slice


class _Turn:
    """The head's turn, nod, tilt and breath, fading into the background around it."""

    def __init__(self, face: Landmarks, size_px: int) -> None:
        wide = float(np.linalg.norm(face.right - face.left))
        high = float(np.linalg.norm(face.chin - face.crown))
        cx = float((face.left[0] + face.right[0]) / 2)
        cy, chin = float((face.crown[1] + face.chin[1]) / 2), float(face.chin[1])
        axis = np.arange(size_px, dtype=np.float64)
        x, y = axis[None, :], axis[:, None]
        skull = np.sqrt(
            np.clip(1 - ((x - cx) / (0.62 * wide)) ** 2 - ((y - cy) / (0.66 * high)) ** 2, 0, 1)
        )
        skull = cv2.GaussianBlur(skull, (0, 0), 0.05 * wide)
        nose_x, nose_y = float(face.nose[0]), float(face.nose[1]) - 0.06 * high
        nose = np.exp(-(((x - nose_x) / (0.09 * wide)) ** 2) - ((y - nose_y) / (0.10 * high)) ** 2)
        away = np.hypot((x - cx) / (0.95 * wide), (y - cy) / (0.95 * high))
        moves = np.exp(-((np.maximum(away - 0.72, 0) / 0.62) ** 2))
        moves = moves * (1 - _ease((y - chin - 0.10 * high) / (0.55 * high)))
        # The frame's edges stand still; only the upper one may be left by hair.
        edge = np.minimum(
            np.minimum(x, size_px - 1 - x), np.minimum(y + 0.02 * size_px, size_px - 1 - y)
        )
        moves = cv2.GaussianBlur(moves, (0, 0), size_px / 85) * _ease(edge / (0.10 * size_px))
        # The round corners keep their shape to the last bit.
        corner = np.hypot(np.minimum(x, size_px - 1 - x), np.minimum(y, size_px - 1 - y))
        moves = moves * _ease(corner / (CORNER_PCT / 100 * size_px) - 1)
        rows, columns = (
            np.flatnonzero((moves > 0.004).any(1)),
            np.flatnonzero((moves > 0.004).any(0)),
        )
        self.region = _Region(
            slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
        )
        self._unit = wide / 190

        def part(field: NDArray[Any]) -> _Field:
            whole = np.broadcast_to(field, (size_px, size_px))
            cut = whole[self.region.rows, self.region.columns]
            return np.ascontiguousarray(cut, np.float32)

        self._x, self._y, self._moves = part(x), part(y), part(moves)
        self._depth = part((skull + 0.18 * nose - 0.30) * moves)
        self._tilt_x = part(moves * (y - chin - 0.2 * high))
        self._tilt_y = part(moves * (x - cx))
        brow_y = float(np.mean([lid[0][:, 1].mean() for lid in face.lids])) - 0.17 * high
        self._brow = part(
            np.exp(-(((y - brow_y) / (0.06 * high)) ** 2))
            * np.exp(-(((x - cx) / (0.42 * wide)) ** 4))
        )

    def apply(self, picture: Layer, into: Layer, pose: Pose) -> None:
        """Draw the picture with its head in a pose; what lies outside the head's reach is never
        touched.
        """
        yaw, pitch = pose.yaw * self._unit, pose.pitch * self._unit
        tilt = float(np.sin(np.deg2rad(pose.roll * 1.1)))
        map_x = cv2.scaleAdd(self._depth, -9 * yaw, self._x)
        cv2.scaleAdd(self._moves, -3 * yaw, map_x, dst=map_x)
        cv2.scaleAdd(self._tilt_x, tilt, map_x, dst=map_x)
        map_y = cv2.scaleAdd(self._depth, -8 * pitch, self._y)
        lift = 2.2 * pitch + 1.2 * pose.breath * self._unit
        cv2.scaleAdd(self._moves, -lift, map_y, dst=map_y)
        cv2.scaleAdd(self._tilt_y, -tilt, map_y, dst=map_y)
        cv2.scaleAdd(self._brow, 4.0 * pose.brow * self._unit, map_y, dst=map_y)
        into[self.region.rows, self.region.columns] = cv2.remap(
            picture, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
