"""What the picture hears: the mix around each frame, read once, in order, in constant memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studio.types import SAMPLE_RATE

Window = NDArray[np.float32]

READ_SAMPLES = 8192
"""Samples fetched at a time: 171 ms."""


class Hearing:
    """A window on a sound that is read block by block.

    `read(num_samples)` gives the next samples, mono or stereo, fewer at the end and none after it.
    Before its beginning and after its end the sound is silent.
    """

    def __init__(self, read: Callable[[int], Window]) -> None:
        self._read = read
        self._start = 0
        self._held: Window = np.zeros(0, np.float32)
        self._ended = False

    def around(self, centre: int, num_samples: int) -> Window:
        """`num_samples` mono samples around `centre`. Centres may step back no further than the
        longest window asked for.
        """
        first = centre - num_samples // 2
        last = first + num_samples
        self._fill(last)
        window = np.zeros(num_samples, np.float32)
        low, high = max(first, self._start), min(last, self._start + len(self._held))
        if high > low:
            window[low - first : high - first] = self._held[low - self._start : high - self._start]
        return window

    def _fill(self, until: int) -> None:
        while not self._ended and self._start + len(self._held) < until:
            block = self._read(READ_SAMPLES)
            self._ended = len(block) < READ_SAMPLES
            mono = block
            if block.ndim == 2:
                # Many times as fast as a mean over so short an axis.
                mono = block @ np.full(block.shape[1], 1 / block.shape[1], np.float32)
            # Two windows of the largest size stay, so that styles may look at different lengths.
            keep = self._held[-4 * READ_SAMPLES :]
            self._start += len(self._held) - len(keep)
            self._held = np.concatenate([keep, mono.astype(np.float32, copy=False)])


def centre_sample(frame: int, fps: int) -> int:
    """The sample at the middle of a frame."""
    return (2 * frame + 1) * SAMPLE_RATE // (2 * fps)


SPECTRUM_SAMPLES = 4096
"""85 ms: 11.7 Hz per bin, enough to tell the lowest bands apart."""

LOWEST_HZ, HIGHEST_HZ = 80.0, 12_000.0
FLOOR_DB, CEILING_DB = -62.0, -16.0
"""Levels drawn as nothing and as full height, for a mix at -16 LUFS, tilted."""

TILT_DB_PER_OCTAVE = 3.5
"""Speech and music fall by 3 to 4.5 dB an octave; the tilt makes all bands move alike."""

TILT_FROM_HZ = 300.0
"""Below the first formant speech no longer grows; there the tilt stays."""


class Bands:
    """Loudness in logarithmic bands, 0..1, that rises at once and falls slowly."""

    def __init__(
        self, count: int, fps: int, attack_s: float = 0.02, release_s: float = 0.16
    ) -> None:
        edges = np.geomspace(LOWEST_HZ, HIGHEST_HZ, count + 1)
        hz = np.fft.rfftfreq(SPECTRUM_SAMPLES, 1.0 / SAMPLE_RATE)
        self._window = np.hanning(SPECTRUM_SAMPLES).astype(np.float32)
        middles = np.asarray(np.sqrt(edges[:-1] * edges[1:]), np.float64)
        self._spread = _triangles(hz, middles, np.maximum(np.diff(edges), 1.5 * float(hz[1])))
        self._tilt = TILT_DB_PER_OCTAVE * np.log2(np.maximum(middles, TILT_FROM_HZ) / 1000.0)
        self._rise, self._fall = (1.0 - np.exp(-1.0 / (fps * s)) for s in (attack_s, release_s))
        self.levels = np.zeros(count, np.float32)

    def hear(self, hearing: Hearing, centre: int) -> NDArray[np.float32]:
        """Levels of the bands at a sample; call it once a frame."""
        spectrum = np.fft.rfft(hearing.around(centre, SPECTRUM_SAMPLES) * self._window)
        power = (spectrum.real**2 + spectrum.imag**2) * (4.0 / SPECTRUM_SAMPLES**2)
        level_db = 10.0 * np.log10(self._spread @ power + 1e-12) + self._tilt
        heard = np.clip((level_db - FLOOR_DB) / (CEILING_DB - FLOOR_DB), 0.0, 1.0)
        step = np.where(heard > self.levels, self._rise, self._fall)
        self.levels += (step * (heard - self.levels)).astype(np.float32)
        return self.levels


def _triangles(
    hz: NDArray[np.floating[Any]],
    middles: NDArray[np.floating[Any]],
    widths: NDArray[np.floating[Any]],
) -> NDArray[np.float64]:
    """Weights (bands, bins) that sum a band's bins with a triangle around its middle."""
    distance = np.abs(hz[None, :] - middles[:, None]) / widths[:, None]
    return np.asarray(np.clip(1.0 - distance, 0.0, None), np.float64)
