"""Tempo and pitch of finished speech, for engines that set neither themselves."""

from __future__ import annotations

import av
import numpy as np
from av.filter import Graph
from numpy.typing import NDArray

from studio.audio import resample

NATURAL_WPM = 165
"""Words a minute of a neural or cloud voice at its own tempo: unhurried reading."""

SLOWEST, FASTEST = 0.5, 2.0
"""Factors of tempo within which overlap-add keeps speech clean."""

PITCH_RANGE_SEMITONES = 4.0
"""`pitch_pct` 0 and 99 are this far below and above the voice: formants move along, and beyond a
third it no longer sounds like a person."""


def tempo_factor(rate_wpm: int) -> float:
    """How much faster than its own tempo a voice is to speak."""
    return min(max(rate_wpm / NATURAL_WPM, SLOWEST), FASTEST)


def pitch_factor(pitch_pct: int, shift_semitones: float = 0.0) -> float:
    """The factor of frequency for `pitch_pct`, 0 to 99 with 50 the voice's own."""
    semitones = (pitch_pct - 50) / 50.0 * PITCH_RANGE_SEMITONES + shift_semitones
    return float(2.0 ** (semitones / 12.0))


def retime(
    samples: NDArray[np.float32], sample_rate: int, tempo: float, pitch: float
) -> NDArray[np.float32]:
    """Mono `samples` spoken `tempo` times faster and `pitch` times higher, at the same rate.

    Pitch is resampling, whose change of length is made good in tempo by overlap-add (FFmpeg's
    `atempo`). Factors of 1 leave the samples as they are.
    """
    if abs(pitch - 1.0) > 1e-3:
        samples = resample(samples, round(sample_rate * pitch), sample_rate)
        tempo /= pitch
    if abs(tempo - 1.0) <= 1e-3 or not len(samples):
        return samples
    graph = Graph()
    source = graph.add_abuffer(sample_rate=sample_rate, format="flt", layout="mono")
    stretch = graph.add("atempo", f"tempo={min(max(tempo, SLOWEST), 2 * FASTEST):.6f}")
    sink = graph.add("abuffersink")
    source.link_to(stretch)
    stretch.link_to(sink)
    graph.configure()
    packed = np.ascontiguousarray(samples, np.float32).reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(packed, format="flt", layout="mono")
    frame.sample_rate, frame.pts = sample_rate, 0
    graph.push(frame)
    graph.push(None)
    parts: list[NDArray[np.float32]] = []
    while True:
        try:
            pulled = graph.pull()
        except (av.EOFError, av.BlockingIOError):
            break
        parts.append(np.asarray(pulled.to_ndarray().reshape(-1), np.float32))
    return np.concatenate(parts) if parts else samples[:0]
