"""How high a voice is: which of the hosts it would suit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.avatar.viseme.cast import Register
from studio.types import SAMPLE_RATE

LOW_BELOW_HZ, HIGH_ABOVE_HZ = 135.0, 165.0
"""Median pitches of speech: men's voices lie around 85 to 135 Hz, women's around 165 to 255 Hz."""

_RATE = SAMPLE_RATE // 6
_FRAME = round(0.08 * _RATE)
"""80 ms hold five periods of the lowest voice."""

_LOWEST_HZ, _HIGHEST_HZ = 65.0, 350.0
_VOICED = 0.5
"""A frame whose normalised autocorrelation peaks above this is voiced."""


def register_of(samples: NDArray[np.float32]) -> Register:
    """The register of speech: mono `(n,)` at `SAMPLE_RATE`; "middle" where nothing is voiced.

    The pitch is the median over voiced frames of the lag at which the autocorrelation peaks.
    """
    coarse = samples[: len(samples) // 6 * 6].reshape(-1, 6).mean(axis=1)
    count = len(coarse) // (_FRAME // 4) - 3
    if count < 1:
        return "middle"
    starts = np.arange(count)[:, None] * (_FRAME // 4)
    frames = coarse[starts + np.arange(_FRAME)]
    frames = frames - frames.mean(axis=1, keepdims=True)
    loud = (frames**2).mean(axis=1)
    frames = frames[loud > 0.1 * loud.max()]
    spectrum = np.abs(np.fft.rfft(frames, 2 * _FRAME)) ** 2
    lags = np.fft.irfft(spectrum)[:, :_FRAME]
    lags /= np.maximum(lags[:, :1], 1e-12)
    first, last = int(_RATE / _HIGHEST_HZ), int(_RATE / _LOWEST_HZ)
    best = lags[:, first:last].argmax(axis=1) + first
    voiced = lags[np.arange(len(lags)), best] > _VOICED
    if not voiced.any():
        return "middle"
    pitch_hz = _RATE / float(np.median(best[voiced]))
    if pitch_hz < LOW_BELOW_HZ:
        return "low"
    return "high" if pitch_hz > HIGH_ABOVE_HZ else "middle"
