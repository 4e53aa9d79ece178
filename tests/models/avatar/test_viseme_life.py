"""What hosts do between words: blinks, gaze, nods, breath, and joins without a jump."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.avatar import LineSound, open_performer
from models.avatar.viseme.idle import Pose, chance, pose_at
from models.avatar.viseme.presence import Facing, Presence

FPS = 25


def poses(presence: Presence, num_frames: int) -> dict[str, NDArray[np.float64]]:
    shown = [presence.at(frame)[0] for frame in range(num_frames)]
    return {f.name: np.array([getattr(pose, f.name) for pose in shown]) for f in fields(Pose)}


def listening(facing: Facing = "front", seed: int = 1, motion_scale: float = 1.0) -> Presence:
    return Presence([], FPS, seed, facing, motion_scale)


def test_blinks_come_at_a_human_rate() -> None:
    for seed in range(4):
        shut = poses(listening(seed=seed), FPS * 120)["blink"] > 0.5
        blinks = int((shut[1:] & ~shut[:-1]).sum())
        assert 2 * 12 <= blinks <= 2 * 30


def test_a_blink_is_shut_for_at_least_one_frame_and_not_for_long() -> None:
    shut = poses(listening(seed=7), FPS * 240)["blink"]
    assert shut.max() > 0.95
    runs = np.split(shut > 0.3, np.flatnonzero(np.diff(shut > 0.3)) + 1)
    assert max(len(run) for run in runs if run[0]) <= 0.4 * FPS


@pytest.mark.parametrize(("facing", "sign"), [("left", -1), ("right", 1)])
def test_a_listener_attends_to_the_partner(facing: Facing, sign: int) -> None:
    life = poses(listening(facing), FPS * 60)
    assert sign * life["yaw"].mean() > 0.6
    assert sign * np.median(life["look_x"]) > 0.1
    alone = poses(listening("front"), FPS * 60)
    assert abs(alone["yaw"].mean()) < 0.15


def test_a_speaker_turns_to_the_viewer(spoken: list[LineSound]) -> None:
    motion = np.zeros((FPS * 40, 10), np.float32)
    talking = poses(Presence([(0, motion)], FPS, 1, "right", 1.0), FPS * 40)
    quiet = poses(listening("right"), FPS * 40)
    assert talking["yaw"].mean() < quiet["yaw"].mean() - 0.3


def test_listeners_nod_now_and_then() -> None:
    pitch = poses(listening(seed=2), FPS * 60)["pitch"]
    nods = int(
        ((pitch[1:-1] > pitch[:-2]) & (pitch[1:-1] >= pitch[2:]) & (pitch[1:-1] > 0.4)).sum()
    )
    assert 4 <= nods <= 40


def test_everyone_breathes_and_no_two_lives_are_alike() -> None:
    first, second = (poses(listening(seed=seed), FPS * 30) for seed in (1, 2))
    breath = first["breath"]
    rising = int(((breath[1:] > 0.5) & (breath[:-1] <= 0.5)).sum())
    assert 6 <= rising <= 10
    for name in ("yaw", "blink", "look_x"):
        assert not np.array_equal(first[name], second[name])


def test_motion_scale_scales_the_head_and_leaves_the_eyes() -> None:
    still, usual, twice = (
        poses(listening("right", motion_scale=scale), FPS * 20) for scale in (0.0, 1.0, 2.0)
    )
    for name in ("yaw", "pitch", "roll", "brow"):
        assert np.ptp(still[name]) == 0
        assert np.ptp(twice[name]) == pytest.approx(2 * np.ptp(usual[name]), rel=1e-6)
    assert np.array_equal(still["blink"], usual["blink"])
    assert np.ptp(still["breath"]) > 0.9


def test_lines_join_without_a_jump(spoken: list[LineSound]) -> None:
    parts, start = [], 12
    with open_performer("viseme") as performer:
        for line in [*spoken, *spoken]:
            parts.append((start, performer.perform(line)))
            # Some lines follow at once, some after a pause.
            start += line.num_frames + (0 if len(parts) % 2 else 9)
    presence = Presence(parts, FPS, 3, "left", 1.0)
    life = poses(presence, start + 40)
    for name, limit in (("yaw", 0.2), ("pitch", 0.28), ("roll", 0.15), ("brow", 0.15)):
        assert np.abs(np.diff(life[name])).max() < limit
    mouths = np.array([presence.at(frame)[1] for frame in range(start + 40)])
    for first, motion in parts:
        for seam in (first, first + len(motion)):
            assert np.abs(mouths[seam] - mouths[seam - 1]).max() < 0.5


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**63),
    time_s=st.floats(0, 20_000),
    talking=st.floats(0, 1),
    partner=st.sampled_from([-1.0, 0.0, 1.0]),
)
def test_poses_stay_in_range_and_are_smooth(
    seed: int, time_s: float, talking: float, partner: float
) -> None:
    pose, soon = (pose_at(seed, t, talking, partner) for t in (time_s, time_s + 0.001))
    assert abs(pose.yaw) < 2.4
    assert abs(pose.pitch) < 1.2
    assert abs(pose.roll) < 2.2
    assert 0 <= pose.blink <= 1
    assert 0 <= pose.breath <= 1
    assert abs(pose.look_x) < 1.4
    # A saccade crosses its range within 70 ms; nothing moves faster than that.
    for field in fields(Pose):
        assert abs(getattr(pose, field.name) - getattr(soon, field.name)) < 0.06


def test_chance_is_even_and_repeatable() -> None:
    draws = np.array([chance(11, slot, 3) for slot in range(4000)])
    assert abs(draws.mean() - 0.5) < 0.02
    assert abs(np.corrcoef(draws[1:], draws[:-1])[0, 1]) < 0.05
    assert chance(11, 5, 3) == draws[5]
    assert chance(12, 5, 3) != draws[5]
