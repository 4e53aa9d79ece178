"""Portraits: any picture file with a face in it becomes a presenter; all others a clear error."""

from __future__ import annotations

import io
from functools import lru_cache

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from models.avatar import Sitting, open_painter
from models.avatar.viseme.hosts import HOSTS
from models.avatar.viseme.idle import Pose
from models.avatar.viseme.likeness import LikenessPainter, framed
from models.avatar.viseme.painter import HostPainter
from models.avatar.viseme.phonemes import VISEMES
from models.avatar.viseme.planes import to_rgb
from models.avatar.viseme.portrait import Portrait, read_portrait
from studio.errors import MediaError, NoFaceError

STRAIGHT = Pose(
    yaw=0.0, pitch=0.0, roll=0.0, blink=0.0, look_x=0.0, look_y=0.0, brow=0.0, breath=0.0
)
SIZE = 400


@lru_cache
def host_picture(name: str, size_px: int = SIZE) -> NDArray[np.uint8]:
    """A drawn host as a stand-in for a photograph."""
    planes = HostPainter(HOSTS[name], size_px).paint(STRAIGHT, VISEMES["rest"])
    return to_rgb(np.ascontiguousarray(planes.transpose(1, 2, 0)), (92, 108, 120))


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


@pytest.fixture(scope="module")
def picture() -> NDArray[np.uint8]:
    return host_picture("juno")


@pytest.fixture(scope="module")
def portrait(picture: NDArray[np.uint8]) -> Portrait:
    return read_portrait(encoded(Image.fromarray(picture)), "juno.png")


def eyes(portrait: Portrait) -> NDArray[np.float64]:
    return np.array([(a.mean(0) + b.mean(0)) / 2 for a, b in portrait.face.lids])


@pytest.mark.parametrize("name", HOSTS)
def test_every_drawn_host_is_a_portrait_with_eyes_and_mouth_found(name: str) -> None:
    found = read_portrait(encoded(Image.fromarray(host_picture(name))), name)
    face, unit = HOSTS[name].face, SIZE / 512
    tolerance = 0.12 * 2 * face.eye_dx * unit
    for eye, side in zip(eyes(found), (-1, 1), strict=True):
        expected = np.array([256 + side * face.eye_dx, face.eye_y]) * unit
        assert np.linalg.norm(eye - expected) < tolerance
    mouth = np.array([256, face.mouth_y]) * unit
    assert np.linalg.norm(found.face.inner_top.mean(0) - mouth) < tolerance
    width = np.ptp(found.face.inner_top[:, 0]) / (2 * face.mouth_half_width * unit)
    assert 0.75 < width < 1.35


@pytest.mark.parametrize("turn", [3, 6, 8])
def test_exif_orientation_is_obeyed(
    picture: NDArray[np.uint8], portrait: Portrait, turn: int
) -> None:
    stored = {
        3: Image.Transpose.ROTATE_180,
        6: Image.Transpose.ROTATE_90,
        8: Image.Transpose.ROTATE_270,
    }[turn]
    exif = Image.Exif()
    exif[0x0112] = turn
    image = Image.fromarray(picture).transpose(stored)
    found = read_portrait(encoded(image, "JPEG", quality=95, exif=exif), "turned.jpg")
    np.testing.assert_allclose(eyes(found), eyes(portrait), atol=4)


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "CMYK", "I;16", "1"])
def test_every_kind_of_picture_is_read(
    picture: NDArray[np.uint8], portrait: Portrait, mode: str
) -> None:
    if mode == "I;16":
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.uint16) * 257
        data = encoded(Image.fromarray(grey))
    else:
        image = Image.fromarray(picture).convert(mode)
        data = encoded(image, "JPEG" if mode == "CMYK" else "PNG")
    found = read_portrait(data, mode)
    assert found.rgba.shape == portrait.rgba.shape
    np.testing.assert_allclose(eyes(found), eyes(portrait), atol=9)


def test_the_largest_of_several_faces_is_taken(picture: NDArray[np.uint8]) -> None:
    small = cv2.resize(host_picture("nova"), (300, 300), interpolation=cv2.INTER_AREA)
    scene = np.full((SIZE, SIZE + 300, 3), 110, np.uint8)
    scene[-300:, :300] = small
    scene[:, 300:] = picture
    found = read_portrait(encoded(Image.fromarray(scene)), "two.png")
    assert eyes(found)[0][0] > 400


@pytest.mark.parametrize("size", [(300, 301), (257, 400), (1300, 3100)])
def test_odd_and_large_sizes_work(picture: NDArray[np.uint8], size: tuple[int, int]) -> None:
    width, height = size
    scene = np.full((height, width, 3), 100, np.uint8)
    side = min(size)
    scene[:side, :side] = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)
    found = read_portrait(encoded(Image.fromarray(scene)), "odd.png")
    planes = LikenessPainter(found, 255).paint(STRAIGHT, VISEMES["aa"])
    assert planes.shape == (4, 255, 255)


def test_no_face_says_what_to_do() -> None:
    ramp = np.linspace(0, 255, 320, dtype=np.uint8)
    sky = np.repeat(np.repeat(ramp[:, None, None], 300, 1), 3, 2)
    with pytest.raises(NoFaceError, match="straight at the camera") as caught:
        read_portrait(encoded(Image.fromarray(sky)), "sky.png")
    assert caught.value.where == "sky.png"


@pytest.mark.parametrize("data", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n" + bytes(200)])
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    with pytest.raises(MediaError, match="JPEG"):
        read_portrait(data, "broken.jpg")


def test_a_truncated_picture_is_refused(picture: NDArray[np.uint8]) -> None:
    data = encoded(Image.fromarray(picture), "JPEG")
    with pytest.raises(MediaError):
        read_portrait(data[: len(data) // 3], "cut.jpg")


def test_a_tiny_picture_is_refused(picture: NDArray[np.uint8]) -> None:
    tiny = Image.fromarray(picture).resize((40, 40))
    with pytest.raises(MediaError, match="40x40"):
        read_portrait(encoded(tiny), "tiny.png")


def test_proportions_are_kept(picture: NDArray[np.uint8], portrait: Portrait) -> None:
    """A wide picture is cut, not squeezed: distances keep their ratios."""
    wide = np.full((SIZE, 2 * SIZE, 3), 90, np.uint8)
    wide[:, 150 : 150 + SIZE] = picture
    found = read_portrait(encoded(Image.fromarray(wide)), "wide.png")
    for one in (portrait, found):
        before, after = one.face, framed(one, 320)[1]
        across = after.eye_distance / before.eye_distance
        down = float(after.chin[1] - after.crown[1]) / float(before.chin[1] - before.crown[1])
        assert across == pytest.approx(down, rel=1e-4)


def test_lips_part_and_lids_close_and_nothing_else_moves(portrait: Portrait) -> None:
    size_px = 360
    painter = LikenessPainter(portrait, size_px)
    rest = painter.paint(STRAIGHT, VISEMES["rest"]).astype(int)
    face = framed(portrait, size_px)[1]
    unit = face.eye_distance

    def changed(planes: NDArray[np.uint8]) -> NDArray[np.float64]:
        rows, columns = np.nonzero(np.abs(planes[0].astype(int) - rest[0]) > 12)
        assert len(rows) > 30
        return np.stack([columns, rows], 1).astype(float)

    opened = changed(painter.paint(STRAIGHT, VISEMES["aa"]).copy())
    assert np.abs(opened - face.inner_top.mean(0)).max() < 1.4 * unit
    mouth = face.inner_top.mean(0).astype(int)
    open_planes = painter.paint(STRAIGHT, VISEMES["aa"])
    assert open_planes[0, mouth[1] + int(0.12 * unit), mouth[0]] < 90
    shut = Pose(**{**dict.fromkeys(STRAIGHT.__slots__, 0.0), "blink": 1.0})
    lids = changed(painter.paint(shut, VISEMES["rest"]).copy())
    middles = np.array([(a.mean(0) + b.mean(0)) / 2 for a, b in face.lids])
    nearest = np.abs(lids[:, None] - middles[None]).max(-1).min(1)
    assert nearest.max() < 0.6 * unit


def test_a_turn_of_the_head_leaves_the_frame_alone(portrait: Portrait) -> None:
    painter = LikenessPainter(portrait, 300)
    rest = painter.paint(STRAIGHT, VISEMES["rest"]).copy()
    turned = Pose(
        yaw=1.4, pitch=0.5, roll=1.5, blink=0.0, look_x=0.0, look_y=0.0, brow=0.3, breath=1.0
    )
    moved = painter.paint(turned, VISEMES["rest"])
    assert np.abs(moved[0].astype(int) - rest[0]).max() > 60
    assert np.array_equal(moved[3], rest[3])
    for edge in (np.s_[:, -4:], np.s_[:, :, :3], np.s_[:, :, -3:]):
        assert np.array_equal(moved[edge], rest[edge])


def test_an_opaque_picture_has_round_corners_and_a_cut_out_its_own_shape(
    picture: NDArray[np.uint8], portrait: Portrait
) -> None:
    framed_alpha = LikenessPainter(portrait, 300).paint(STRAIGHT, VISEMES["rest"])[3]
    assert framed_alpha[0, 0] == 0
    assert framed_alpha[150, 0] == 255
    planes = HostPainter(HOSTS["juno"], SIZE).paint(STRAIGHT, VISEMES["rest"])
    cut_out = np.dstack([picture, planes[3]])
    found = read_portrait(encoded(Image.fromarray(cut_out)), "cut.png")
    assert found.cut_out
    shape = LikenessPainter(found, 300).paint(STRAIGHT, VISEMES["aa"])
    assert shape[3, 5, 5] == 0
    assert shape[:3, 5, 5].max() == 0
    assert shape[3, 150, 150] == 255
    assert (shape[0] <= 235 * shape[3].astype(float) / 255 + 1.5).all()


def test_a_portrait_can_be_still_too(portrait: Portrait) -> None:
    sitting = Sitting(look="nova", size_px=200, fps=25, seed=2, portrait=portrait)
    with open_painter("still", sitting, [(0, np.ones((5, 1), np.float32))]) as painter:
        loud, quiet = painter.paint(2).copy(), painter.paint(9)
        assert not np.array_equal(loud, quiet)
