"""The room and the desk: reverberation, tone, level.

Reverberation and equalisation are one multiplication in the frequency domain per chunk. The
equaliser is a chain of second-order sections (R. Bristow-Johnson's cookbook formulae) evaluated on
the FFT's grid.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from studio.types import SAMPLE_RATE

Sound = NDArray[np.float32]
Spectrum = NDArray[np.complex64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """How long the room rings (60 dB) at low, middle and high frequencies, and after what delay."""

    low_s: float
    middle_s: float
    high_s: float
    delay_s: float
    level: float

    @property
    def num_samples(self) -> int:
        """The length at which the response is cut: all of it that is above -60 dB."""
        return round((self.delay_s + max(self.low_s, self.middle_s)) * SAMPLE_RATE)


ROOMS: Mapping[str, Room] = {
    "small": Room(low_s=0.8, middle_s=0.75, high_s=0.45, delay_s=0.008, level=0.20),
    "hall": Room(low_s=1.7, middle_s=1.6, high_s=0.8, delay_s=0.022, level=0.30),
    "space": Room(low_s=2.3, middle_s=2.3, high_s=1.2, delay_s=0.03, level=0.42),
}


def response(room: Room) -> Sound:
    """The room's impulse response, stereo, unit energy per side: three bands of noise, each with
    its own decay.
    """
    n = room.num_samples
    rng = np.random.default_rng(0x5EED)
    freq = np.fft.rfftfreq(n, 1 / SAMPLE_RATE)
    low = 1 / (1 + (freq / 350) ** 4)
    high = 1 - 1 / (1 + (freq / 3_200) ** 4)
    # Below 160 Hz reverberation is mud, above 7 kHz it is hiss.
    open_air = 1 / (1 + (160 / (freq + 1e-3)) ** 4) / (1 + (freq / 7_000) ** 2)
    t = np.arange(n) / SAMPLE_RATE
    out = np.zeros((n, 2))
    for side in range(2):
        white = np.fft.rfft(rng.standard_normal(n)) * open_air
        for band, ring_s in (
            (low, room.low_s),
            (1 - low - high, room.middle_s),
            (high, room.high_s),
        ):
            out[:, side] += np.fft.irfft(white * band, n) * np.exp(-6.91 * t / ring_s)
    start = round(room.delay_s * SAMPLE_RATE)
    onset = np.clip((np.arange(n) - start) / (0.012 * SAMPLE_RATE), 0, 1)
    out *= (onset * np.clip((n - np.arange(n)) / (0.05 * SAMPLE_RATE), 0, 1))[:, None]
    unit: Sound = (out / np.sqrt(np.sum(out**2, axis=0))).astype(np.float32)
    return unit


def equaliser(num_bins: int, bed: bool, brightness: float) -> Spectrum:
    """The desk's tone on an FFT grid of `num_bins`.

    A high-pass at 38 Hz; a shelf above 5.5 kHz from -7 dB (dark) to 0 dB (bright), so that nothing
    tires the ear; for a bed, 4 dB less around 2 kHz over two octaves, where a voice carries its
    consonants.
    """
    z = np.exp(-1j * np.pi * np.arange(num_bins) / (num_bins - 1))
    curve = _highpass(z, 38.0) * _shelf(z, 5_500.0, -7.0 + 7.0 * brightness)
    if bed:
        curve = curve * _peak(z, 2_000.0, -4.0, 0.7)
    return curve.astype(np.complex64)


def _section(
    z: NDArray[np.complex128], b: tuple[float, ...], a: tuple[float, ...]
) -> NDArray[np.complex128]:
    top = b[0] + z * (b[1] + z * b[2])
    bottom = a[0] + z * (a[1] + z * a[2])
    return top / bottom


def _highpass(z: NDArray[np.complex128], freq_hz: float) -> NDArray[np.complex128]:
    w = 2 * np.pi * freq_hz / SAMPLE_RATE
    alpha, c = np.sin(w) / np.sqrt(2), np.cos(w)
    return _section(z, ((1 + c) / 2, -(1 + c), (1 + c) / 2), (1 + alpha, -2 * c, 1 - alpha))


def _peak(
    z: NDArray[np.complex128], freq_hz: float, gain_db: float, q: float
) -> NDArray[np.complex128]:
    w = 2 * np.pi * freq_hz / SAMPLE_RATE
    alpha, c, a = np.sin(w) / (2 * q), np.cos(w), 10 ** (gain_db / 40)
    return _section(
        z, (1 + alpha * a, -2 * c, 1 - alpha * a), (1 + alpha / a, -2 * c, 1 - alpha / a)
    )


def _shelf(z: NDArray[np.complex128], freq_hz: float, gain_db: float) -> NDArray[np.complex128]:
    w = 2 * np.pi * freq_hz / SAMPLE_RATE
    c, a = np.cos(w), 10 ** (gain_db / 40)
    beta = 2 * np.sqrt(a) * np.sin(w) / np.sqrt(2)
    return _section(
        z,
        (a * (a + 1 + (a - 1) * c + beta), -2 * a * (a - 1 + (a + 1) * c),
         a * (a + 1 + (a - 1) * c - beta)),
        (a + 1 - (a - 1) * c + beta, 2 * (a - 1 - (a + 1) * c), a + 1 - (a - 1) * c - beta),
    )  # fmt: skip


def fast_length(num_samples: int) -> int:
    """The next length of the form 2**a, 3 * 2**a or 5 * 2**a, at which FFTs are fast."""
    power = 1 << (num_samples - 1).bit_length()
    return min(n for n in (5 * power // 8, 3 * power // 4, power) if n >= num_samples)


WRAP_S = 0.4
"""Room behind a chunk's end in its FFT."""


class Desk:
    """Mixes one chunk: dry sound plus its reverberation, equalised. Spectra are kept between chunks
    of one length.
    """

    def __init__(self, room: Room, *, bed: bool, brightness: float) -> None:
        self._room, self._bed, self._brightness = room, bed, brightness
        self._response = response(room)
        self._size = 0
        self._direct: Spectrum = np.zeros((1, 0), np.complex64)
        self._wet: Spectrum = np.zeros((2, 0), np.complex64)

    def mix(self, dry: Sound, send: Sound) -> Sound:
        """`dry`, `(num_samples, 2)`, with the reverberation of `send`, `(num_samples,)`, in stereo.

        As long as `dry`, its end faded. What rings longer than `WRAP_S` beyond it would come round
        to the chunk's start, some 75 dB down; both inputs are silent long before that.
        """
        n = len(dry)
        size = fast_length(n + round(WRAP_S * SAMPLE_RATE))
        if size != self._size:
            self._size = size
            curve = equaliser(size // 2 + 1, self._bed, self._brightness)
            self._direct = curve[None, :]
            spectrum = np.fft.rfft(self._response.T, size).astype(np.complex64)
            self._wet = spectrum * curve * np.float32(self._room.level)
        heard = np.fft.rfft(dry.T, size) * self._direct
        heard += np.fft.rfft(send, size) * self._wet
        out = np.fft.irfft(heard, size)[:, :n].T.astype(np.float32)
        fade = min(n, round(0.08 * SAMPLE_RATE))
        out[n - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)[:, None] ** 2
        return np.ascontiguousarray(out)


def loudness_lufs(sound: Sound) -> float:
    """Gated loudness of stereo `sound` as in ITU-R BS.1770-4 (K weighting on the FFT's grid, 400 ms
    blocks, 75 % overlap).

    Shorter sounds than one block are measured as one block. Silence is -120.
    """
    n = len(sound)
    size = fast_length(n + 4_800)
    z = np.exp(-2j * np.pi * np.arange(size // 2 + 1) / size)
    shelf = _section(
        z,
        (1.53512485958697, -2.69169618940638, 1.19839281085285),
        (1.0, -1.69065929318241, 0.73248077421585),
    )
    high = _section(z, (1.0, -2.0, 1.0), (1.0, -1.99004745483398, 0.99007225036621))
    weighted = np.fft.irfft(np.fft.rfft(sound.T, size) * shelf * high, size)[:, :n]
    power = np.concatenate([[0.0], np.cumsum(np.sum(weighted**2, axis=0))])
    block, hop = min(n, round(0.4 * SAMPLE_RATE)), round(0.1 * SAMPLE_RATE)
    starts = np.arange(0, n - block + 1, hop)
    blocks = (power[starts + block] - power[starts]) / block
    for relative in (False, True):
        mean = float(np.mean(blocks)) if len(blocks) else 0.0
        threshold = mean / 10 if relative else 10 ** ((-70 + 0.691) / 10)
        blocks = blocks[blocks > threshold]
    return -0.691 + 10 * float(np.log10(np.mean(blocks))) if len(blocks) else -120.0


KNEE, CEILING = 0.34, 0.56
"""Saturation begins at -9.4 dBFS and never passes -5 dBFS: overlapping tails then stay under -3
dBFS.
"""


def saturated(sound: Sound) -> Sound:
    """Peaks above the knee bent smoothly (slope one at the knee) towards the ceiling; below it,
    untouched.
    """
    size = np.abs(sound)
    if float(size.max(initial=0.0)) <= KNEE:
        return sound
    span = CEILING - KNEE
    bent = KNEE + span * np.tanh((size - KNEE) / span)
    return np.where(size > KNEE, np.copysign(bent, sound), sound).astype(np.float32)
