"""A portrait from outside: decoded upright, checked, and its face found, or a sentence that says
why not.
"""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from models.avatar.face.landmarks import LEFT_EYE, NOSE_TIP, RIGHT_EYE
from studio.errors import MediaError, NoFaceError

if TYPE_CHECKING:
    # Detectors need torch; a picture is read without.
    from models.avatar.face.boxes import Detection

Picture = NDArray[np.uint8]

_FORMATS: Final = "Use a JPEG, PNG, WebP, TIFF or BMP picture."

MIN_FACE_PX: Final = 48
"""Half of what the smallest network sees; less holds no mouth to animate."""
RIVAL: Final = 0.6
"""A second face of this share of the first one's area: nobody can tell who is meant."""
MAX_TURN: Final = 0.42
"""How far the nose may stand from the middle of the eyes, in eye distances; beyond, one eye is
nearly hidden (about 45 degrees of yaw).
"""
MAX_SIDE_PX: Final = 1440
"""A portrait is scaled down to this; a presenter takes a part of the picture."""


def decode_portrait(data: bytes, name: str = "portrait") -> Picture:
    """An image file -> RGB (h, w, 3), upright by its EXIF rotation, transparency over white, any
    mode Pillow reads.

    Raises:
        MediaError: It is no image, or too small.
    """
    picture = upright(data, name)
    ground = Image.new("RGBA", picture.size, "white")
    return as_portrait(np.asarray(Image.alpha_composite(ground, picture).convert("RGB")))


def upright(data: bytes, name: str) -> Image.Image:
    """An image file as Pillow's RGBA, turned as its EXIF says; sixteen bits become eight.

    Raises:
        MediaError: It is no image that Pillow reads whole, or far too large a one.
    """
    try:
        with Image.open(io.BytesIO(data)) as file:
            image = ImageOps.exif_transpose(file)
            if image.mode.startswith(("I", "F")):
                # Sixteen bits a pixel: the full range of the picture becomes 0..255.
                values = np.asarray(image, np.float64)
                span = max(float(values.max() - values.min()), 1e-9)
                image = Image.fromarray(((values - values.min()) / span * 255).astype(np.uint8))
            return image.convert("RGBA")
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, EOFError) as error:
        raise MediaError(name, f"the picture cannot be decoded ({error})", _FORMATS) from error
    except Image.DecompressionBombError as error:
        raise MediaError(name, "the picture is far too large", "Reduce it.") from error


def decode_marks(sidecar: bytes, data: bytes) -> NDArray[np.float64] | None:
    """The 68 landmarks (68, 2) of a sidecar in pixels of what `decode_portrait` makes of the
    picture file `data`; `None` where the sidecar has another form.
    """
    content: dict[str, Any] = json.loads(sidecar.decode("utf-8-sig"))
    if "points" not in content:
        return None
    with Image.open(io.BytesIO(data)) as image:
        longest = max(ImageOps.exif_transpose(image).size)
    scale = min(1.0, MAX_SIDE_PX / longest)
    return np.asarray(content["points"], np.float64) * scale


def as_portrait(image: NDArray[np.generic]) -> Picture:
    """Any 8-bit picture, grey (h, w), RGB or RGBA -> RGB (h, w, 3), even height and width, at
    most `MAX_SIDE_PX`.

    Raises:
        MediaError: It is no 8-bit picture, or smaller than a face must be.
    """
    remedy = "Give an 8-bit RGB picture"
    if image.dtype != np.uint8 or image.ndim not in (2, 3):
        raise MediaError("portrait", f"an array {image.shape} of {image.dtype}", remedy)
    grey = image.ndim == 2 or image.shape[2] == 1
    rgb = np.repeat(image.reshape(*image.shape[:2], 1), 3, axis=2) if grey else image[..., :3]
    if rgb.shape[2] != 3:
        raise MediaError("portrait", f"{image.shape[2]} channels", remedy)
    if min(rgb.shape[:2]) < MIN_FACE_PX:
        size = f"{rgb.shape[1]} x {rgb.shape[0]} pixels"
        raise MediaError("portrait", size, f"Give a picture of at least {2 * MIN_FACE_PX} pixels")
    scale = MAX_SIDE_PX / max(rgb.shape[:2])
    if scale < 1:
        wide, high = (max(2, round(side * scale)) for side in rgb.shape[1::-1])
        rgb = cv2.resize(np.ascontiguousarray(rgb), (wide, high), interpolation=cv2.INTER_AREA)
    # Video codecs subsample colour by two: an odd last row or column is left out rather than
    # stretched.
    even = rgb[: rgb.shape[0] // 2 * 2, : rgb.shape[1] // 2 * 2]
    # A copy: torch warns of arrays that it could not write to, and Pillow's are such.
    return np.array(even, np.uint8, order="C")


def the_face(detections: list[Detection]) -> Detection:
    """The one face that is meant: the largest, if it is large enough, frontal, and without a rival.

    Raises:
        NoFaceError: None, too small, turned away, or two of alike size.
    """
    if not detections:
        remedy = "Give a frontal portrait, or its 68 landmarks if it is a drawing"
        raise NoFaceError("portrait", "no face found", remedy)
    first, *others = sorted(detections, key=lambda face: -face.area)
    if others and others[0].area > RIVAL * first.area:
        found = f"{len(detections)} faces, two of alike size"
        raise NoFaceError("portrait", found, "Crop the picture to the presenter")
    side = min(first.box[2] - first.box[0], first.box[3] - first.box[1])
    if side < MIN_FACE_PX:
        found = f"the face is only {side:.0f} pixels wide"
        raise NoFaceError("portrait", found, f"Give one of at least {MIN_FACE_PX} pixels")
    if first.points is not None:
        _check_frontal(first.points)
    return first


def check_marks(marks: NDArray[np.float64]) -> None:
    """Refuse 68 landmarks (68, 2), in pixels, of a face that nobody could animate.

    Raises:
        NoFaceError: It is too small, or turned away.
    """
    wide, high = np.ptp(marks, axis=0)
    if min(wide, high) < MIN_FACE_PX:
        found = f"the face is only {min(wide, high):.0f} pixels wide"
        raise NoFaceError("portrait", found, f"Give one of at least {MIN_FACE_PX} pixels")
    eyes = marks[LEFT_EYE].mean(axis=0), marks[RIGHT_EYE].mean(axis=0)
    _check_frontal(np.stack((*eyes, marks[NOSE_TIP])).astype(np.float32))


def _check_frontal(points: NDArray[np.float32]) -> None:
    left, right, nose = points[0], points[1], points[2]
    across = right - left
    distance = float(np.hypot(*across))
    # How far the nose stands from the eyes' middle along their line, in eye distances: sin(yaw)
    # times the nose's length.
    turn = abs(float(np.dot(nose - (left + right) / 2, across))) / max(distance**2, 1e-6)
    if turn > MAX_TURN:
        raise NoFaceError("portrait", "the face is seen from the side", "Give a frontal portrait")
