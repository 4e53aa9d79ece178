"""The mathematics around the face networks, against the originals' outputs and against itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

pytest.importorskip("torch")

from models.avatar.face.boxes import (
    Detection,
    decode_boxes,
    decode_points,
    retina_anchors,
    s3fd_candidates,
    smooth,
    suppress,
)
from models.avatar.face.landmarks import five, heat_points, to_68
from models.avatar.face.s3fd import STRIDES
from models.avatar.sadtalker.framing import (
    MODEL_POINTS,
    align,
    cut,
    fit_camera,
    frame_face,
)
from studio.errors import NoFaceError
from tests.models.avatar.weight_recipe import values

REFERENCE = np.load(Path(__file__).parent / "reference" / "functions.npz")


def test_retinaface_anchors_and_boxes_are_the_originals() -> None:
    anchors = retina_anchors(128, 160)
    assert np.array_equal(anchors, REFERENCE["rf_priors"])
    offsets = values("20250101:func:in:rf_loc", (840, 4), -2, 2)
    assert np.abs(decode_boxes(offsets, anchors) - REFERENCE["rf_boxes"]).max() < 1e-5


def test_points_are_offset_by_tenths_of_the_anchor() -> None:
    anchors = retina_anchors(64, 64)
    points = decode_points(np.ones((len(anchors), 10), np.float32), anchors)
    expected = anchors[:, None, :2] + 0.1 * anchors[:, None, 2:]
    assert np.allclose(points, np.broadcast_to(expected, points.shape))


def test_s3fd_finds_a_planted_face_on_every_scale() -> None:
    for level, stride in enumerate(STRIDES):
        sizes = [1024 // s for s in STRIDES]
        maps = [(np.zeros((n, n), np.float32), np.zeros((4, n, n), np.float32)) for n in sizes]
        maps[level][0][2, 3] = 0.9
        (row,) = s3fd_candidates(maps)
        assert row[4] == np.float32(0.9)
        assert np.allclose(row[:4], (1.5 * stride, 0.5 * stride, 5.5 * stride, 4.5 * stride))


boxes_strategy = st.lists(
    st.tuples(*[st.integers(0, 80)] * 2, *[st.integers(5, 40)] * 2), min_size=1, max_size=12
)


def overlap(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    wide = min(a[2], b[2]) - max(a[0], b[0]) + 1
    high = min(a[3], b[3]) - max(a[1], b[1]) + 1
    common = max(0.0, wide) * max(0.0, high)
    areas = [(box[2] - box[0] + 1) * (box[3] - box[1] + 1) for box in (a, b)]
    return float(common / (sum(areas) - common))


@settings(max_examples=60, deadline=None)
@given(corners=boxes_strategy, seed=st.integers(0, 99))
def test_suppression_keeps_no_rivals_and_drops_none_without_one(
    corners: list[tuple[int, int, int, int]], seed: int
) -> None:
    boxes = np.array([(x, y, x + w, y + h) for x, y, w, h in corners], np.float32)
    scores = np.random.default_rng(seed).permutation(len(boxes)).astype(np.float32)
    kept = suppress(boxes, scores, 0.3)
    assert list(scores[kept]) == sorted(scores[kept], reverse=True)
    for i in range(len(boxes)):
        better = [k for k in kept if scores[k] > scores[i]]
        rival = any(overlap(boxes[i], boxes[k]) > 0.3 for k in better)
        assert (i in kept) != rival


def test_smoothing_steadies_and_ends_together() -> None:
    rng = np.random.default_rng(0)
    shaky = rng.normal(100, 5, (40, 4))
    steady = smooth(shaky)
    assert steady.std(axis=0).max() < 0.7 * shaky.std(axis=0).min()
    assert np.array_equal(smooth(np.full((9, 4), 7.0)), np.full((9, 4), 7))
    assert len(smooth(shaky[:2])) == 2


def test_heat_points_lean_towards_the_higher_neighbour() -> None:
    heat = np.zeros((3, 64, 64), np.float32)
    heat[0, 20, 30], heat[0, 20, 31], heat[0, 19, 30] = 1.0, 0.5, 0.4
    heat[1, 0, 0] = 1.0
    heat[2, 63, 63] = 1.0
    points = heat_points(heat)
    assert points[0].tolist() == [30.75, 20.25]
    assert np.all((points >= 0) & (points <= 64))


def test_68_landmarks_keep_places_and_order() -> None:
    ring = np.column_stack((np.arange(98.0), np.arange(98.0) * 2))
    marks = to_68(ring)
    assert marks.shape == (68, 2)
    assert marks[:17, 0].tolist() == list(range(0, 33, 2))
    assert marks[30].tolist() == ring[54].tolist()
    assert marks[48].tolist() == ring[76].tolist()
    assert marks[67].tolist() == ring[95].tolist()


@pytest.mark.parametrize(("width", "height"), [(640, 480), (1400, 1800)])
def test_frame_is_the_originals(width: int, height: int) -> None:
    side = min(width, height) / 2
    marks = REFERENCE["lm68_face01"] * side + (width / 4, 0.2 * height)
    framing = frame_face(marks, width, height)
    expected = REFERENCE[f"crop_{width}x{height}"]
    assert (framing.width, framing.height, *framing.outer) == tuple(expected[:6])
    assert np.allclose(framing.inner, expected[6:])


def test_frame_of_nothing_is_refused() -> None:
    with pytest.raises(NoFaceError, match="outside the picture"):
        frame_face(REFERENCE["lm68_face01"] * 100 + 5000, 640, 480)


def test_model_points_are_the_published_ones() -> None:
    assert np.abs(MODEL_POINTS - REFERENCE["lm3d_5"]).max() < 1e-7


@settings(max_examples=40, deadline=None)
@given(scale=st.floats(20, 200), x=st.floats(-50, 300), y=st.floats(-50, 300))
def test_camera_recovers_a_known_projection(scale: float, x: float, y: float) -> None:
    translation, found = fit_camera(MODEL_POINTS[:, :2] * scale + (x, y))
    assert found == pytest.approx(scale, rel=1e-6)
    assert translation == pytest.approx((x, y), abs=1e-6)


def test_alignment_brings_the_face_to_its_size_and_the_middle() -> None:
    marks = REFERENCE["lm68_face01"] * 200 + (30, 20)
    picture = np.zeros((256, 256, 3), np.uint8)
    for x, y in five(marks):
        picture[round(y) - 2 : round(y) + 3, round(x) - 2 : round(x) + 3] = 255
    aligned = align(picture, marks)
    assert aligned.picture.shape == (224, 224, 3)
    rows, columns = np.nonzero(aligned.picture[..., 0] > 128)
    # The model's origin lies between eyes and mouth; it must fall on the picture's middle.
    assert abs(columns.mean() - 112) < 12
    assert abs(rows.mean() - 112) < 30
    _, scale = fit_camera(five(marks) * (1, -1) + (0, 255))
    assert aligned.scale == pytest.approx(102 / scale)


def test_alignment_without_landmarks_takes_the_mean_face() -> None:
    aligned = align(np.full((256, 256, 3), 90, np.uint8), None)
    assert aligned.picture.shape == (224, 224, 3)
    assert aligned.scale == pytest.approx(102 / 128, rel=0.01)


def test_cut_shows_the_frame() -> None:
    portrait = np.zeros((480, 640, 3), np.uint8)
    marks = REFERENCE["lm68_face01"] * 240 + (160, 96)
    framing = frame_face(marks, 640, 480)
    left, top, right, bottom = framing.box(wide=False)
    portrait[top:bottom, left:right] = 200
    assert cut(portrait, framing, 64, wide=False).min() > 190
    assert cut(portrait, framing, 64, wide=True).min() == 0


def test_detection_has_an_area() -> None:
    assert Detection(box=(1.0, 2.0, 4.0, 6.0), score=1.0).area == 12.0
