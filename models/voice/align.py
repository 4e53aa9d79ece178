"""Times of words and phonemes in any speech whose text is known, without a recogniser.

The embedded voice speaks the same text with exact times. Dynamic time warping of mel cepstra (Sakoe
and Chiba, 1978) finds which moment of that reference belongs to which moment of the real speech,
and the reference's times are carried over. The warping runs twice: on 50 ms frames over the whole
line, then on 12.5 ms frames in a narrow band around what was found, so that memory and time grow
with the length of a line and not with its square.

Median error of a phoneme's onset: 3 ms for other embedded voices at 110 to 240 words a minute, 15
ms (90 % within 55 ms) for diphone and statistical voices of another synthesiser.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from models.voice import LineSpec, Utterance
from models.voice.espeak_ng import FASTEST_WPM, SLOWEST_WPM, utter
from models.voice.mel import FEATURE_RATE_HZ, FRAME, HOP, features, frames_of
from models.voice.warp import warp
from studio.audio import resample
from studio.errors import SpeechError
from studio.types import Phoneme, Word

Floats = NDArray[np.float32]

COARSE = 4
"""Frames that the first pass takes together."""

COARSE_BAND = 0.22
"""Half the width of the first pass's band, as a share of the line: what tempo may drift by."""

FINE_BAND_FRAMES = 40
"""Half the width of the second pass's band, in each direction: half a second."""

STRAINED_TEMPO = 2.5
STRAIN_STEPS = 24
"""Within 0.3 s people do not speak 2.5 times faster or slower than a few words before."""

REFERENCE_VOICES = ("tenor", "alto")
"""The nearer of a man's and a woman's voice is the reference: their formants differ by 15 %."""

QUIET_DB = -38.0
"""Speech begins and ends where its frames pass this, relative to the loudest."""

CLOSE_TEMPO = 1.15
"""A reference whose length is off by more than this is spoken again at the speech's own tempo."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alignment:
    """Times in samples of the speech that was aligned, and how well it fits its text.

    `cost` is the mean distance along the warping path: 1 to 2.6 for the right words in another of
    the embedded voices, 3.4 to 4.0 in those of another synthesiser, 3.8 to 4.9 for wrong words.
    `strain` is the share of the path, 0 to 1, where the speech runs more than `STRAINED_TEMPO`
    times faster or slower than the reference for 0.3 s: words that were skipped, repeated or
    added. `tempo` is the length of the reference at the line's own rate over the length of the
    speech: 1 as expected, 2 twice as fast.
    """

    words: tuple[Word, ...]
    phonemes: tuple[Phoneme, ...]
    cost: float
    strain: float
    tempo: float


def align(line: LineSpec, samples: NDArray[np.float32], sample_rate: int) -> Alignment:
    """The times of `line`'s words and phonemes in `samples` (mono, `sample_rate` Hz).

    Raises `SpeechError` when the speech is silent or the text makes no sound.
    """
    target = spoken(samples, sample_rate, line.text)
    return aligned(fits_to(line, target), target, len(samples), sample_rate)


def aligned(fits: Sequence[Fit], target: Spoken, num_samples: int, sample_rate: int) -> Alignment:
    """The alignment by the nearest of `fits` to `target`, which is all that is audible in speech of
    `num_samples`.
    """
    best = min(fits, key=lambda fit: fit.cost)
    times = _Times(best, target, num_samples, sample_rate)
    return Alignment(
        words=times.words(),
        phonemes=times.phonemes(),
        cost=best.cost,
        strain=_strain(best.path),
        tempo=best.tempo,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Spoken:
    """The audible part of some speech, from `start_s`: features `(num_frames, num_features)` and
    its 16 kHz `sound`.
    """

    frames: Floats
    sound: Floats
    start_s: float


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """A reference, and the warping path `(num_steps, 2)` from its frames to the speech's."""

    reference: Utterance
    expected: Spoken
    path: NDArray[np.int64]
    cost: float
    tempo: float


def fits_to(line: LineSpec, target: Spoken) -> tuple[Fit, ...]:
    """`line` in each of `REFERENCE_VOICES`, warped onto the speech."""
    lines = (replace(line, voice=voice, pitch_pct=50) for voice in REFERENCE_VOICES)
    return tuple(_fit(one, target) for one in lines)


def _fit(line: LineSpec, target: Spoken) -> Fit:
    """`line` spoken by a reference voice at the speech's own tempo, and warped onto the speech."""
    reference = utter(line)
    expected = spoken(reference.samples, reference.sample_rate, line.text)
    tempo = len(expected.frames) / len(target.frames)
    if not 1.0 / CLOSE_TEMPO < tempo < CLOSE_TEMPO:
        rate = min(max(round(line.rate_wpm * tempo), SLOWEST_WPM), FASTEST_WPM)
        reference = utter(replace(line, rate_wpm=rate))
        expected = spoken(reference.samples, reference.sample_rate, line.text)
    path, cost = _match(expected.frames, target.frames)
    return Fit(reference, expected, path, cost, tempo)


def _strain(path: NDArray[np.int64]) -> float:
    """See `Alignment.strain`."""
    moved = path[STRAIN_STEPS:] - path[:-STRAIN_STEPS] + 1
    if not len(moved):
        return 0.0
    tempo = np.abs(np.log(moved[:, 0] / moved[:, 1]))
    return float((tempo > np.log(STRAINED_TEMPO)).mean())


def spoken(samples: NDArray[np.float32], sample_rate: int, text: str) -> Spoken:
    """What is audible in mono `samples` at `sample_rate` Hz. Raises `SpeechError` naming `text` for
    silence.
    """
    short = max(FRAME * sample_rate // FEATURE_RATE_HZ + 1 - len(samples), 0)
    padded = np.pad(np.asarray(samples, np.float32), (0, short))
    sound = resample(padded, sample_rate, FEATURE_RATE_HZ)
    energy = frames_of(sound.astype(np.float32)).astype(np.float64)
    level = (energy**2).mean(axis=1)
    loud = np.flatnonzero(level > level.max() * 10.0 ** (QUIET_DB / 10.0))
    if not len(loud) or level.max() <= 0.0:
        raise SpeechError(f'line "{text[:60]}"', "the speech is silent", "Speak it again")
    first, last = int(loud[0]), int(loud[-1])
    audible = sound[first * HOP : last * HOP + FRAME].astype(np.float32)
    return Spoken(features(audible), audible, first * HOP / FEATURE_RATE_HZ)


def _match(expected: Floats, target: Floats) -> tuple[NDArray[np.int64], float]:
    """The warping path of frame pairs `(num_steps, 2)` and its mean distance."""
    short, long_ = _pooled(expected), _pooled(target)
    rows, columns = len(short), len(long_)
    reach = int(COARSE_BAND * max(rows, columns)) + abs(rows - columns) + 4
    straight = np.array([[0, 0], [rows - 1, columns - 1]])
    coarse, _ = warp(short, long_, straight, reach)
    guide = np.minimum(
        coarse * COARSE + COARSE // 2, np.array([len(expected) - 1, len(target) - 1])
    )
    ends = np.array([[0, 0], [len(expected) - 1, len(target) - 1]])
    return warp(expected, target, np.concatenate([ends[:1], guide, ends[1:]]), FINE_BAND_FRAMES)


def _pooled(frames: Floats) -> Floats:
    """Means of `COARSE` frames each."""
    starts = np.arange(0, len(frames), COARSE)
    counts = np.diff([*starts, len(frames)])[:, None]
    return np.asarray(np.add.reduceat(frames, starts, axis=0) / counts, np.float32)


class _Times:
    """Carries times of the reference over to the speech along the warping path."""

    def __init__(self, fit: Fit, target: Spoken, num_samples: int, sample_rate: int) -> None:
        self._reference, self._num_samples, self._rate = fit.reference, num_samples, sample_rate
        path = fit.path
        frames, first = np.unique(path[:, 0], return_index=True)
        sums = np.add.reduceat(path[:, 1].astype(np.float64), first)
        means = sums / np.diff([*first, len(path)])
        step, middle = HOP / FEATURE_RATE_HZ, FRAME / 2 / FEATURE_RATE_HZ
        inner = frames * step + middle + fit.expected.start_s
        outer = means * step + middle + target.start_s
        # Before the first and after the last frame's middle, time runs on at its own pace.
        self._from = np.array([inner[0] - middle, *inner, inner[-1] + middle])
        self._to = np.array([outer[0] - middle, *outer, outer[-1] + middle])

    def _at(self, sample: int) -> int:
        seconds = np.interp(sample / self._reference.sample_rate, self._from, self._to)
        return min(max(round(float(seconds) * self._rate), 0), self._num_samples)

    def words(self) -> tuple[Word, ...]:
        out: list[Word] = []
        free, count = 0, len(self._reference.words)
        for index, word in enumerate(self._reference.words):
            latest = max(self._num_samples - (count - index), free)
            start = min(max(self._at(word.start), free), latest)
            stop = min(max(self._at(word.start + word.num_samples), start + 1), latest + 1)
            out.append(Word(text=word.text, start=start, num_samples=stop - start))
            free = stop
        return tuple(out)

    def phonemes(self) -> tuple[Phoneme, ...]:
        spoken = [phoneme for phoneme in self._reference.phonemes if phoneme.num_samples > 0]
        marks = [(p.symbol, self._at(p.start)) for p in spoken]
        last = spoken[-1]
        marks.append(("", self._at(last.start + last.num_samples)))
        if marks[0][1] > 0:
            marks.insert(0, ("", 0))
        bounds = np.maximum.accumulate([start for _, start in marks]).tolist()
        bounds.append(self._num_samples)
        return tuple(
            Phoneme(symbol=symbol, start=start, num_samples=stop - start)
            for (symbol, _), start, stop in zip(marks, bounds, bounds[1:], strict=False)
            if stop > start
        )
