from __future__ import annotations

import numpy as np
import pytest

from models.corpus.features import log_mel
from models.training.distortion import align_by_time_warping, mel_cepstral_distortion
from models.training.vocoder import griffin_lim, magnitudes, to_sound
from models.voice import LineSpec
from models.voice.espeak_ng import utter
from studio.corpus import MelSpec

SPEC = MelSpec()
Floats = np.ndarray[tuple[int, ...], np.dtype[np.float32]]


@pytest.fixture(scope="module")
def hello() -> Floats:
    return utter(LineSpec(text="Good evening, and welcome back.")).samples


@pytest.fixture(scope="module")
def other() -> Floats:
    return utter(LineSpec(text="Sixty ships sailed south.")).samples


def test_magnitudes_give_back_the_mel_bands_they_came_from(hello: Floats) -> None:
    from models.corpus.features import mel_basis

    mel = log_mel(hello, SPEC)
    found = magnitudes(mel, SPEC)
    assert found.min() >= 0.0
    again = found @ mel_basis(SPEC).T
    error = np.linalg.norm(again - np.exp(mel)) / np.linalg.norm(np.exp(mel))
    assert error < 0.1


def test_griffin_lim_comes_closer_with_each_round_and_keeps_a_tone_where_it_was() -> None:
    time = np.arange(SPEC.sample_rate) / SPEC.sample_rate
    tone = np.sin(2.0 * np.pi * 440.0 * time).astype(np.float32) * np.float32(0.5)
    half = SPEC.n_fft // 2
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(tone, half), SPEC.n_fft)
    window = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(SPEC.n_fft) / SPEC.n_fft)
    magnitude = np.abs(np.fft.rfft(frames[:: SPEC.hop_length] * window)).astype(np.float32)
    _, coarse = griffin_lim(magnitude, SPEC, iterations=1)
    samples, fine = griffin_lim(magnitude, SPEC, iterations=40)
    assert fine < coarse / 2
    assert fine < 0.1
    spectrum = np.abs(np.fft.rfft(samples))
    peak_hz = float(spectrum.argmax()) * SPEC.sample_rate / len(samples)
    assert peak_hz == pytest.approx(440.0, abs=3.0)


def test_a_sentence_through_mel_and_back_is_nearer_to_itself_than_to_another(
    hello: Floats, other: Floats
) -> None:
    mel = log_mel(hello, SPEC)
    sound = to_sound(mel, SPEC, iterations=20)
    assert np.abs(sound).max() <= 1.0
    assert abs(len(sound) - len(hello)) <= SPEC.hop_length
    back = mel_cepstral_distortion(log_mel(sound, SPEC), mel)
    apart = mel_cepstral_distortion(log_mel(other, SPEC), mel)
    assert back < 4.0
    assert apart > 1.5 * back


def test_the_distortion_of_a_known_difference_is_its_level_in_db() -> None:
    bands = np.arange(80) + 0.5
    ripple = np.log(10.0) / 20.0 * 6.0 * np.cos(np.pi * 3.0 * bands / 80.0)
    flat = np.zeros((5, 80), np.float32)
    rippled = np.tile(ripple.astype(np.float32), (5, 1))
    # A cosine of 6 dB amplitude has a root mean square of 6 / sqrt(2) dB.
    assert mel_cepstral_distortion(rippled, flat) == pytest.approx(6.0 / np.sqrt(2.0), rel=1e-3)
    assert mel_cepstral_distortion(rippled + np.float32(3.0), flat) == pytest.approx(
        6.0 / np.sqrt(2.0), 1e-3
    )


def test_a_stretched_copy_is_no_further_away() -> None:
    rng = np.random.default_rng(0)
    mel = rng.normal(size=(20, 80)).astype(np.float32)
    assert mel_cepstral_distortion(np.repeat(mel, 3, axis=0), mel) == pytest.approx(0.0, abs=1e-5)


def test_the_path_is_monotone_and_cheapest() -> None:
    cost = np.array([[0.0, 9.0, 9.0], [9.0, 0.0, 9.0], [9.0, 9.0, 0.0]])
    assert align_by_time_warping(cost).tolist() == [[0, 0], [1, 1], [2, 2]]
    cost = np.random.default_rng(1).random((7, 11))
    path = align_by_time_warping(cost)
    assert path[0].tolist() == [0, 0]
    assert path[-1].tolist() == [6, 10]
    assert set(map(tuple, np.diff(path, axis=0).tolist())) <= {(0, 1), (1, 0), (1, 1)}
