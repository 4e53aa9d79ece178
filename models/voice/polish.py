"""Speech made pleasant and even: rumble removed, gently compressed, equally loud, without clicks at
its joins.

Whatever engine spoke, a polished line is mono at the episode's rate, trimmed to its speech, at
`LINE_LUFS` and below `CEILING_DBFS`. Everything is computed on the whole line in double precision
and depends on nothing else, so that the same line gives the same samples on every run.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.voice import Utterance
from studio.audio import decibels, gain, resample
from studio.errors import SpeechError
from studio.specs import VoiceSpec
from studio.types import SAMPLE_RATE, Phoneme, Word

Signal = NDArray[np.float64]

LINE_LUFS = -20.0
"""Loudness of every line. Speech's peaks lie some 14 dB above its loudness, so that little meets
the ceiling.
"""

CEILING_DBFS = -3.0
"""Sample peak of a line: room for what music and codecs add; the mix sets the delivered level."""

HIGHPASS_ORDER = 4
"""Butterworth, 24 dB an octave: below speech's lowest fundamental there is only rumble."""

THRESHOLD_DBFS = -26.0
"""Compression begins 6 dB below `LINE_LUFS`, where the louder half of the syllables lies."""

KNEE_DB = 8.0
ATTACK_S, RELEASE_S = 0.006, 0.120
"""Fast enough for a stressed syllable, slow enough not to follow the pitch period of a low voice
(12 ms).
"""

BLOCK = SAMPLE_RATE // 1000
"""Gains are computed every millisecond and interpolated between."""

AUDIBLE_DB = -50.0
"""Speech begins and ends where its 5 ms level passes this, relative to the line's loudest."""

LEAD_IN_S, TAIL_S = 0.012, 0.045
"""Kept before the first and after the last audible sound: a breath of room, no dead air. The
script's pauses follow.
"""

FADE_IN_S, FADE_OUT_S = 0.005, 0.020

K_SHELF = (
    (1.53512485958697, -2.69169618940638, 1.19839281085285),
    (1.0, -1.69065929318241, 0.73248077421585),
)
K_HIGHPASS = ((1.0, -2.0, 1.0), (1.0, -1.99004745483398, 0.99007225036621))
"""The two biquads of K-weighting at 48 kHz, numerator and denominator: ITU-R BS.1770-4, tables 1
and 2.
"""

LOUDNESS_OFFSET_DB = -0.691
GATE_BLOCK, GATE_HOP = SAMPLE_RATE * 2 // 5, SAMPLE_RATE // 10
ABSOLUTE_GATE_LUFS, RELATIVE_GATE_LU = -70.0, -10.0
"""Blocks of 400 ms every 100 ms, gated absolutely and against the mean: ITU-R BS.1770-4, annex 1.
"""


def polish(utterance: Utterance, spec: VoiceSpec) -> Utterance:
    """`utterance` at `SAMPLE_RATE`, filtered, compressed, levelled, trimmed and faded; its times
    moved along.

    `spec.highpass_hz` and `spec.compression_ratio` (0 and 1: off) set the first two. Raises
    `SpeechError` for an utterance that holds no finite sound.
    """
    samples = np.asarray(utterance.samples, np.float32)
    if not np.isfinite(samples).all() or not np.abs(samples).max(initial=0.0) > 0.0:
        text = " ".join(word.text for word in utterance.words)
        raise SpeechError(
            f'line "{text[:60]}"', "holds no sound", "Speak it again or with another engine"
        )
    sound = resample(samples, utterance.sample_rate).astype(np.float64)
    sound = high_pass(sound - sound.mean(), spec.highpass_hz)
    start, stop = audible_span(sound)
    sound = level(sound[start:stop])
    if spec.compression_ratio > 1.0:
        sound = level(compress(sound, spec.compression_ratio))
    faded = fade_edges(limit(sound))
    move = _Move(utterance.sample_rate, start, len(faded))
    return Utterance(
        samples=faded.astype(np.float32),
        sample_rate=SAMPLE_RATE,
        words=tuple(move.word(word) for word in utterance.words),
        phonemes=move.phonemes(utterance.phonemes),
    )


@dataclass(frozen=True, slots=True)
class _Move:
    """Times from an engine's clock to the trimmed line at `SAMPLE_RATE`."""

    rate: int
    start: int
    num_samples: int

    def at(self, sample: int) -> int:
        moved = round(sample * SAMPLE_RATE / self.rate) - self.start
        return min(max(moved, 0), self.num_samples)

    def word(self, word: Word) -> Word:
        begin, end = self.at(word.start), self.at(word.start + word.num_samples)
        begin = min(begin, self.num_samples - 1)
        return Word(text=word.text, start=begin, num_samples=max(end - begin, 1))

    def phonemes(self, phonemes: tuple[Phoneme, ...]) -> tuple[Phoneme, ...]:
        out = []
        for index, phoneme in enumerate(phonemes):
            begin = self.at(phoneme.start)
            final = index == len(phonemes) - 1
            end = self.num_samples if final else self.at(phoneme.start + phoneme.num_samples)
            if end > begin:
                out.append(Phoneme(symbol=phoneme.symbol, start=begin, num_samples=end - begin))
        return tuple(out)


def high_pass(sound: Signal, cutoff_hz: float) -> Signal:
    """`sound` through a zero-phase Butterworth high-pass of `HIGHPASS_ORDER`; a cut-off of 0 leaves
    it as it is.
    """
    if cutoff_hz <= 0.0:
        return sound
    size, spectrum = _spectrum(sound)
    frequency = np.fft.rfftfreq(size, 1.0 / SAMPLE_RATE)
    ratio = np.divide(
        cutoff_hz, frequency, out=np.full_like(frequency, np.inf), where=frequency > 0
    )
    return np.fft.irfft(spectrum / np.sqrt(1.0 + ratio ** (2 * HIGHPASS_ORDER)), size)[: len(sound)]


def _spectrum(sound: Signal) -> tuple[int, NDArray[np.complex128]]:
    """A transform long enough that a filter's tail of 100 ms does not wrap around, and its size."""
    size = 1 << (len(sound) + SAMPLE_RATE // 10 - 1).bit_length()
    return size, np.fft.rfft(sound, size)


def audible_span(sound: Signal) -> tuple[int, int]:
    """First and last sample to keep: the audible part with `LEAD_IN_S` and `TAIL_S` around it."""
    window = 5 * BLOCK
    energy = np.add.reduceat(sound**2, np.arange(0, len(sound), window))
    loud = np.flatnonzero(energy > energy.max() * 10.0 ** (AUDIBLE_DB / 10.0))
    start = max(int(loud[0]) * window - round(LEAD_IN_S * SAMPLE_RATE), 0)
    stop = min((int(loud[-1]) + 1) * window + round(TAIL_S * SAMPLE_RATE), len(sound))
    return start, stop


def loudness_lufs(sound: Signal) -> float:
    """Integrated loudness of mono `sound` at `SAMPLE_RATE` (ITU-R BS.1770-4); shorter than a block,
    of all of it.
    """
    size, spectrum = _spectrum(sound)
    angle = np.exp(-2j * np.pi * np.fft.rfftfreq(size))
    for numerator, denominator in (K_SHELF, K_HIGHPASS):
        spectrum = (
            spectrum * np.polyval(numerator[::-1], angle) / np.polyval(denominator[::-1], angle)
        )
    weighted = np.fft.irfft(spectrum, size)[: len(sound)]
    sums = np.concatenate([[0.0], np.cumsum(weighted**2)])
    begins = np.arange(0, max(len(sound) - GATE_BLOCK, 0) + 1, GATE_HOP)
    ends = np.minimum(begins + GATE_BLOCK, len(sound))
    power = (sums[ends] - sums[begins]) / (ends - begins)
    power = power[power > _power(ABSOLUTE_GATE_LUFS)]
    if not len(power):
        return -np.inf
    gate = power.mean() * 10.0 ** (RELATIVE_GATE_LU / 10.0)
    return float(LOUDNESS_OFFSET_DB + 10.0 * np.log10(power[power >= gate].mean()))


def _power(lufs: float) -> float:
    return float(10.0 ** ((lufs - LOUDNESS_OFFSET_DB) / 10.0))


def level(sound: Signal, lufs: float = LINE_LUFS) -> Signal:
    """`sound` amplified to a loudness; what is too quiet to be measured is returned as it is."""
    measured = loudness_lufs(sound)
    return sound * gain(lufs - measured) if np.isfinite(measured) else sound


def compress(sound: Signal, ratio: float) -> Signal:
    """`sound` compressed above `THRESHOLD_DBFS` with a soft knee (feed-forward, on the 10 ms
    level).
    """
    power = np.add.reduceat(sound**2, np.arange(0, len(sound), BLOCK)) / BLOCK
    smooth = np.convolve(power, np.full(10, 0.1), mode="same")
    over = 10.0 * np.log10(smooth + 1e-12) - THRESHOLD_DBFS
    # The knee is the parabola that meets both straight parts with their slopes.
    bent = np.clip(over + KNEE_DB / 2, 0.0, KNEE_DB) ** 2 / (2 * KNEE_DB)
    reduction = (1.0 / ratio - 1.0) * np.where(over > KNEE_DB / 2, over, bent)
    return sound * _per_sample(10.0 ** (_follow(reduction) / 20.0), len(sound))


def _follow(reduction_db: Signal) -> Signal:
    """Gain that falls with `ATTACK_S` and rises with `RELEASE_S`, one step a millisecond."""
    attack, release = (float(np.exp(-0.001 / time)) for time in (ATTACK_S, RELEASE_S))
    out, now = [], 0.0
    for wanted in reduction_db.tolist():
        keep = attack if wanted < now else release
        now = wanted + (now - wanted) * keep
        out.append(now)
    return np.array(out)


def _per_sample(gains: Signal, num_samples: int) -> Signal:
    centres = (np.arange(len(gains)) + 0.5) * BLOCK
    return np.interp(np.arange(num_samples), centres, gains)


def limit(sound: Signal, ceiling_dbfs: float = CEILING_DBFS) -> Signal:
    """`sound` with no sample above a ceiling: each peak is ducked by a smooth dip of 10 ms, never
    cut.
    """
    ceiling = gain(ceiling_dbfs)
    if decibels(float(np.abs(sound).max(initial=0.0))) <= ceiling_dbfs:
        return sound
    peaks = np.maximum.reduceat(np.abs(sound), np.arange(0, len(sound), BLOCK))
    needed = np.minimum(1.0, ceiling / np.maximum(peaks, 1e-12))
    reach = 5
    padded = np.pad(needed, 2 * reach, constant_values=1.0)
    lowest = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1).min(axis=1)
    # Averaging minima over a window no wider than theirs stays below every gain that is needed in
    # it.
    weights = np.hanning(2 * reach + 1)[1:-1]
    smooth = np.convolve(lowest, weights / weights.sum(), mode="valid")[1:-1]
    held = np.minimum(smooth, needed)
    out = sound * _per_sample(held, len(sound))
    return np.clip(out, -ceiling, ceiling)


def fade_edges(sound: Signal) -> Signal:
    """`sound` with raised-cosine fades at both ends, so that it joins silence or another line
    without a click.
    """
    out = sound.copy()
    for seconds, edge in ((FADE_IN_S, slice(None)), (FADE_OUT_S, slice(None, None, -1))):
        length = min(round(seconds * SAMPLE_RATE), len(out) // 2)
        ramp = 0.5 - 0.5 * np.cos(np.pi * np.arange(length) / max(length, 1))
        out[edge][:length] *= ramp
    return out
