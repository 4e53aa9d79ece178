"""Soft drums, synthesised. A stroke is `(num_samples, 2)` float32; `stroke(drum, variant)` gives
it.

Noise is coloured in the frequency domain, so that nothing but numpy is needed; three variants of
every drum keep repeated strokes from sounding like a machine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from models.music.arranger import drums
from models.music.arranger.instruments import edges, seconds
from studio.types import SAMPLE_RATE

Sound = NDArray[np.float32]
VARIANTS = 3


def _noise(n: int, low_hz: float, high_hz: float, rng: np.random.Generator) -> Sound:
    """Stereo noise between two frequencies, 12 dB per octave beyond them, RMS 1; the sides share
    two thirds.
    """
    freq = np.fft.rfftfreq(n, 1 / SAMPLE_RATE) + 1e-3
    shape = 1 / (1 + (low_hz / freq) ** 2) / (1 + (freq / high_hz) ** 2)
    white = rng.standard_normal((3, n))
    mixed = np.stack([white[0] + 0.5 * white[1], white[0] + 0.5 * white[2]])
    coloured = np.fft.irfft(np.fft.rfft(mixed) * shape, n).T
    level: Sound = (coloured / np.sqrt(np.mean(coloured**2))).astype(np.float32)
    return level


def _decay(n: int, per_second: float) -> Sound:
    return np.exp(-np.arange(n) / SAMPLE_RATE * per_second).astype(np.float32)[:, None]


def _tone(n: int, high_hz: float, low_hz: float, fall: float, decay: float) -> Sound:
    """A sine that glides from `high_hz` to `low_hz`: the skin of a drum."""
    t = np.arange(n) / SAMPLE_RATE
    sweep = low_hz * t + (high_hz - low_hz) * (1 - np.exp(-fall * t)) / fall
    mono = np.sin(2 * np.pi * sweep) * np.exp(-decay * t)
    return np.repeat(mono[:, None], 2, axis=1).astype(np.float32)


def _kick(rng: np.random.Generator) -> Sound:
    n = seconds(0.34)
    skin = _tone(n, 128 + rng.uniform(-6, 6), 49, 34, 11)
    click = _noise(n, 700, 2400, rng) * _decay(n, 240)
    return np.tanh(1.3 * skin + 0.06 * click).astype(np.float32)


def _snare(rng: np.random.Generator) -> Sound:
    n = seconds(0.26)
    wires = _noise(n, 900, 5200, rng) * _decay(n, 21)
    skin = _tone(n, 235, 182, 60, 24)
    return (0.3 * wires + 0.55 * skin).astype(np.float32)


def _brush(rng: np.random.Generator) -> Sound:
    n = seconds(0.3)
    swept = _noise(n, 1100, 4800, rng)
    return swept * edges(n, 0.03, 0.2)[:, None] * _decay(n, 8) * np.float32(0.3)


def _rim(rng: np.random.Generator) -> Sound:
    n = seconds(0.11)
    wood = _tone(n, 880, 830, 90, 55) + 0.6 * _tone(n, 1490, 1460, 90, 80)
    return (0.4 * wood + 0.1 * _noise(n, 1200, 4200, rng) * _decay(n, 90)).astype(np.float32)


def _metal(length_s: float, decay: float, low_hz: float) -> Callable[[np.random.Generator], Sound]:
    """Cymbals: noise above `low_hz`, rounded off above 9.5 kHz so that it never spits."""

    def strike(rng: np.random.Generator) -> Sound:
        n = seconds(length_s)
        return _noise(n, low_hz, 9_500, rng) * _decay(n, decay) * np.float32(0.16)

    return strike


def _shaker(rng: np.random.Generator) -> Sound:
    n = seconds(0.11)
    return _noise(n, 3_200, 8_000, rng) * edges(n, 0.03, 0.07)[:, None] * np.float32(0.15)


def _tom(rng: np.random.Generator) -> Sound:
    n = seconds(0.7)
    skin = _tone(n, 118 + rng.uniform(-4, 4), 82, 16, 6.5)
    return (0.9 * skin + 0.05 * _noise(n, 200, 1200, rng) * _decay(n, 30)).astype(np.float32)


def _clap(rng: np.random.Generator) -> Sound:
    n = seconds(0.24)
    hands = np.zeros((n, 2), np.float32)
    for start_s, level in ((0.0, 0.6), (0.011, 0.7), (0.023, 1.0)):
        at = seconds(start_s) if start_s else 0
        hands[at:] += (level * _noise(n, 800, 3400, rng) * _decay(n, 26))[: n - at]
    return hands * np.float32(0.17)


SOUNDS: Mapping[int, Callable[[np.random.Generator], Sound]] = {
    drums.KICK: _kick,
    drums.SNARE: _snare,
    drums.BRUSH: _brush,
    drums.RIM: _rim,
    drums.HAT: _metal(0.09, 62, 4_800),
    drums.OPEN_HAT: _metal(0.4, 11, 4_600),
    drums.SHAKER: _shaker,
    drums.TOM: _tom,
    drums.CLAP: _clap,
    drums.RIDE: _metal(0.55, 9, 3_600),
    drums.CRASH: _metal(2.4, 1.9, 2_600),
}

LEVELS: Mapping[int, float] = {
    drums.KICK: 0.36, drums.SNARE: 0.34, drums.BRUSH: 0.36, drums.RIM: 0.3, drums.HAT: 1.1,
    drums.OPEN_HAT: 0.8, drums.SHAKER: 0.6, drums.TOM: 0.34, drums.CLAP: 0.5, drums.RIDE: 0.3,
    drums.CRASH: 0.3,
}  # fmt: skip
"""Amplitudes at full velocity that balance the kit."""

PLACES: Mapping[int, float] = {
    drums.HAT: 0.3, drums.OPEN_HAT: 0.3, drums.RIDE: -0.35, drums.SHAKER: -0.4, drums.TOM: -0.15,
    drums.RIM: 0.12, drums.CRASH: -0.2,
}  # fmt: skip
"""Where each drum stands, -1 left to 1 right, seen from the listener; the others in the middle."""


def stroke(drum: int, variant: int) -> Sound:
    """One stroke at full velocity, panned and balanced; the same arguments always give the same
    samples.
    """
    rng = np.random.default_rng([drum, variant, 0xD2])
    place = PLACES.get(drum, 0.0)
    sides = np.array([1 - max(0.0, place), 1 + min(0.0, place)], np.float32)
    sound = SOUNDS[drum](rng)
    tail = edges(len(sound), 0.0005, 0.02)[:, None]
    return (sound * sides * tail * np.float32(LEVELS[drum])).astype(np.float32)
