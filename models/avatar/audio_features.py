"""The mel spectrogram that Wav2Lip and SadTalker were trained on, and how frames of film look
into it.

16 kHz, pre-emphasis 0.97, 800-sample Hann windows every 200 samples, 80 Slaney mel bands from 55
to 7600 Hz, dB mapped to [-4, 4]. In torch, so that it runs where the networks run; worked in
blocks, so that only the columns themselves grow with the length: 1.5 MiB a minute.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

SPEECH_RATE: Final = 16_000
"""Hz."""
WINDOW: Final = 800
"""Samples of one spectrum: 50 ms."""
HOP: Final = 200
"""Samples between columns: 80 columns a second."""
COLUMNS_HZ: Final = SPEECH_RATE // HOP
BANDS: Final = 80
COLUMNS: Final = 16
"""Mel columns that a network sees for one frame: 0.2 s."""
SADTALKER_FPS: Final = 25
"""SadTalker's networks know one frame rate."""

_BLOCK: Final = 512
"""Columns per block: 6.4 s, 1.6 MB of complex spectrum."""
_FLOOR: Final = 1e-5
"""Amplitude below which everything is silence: -100 dB."""


def _slaney(hz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Hz -> mel, Slaney's Auditory Toolbox: linear (200/3 Hz a mel) up to 1 kHz, then 27 mels to
    a factor of 6.4.
    """
    linear = hz * 3 / 200
    return np.where(
        hz < 1000.0, linear, 15 + 27 * np.log(np.maximum(hz, 1e-9) / 1000.0) / math.log(6.4)
    )


def _slaney_inverse(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(mel < 15, mel * 200 / 3, 1000.0 * np.exp((mel - 15) * math.log(6.4) / 27))


@cache
def mel_basis() -> NDArray[np.float32]:
    """Triangles (80, 401) over the spectrum's bins, each of unit area in Hz."""
    low, high = _slaney(np.array([55.0, 7600.0]))
    edges = _slaney_inverse(np.linspace(low, high, BANDS + 2))
    bins = np.linspace(0.0, SPEECH_RATE / 2, WINDOW // 2 + 1)
    rising = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    return np.asarray(triangles * (2.0 / (edges[2:] - edges[:-2]))[:, None], np.float32)


def mel(samples: NDArray[np.float32], device: torch.device | None = None) -> Tensor:
    """Mono samples at 16 kHz, full scale ±1 -> mel columns (n // 200 + 1, 80) in [-4, 4].

    Column t is centred on sample 200 t; outside the sound there is silence.
    """
    window = torch.hann_window(WINDOW, periodic=True, device=device)
    basis = torch.from_numpy(mel_basis()).to(device)
    columns = len(samples) // HOP + 1
    levels = torch.empty(columns, BANDS, device=device)
    for first in range(0, columns, _BLOCK):
        last = min(columns, first + _BLOCK)
        part = _emphasised(samples, first * HOP - WINDOW // 2, (last - 1) * HOP + WINDOW // 2)
        spectrum = torch.stft(
            part.to(device), WINDOW, HOP, window=window, center=False, return_complex=True
        )
        level_db = 20 * (basis @ spectrum.abs()).clamp(min=_FLOOR).log10() - 20
        levels[first:last] = (8 * (level_db + 100) / 100 - 4).clamp(-4, 4).t()
    return levels


def _emphasised(samples: NDArray[np.float32], start: int, stop: int) -> Tensor:
    """Samples `start` to `stop` after pre-emphasis, y[t] = x[t] - 0.97 x[t - 1]; silence outside
    the sound.
    """
    begin, end = max(start, 0), min(stop, len(samples))
    heard = torch.tensor(samples[max(begin - 1, 0) : end], dtype=torch.float32)
    part = heard.clone()
    part[1:] -= 0.97 * heard[:-1]
    if begin > 0:
        part = part[1:]
    return torch.nn.functional.pad(part, (begin - start, stop - end))


def wav2lip_windows(spectrogram: Tensor, frames: range, fps: float) -> Tensor:
    """Mel columns (n, 80) -> one window for each of `frames` (len(frames), 1, 80, 16).

    Frames past the sound's last window see that window again; a line shorter than a window is
    completed by silence.
    """
    if len(spectrogram) < COLUMNS:
        quiet = (0, 0, 0, COLUMNS - len(spectrogram))
        spectrogram = torch.nn.functional.pad(spectrogram, quiet, value=-4.0)
    last = len(spectrogram) - COLUMNS
    starts = torch.tensor([min(int(i * COLUMNS_HZ / fps), last) for i in frames])
    index = starts[:, None] + torch.arange(COLUMNS)
    return spectrogram[index.to(spectrogram.device)].transpose(1, 2)[:, None]


def sadtalker_frames(num_samples: int) -> int:
    """Whole frames at 25 fps in `num_samples` at 16 kHz."""
    return num_samples // (SPEECH_RATE // SADTALKER_FPS)


def sadtalker_index(columns: int, frames: range) -> NDArray[np.int64]:
    """Mel columns of every frame's window (len(frames), 16): it begins two frames early; clamped
    at both ends.
    """
    first = np.trunc(COLUMNS_HZ * (np.array(frames) - 2) / SADTALKER_FPS).astype(np.int64)
    index: NDArray[np.int64] = np.clip(first[:, None] + np.arange(COLUMNS), 0, columns - 1)
    return index


def sadtalker_windows(spectrogram: Tensor, frames: range) -> Tensor:
    """Mel columns (n, 80) -> one window for each of `frames` at 25 fps (len(frames), 1, 80, 16)."""
    index = torch.from_numpy(sadtalker_index(len(spectrogram), frames)).to(spectrogram.device)
    return spectrogram[index].transpose(1, 2)[:, None]


_QUIET_DB: Final = 45.0
"""Below the loud parts of speech by this much nobody speaks: breath, room tone, dither."""
_PAUSE: Final = 16
"""Columns (0.2 s) that a pause lasts at least; the closure of a plosive is shorter."""
_MARGIN: Final = 4
"""Columns (50 ms) of a pause left as they are on either side, so that no onset is cut."""


def hush(spectrogram: Tensor) -> Tensor:
    """Mel columns (n, 80) with the pauses made wholly silent (-4): what is no speech must not
    move a mouth.

    A column is quiet when its loudest band lies `_QUIET_DB` below the line's 95th percentile, or
    is at the floor.
    """
    loudest = spectrogram.amax(dim=1).cpu().numpy()
    loud = float(np.percentile(loudest, 95)) - 8 * _QUIET_DB / 100
    quiet = loudest <= max(loud, -4.0 + 8 * 15 / 100)
    edges = np.flatnonzero(np.diff(quiet, prepend=False, append=False))
    hushed = spectrogram.clone()
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        if stop - start >= _PAUSE:
            first = 0 if start == 0 else start + _MARGIN
            last = len(quiet) if stop == len(quiet) else stop - _MARGIN
            hushed[first:last] = -4.0
    return hushed
