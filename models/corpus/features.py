"""The mel spectrogram, once: preparation, training and synthesis all compute it here.

`log(max(mel, floor))` with the natural logarithm, where `mel` is the magnitude of an STFT (periodic
Hann window, frame t centred on sample `t * hop_length`, silence outside the sound) weighed by the
triangles of Slaney's Auditory Toolbox (1998), each of unit area in Hz. It equals librosa's
`melspectrogram(power=1, norm="slaney", htk=False, center=True, pad_mode="constant")` to single
precision.
"""

from __future__ import annotations

import math
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from studio.corpus import MelSpec

Floats = NDArray[np.float32]

_BLOCK = 64
"""Frames worked on at once: their windows, spectra and magnitudes (0.7 MB at n_fft 1024) stay in
the second-level cache, which halves the time against a whole clip at once.
"""

_BANDS = 16
"""Bands that are weighed together. A triangle spans a few bins and its neighbours lie beside it, so
a group needs only its stretch of the spectrum: a fifth of the multiplications of the whole matrix,
nearly all of whose entries are zero. More groups cost more in calls than they save.
"""

_HIGHEST_CODE = 65_535


def _mel_of(hz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Slaney's scale: 200/3 Hz a mel up to 1 kHz, then 27 mels to a factor of 6.4."""
    above = 15.0 + 27.0 * np.log(np.maximum(hz, 1e-9) / 1000.0) / math.log(6.4)
    return np.where(hz < 1000.0, hz * 3.0 / 200.0, above)


def _hz_of(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    above = 1000.0 * np.exp((mel - 15.0) * math.log(6.4) / 27.0)
    return np.where(mel < 15.0, mel * 200.0 / 3.0, above)


@lru_cache(maxsize=8)
def mel_basis(spec: MelSpec) -> Floats:
    """Triangles `(n_mels, n_fft // 2 + 1)` over the bins of the spectrum. Read-only."""
    ends = _mel_of(np.array([spec.fmin_hz, spec.highest_hz]))
    edges = _hz_of(np.linspace(ends[0], ends[1], spec.n_mels + 2))
    bins = np.linspace(0.0, spec.sample_rate / 2, spec.n_fft // 2 + 1)
    widths = np.diff(edges)
    rising = (bins - edges[:-2, None]) / widths[:-1, None]
    falling = (edges[2:, None] - bins) / widths[1:, None]
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    basis = np.asarray(triangles * (2.0 / (edges[2:] - edges[:-2]))[:, None], np.float32)
    basis.flags.writeable = False
    return basis


@lru_cache(maxsize=8)
def _band_groups(spec: MelSpec) -> tuple[tuple[slice, slice, Floats], ...]:
    """Bands, the bins they draw from, and their weights `(bins, bands)`."""
    basis, groups = mel_basis(spec), []
    for first in range(0, spec.n_mels, _BANDS):
        bands = slice(first, min(first + _BANDS, spec.n_mels))
        used = np.flatnonzero(basis[bands].any(axis=0))
        # A band narrower than a bin weighs nothing; one bin keeps the product defined.
        bins = slice(int(used[0]), int(used[-1]) + 1) if len(used) else slice(0, 1)
        groups.append((bands, bins, np.ascontiguousarray(basis[bands, bins].T)))
    return tuple(groups)


@lru_cache(maxsize=8)
def stft_window(spec: MelSpec) -> Floats:
    """The periodic Hann window, centred in `n_fft` samples. Read-only."""
    turns = np.arange(spec.win_length) / spec.win_length
    hann = 0.5 - 0.5 * np.cos(2.0 * np.pi * turns)
    window = np.zeros(spec.n_fft, np.float32)
    before = (spec.n_fft - spec.win_length) // 2
    window[before : before + spec.win_length] = hann
    window.flags.writeable = False
    return window


def log_mel(samples: Floats, spec: MelSpec) -> Floats:
    """Mono samples `(n,)` at `spec.sample_rate`, full scale ±1 -> `(spec.frames(n), n_mels)`.

    Raises `ValueError` for anything but one channel.
    """
    if samples.ndim != 1:
        raise ValueError(f"one channel is needed, not an array of shape {samples.shape}")
    half = spec.n_fft // 2
    padded = np.pad(np.asarray(samples, np.float32), half)
    frames = np.lib.stride_tricks.sliding_window_view(padded, spec.n_fft)[:: spec.hop_length]
    window, groups = stft_window(spec), _band_groups(spec)
    out = np.empty((spec.frames(len(samples)), spec.n_mels), np.float32)
    windowed, packed = np.empty((2, _BLOCK, spec.n_fft), np.float32)
    magnitude = np.empty((_BLOCK, half + 1), np.float32)
    for first in range(0, len(out), _BLOCK):
        block = out[first : first + _BLOCK]
        cut, spectrum, size = (array[: len(block)] for array in (windowed, packed, magnitude))
        np.multiply(frames[first : first + len(block)], window, out=cut)
        # OpenCV's transform costs a quarter of numpy's. Packed: Re 0, pairs of Re k and Im k, at
        # last Re n/2; squared in place, the pairs add up to the power.
        cv2.dft(cut, spectrum, flags=cv2.DFT_ROWS)
        np.multiply(spectrum, spectrum, out=spectrum)
        np.add(spectrum[:, 1:-1:2], spectrum[:, 2:-1:2], out=size[:, 1:-1])
        size[:, 0], size[:, -1] = spectrum[:, 0], spectrum[:, -1]
        np.sqrt(size, out=size)
        for bands, bins, weights in groups:
            np.matmul(size[:, bins], weights, out=block[:, bands])
    np.maximum(out, np.float32(spec.floor), out=out)
    return np.log(out, out=out)


@lru_cache(maxsize=8)
def code_grid(spec: MelSpec) -> tuple[float, float]:
    """`(origin, step)` of the 16-bit codes: value = origin + code * step for codes from 1 on.

    Code 0 is padding, code 1 the floor. The grid ends at the loudest value a sound within ±1 can
    have: by Cauchy-Schwarz a band is at most `|triangle| * |spectrum|` (Euclidean norms), and by
    Parseval `|spectrum|^2 <= n_fft * sum(window^2)`; nothing is ever clipped.
    """
    window = stft_window(spec).astype(np.float64)
    triangle = float(np.sqrt((mel_basis(spec).astype(np.float64) ** 2).sum(axis=1).max()))
    loudest = triangle * math.sqrt(spec.n_fft * float((window**2).sum()))
    low = math.log(spec.floor)
    step = max(math.log(loudest) - low, 1.0) / (_HIGHEST_CODE - 1)
    return low - step, step


def pack(mel: Floats, spec: MelSpec) -> NDArray[np.generic]:
    """The mel as it is stored: half precision (error at most 3.9e-3), codes on an even grid
    (1.1e-4) or as it is.
    """
    match spec.storage:
        case "f16":
            return mel.astype("<f2")
        case "f32":
            return mel.astype("<f4")
        case "u16":
            origin, step = code_grid(spec)
            codes = np.rint((mel.astype(np.float64) - origin) / step)
            return np.clip(codes, 1, _HIGHEST_CODE).astype("<u2")


def unpack(stored: NDArray[np.generic], spec: MelSpec) -> Floats:
    """Stored values as float32; padding becomes 0.0."""
    if spec.storage != "u16":
        return stored.astype(np.float32)
    origin, step = code_grid(spec)
    values = np.float32(origin) + stored.astype(np.float32) * np.float32(step)
    return np.where(stored == 0, np.float32(0.0), values).astype(np.float32)
