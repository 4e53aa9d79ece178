"""From the bytes of a picture file to a portrait: upright, in colour, with the face's landmarks."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from models.avatar.portrait import upright
from models.avatar.viseme.facefinder import REMEDY, find_face
from models.avatar.viseme.landmarks import Landmarks, read_sidecar
from studio.errors import MediaError, NoFaceError

LONGEST_PX = 3000
"""Larger pictures are reduced: no host is drawn larger than 2048 px."""

SMALLEST_PX = 64


@dataclass(frozen=True, slots=True)
class Portrait:
    """A picture (height, width, 4), RGB and alpha, not premultiplied, and the face in it."""

    rgba: NDArray[np.uint8]
    face: Landmarks

    @property
    def cut_out(self) -> bool:
        """Whether the picture brings its own transparency."""
        return bool((self.rgba[..., 3] < 250).mean() > 0.02)


def read_portrait(data: bytes, name: str, landmarks: bytes | None = None) -> Portrait:
    """A portrait from a picture file's bytes.

    Args:
        data: JPEG, PNG, WebP, TIFF, BMP; greyscale, palette, CMYK, 16 bits and alpha are
            understood, and EXIF orientation is obeyed.
        name: What to call it in messages.
        landmarks: The content of a JSON file beside it (`landmarks.read_sidecar`), in pixels of the
            upright picture; without it the face is looked for.

    Raises:
        MediaError: The bytes are no picture, the picture is tiny, or the landmarks do not fit it.
        NoFaceError: No face was found.
    """
    image = upright(data, name)
    width, height = image.size
    if min(width, height) < SMALLEST_PX:
        found = f"the picture is {width}x{height} pixels"
        raise MediaError(name, found, f"It takes at least {SMALLEST_PX}x{SMALLEST_PX}.")
    rgba = np.asarray(image, np.uint8)
    given = None if landmarks is None else read_sidecar(landmarks, name, width, height)
    shrink = LONGEST_PX / max(width, height)
    if shrink < 1:
        rgba = np.asarray(
            cv2.resize(rgba, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA), np.uint8
        )
        if given is not None:
            given = given.moved([[shrink, 0, 0], [0, shrink, 0]])
    face = given if given is not None else find_face(_on_grey(rgba), name)
    height, width = rgba.shape[:2]
    for part, (x, y) in {"mouth": face.inner_top.mean(0), "chin": face.chin}.items():
        if not (0 <= x < width and 0 <= y < height + 0.1 * face.eye_distance):
            raise NoFaceError(name, f"the face's {part} lies outside the picture", REMEDY)
    return Portrait(np.ascontiguousarray(rgba), face)


def _on_grey(rgba: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture in front of middle grey, for looking at it."""
    alpha = rgba[..., 3:].astype(np.float32) / 255
    return np.asarray(rgba[..., :3] * alpha + 128 * (1 - alpha), np.uint8)
