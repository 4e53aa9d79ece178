"""A recording of the voice to clone, checked before a model hears it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from studio.audio import decibels, decode_audio
from studio.errors import MediaError
from studio.types import SAMPLE_RATE

SHORTEST_S, LONGEST_S = 3.0, 120.0
"""Cloning needs three seconds at least; models hear the first half minute, and of more than two
minutes most is waste."""

QUIETEST_DBFS = -40.0
"""Level of the loudest tenth of the frames: below, the room's noise is cloned as well."""

CLIPPED, CLIPPED_SHARE = 0.999, 5e-4
MODULATION_DB = 15.0
"""Speech swings by more between syllables and pauses; music and noise by less."""

VOICED_SHARE = 0.25
"""Of the louder frames, at least this many have a pitch: two thirds in speech, next to none in
noise."""

LOWEST_PITCH_HZ, HIGHEST_PITCH_HZ = 60.0, 420.0
PERIODIC = 0.35
"""Height of the autocorrelation's peak, of 1, from which a frame counts as voiced."""

FRAME = SAMPLE_RATE // 25
"""40 ms: two periods of the lowest pitch and more."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reference:
    """A usable recording: mono float32 `samples` at `sample_rate` Hz."""

    samples: NDArray[np.float32]
    sample_rate: int


def read_reference(path: Path) -> Reference:
    """The recording at `path`, if a voice can be cloned from it.

    Raises `MediaError` when it is missing, unreadable, too short, too long, too quiet, clipped, or
    holds no speech.
    """
    blocks = [block.mean(axis=1, dtype=np.float32) for block in decode_audio(path)]
    samples = np.concatenate(blocks) if blocks else np.zeros(0, np.float32)
    if fault := _fault(samples):
        found, remedy = fault
        raise MediaError(str(path), found, remedy)
    return Reference(samples=samples, sample_rate=SAMPLE_RATE)


def _fault(samples: NDArray[np.float32]) -> tuple[str, str] | None:
    """What is wrong with a recording, and what to do; None when nothing is."""
    seconds = len(samples) / SAMPLE_RATE
    if seconds < SHORTEST_S:
        return f"{seconds:.1f} s is too short to clone", f"Give {SHORTEST_S:.0f} to 30 s of speech"
    if seconds > LONGEST_S:
        return f"{seconds:.0f} s is too long", "Cut it to half a minute of clean speech"
    clipped = float((np.abs(samples) >= CLIPPED).mean())
    if clipped > CLIPPED_SHARE:
        return f"{100 * clipped:.1f} % of it is clipped", "Record it again with less gain"
    frames = samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME).astype(np.float64)
    power = (frames**2).mean(axis=1)
    loud_db = decibels(float(np.sqrt(np.quantile(power, 0.9))))
    if loud_db < QUIETEST_DBFS:
        return f"its level is only {loud_db:.0f} dBFS", "Record it nearer to the microphone"
    quiet_db = decibels(float(np.sqrt(np.quantile(power, 0.1))))
    voiced = _voiced_share(frames[power >= np.median(power)])
    if loud_db - quiet_db < MODULATION_DB or voiced < VOICED_SHARE:
        return (
            f"it does not hold speech alone ({loud_db - quiet_db:.0f} dB between loud and quiet, "
            f"{100 * voiced:.0f} % voiced)"
        ), "Give one voice without music or noise"
    return None


def _voiced_share(frames: NDArray[np.float64]) -> float:
    """The share of `(n, FRAME)` frames that have a pitch."""
    centred = (frames - frames.mean(axis=1, keepdims=True)) * np.hanning(FRAME)
    spectrum = np.abs(np.fft.rfft(centred, 2 * FRAME, axis=1)) ** 2
    correlation = np.fft.irfft(spectrum, axis=1)
    lags = slice(int(SAMPLE_RATE / HIGHEST_PITCH_HZ), int(SAMPLE_RATE / LOWEST_PITCH_HZ))
    peaks = correlation[:, lags].max(axis=1) / np.maximum(correlation[:, 0], 1e-12)
    return float((peaks > PERIODIC).mean())
