"""The motionless presenter: nothing but its meter moves, and the meter shows the voice."""

from __future__ import annotations

import numpy as np
import pytest

from models.avatar import LineSound, Sitting, open_painter, open_performer
from studio.types import SAMPLE_RATE


def tone(level_db: float, seconds: float = 1.0) -> LineSound:
    count = int(seconds * SAMPLE_RATE)
    phase = 2 * np.pi * 220 * np.arange(count) / SAMPLE_RATE
    samples = (np.sqrt(2) * 10 ** (level_db / 20) * np.sin(phase)).astype(np.float32)
    return LineSound(
        samples=samples,
        phonemes=(),
        words=(),
        num_frames=int(seconds * 25),
        fps=25,
        seed=0,
    )


def readings(line: LineSound) -> np.ndarray:
    with open_performer("still") as performer:
        assert performer.info.name == "still"
        return performer.perform(line)[:, 0]


@pytest.mark.parametrize(("level_db", "expected"), [(-9, 1.0), (-27, 0.5), (-45, 0.0), (-90, 0.0)])
def test_the_meter_reads_decibels(level_db: float, expected: float) -> None:
    assert readings(tone(level_db))[5] == pytest.approx(expected, abs=0.02)


def test_the_meter_falls_as_a_programme_meter_does() -> None:
    line = tone(-9, 2.0)
    line.samples[SAMPLE_RATE // 2 :] = 0
    seen = readings(line)
    # 36 dB of range fall at 20 dB in 1.7 s: a second after the sound stopped a third is left.
    assert seen[12 + 25] == pytest.approx(1 - 20 / 1.7 / 36, abs=0.05)
    assert seen[-1] == 0


def test_only_the_meter_moves(spoken: list[LineSound]) -> None:
    with open_performer("still") as performer:
        motion = performer.perform(spoken[0])
    sitting = Sitting(look="max", size_px=256, fps=25, seed=1)
    with open_painter("still", sitting, [(10, motion)]) as painter:
        quiet = painter.paint(0).copy()
        loud = painter.paint(10 + int(motion[:, 0].argmax())).copy()
        after = painter.paint(10 + len(motion) + 5).copy()
    assert np.array_equal(quiet, after)
    changed = np.flatnonzero((quiet != loud).any((0, 2)))
    assert len(changed) > 3
    assert changed.min() > 220
    assert (quiet[3] == loud[3]).all()


def test_more_level_lights_more_segments() -> None:
    sitting = Sitting(look="max", size_px=256, fps=25, seed=1)
    steps = [(10 * k, np.full((10, 1), k / 10, np.float32)) for k in range(11)]
    with open_painter("still", sitting, steps) as painter:
        empty = painter.paint(0).astype(int)
        lit = [int((np.abs(painter.paint(10 * k) - empty) > 20).sum()) for k in range(11)]
    assert lit == sorted(lit)
    assert lit[0] == 0
    assert lit[10] > 1.6 * lit[5] > 0
