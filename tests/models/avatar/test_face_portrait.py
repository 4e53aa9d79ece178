"""Portraits from outside: what is made of them, and how what cannot be used is refused."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

pytest.importorskip("torch")

from models.avatar.face.boxes import Detection
from models.avatar.portrait import as_portrait, check_marks, decode_portrait, the_face
from studio.errors import MediaError, NoFaceError

REFERENCE = Path(__file__).parent / "reference" / "functions.npz"


def encoded(image: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, **options)  # type: ignore[arg-type]
    return buffer.getvalue()


def face(left: float, top: float, side: float, nose: float = 0.5) -> Detection:
    """A face whose nose stands at `nose` of the way from the left eye to the right."""
    x = np.array([0.3, 0.7, 0.3 + 0.4 * nose, 0.35, 0.65])
    y = np.array([0.4, 0.4, 0.6, 0.8, 0.8])
    points = np.stack((left + side * x, top + side * y), axis=1).astype(np.float32)
    return Detection(box=(left, top, left + side, top + side), score=0.99, points=points)


def test_exif_rotation_is_undone() -> None:
    image = Image.new("RGB", (200, 120), "white")
    image.paste((255, 0, 0), (0, 0, 200, 20))  # red on top as stored
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by 90 degrees clockwise: the stored top is the right edge
    upright = decode_portrait(encoded(image, format="JPEG", exif=exif, quality=95))
    assert upright.shape == (200, 120, 3)
    assert upright[100, 115, 1] < 80
    assert upright[100, 60, 1] > 200


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "CMYK", "1", "YCbCr", "I;16", "F"])
def test_any_mode_becomes_rgb_and_keeps_its_picture(mode: str) -> None:
    ramp = np.tile(np.linspace(0, 255, 130).astype(np.uint8), (100, 1))
    grey = Image.fromarray(ramp)
    if mode == "I;16":
        image = Image.fromarray(ramp.astype(np.uint16) * 257)
    elif mode == "F":
        image = Image.fromarray(ramp.astype(np.float32) / 255)
    else:
        image = grey.convert("RGB").convert(mode)
    kind = "TIFF" if mode in {"CMYK", "F", "YCbCr"} else "PNG"
    seen = decode_portrait(encoded(image, format=kind))
    assert seen.shape == (100, 130, 3)
    # Sixteen bits are not cut off at 255, nothing turns into its negative; a palette is dithered.
    columns = seen.mean(axis=(0, 2))
    assert np.abs(columns - ramp[0]).max() < {"1": 90, "P": 30}.get(mode, 8)


def test_transparency_lies_over_white() -> None:
    clear = encoded(Image.new("RGBA", (100, 100), (0, 0, 0, 0)), format="PNG")
    assert decode_portrait(clear).min() == 255


def test_odd_sizes_lose_a_line_and_large_ones_shrink() -> None:
    assert as_portrait(np.zeros((101, 133, 3), np.uint8)).shape == (100, 132, 3)
    assert as_portrait(np.zeros((101, 133), np.uint8)).shape == (100, 132, 3)
    large = as_portrait(np.zeros((1000, 3001, 4), np.uint8))
    assert large.shape == (480, 1440, 3)


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((100, 100, 3), np.float32),
        np.zeros((100, 100, 2), np.uint8),
        np.zeros((100,), np.uint8),
        np.zeros((20, 100, 3), np.uint8),
    ],
)
def test_what_is_no_picture_is_refused(picture: NDArray[np.generic]) -> None:
    with pytest.raises(MediaError):
        as_portrait(picture)


@pytest.mark.parametrize("data", [b"", b"<html>not found</html>", b"\x89PNG\r\n\x1a\n broken"])
def test_what_is_no_file_is_refused(data: bytes) -> None:
    with pytest.raises(MediaError, match="cannot be decoded"):
        decode_portrait(data)


def test_the_largest_frontal_face_is_meant() -> None:
    host, passer_by = face(50, 40, 200), face(300, 40, 60)
    assert the_face([passer_by, host]) is host


@pytest.mark.parametrize(
    ("faces", "said"),
    [
        ([], "no face"),
        ([face(10, 10, 30)], "only 30 pixels"),
        ([face(10, 10, 100), face(200, 10, 95)], "two of alike size"),
        ([face(10, 10, 100, nose=1.0)], "from the side"),
    ],
)
def test_a_useless_face_is_named(faces: list[Detection], said: str) -> None:
    with pytest.raises(NoFaceError, match=said):
        the_face(faces)


def test_marks_of_a_usable_face_pass_and_others_are_named() -> None:
    marks = np.load(REFERENCE)["lm68_face01"] * 120 + 40
    check_marks(marks)
    with pytest.raises(NoFaceError, match=r"only 1\d pixels"):
        check_marks(marks * 0.2)
    profile = marks.copy()
    profile[30] = marks[36] - (5.0, 0.0)  # the tip of the nose beyond the outer corner of an eye
    with pytest.raises(NoFaceError, match="from the side"):
        check_marks(profile)
