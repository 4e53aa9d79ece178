"""One mel: as defined, as others compute it, and kept without harm."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.corpus.features import code_grid, log_mel, mel_basis, pack, stft_window, unpack
from studio.corpus import MelSpec

RATE = 22_050


def _sound(seconds: float = 1.0, seed: int = 0) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    time = np.arange(round(seconds * RATE)) / RATE
    noise = np.random.default_rng(seed).standard_normal(len(time))
    tones = np.sin(2 * np.pi * 220 * time) + 0.5 * np.sin(2 * np.pi * 3100 * time)
    return np.asarray(0.2 * tones + 0.02 * noise, np.float32)


def test_it_equals_the_definition_computed_the_long_way() -> None:
    spec, samples = MelSpec(n_mels=24), _sound(0.2)
    made = log_mel(samples, spec)
    padded = np.pad(samples.astype(np.float64), 512)
    turns = np.arange(513)[:, None] * np.arange(1024)[None, :] / 1024
    window = np.sin(np.pi * np.arange(1024) / 1024) ** 2
    for frame in (0, 5, len(made) - 1):
        part = padded[frame * 256 : frame * 256 + 1024] * window
        magnitude = np.abs((part * np.exp(-2j * np.pi * turns)).sum(axis=1))
        wanted = np.log(np.maximum(mel_basis(spec).astype(np.float64) @ magnitude, 1e-5))
        assert np.abs(made[frame] - wanted).max() < 1e-4


@pytest.mark.slow
def test_parity_with_librosa() -> None:
    librosa = pytest.importorskip("librosa")
    spec, samples = MelSpec(), _sound()
    mel = librosa.feature.melspectrogram(
        y=samples, sr=RATE, n_fft=1024, hop_length=256, n_mels=80, power=1.0, pad_mode="constant"
    )
    wanted = np.log(np.maximum(mel, 1e-5)).T
    assert np.abs(log_mel(samples, spec) - wanted).max() < 1e-3


def test_a_tone_is_loudest_in_its_own_band() -> None:
    spec = MelSpec()
    centres = (np.arange(513) * mel_basis(spec)).sum(axis=1) / mel_basis(spec).sum(axis=1)
    for hz in (200.0, 1000.0, 5000.0):
        tone = np.sin(2 * np.pi * hz * np.arange(RATE) / RATE).astype(np.float32)
        loudest = int(log_mel(tone, spec)[20:60].mean(axis=0).argmax())
        assert abs(centres[loudest] * RATE / 1024 - hz) < 0.06 * hz + 25


def test_each_band_has_unit_area_and_none_is_empty() -> None:
    basis = mel_basis(MelSpec())
    areas = basis.sum(axis=1) * RATE / 1024
    assert areas.min() > 0
    assert np.abs(areas[20:] - 1.0).max() < 0.05  # the low, narrow ones are sampled coarsely


def test_silence_is_the_floor_and_lengths_follow_the_rule() -> None:
    spec = MelSpec()
    for num_samples in (1, 255, 256, 257, 5000):
        mel = log_mel(np.zeros(num_samples, np.float32), spec)
        assert mel.shape == (spec.frames(num_samples), 80)
        assert np.all(mel == np.float32(math.log(1e-5)))


def test_two_channels_are_refused() -> None:
    with pytest.raises(ValueError, match="one channel"):
        log_mel(np.zeros((100, 2), np.float32), MelSpec())


@pytest.mark.parametrize(("storage", "error"), [("f16", 3.95e-3), ("u16", 1.2e-4), ("f32", 0.0)])
def test_storage_costs_no_more_than_it_says(storage: str, error: float) -> None:
    spec = MelSpec.model_validate({"storage": storage})
    mel = log_mel(np.concatenate([_sound(), np.zeros(4000, np.float32)]), spec)
    kept = unpack(pack(mel, spec), spec)
    assert np.abs(kept - mel).max() <= error
    assert not np.any(pack(mel, spec) == 0), "0 is padding"


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from([0.0, 1e-4, 0.1, 1.0]), st.integers(1, 3000))
def test_no_sound_within_full_scale_leaves_the_grid_of_codes(
    seed: int, level: float, num_samples: int
) -> None:
    spec = MelSpec(storage="u16")
    rng = np.random.default_rng(seed)
    square = np.sign(rng.standard_normal(num_samples)).astype(np.float32) * np.float32(level)
    origin, step = code_grid(spec)
    mel = log_mel(square, spec)
    assert mel.max() < origin + 65_535 * step
    assert np.abs(unpack(pack(mel, spec), spec) - mel).max() < step


def test_the_window_is_centred_in_its_frame() -> None:
    spec = MelSpec(n_fft=1024, win_length=800)
    window = stft_window(spec)
    assert window[:112].max() == 0.0 == window[913:].max()
    assert window[512] == pytest.approx(1.0)


def test_settings_that_make_no_sense_are_refused() -> None:
    for wrong in ({"win_length": 2048}, {"fmax_hz": 20_000.0}, {"hop_length": 1100}):
        with pytest.raises(ValueError, match=r"win_length|fmax_hz"):
            MelSpec.model_validate(wrong)
