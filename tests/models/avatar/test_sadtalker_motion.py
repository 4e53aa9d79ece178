"""From coefficients to key points, against the original's outputs and against itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from torch import Tensor  # noqa: E402

from models.avatar.sadtalker.motion import (  # noqa: E402
    BLINK,
    blink_ratio,
    camera_path,
    degrees,
    driven,
    rotation,
    savgol,
    windows,
)
from tests.models.avatar import weight_recipe as recipe  # noqa: E402

REFERENCE = np.load(Path(__file__).parent / "reference" / "functions.npz")


def head() -> dict[str, Tensor]:
    shapes = {
        "yaw": (66, 2.0),
        "pitch": (66, 2.0),
        "roll": (66, 2.0),
        "t": (3, 0.2),
        "exp": (45, 0.1),
    }
    return {k: recipe.given("func", k, (2, n), -r, r) for k, (n, r) in shapes.items()}


def test_key_points_are_the_originals() -> None:
    canonical = recipe.given("func", "kpc", (2, 15, 3), -0.6, 0.6)
    assert np.abs(degrees(head()["yaw"]).numpy() - REFERENCE["deg_yaw"]).max() < 1e-4
    moved = driven(canonical, head()).numpy()
    assert np.abs(moved - REFERENCE["kp_transformed"]).max() < 1e-6


def test_override_replaces_the_networks_angle() -> None:
    canonical = recipe.given("func", "kpc", (2, 15, 3), -0.6, 0.6)
    free = driven(canonical, head())
    same = driven(canonical, head(), {"yaw": degrees(head()["yaw"])})
    turned = driven(canonical, head(), {"yaw": torch.tensor([30.0, -30.0])})
    assert torch.equal(free, same)
    assert (turned - free).abs().max() > 0.1


@settings(max_examples=30, deadline=None)
@given(*[st.floats(-60, 60)] * 3)
def test_rotations_turn_and_do_not_stretch(yaw: float, pitch: float, roll: float) -> None:
    (matrix,) = rotation(*(torch.tensor([a]).double() for a in (yaw, pitch, roll)))
    assert torch.allclose(matrix @ matrix.T, torch.eye(3).double(), atol=1e-9)
    assert float(torch.linalg.det(matrix)) == pytest.approx(1.0)


def test_windows_are_the_originals() -> None:
    expected = REFERENCE["win_0_20_39"]
    film = np.zeros((40, 70), np.float32)
    film[:14], film[26:] = expected[0, :, 13:].T, expected[2, :, :14].T
    film[7:34] = expected[1].T
    assert np.array_equal(windows(film, np.array([0.0, 20.0, 39.0])), expected)


@settings(max_examples=30, deadline=None)
@given(centre=st.floats(13, 26), slope=st.floats(-3, 3))
def test_windows_between_frames_interpolate(centre: float, slope: float) -> None:
    film = (np.arange(40, dtype=np.float32) * np.float32(slope))[:, None]
    expected = (centre + np.arange(-13, 14)) * slope
    assert np.allclose(windows(film, np.array([centre]))[0, 0], expected, atol=1e-3)


@settings(max_examples=50, deadline=None)
@given(frames=st.integers(1, 3000), seed=st.integers(0, 2**32))
def test_blinks_are_whole_and_apart(frames: int, seed: int) -> None:
    ratio = blink_ratio(frames, np.random.default_rng(seed))
    edges = np.flatnonzero(np.diff(ratio > 0, prepend=False, append=False))
    starts, stops = edges[::2], edges[1::2]
    for start, stop in zip(starts, stops, strict=True):
        assert np.allclose(ratio[start:stop], BLINK)
    assert np.all(starts[1:] - stops[:-1] >= 10)
    if frames > 200:
        assert len(starts) >= frames // 75 - 1


@settings(max_examples=40, deadline=None)
@given(
    frames=st.integers(3, 60),
    a=st.floats(-0.1, 0.1),
    b=st.floats(-2, 2),
    c=st.floats(-9, 9),
)
def test_smoothing_leaves_a_parabola_alone(frames: int, a: float, b: float, c: float) -> None:
    time = np.arange(frames)
    curve = (a * time**2 + b * time + c)[:, None].astype(np.float32)
    assert np.allclose(savgol(curve), curve, atol=2e-3)


def test_smoothing_takes_the_shake_out() -> None:
    shaky = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
    assert savgol(shaky).std() < 0.6 * shaky.std()
    assert np.array_equal(savgol(shaky[:2]), shaky[:2])


def test_camera_visits_its_stops_at_one_speed() -> None:
    path = camera_path((-20.0, 30.0, 10.0), 40)
    assert np.allclose(path, REFERENCE["cam_-20_30_10"][0])
    assert camera_path((5.0,), 3).tolist() == [5.0, 5.0, 5.0]
    assert camera_path((5.0, 5.0), 3).tolist() == [5.0, 5.0, 5.0]
    assert len(camera_path((0.0, 10.0), 1)) == 1
