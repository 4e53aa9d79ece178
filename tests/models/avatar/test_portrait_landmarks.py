"""Landmarks that a user gives beside a portrait, and the average face behind found ones."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.avatar.viseme.landmarks import average_face, from_eyes, read_sidecar
from studio.errors import MediaError

FIVE = {
    "left_eye": [220, 200],
    "right_eye": [300, 204],
    "mouth_left": [228, 290],
    "mouth_right": [290, 292],
    "chin": [258, 345],
}


def points_68() -> NDArray[np.float64]:
    """A plain face in iBUG order."""
    angle = np.linspace(np.pi, 0, 17)
    jaw = np.stack([256 + 80 * np.cos(angle), 210 + 120 * np.sin(angle)], 1)
    brows = np.array(
        [[200 + 12 * k, 170] for k in range(5)] + [[264 + 12 * k, 170] for k in range(5)]
    )
    nose = np.array(
        [[256, 190 + 12 * k] for k in range(4)] + [[246 + 5 * k, 250] for k in range(5)]
    )

    def eye(x: float) -> list[list[float]]:
        return [
            [x - 15, 200],
            [x - 6, 193],
            [x + 6, 193],
            [x + 15, 200],
            [x + 6, 205],
            [x - 6, 205],
        ]

    outer = [
        [228, 285], [238, 278], [248, 275], [256, 277], [264, 275], [274, 278], [284, 285],
        [274, 295], [264, 299], [256, 300], [248, 299], [238, 295],
    ]  # fmt: skip
    inner = [
        [232, 285],
        [246, 283],
        [256, 284],
        [266, 283],
        [280, 285],
        [266, 291],
        [256, 292],
        [246, 291],
    ]
    return np.concatenate([jaw, brows, nose, eye(222), eye(290), outer, inner]).astype(float)


def given_json(content: Any) -> bytes:
    return json.dumps(content).encode()


def test_68_points_are_taken_as_they_are() -> None:
    points = points_68()
    face = read_sidecar(given_json({"points": points.tolist()}), "a.json", 512, 512)
    np.testing.assert_allclose(face.chin, points[8])
    np.testing.assert_allclose(face.outer_top, points[48:55])
    np.testing.assert_allclose(face.inner_bottom[3], points[66])
    np.testing.assert_allclose(face.lids[1][0][1], points[43])
    assert (np.diff(face.inner_bottom[:, 0]) > 0).all()
    assert face.crown[1] < points[17:27, 1].min()


def test_five_points_place_mouth_and_chin() -> None:
    face = read_sidecar(given_json(FIVE), "a.json", 512, 512)
    np.testing.assert_allclose(face.inner_top[0], FIVE["mouth_left"], atol=0.01)
    np.testing.assert_allclose(face.inner_top[-1], FIVE["mouth_right"], atol=0.01)
    np.testing.assert_allclose(face.chin, FIVE["chin"])
    assert face.eye_distance == pytest.approx(np.hypot(80, 4), rel=0.02)


def test_a_byte_order_mark_is_no_obstacle() -> None:
    read_sidecar(b"\xef\xbb\xbf" + given_json(FIVE), "a.json", 512, 512)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"{", "not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
        (b"[1, 2]", "not an object"),
        (given_json({"left_eye": [1, 2]}), "right_eye"),
        (given_json({"points": [[1, 2]]}), "68"),
        (given_json({"points": [[1, "x"]] * 68}), "pair of numbers"),
        (given_json({**FIVE, "chin": [258, None]}), "pair of numbers|numbers are needed"),
        (given_json({**FIVE, "chin": [258, 9000]}), "outside the picture"),
        (given_json({**FIVE, "left_eye": [300, 200], "right_eye": [220, 200]}), "to the left of"),
        (given_json({**FIVE, "chin": [258, 100]}), "above"),
        (given_json({"points": points_68()[::-1].tolist()}), "above|left to right"),
    ],
)
def test_wrong_landmarks_are_explained(content: bytes, complaint: str) -> None:
    with pytest.raises(MediaError, match=complaint) as caught:
        read_sidecar(content, "me.landmarks.json", 512, 512)
    assert caught.value.where == "me.landmarks.json"
    assert "iBUG" in caught.value.remedy


@given(
    x=st.floats(0, 2000),
    y=st.floats(0, 2000),
    distance=st.floats(20, 900),
    angle=st.floats(-0.6, 0.6),
)
def test_the_average_face_keeps_its_shape(
    x: float, y: float, distance: float, angle: float
) -> None:
    left = np.array([x, y])
    right = left + distance * np.array([np.cos(angle), np.sin(angle)])
    face, average = from_eyes(left, right), average_face()
    assert face.eye_distance == pytest.approx(distance, rel=1e-2)
    width = np.linalg.norm(face.right - face.left) / distance
    assert width == pytest.approx(float(np.linalg.norm(average.right - average.left)), rel=1e-2)
    height = np.linalg.norm(face.chin - face.crown) / distance
    assert height == pytest.approx(float(np.linalg.norm(average.chin - average.crown)), rel=1e-2)
