"""Mel spectra and cepstra of speech: what alignment compares and what a voice is known by."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

FEATURE_RATE_HZ = 16_000
HOP, FRAME, TRANSFORM = 200, 400, 512
"""12.5 ms steps of 25 ms frames, as speech recognition has them."""

LOWEST_HZ, HIGHEST_HZ, NUM_MELS, NUM_CEPSTRA = 100.0, 7000.0, 26, 8
PREEMPHASIS = 0.97
ENERGY_WEIGHT, DELTA_WEIGHT = 1.8, 0.8
"""Energy tells speech from pauses in any voice; the changes of the cepstra mark the boundaries."""


def frames_of(sound: Floats) -> Floats:
    """Overlapping frames `(num_frames, FRAME)` of 16 kHz sound, a view."""
    return np.lib.stride_tricks.sliding_window_view(sound, FRAME)[::HOP]


def log_mel(sound: Floats) -> NDArray[np.float64]:
    """Natural logarithms of the mel bands' power, `(num_frames, NUM_MELS)`, of 16 kHz sound."""
    emphasised = np.append(sound[:1], sound[1:] - PREEMPHASIS * sound[:-1])
    window = np.hanning(FRAME).astype(np.float32)
    power = np.abs(np.fft.rfft(frames_of(emphasised) * window, TRANSFORM)) ** 2
    return np.asarray(np.log(power @ _mel_filters() + 1e-6))


def cosines(count: int) -> NDArray[np.float64]:
    """The cepstrum's cosines 1 to `count`, without the constant one, `(NUM_MELS, count)`."""
    steps = np.outer(np.arange(NUM_MELS) + 0.5, np.arange(1, count + 1))
    return np.asarray(np.cos(np.pi * steps / NUM_MELS))


def features(sound: Floats) -> Floats:
    """Normalised mel cepstra, energy and the cepstra's slopes of 16 kHz sound, one row a frame.

    Means and deviations are taken out over the line, and with them most of what one voice differs
    from another by.
    """
    mel = log_mel(sound)
    energy = mel.mean(axis=1, keepdims=True)
    cepstra = _standardised(mel @ cosines(NUM_CEPSTRA))
    slopes = np.gradient(cepstra, axis=0) if len(cepstra) > 1 else np.zeros_like(cepstra)
    return np.concatenate(
        [
            cepstra,
            ENERGY_WEIGHT * _standardised(energy),
            DELTA_WEIGHT * _standardised(slopes),
        ],
        axis=1,
    ).astype(np.float32)


def _standardised(values: NDArray[np.floating]) -> NDArray[np.floating]:
    return np.asarray((values - values.mean(axis=0)) / (values.std(axis=0) + 1e-6))


def _mel_filters() -> NDArray[np.float64]:
    """Triangles on the mel scale, `(TRANSFORM / 2 + 1, NUM_MELS)`."""
    mels = np.linspace(_mel(LOWEST_HZ), _mel(HIGHEST_HZ), NUM_MELS + 2)
    corners = 700.0 * (10.0 ** (mels / 2595.0) - 1.0)
    bins = np.fft.rfftfreq(TRANSFORM, 1.0 / FEATURE_RATE_HZ)[:, None]
    rising = (bins - corners[:-2]) / (corners[1:-1] - corners[:-2])
    falling = (corners[2:] - bins) / (corners[2:] - corners[1:-1])
    return np.asarray(np.maximum(0.0, np.minimum(rising, falling)))


def _mel(frequency_hz: float) -> float:
    """The mel of O'Shaughnessy, 1987."""
    return float(2595.0 * np.log10(1.0 + frequency_hz / 700.0))
