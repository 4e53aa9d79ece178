"""Which part of a portrait SadTalker animates, and how the 3DMM's camera sees it.

The frame follows FFHQ's alignment (Karras et al., "A Style-Based Generator Architecture", CVPR
2019, appendix C): a square spanned by the eyes and the mouth, taken upright here. The camera is a
scaled orthographic one, fitted to five points by POS (DeMenthon & Davis, IJCV 1995; Deng et al.,
CVPRW 2019, section 3.3).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.avatar.face.landmarks import LEFT_EYE, MOUTH_CORNERS, RIGHT_EYE, Points, five
from studio.errors import NoFaceError

Picture = NDArray[np.uint8]

FRAME_PX: Final = 512
"""The frame's size that shrinking aims at."""
ALIGNED_PX: Final = 224
"""Side of the picture that the reconstruction network sees."""
ALIGNED_SCALE: Final = 102.0
"""Pixels per unit of the face model in that picture."""

MODEL_POINTS: Final = np.array(
    [
        [-0.31148657, 0.29036078, 0.13377953],
        [0.30979887, 0.28972036, 0.13179526],
        [0.0032534988, -0.046179324, 0.55244243],
        [-0.25216928, -0.38133916, 0.22405732],
        [0.24846619, -0.38128236, 0.22235769],
    ]
)
"""Left eye, right eye, tip of the nose, corners of the mouth of the Basel face model's mean
shape, y upwards.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Framing:
    """What is animated: `outer` is the face and its surroundings in the portrait scaled to
    `width` x `height`, `inner` the face's square within `outer`, both left, top, right, bottom;
    `inner` keeps its fractions.
    """

    width: int
    height: int
    outer: tuple[int, int, int, int]
    inner: tuple[float, float, float, float]

    def box(self, *, wide: bool) -> tuple[int, int, int, int]:
        """The animated rectangle of the scaled portrait, in whole pixels."""
        if wide:
            return self.outer
        left, top = self.outer[:2]
        x0, y0, x1, y1 = (int(v) for v in self.inner)
        return left + x0, top + y0, left + x1, top + y1


def frame_face(points: Points, width: int, height: int) -> Framing:
    """68 points in a `width` x `height` portrait -> the part that is animated.

    Raises:
        NoFaceError: The points span nothing inside the picture.
    """
    left_eye, right_eye = points[LEFT_EYE].mean(axis=0), points[RIGHT_EYE].mean(axis=0)
    eyes, across = (left_eye + right_eye) / 2, right_eye - left_eye
    down = points[list(MOUTH_CORNERS)].mean(axis=0) - eyes
    quarter_turn = np.array([-1.0, 1.0])
    # The eyes' line and the normal of eyes-to-mouth should agree; their sum is the face's
    # horizontal.
    axis = across - down[::-1] * quarter_turn
    axis *= max(2.0 * np.hypot(*across), 1.8 * np.hypot(*down)) / max(np.hypot(*axis), 1e-9)
    normal, centre = axis[::-1] * quarter_turn, eyes + 0.1 * down
    corners = centre + np.array([-axis - normal, -axis + normal, axis + normal, axis - normal])
    side = 2 * float(np.hypot(*axis))
    shrink = int(side / FRAME_PX * 0.5)
    if shrink > 1:
        width, height = round(width / shrink), round(height / shrink)
        corners, side = corners / shrink, side / shrink
    border = max(round(0.1 * side), 3)
    low, high = np.floor(corners.min(axis=0)) - border, np.ceil(corners.max(axis=0)) + border
    left, top, right, bottom = int(low[0]), int(low[1]), int(high[0]), int(high[1])
    outer = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
    # Half a pixel from corners to pixel centres; upright is the box around the square's near edges.
    at = corners - outer[:2] + 0.5
    inner = (
        max(float(at[:2, 0].min()), 0.0),
        max(float(at[[0, 3], 1].min()), 0.0),
        min(float(at[2:, 0].max()), float(outer[2] - outer[0])),
        min(float(at[1:3, 1].max()), float(outer[3] - outer[1])),
    )
    if inner[2] - inner[0] < 2 or inner[3] - inner[1] < 2:
        found = "the face's landmarks lie outside the picture or on one spot"
        raise NoFaceError("portrait", found, "Give a portrait that shows the whole face")
    return Framing(width=width, height=height, outer=outer, inner=inner)


def fit_camera(points: Points) -> tuple[NDArray[np.float64], float]:
    """Five points (5, 2), y upwards -> translation (2,) and scale of a scaled orthographic camera
    (POS).

    Least squares over both rows of the projection, u = s r1 . X + tx and v = s r2 . X + ty; s is
    their lengths' mean.
    """
    homogeneous = np.column_stack((MODEL_POINTS, np.ones(5)))
    rows, *_ = np.linalg.lstsq(homogeneous, points, rcond=None)  # (4, 2): a column is a row of P
    scale = float(np.linalg.norm(rows[:3], axis=0).mean())
    return rows[3], scale


@dataclass(frozen=True, slots=True, kw_only=True)
class Aligned:
    """The picture for the reconstruction (224, 224, 3), and the camera: 3DMM scale and
    translation in pixels.
    """

    picture: Picture
    scale: float
    translation: tuple[float, float]


def align(picture: Picture, points: Points | None) -> Aligned:
    """A framed face (h, w, 3) and its 68 points -> what the reconstruction sees.

    Without points the mean face is taken to fill the picture.
    """
    height, width = picture.shape[:2]
    if points is None:
        seen = (MODEL_POINTS[:, :2] + 1) / 2 * (width, height)
    else:
        seen = five(points) * (1.0, -1.0) + (0.0, height - 1.0)  # y upwards
    translation, scale = fit_camera(seen)
    zoom = ALIGNED_SCALE / scale
    wide, high = int(width * zoom), int(height * zoom)
    left = int(wide / 2 - ALIGNED_PX / 2 + (translation[0] - width / 2) * zoom)
    top = int(high / 2 - ALIGNED_PX / 2 + (height / 2 - translation[1]) * zoom)
    resized = Image.fromarray(picture).resize((wide, high), Image.Resampling.BICUBIC)
    cropped = resized.crop((left, top, left + ALIGNED_PX, top + ALIGNED_PX))
    camera = float(translation[0]), float(translation[1])
    return Aligned(picture=np.array(cropped, np.uint8), scale=zoom, translation=camera)


def cut(portrait: Picture, framing: Framing, size_px: int, *, wide: bool) -> Picture:
    """The animated rectangle of `portrait`, as the square (size_px, size_px, 3) that the networks
    see.
    """
    scaled = cv2.resize(portrait, (framing.width, framing.height))
    left, top, right, bottom = framing.box(wide=wide)
    return np.asarray(cv2.resize(scaled[top:bottom, left:right], (size_px, size_px)), np.uint8)
