"""Drawn hosts: planes, edges, silhouettes, motion, memory and speed."""

from __future__ import annotations

from itertools import combinations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from models.avatar import LineSound, Sitting, open_painter, open_performer
from models.avatar.viseme.cast import cast_hosts, find_host
from models.avatar.viseme.hosts import HOSTS, OUTFITS
from models.avatar.viseme.idle import Pose
from models.avatar.viseme.painter import HostPainter
from models.avatar.viseme.phonemes import VISEMES
from models.avatar.viseme.planes import to_rgb
from models.avatar.viseme.sprites import Sprites
from studio.errors import EngineUnavailable, SettingError

STRAIGHT = {
    "yaw": 0.0,
    "pitch": 0.0,
    "roll": 0.0,
    "blink": 0.0,
    "look_x": 0.0,
    "look_y": 0.0,
    "brow": 0.0,
    "breath": 0.0,
}
SIZE = 256

Planes = NDArray[np.uint8]


@pytest.fixture(scope="module")
def painters() -> dict[str, HostPainter]:
    return {name: HostPainter(host, SIZE) for name, host in HOSTS.items()}


def draw(painter: HostPainter, viseme: str = "rest", **pose: float) -> Planes:
    return painter.paint(Pose(**{**STRAIGHT, **pose}), VISEMES[viseme]).copy()


def rgb(planes: Planes, below: tuple[int, int, int] = (0, 0, 0)) -> NDArray[np.uint8]:
    return to_rgb(np.ascontiguousarray(planes.transpose(1, 2, 0)), below)


@pytest.mark.parametrize("name", HOSTS)
def test_planes_are_premultiplied_limited_range(
    painters: dict[str, HostPainter], name: str
) -> None:
    y, cb, cr, a = draw(painters[name], "ae", yaw=0.7).astype(np.float64)
    clear, solid = a == 0, a == 255
    assert clear.mean() > 0.2
    assert solid.mean() > 0.25
    for plane in (y, cb, cr):
        assert plane[clear].max() == 0
    assert y[solid].min() >= 16
    assert y[solid].max() <= 235
    for plane in (cb, cr):
        assert plane[solid].min() >= 16
        assert plane[solid].max() <= 240
    # No plane may exceed its ceiling's share: in front of anything the sum stays in range.
    assert (y <= 235 * a / 255 + 1.5).all()


def test_white_and_grey_convert_as_the_standard_says() -> None:
    from models.avatar.viseme.planes import to_yuva

    pixels = np.array([[[1, 1, 1, 1], [0, 0, 0, 1], [0.5, 0, 0, 0.5], [0, 0, 0, 0]]], np.float32)
    codes = to_yuva(pixels)[0]
    assert codes[0].tolist() == [235, 128, 128, 255]
    assert codes[1].tolist() == [16, 128, 128, 255]
    # Pure red is Y 63, Cb 102, Cr 240 (BT.709, eight bits); half of it, half of that.
    np.testing.assert_allclose(codes[2], [63 / 2, 102 / 2, 240 / 2, 128], atol=1)
    assert codes[3].tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("name", HOSTS)
def test_edges_have_no_fringe(painters: dict[str, HostPainter], name: str) -> None:
    """A half-covered pixel has the colour of what is next to it inside, not a dark or light rim."""
    planes = draw(painters[name])
    alpha = planes[3].astype(np.float32)
    edge = (alpha > 60) & (alpha < 220)
    luma = planes[0] * 255.0 / np.maximum(alpha, 1)
    solid = alpha == 255
    kernel = np.ones((9, 9), np.uint8)
    high = cv2.dilate(np.where(solid, planes[0], 0).astype(np.uint8), kernel).astype(np.float32)
    low = cv2.erode(np.where(solid, planes[0], 255).astype(np.uint8), kernel).astype(np.float32)
    near = edge & (high > 0)
    outside = (luma > high + 14) | (luma < low - 14)
    assert near.sum() > 300
    assert outside[near].mean() < 0.05


def test_silhouettes_differ(painters: dict[str, HostPainter]) -> None:
    shapes = {name: draw(painter)[3] > 127 for name, painter in painters.items()}
    assert len(shapes) >= 3
    for first, second in combinations(shapes.values(), 2):
        upper_first, upper_second = first[: SIZE * 3 // 4], second[: SIZE * 3 // 4]
        overlap = (upper_first & upper_second).sum() / (upper_first | upper_second).sum()
        assert overlap < 0.93


@pytest.mark.parametrize("name", HOSTS)
def test_nothing_is_cut_but_the_lower_edge(painters: dict[str, HostPainter], name: str) -> None:
    for yaw, roll, pitch in ((-1.8, -1.7, -0.7), (1.8, 1.7, 0.7), (0.0, 0.0, 0.0)):
        alpha = draw(painters[name], "aa", yaw=yaw, roll=roll, pitch=pitch, breath=1.0)[3]
        assert alpha[0].max() == 0
        assert alpha[:, 0].max() == 0
        assert alpha[:, -1].max() == 0


@pytest.mark.parametrize("breath", [0.0, 0.31, 0.77, 1.0])
def test_the_lower_edge_is_solid_while_breathing(
    painters: dict[str, HostPainter], breath: float
) -> None:
    for painter in painters.values():
        planes = draw(painter, breath=breath)
        middle = slice(SIZE * 2 // 5, SIZE * 3 // 5)
        assert planes[3, -1, middle].min() == 255
        step = np.abs(planes[0, -1, middle].astype(int) - planes[0, -2, middle])
        assert np.median(step) <= 2


@pytest.mark.parametrize("name", HOSTS)
def test_visemes_can_be_told_apart(painters: dict[str, HostPainter], name: str) -> None:
    """ "ah" changes the mouth most, "m" hardly at all; "oo" is not "ee"."""
    unit = SIZE / 512
    top, bottom = (int((HOSTS[name].face.mouth_y + dy) * unit) for dy in (-14, 32))
    part = (slice(top, bottom), slice(int(222 * unit), int(290 * unit)))
    mouths = {
        viseme: rgb(draw(painters[name], viseme))[part].astype(int)
        for viseme in ("rest", "aa", "mbp", "sz", "oo", "ee")
    }

    def differing(first: str, second: str) -> int:
        return int((np.abs(mouths[first] - mouths[second]).sum(-1) > 60).sum())

    assert differing("aa", "rest") > 3 * differing("mbp", "rest")
    assert differing("aa", "rest") > differing("sz", "rest")
    assert differing("oo", "ee") > 40


@pytest.mark.parametrize("name", HOSTS)
def test_shut_eyes_hide_the_eyeballs(painters: dict[str, HostPainter], name: str) -> None:
    face, unit = HOSTS[name].face, SIZE / 512
    y, x = int(face.eye_y * unit), int((256 + face.eye_dx) * unit)
    part = (slice(y - 4, y), slice(x - 4, x + 5))
    opened, shut = (rgb(draw(painters[name], blink=blink))[part] for blink in (0.0, 1.0))
    assert np.abs(opened.astype(int) - shut).mean() > 12
    # White, iris and pupil are far apart; a lid is all skin.
    assert shut.std(axis=(0, 1)).mean() < 0.6 * opened.std(axis=(0, 1)).mean()


def parts_of(lines: list[LineSound], gap: int = 15) -> list[tuple[int, NDArray[np.float32]]]:
    parts, start = [], 20
    with open_performer("viseme") as performer:
        for line in lines:
            parts.append((start, performer.perform(line)))
            start += line.num_frames + gap
    return parts


def sitting(**changes: object) -> Sitting:
    values: dict[str, object] = {"look": "nova", "size_px": 128, "fps": 25, "seed": 5}
    return Sitting(**{**values, **changes})  # type: ignore[arg-type]


def test_frames_do_not_depend_on_the_order_of_painting(spoken: list[LineSound]) -> None:
    parts = parts_of(spoken)
    with open_painter("viseme", sitting(), parts) as painter:
        forwards = {frame: painter.paint(frame).copy() for frame in (30, 75, 140)}
    with open_painter("viseme", sitting(), parts[::-1]) as painter:
        for frame in (140, 30, 75):
            assert np.array_equal(painter.paint(frame), forwards[frame])


def test_a_line_is_drawn_where_it_stands(spoken: list[LineSound]) -> None:
    """The mouth moves within the parts and rests outside; life goes on in both."""
    parts = parts_of(spoken[:1])
    start, motion = parts[0]
    with (
        open_painter("viseme", sitting(), parts) as talking,
        open_painter("viseme", sitting(), []) as listening,
    ):
        loudest = start + int(motion[:, 0].argmax())
        face = (slice(0, 1), slice(66, 80), slice(54, 74))
        spoken_frame = talking.paint(loudest)[face].astype(int)
        quiet_frame = listening.paint(loudest)[face].astype(int)
        assert np.abs(spoken_frame - quiet_frame).max() > 60
        long_after = start + len(motion) + 50
        assert np.array_equal(talking.paint(long_after), listening.paint(long_after))


def test_a_listening_host_lives() -> None:
    with open_painter("viseme", sitting(facing="right"), []) as painter:
        frames = [painter.paint(k)[0].astype(np.int16) for k in range(0, 250, 5)]
        first = frames[0].copy()
    assert max(int(np.abs(frame - first).max()) for frame in frames) > 0


def test_size_and_frame_rate_are_obeyed() -> None:
    for size_px in (128, 333, 1024):
        with open_painter("viseme", sitting(size_px=size_px), []) as painter:
            assert painter.size_px == size_px
            assert painter.paint(7).shape == (4, size_px, size_px)
    with (
        open_painter("viseme", sitting(fps=25), []) as slow,
        open_painter("viseme", sitting(fps=50), []) as fast,
    ):
        # The same moment: (k + 0.5) / 25 = (2k + 1) / 50.
        assert np.abs(slow.paint(40).astype(int) - fast.paint(80)).mean() < 0.6


def test_two_hosts_face_each_other_with_microphones_outside() -> None:
    with (
        open_painter("viseme", sitting(facing="left"), []) as left,
        open_painter("viseme", sitting(facing="right"), []) as right,
    ):
        # Nova's microphone hides her jumper: its grey has little chroma where the jumper has much.
        for painter, half in ((left, slice(64, 128)), (right, slice(0, 64))):
            planes = painter.paint(10)
            grey = (planes[3] == 255) & (np.abs(planes[1].astype(int) - 128) < 14)
            there = grey[90:, half].sum()
            assert there > 3 * (grey[90:].sum() - there)


def test_the_engine_that_is_not_there_is_not_offered() -> None:
    with pytest.raises(EngineUnavailable, match="viseme"), open_performer("did_api"):
        pass


def test_unknown_hosts_and_outfits_are_named_with_the_choice() -> None:
    with pytest.raises(SettingError, match="iris"):
        find_host("nobody")
    with pytest.raises(SettingError, match="teal"):
        find_host("nova/tweed")


def test_outfits_change_clothes_and_nothing_else() -> None:
    plain, worn = HostPainter(find_host("Nova"), 128), HostPainter(find_host(" nova/TEAL "), 128)
    first, second = draw(plain), draw(worn)
    assert np.array_equal(first[3], second[3])
    assert np.array_equal(first[:, 45:60, 55:73], second[:, 45:60, 55:73])
    assert np.abs(first[1, 100:].astype(int) - second[1, 100:]).mean() > 8


def test_everybody_gets_a_look_of_their_own() -> None:
    speakers = tuple(f"S{k}" for k in range(len(HOSTS) * 2))
    looks = cast_hosts(speakers, {"S3": "theo"})
    assert looks["S3"] == "theo"
    assert len(set(looks.values())) == len(speakers)
    for look in looks.values():
        find_host(look)
    assert set(OUTFITS) & {look.partition("/")[2] for look in looks.values()}


def test_sprites_stay_within_their_memory(painters: dict[str, HostPainter]) -> None:
    from models.avatar.viseme.lips import draw_mouth

    host = HOSTS["nova"]
    kept = Sprites(0.25)
    for k in range(40):
        state = (k / 40, 0.0, 0.0, 0.0, 0.0, 0.5, 0.0)
        kept.get(k, lambda state=state: draw_mouth(host, state, 0.5))  # type: ignore[misc]
    assert kept.num_bytes <= 0.25 * 2**20
    assert 2 < len(kept) < 40
    again = kept.get(39, lambda: pytest.fail("the newest sprite was forgotten"))
    assert again.layer.size > 0
