"""The limiter keeps its ceiling, gently, at any signal."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.sound.limiter import RELEASE_DB_PER_S, GainCurve, limiter_curve
from models.sound.peaks import HOP, HopPeaks, true_peak
from studio.types import SAMPLE_RATE


@given(
    peaks=st.lists(st.floats(0.0, 4.0, width=32), min_size=1, max_size=80),
    gain=st.floats(0.1, 8.0),
)
def test_no_hop_is_louder_than_the_ceiling(peaks: list[float], gain: float) -> None:
    heights = np.array(peaks, np.float32)
    curve = limiter_curve(heights, gain, 0.8)
    level = curve.at(0, len(heights) * HOP).reshape(len(heights), HOP).max(axis=1)
    assert (heights * level <= 0.8 * (1 + 1e-5)).all()
    assert (curve.edges <= gain * (1 + 1e-6)).all()


def test_what_is_below_the_ceiling_is_left_alone() -> None:
    curve = limiter_curve(np.full(50, 0.2, np.float32), 2.0, 0.8)
    assert (curve.edges == 2.0).all()
    assert curve.reduction_db() == 0.0


def test_a_click_is_caught_before_it_comes_and_released_slowly() -> None:
    peaks = np.full(400, 0.1, np.float32)
    peaks[200] = 2.0
    edges_db = 20 * np.log10(limiter_curve(peaks, 1.0, 1.0).edges)
    assert edges_db[200] == pytest.approx(-6.02, abs=0.01)
    assert edges_db[190] == 0.0
    assert (np.diff(edges_db[190:201]) <= 0).all()
    assert np.abs(np.diff(edges_db)).max() <= 6.02 / 4 + 1e-3
    rising = np.diff(edges_db[210:300])
    slope = RELEASE_DB_PER_S * HOP / SAMPLE_RATE
    assert rising.max() == pytest.approx(slope, rel=1e-2)
    assert edges_db[-1] == 0.0


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), level=st.floats(0.05, 0.6))
def test_noise_with_bursts_stays_below_the_ceiling_between_its_samples(
    seed: int, level: float
) -> None:
    rng = np.random.default_rng(seed)
    samples = (rng.standard_normal((9000, 2)) * level).astype(np.float32)
    samples[4000:4100] *= 5
    meter = HopPeaks(2)
    meter.push(samples)
    curve = limiter_curve(meter.finish()[0], 1.0, 0.7)
    limited = samples * curve.at(0, len(samples))[:, None]
    # A moving gain is itself a modulation; a tenth of a decibel covers what it adds.
    assert true_peak(limited) <= 0.7 * 10 ** (0.1 / 20)


@given(start=st.integers(0, 5000), count=st.integers(1, 3000))
def test_a_curve_is_the_same_in_whatever_blocks_it_is_read(start: int, count: int) -> None:
    rng = np.random.default_rng(1)
    curve = GainCurve(rng.uniform(0.2, 1.0, 8000 // HOP + 2).astype(np.float32))
    whole = curve.at(0, 8000)
    np.testing.assert_allclose(curve.at(start, count), whole[start : start + count], rtol=1e-6)
