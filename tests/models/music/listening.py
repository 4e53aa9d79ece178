"""Measuring ears: what a test can hear of a piece."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np
from numpy.typing import NDArray

from models.music import CueSpec, Piece, open_composer
from models.music.fit import fit
from studio.specs import DeviceSpec, MusicSpec
from studio.types import SAMPLE_RATE

Sound = NDArray[np.float32]


def composed(prompt: str, seconds: float, seed: int = 0) -> Piece:
    with open_composer("arranger", MusicSpec(), DeviceSpec()) as composer:
        return next(composer.compose([CueSpec(prompt=prompt, seconds=seconds, seed=seed)]))


def stored(piece: Piece) -> tuple[Sound, SimpleNamespace]:
    """A piece as the store keeps it: all chunks, then the ending, and its shape."""
    chunks = list(piece.chunks)
    ending = [] if piece.ending is None else [piece.ending]
    shape = SimpleNamespace(
        hop_samples=piece.hop_samples,
        chunk_samples=tuple(len(chunk) for chunk in chunks),
        ending_samples=sum(len(part) for part in ending),
    )
    return np.concatenate([*chunks, *ending]), shape


def heard(prompt: str, seconds: float, seed: int = 0) -> Sound:
    """A cue composed for and fitted to `seconds`."""
    audio, shape = stored(composed(prompt, seconds, seed))
    blocks = fit(lambda s, n: audio[s : s + n], shape, round(seconds * SAMPLE_RATE))
    return np.concatenate(list(blocks))


def spectrum(sound: Sound) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Frequencies in Hz and power, of the sum of both sides."""
    power = np.abs(np.fft.rfft(sound.mean(axis=1))) ** 2
    return np.fft.rfftfreq(len(sound), 1 / SAMPLE_RATE), power


def centroid_hz(sound: Sound) -> float:
    """The centre of gravity of the magnitude spectrum above 100 Hz."""
    freq, power = spectrum(sound)
    kept = freq > 100
    magnitude = np.sqrt(power[kept])
    return float((freq[kept] * magnitude).sum() / magnitude.sum())


def onsets(sound: Sound, hop: int = 480) -> NDArray[np.float64]:
    """Onset strength, 100 values a second: positive changes of the log spectrum in 24 bands."""
    mono = sound.mean(axis=1)
    frames = np.lib.stride_tricks.sliding_window_view(mono, 1024)[::hop] * np.hanning(1024)
    magnitude = np.abs(np.fft.rfft(frames))
    edges = np.unique(np.geomspace(2, 400, 25).astype(int))
    bands = np.add.reduceat(magnitude, edges, axis=1)
    rises = np.maximum(0.0, np.diff(np.log(bands + 1e-2), axis=0)).sum(axis=1)
    return np.asarray(rises - rises.mean(), np.float64)


def periodicity(sound: Sound, bpm: float) -> float:
    """Normalised autocorrelation of the onsets at one beat of a tempo."""
    strength = onsets(sound)
    lag = 60 / bpm * 100
    around = range(int(np.floor(lag)) - 1, int(np.ceil(lag)) + 2)
    best = max(float((strength[:-k] * strength[k:]).sum()) for k in around)
    return best / float((strength**2).sum())


def tempo_bpm(sound: Sound, candidates: Sequence[float]) -> float:
    """Which of some tempi the onsets repeat at most clearly, over one, two and four beats."""
    return max(
        candidates,
        key=lambda bpm: sum(periodicity(sound, bpm / beats) for beats in (1, 2, 4)),
    )


def chroma(sound: Sound) -> NDArray[np.float64]:
    """Power per pitch class between 100 and 1000 Hz, C first, sum 1."""
    freq, power = spectrum(sound)
    kept = (freq > 100) & (freq < 1_000)
    pitch = np.round(69 + 12 * np.log2(freq[kept] / 440)).astype(int) % 12
    classes = np.bincount(pitch, weights=power[kept], minlength=12)
    return np.asarray(classes / classes.sum(), np.float64)


def largest_click(sound: Sound) -> float:
    """The boldest bend of the waveform against what precedes and follows it.

    A click stands alone: its second difference is many times that of the 10 ms before it and of the
    10 ms after it. The onset of a drum is followed by its sound, and does not count.
    """
    bend = np.abs(np.diff(sound, n=2, axis=0)).max(axis=1)
    padded = np.pad(bend, 500)
    worst = 0.0
    for place in np.argsort(bend)[::-1][:400] + 500:
        before = np.quantile(padded[place - 488 : place - 8], 0.98)
        after = np.quantile(padded[place + 8 : place + 488], 0.98)
        worst = max(worst, float(padded[place] / max(before, after, 1e-4)))
    return worst
