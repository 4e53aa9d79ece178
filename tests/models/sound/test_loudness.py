"""Loudness against the signals of EBU Tech 3341 and of BS.1770-4."""

import numpy as np
import pytest
from numpy.typing import NDArray

from models.sound.limiter import GainCurve, limited_loudness
from models.sound.loudness import SILENT_LUFS, LoudnessMeter, measure_loudness
from models.sound.peaks import HOP, HopPeaks, true_peak
from studio.audio import BLOCK

RATE = 48_000


def tone(level_db: float, seconds: float, hz: float = 1000.0) -> NDArray[np.float32]:
    at = np.arange(round(seconds * RATE)) / RATE
    return (10 ** (level_db / 20) * np.sin(2 * np.pi * hz * at)).astype(np.float32)


def stereo(*parts: NDArray[np.float32]) -> NDArray[np.float32]:
    joined = np.concatenate(parts)
    return np.stack([joined, joined], axis=1)


@pytest.mark.parametrize("level_db", [-23.0, -33.0])
def test_a_stereo_tone_of_1_khz_reads_as_its_level(level_db: float) -> None:
    # Tech 3341, cases 1 and 2.
    found = measure_loudness(stereo(tone(level_db, 20)))
    assert found.integrated_lufs == pytest.approx(level_db, abs=0.1)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([(-36, 10), (-23, 60), (-36, 10)], -23.0),  # Tech 3341, case 3: the relative gate
        ([(-72, 10), (-36, 10), (-23, 60), (-36, 10), (-72, 10)], -23.0),  # case 4: both gates
        ([(-26, 20), (-20, 20.1), (-26, 20)], -23.0),  # case 5: power, not level, is averaged
    ],
)
def test_gating(parts: list[tuple[float, float]], expected: float) -> None:
    found = measure_loudness(stereo(*(tone(level, seconds) for level, seconds in parts)))
    assert found.integrated_lufs == pytest.approx(expected, abs=0.1)


def test_one_channel_reads_three_decibels_less_than_two() -> None:
    mono = measure_loudness(tone(-23, 5)).integrated_lufs
    assert mono == pytest.approx(-26.0, abs=0.1)


def test_silence_has_no_loudness() -> None:
    assert measure_loudness(np.zeros((RATE, 2), np.float32)).integrated_lufs == SILENT_LUFS
    assert measure_loudness(np.zeros((0, 2), np.float32)).integrated_lufs == SILENT_LUFS


def test_a_sound_shorter_than_a_gating_block_is_still_measured() -> None:
    assert measure_loudness(stereo(tone(-23, 0.1))).integrated_lufs == pytest.approx(-23.0, abs=0.3)


def test_the_length_of_the_blocks_does_not_matter() -> None:
    rng = np.random.default_rng(3)
    samples = (rng.standard_normal((3 * RATE, 2)) * 0.1).astype(np.float32)
    figures = []
    for size in (997, 48_000, BLOCK):
        meter = LoudnessMeter(2)
        for first in range(0, len(samples), size):
            meter.push(samples[first : first + size])
        figures.append(meter.finish().integrated_lufs)
    assert max(figures) - min(figures) < 0.001


def faded(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """An abrupt start has overshoots of its own, which are no part of the tone's peak."""
    shape = np.clip(np.arange(len(samples)) / 2400, 0.0, 1.0).astype(np.float32)
    return samples * shape * shape[::-1]


@pytest.mark.parametrize(
    ("hz", "phase_deg"), [(12_000, 45), (8_000, 60), (6_000, 67.5), (12_000, 0)]
)
def test_a_peak_between_the_samples_is_found(hz: float, phase_deg: float) -> None:
    # Tech 3341, cases 15 to 19: a sine of -6 dBFS must read -6 dBTP +0.2 -0.4 dB.
    at = np.arange(RATE // 2) / RATE
    wave = faded((0.5 * np.sin(2 * np.pi * hz * at + np.radians(phase_deg))).astype(np.float32))
    level = 20 * np.log10(true_peak(wave))
    assert -6.4 <= level <= -5.8
    sampled = 20 * np.log10(np.abs(wave).max())
    if (hz, phase_deg) == (12_000, 45):
        assert sampled == pytest.approx(-9.03, abs=0.05)


def test_the_two_true_peak_meters_agree() -> None:
    rng = np.random.default_rng(8)
    samples = (rng.standard_normal((2 * RATE, 2)) * 0.1).astype(np.float32)
    other = measure_loudness(samples, true_peak=True).true_peak_dbtp
    assert other is not None
    assert 20 * np.log10(true_peak(samples)) == pytest.approx(other, abs=0.3)


def test_a_floor_spares_work_but_hides_nothing_above_it() -> None:
    rng = np.random.default_rng(4)
    samples = (rng.standard_normal((RATE, 1)) * 0.05).astype(np.float32)
    samples[10_000:10_400] *= 8
    exact, spared = HopPeaks(1), HopPeaks(1, floor=0.3)
    for meter in (exact, spared):
        for first in range(0, RATE, 7000):
            meter.push(samples[first : first + 7000])
    (all_peaks, energy), (few_peaks, same_energy) = exact.finish(), spared.finish()
    assert len(all_peaks) == -(-RATE // HOP)
    loud = all_peaks > 0.3
    assert loud.any()
    np.testing.assert_array_equal(all_peaks[loud], few_peaks[loud])
    np.testing.assert_array_equal(energy, same_energy)
    assert energy.sum() == pytest.approx(float((samples**2).sum()), rel=1e-4)


def test_the_effect_of_a_gain_curve_is_foreseen() -> None:
    rng = np.random.default_rng(5)
    seconds = 12
    envelope = np.repeat(rng.uniform(0.02, 0.3, seconds * 10), RATE // 10).astype(np.float32)
    samples = rng.standard_normal((seconds * RATE, 2)).astype(np.float32) * envelope[:, None]
    found = measure_loudness(samples)
    meter = HopPeaks(2)
    meter.push(samples)
    peaks, energy = meter.finish()
    edges = np.clip(0.3 / np.append(peaks, peaks[-1]), 0.2, 1.0).astype(np.float32)
    curve = GainCurve(edges)
    after = measure_loudness(samples * curve.at(0, len(samples))[:, None])
    expected = limited_loudness(found.momentary_lufs, found.integrated_lufs, energy, curve)
    assert expected == pytest.approx(after.integrated_lufs, abs=0.15)
    assert after.integrated_lufs < found.integrated_lufs - 0.5
