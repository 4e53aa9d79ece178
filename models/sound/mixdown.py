"""From lines and beds to a mastered programme: levels, ducking, loudness, true peak.

Three passes over streams that can be opened again and again, so that nothing is held and nothing
is written twice: the loudness of speech and of every piece, the loudness and the peaks of the mix,
the mastered blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from models.sound.ducking import Ducker
from models.sound.limiter import GainCurve, limited_loudness, limiter_curve
from models.sound.loudness import SILENT_LUFS, Loudness, LoudnessMeter
from models.sound.peaks import HopPeaks
from models.sound.streams import Bed, Line, join_lines, lay_beds
from studio.audio import Samples, decibels, gain
from studio.types import SAMPLE_RATE

LIMITER_ROUNDS = 12
"""Gain corrections for what the limiter takes. Each leaves a fraction of the last one's error: a
tenth for speech, more than half for a sound that is all peaks.
"""

LOUDNESS_TOLERANCE_LU = 0.1
"""How close to its target the programme is brought; a fifth of what delivery allows."""


BED_MEASURED = 300 * SAMPLE_RATE
"""Samples of a piece whose loudness sets its level: five minutes. Longer beds repeat themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Everything that sounds, with levels set: the mix before mastering."""

    lines: tuple[Line, ...]
    beds: tuple[Bed, ...]
    ducker: Ducker
    num_samples: int
    num_channels: int

    def blocks(self) -> Iterator[tuple[Samples, Samples]]:
        """Pairs of speech `(n,)` and ducked music `(n, num_channels)`, block by block."""
        speech = join_lines(self.lines, self.num_samples)
        music = lay_beds(self.beds, self.num_samples)
        start = 0
        for voice, bed in zip(speech, music, strict=True):
            yield (
                voice,
                to_channels(bed, self.num_channels) * self.ducker.gain(start, len(bed))[:, None],
            )
            start += len(voice)


@dataclass(frozen=True, slots=True, kw_only=True)
class MasteredBlock:
    """The next samples of the programme and of its stems, which add up to it.

    `mix` and `music` are `(n, num_channels)`; `speech` is `(n,)`, the same in every channel.
    """

    mix: Samples
    speech: Samples
    music: Samples


def to_channels(stereo: Samples, num_channels: int) -> Samples:
    """Stereo `(n, 2)` as it is, or its two channels' mean as `(n, 1)`."""
    return stereo if num_channels == 2 else stereo.mean(axis=1, keepdims=True)


def programme_loudness(blocks: Iterable[Samples], num_channels: int) -> Loudness:
    """Loudness of a stream."""
    meter = LoudnessMeter(num_channels)
    for block in blocks:
        meter.push(block)
    return meter.finish()


def speech_loudness(lines: Sequence[Line], num_samples: int, num_channels: int) -> float:
    """Integrated loudness in LUFS of the joined lines, as they will sound in the mix.

    Loudness adds the channels' powers: a mono voice in both channels measures 3.01 dB more.
    """
    one = programme_loudness(join_lines(lines, num_samples), 1).integrated_lufs
    return one if num_channels == 1 or one <= SILENT_LUFS else one + decibels(np.sqrt(2.0))


def bed_gain(
    open_piece: Callable[[], Iterator[Samples]], num_channels: int, wanted_lufs: float
) -> float:
    """The linear gain that brings a piece to `wanted_lufs`; 1 for a silent piece."""
    meter, measured = LoudnessMeter(num_channels), 0
    for block in open_piece():
        meter.push(to_channels(block, num_channels))
        measured += len(block)
        if measured >= BED_MEASURED:
            break
    found = meter.finish().integrated_lufs
    return 1.0 if found <= SILENT_LUFS else gain(wanted_lufs - found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Master:
    """The gain curve that masters a mix, and the loudness that is to be expected of it."""

    curve: GainCurve
    expected_lufs: float


def plan_master(
    programme: Callable[[], Iterator[Samples]],
    num_channels: int,
    *,
    loudness_lufs: float,
    true_peak_dbtp: float,
    correction_db: float = 0.0,
) -> Master:
    """Measure a programme once; find the gain and the limiter's curve that meet both targets.

    `correction_db` is added to the gain: what a measurement of the result has shown to be missing.
    A silent programme is left as it is.
    """
    meter, peaks = LoudnessMeter(num_channels), HopPeaks(num_channels)
    for block in programme():
        meter.push(block)
        peaks.push(block)
    found, (heights, energy) = meter.finish(), peaks.finish()
    if found.integrated_lufs <= SILENT_LUFS:
        return Master(
            curve=limiter_curve(heights, 1.0, gain(true_peak_dbtp)), expected_lufs=SILENT_LUFS
        )
    gain_db = loudness_lufs - found.integrated_lufs + correction_db
    for _ in range(LIMITER_ROUNDS):
        curve = limiter_curve(heights, gain(gain_db), gain(true_peak_dbtp))
        expected = limited_loudness(found.momentary_lufs, found.integrated_lufs, energy, curve)
        if abs(loudness_lufs + correction_db - expected) < LOUDNESS_TOLERANCE_LU / 10:
            break
        gain_db += loudness_lufs + correction_db - expected
    return Master(curve=curve, expected_lufs=expected)


def master(desk: Desk, curve: GainCurve) -> Iterator[MasteredBlock]:
    """The finished blocks; one gain curve over speech and music, so that the stems add up."""
    start = 0
    for voice, bed in desk.blocks():
        level = curve.at(start, len(voice))
        speech, music = voice * level, bed * level[:, None]
        yield MasteredBlock(mix=speech[:, None] + music, speech=speech, music=music)
        start += len(voice)


def summed(desk: Desk) -> Iterator[Samples]:
    """The mix before mastering, `(n, num_channels)` blocks."""
    for voice, bed in desk.blocks():
        yield voice[:, None] + bed
