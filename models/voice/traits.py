"""What a speaker is known by, and hearing when an engine drifts to another voice.

A line's mean spectrum says as much about its words as about its voice. Measured against the
embedded voice speaking the same words, frame by frame along the warping path, the words cancel out
and the difference is the voice's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.voice.align import Fit, Spoken
from models.voice.mel import FEATURE_RATE_HZ, HOP, cosines, log_mel
from studio.types import VoiceTraits

Floats = NDArray[np.float32]

NUM_TIMBRE = 12
QUIETER_SHARE = 0.4
"""The quieter part of the frames is left out: pauses, room and breath are no voice."""

TIMBRE_RANGE, PITCH_RANGE_SEMITONES = 8.5, 5.0
"""A take drifts when its distances, each divided by its range, are more than 1 apart together.
Of 768 takes of twelve voices measured against two other lines of the same voice the farthest was
at 0.93 (0.83 against three or five); of 768 takes in another voice of flite 97 % were beyond 1,
of 8448 in any other voice 92 %: some of the embedded voices and of flite's are nearly alike."""

FEWEST_LINES, MOST_LINES = 2, 5
"""A speaker is known from two accepted lines; the first five are what he goes on being measured by,
so that a voice cannot slip away step by step."""

SHORTEST_S = 1.0
"""Shorter lines hold too few sounds to tell a voice by."""

LOWEST_PITCH_HZ, HIGHEST_PITCH_HZ = 60.0, 420.0
PITCH_FRAME = 640
"""40 ms at 16 kHz: two periods of the lowest pitch and more."""

PERIODIC = 0.5
NEARLY = 0.9
"""Height of the autocorrelation's peak, of 1, from which a frame has a pitch; the shortest lag with
a peak nearly as high as the highest is the period, the others its multiples."""

FEWEST_VOICED = 12


def traits_of(fit: Fit, target: Spoken) -> VoiceTraits:
    """The traits of a take `target`, warped onto the embedded voice as `fit` says.

    `fit` has to be of the same reference voice each time (the first of `REFERENCE_VOICES`).
    """
    expected = fit.expected.sound
    mine, theirs = _mel(target.sound), _mel(expected)
    path = fit.path[(fit.path[:, 0] < len(theirs)) & (fit.path[:, 1] < len(mine))]
    pairs = theirs[path[:, 0]], mine[path[:, 1]]
    loud = np.logical_and(*(_loud(frames.mean(axis=1)) for frames in pairs))
    difference = (pairs[1] - pairs[0])[loud].mean(axis=0) if loud.any() else np.zeros(len(mine[0]))
    # Orthonormal cosines: a distance is then one of spectra, in nepers of power.
    timbre = difference @ cosines(NUM_TIMBRE) * math.sqrt(2.0 / len(difference))
    pitches = pitches_hz(target.sound)
    known = len(pitches) >= FEWEST_VOICED
    return VoiceTraits(
        timbre=tuple(float(value) for value in timbre),
        pitch_hz=float(np.median(pitches)) if known else None,
        tempo=fit.tempo,
        seconds=len(target.sound) / FEATURE_RATE_HZ,
    )


def _mel(sound: Floats) -> NDArray[np.float64]:
    """Mel spectra whatever the level of the sound."""
    level = float(np.sqrt((sound.astype(np.float64) ** 2).mean()))
    return log_mel((sound / max(level, 1e-9)).astype(np.float32))


def _loud(energy: NDArray[np.float64]) -> NDArray[np.bool_]:
    return np.asarray(energy > np.quantile(energy, QUIETER_SHARE))


def pitches_hz(sound: Floats) -> NDArray[np.float64]:
    """The pitch of every voiced frame of 16 kHz sound, by normalised autocorrelation (Boersma,
    1993).
    """
    if len(sound) < PITCH_FRAME:
        return np.zeros(0)
    frames = np.lib.stride_tricks.sliding_window_view(sound, PITCH_FRAME)[::HOP]
    power = (frames.astype(np.float64) ** 2).mean(axis=1)
    frames = frames[power > power.max() * 1e-3]
    window = np.hanning(PITCH_FRAME)
    centred = (frames - frames.mean(axis=1, keepdims=True)) * window
    correlation = _autocorrelation(centred) / _autocorrelation(window[None])
    first = int(FEATURE_RATE_HZ / HIGHEST_PITCH_HZ)
    lags = correlation[:, first : int(FEATURE_RATE_HZ / LOWEST_PITCH_HZ)]
    peaks = np.zeros(lags.shape, np.bool_)
    peaks[:, 1:-1] = (lags[:, 1:-1] >= lags[:, :-2]) & (lags[:, 1:-1] > lags[:, 2:])
    height = np.where(peaks, lags, 0.0).max(axis=1)
    voiced = height > PERIODIC
    high = peaks & (lags >= NEARLY * height[:, None])
    return np.asarray(FEATURE_RATE_HZ / (high[voiced].argmax(axis=1) + first), np.float64)


def _autocorrelation(frames: NDArray[np.float64]) -> NDArray[np.float64]:
    spectrum = np.abs(np.fft.rfft(frames, 2 * PITCH_FRAME, axis=1)) ** 2
    values = np.fft.irfft(spectrum, axis=1)[:, : PITCH_FRAME // 2]
    return np.asarray(values / np.maximum(values[:, :1], 1e-12))


class Acquaintance:
    """What has been heard of one speaker in one episode."""

    def __init__(self) -> None:
        self._heard: list[VoiceTraits] = []

    def hear(self, traits: VoiceTraits) -> None:
        """Count an accepted line in."""
        if len(self._heard) < MOST_LINES and traits.seconds >= SHORTEST_S:
            self._heard.append(traits)

    @property
    def tempo(self) -> float | None:
        """The speaker's usual tempo against the embedded voice's; None until he is known."""
        if len(self._heard) < FEWEST_LINES:
            return None
        return float(np.median([traits.tempo for traits in self._heard]))

    def drift(self, traits: VoiceTraits) -> float:
        """How far a take is from the speaker: beyond 1 it is another voice; 0 until he is known."""
        if len(self._heard) < FEWEST_LINES or traits.seconds < SHORTEST_S:
            return 0.0
        usual = np.median([heard.timbre for heard in self._heard], axis=0)
        timbre = float(np.linalg.norm(np.asarray(traits.timbre) - usual))
        return math.hypot(timbre / TIMBRE_RANGE, self._interval(traits) / PITCH_RANGE_SEMITONES)

    def _interval(self, traits: VoiceTraits) -> float:
        """Semitones between a take's median pitch and the speaker's; 0 where there is none."""
        known: Sequence[float] = [h.pitch_hz for h in self._heard if h.pitch_hz is not None]
        if traits.pitch_hz is None or not known:
            return 0.0
        return 12.0 * math.log2(traits.pitch_hz / float(np.median(known)))
