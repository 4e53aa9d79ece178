"""From a log mel spectrogram back to sound, without a network: magnitudes, then phases.

The result is intelligible and slightly hollow; it lets a person hear what an acoustic model has
learnt without a second model in between.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.corpus.features import mel_basis, stft_window
from studio.corpus import MelSpec

Floats = NDArray[np.float32]
Complex = NDArray[np.complex64]

_MOMENTUM = 0.99
"""Of the fast Griffin-Lim iteration; the value its authors found best over many signals."""

_QUIET = 1e-8
"""Keeps divisions finite; far below the floor of any mel spectrogram."""


def magnitudes(mel: Floats, spec: MelSpec, *, iterations: int = 50) -> Floats:
    """Spectral magnitudes `(t, n_fft // 2 + 1)`, none negative, whose mel bands are `exp(mel)`.

    Many spectra have the same bands. Multiplicative updates for the least squares (Lee & Seung,
    "Algorithms for Non-negative Matrix Factorization", 2001) start from the even spread of each
    band over its bins and keep every bin positive, so no band rings as with a pseudo-inverse.
    """
    basis = mel_basis(spec)
    bands = np.exp(mel.astype(np.float32))
    share = basis / np.maximum(basis.sum(axis=1, keepdims=True) ** 2, _QUIET)
    found = np.asarray(bands @ share, np.float32) + np.float32(_QUIET)
    target = bands @ basis
    for _ in range(iterations):
        found *= target / np.maximum((found @ basis.T) @ basis, _QUIET)
    return found


def griffin_lim(
    magnitude: Floats, spec: MelSpec, *, iterations: int = 60, seed: int = 0
) -> tuple[Floats, float]:
    """A signal whose STFT magnitudes come close to `magnitude`, and how close.

    Args:
        magnitude: `(t, n_fft // 2 + 1)`.
        spec: window, hop and transform length.
        iterations: of the fast algorithm (Perraudin, Balazs & Sondergaard, "A Fast Griffin-Lim
            Algorithm", 2013) on Griffin & Lim's projection (1984).
        seed: of the random phases it starts from.

    Returns:
        Samples `((t - 1) * hop_length,)` and the spectral convergence: the norm of the remaining
        error over the norm of `magnitude`, 0 for a consistent spectrogram.
    """
    rng = np.random.default_rng(seed)
    turns = rng.uniform(0.0, 2.0 * np.pi, magnitude.shape)
    phase: Complex = np.exp(1j * turns).astype(np.complex64)
    before: Complex = np.zeros_like(phase)
    samples = _overlap_add(magnitude * phase, spec)
    for _ in range(iterations):
        now = _stft(samples, spec, len(magnitude))
        ahead = now + np.float32(_MOMENTUM) * (now - before)
        phase = (ahead / np.maximum(np.abs(ahead), _QUIET)).astype(np.complex64)
        before = now
        samples = _overlap_add(magnitude * phase, spec)
    error = np.abs(_stft(samples, spec, len(magnitude))) - magnitude
    return samples, float(np.linalg.norm(error) / max(float(np.linalg.norm(magnitude)), _QUIET))


def to_sound(mel: Floats, spec: MelSpec, *, iterations: int = 60, seed: int = 0) -> Floats:
    """A log mel spectrogram `(t, n_mels)` as samples at `spec.sample_rate`, within ±1."""
    samples, _ = griffin_lim(magnitudes(mel, spec), spec, iterations=iterations, seed=seed)
    peak = float(np.abs(samples).max(initial=0.0))
    return samples / np.float32(peak) if peak > 1.0 else samples


def _stft(samples: Floats, spec: MelSpec, num_frames: int) -> Complex:
    """Frames centred on `t * hop_length`, silence outside, as the features have them."""
    half = spec.n_fft // 2
    padded = np.pad(samples, (half, half + spec.n_fft))
    frames = np.lib.stride_tricks.sliding_window_view(padded, spec.n_fft)[:: spec.hop_length]
    return np.fft.rfft(frames[:num_frames] * stft_window(spec)).astype(np.complex64)


def _overlap_add(spectrum: Complex, spec: MelSpec) -> Floats:
    """The least-squares inverse of `_stft`: windowed frames added, over the windows' squares."""
    window = stft_window(spec)
    frames = np.fft.irfft(spectrum, spec.n_fft).astype(np.float32) * window
    length = (len(frames) - 1) * spec.hop_length + spec.n_fft
    out, weight = np.zeros(length, np.float32), np.zeros(length, np.float32)
    for index, frame in enumerate(frames):
        at = slice(index * spec.hop_length, index * spec.hop_length + spec.n_fft)
        out[at] += frame
        weight[at] += window * window
    half = spec.n_fft // 2
    kept = slice(half, half + (len(frames) - 1) * spec.hop_length)
    return np.asarray(out[kept] / np.maximum(weight[kept], 1e-3), np.float32)
