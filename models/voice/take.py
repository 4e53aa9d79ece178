"""Speech that checks itself: a take that skips, repeats, babbles, clips or falls silent is spoken
again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from models.voice import LineSpec, Utterance, Voice
from models.voice.align import Alignment, aligned, fits_to, spoken
from models.voice.gaps import CLEAR, SUSPECT, Gaps, find_gaps
from models.voice.traits import Acquaintance, traits_of
from studio.errors import SpeechError
from studio.types import VoiceTraits

EXACT_ENGINES = frozenset({"espeak_ng", "tone"})
"""Engines that cannot mis-speak: the embedded voice is the measure itself, tones have no words."""

SLOWEST_TEMPO, FASTEST_TEMPO = 0.45, 2.0
"""Speech may take 2.2 times as long as the embedded voice, or half: beyond, words are missing or
the engine went on talking. People's readings of one text differ by 1.6 at most."""

HIGHEST_COST = 4.4
"""Right words cost up to 4.0 in voices of another synthesiser, wrong ones 4.3 and more."""

HIGHEST_STRAIN = 0.12
"""Good takes strain at 0.03 at most; a fifth of a line left out or said twice at 0.1 to 0.2."""

ODD_TEMPO = 1.13
"""A take that is this much shorter or longer than its speaker's others makes a suspected gap a
clear one: right lines of one voice differ by 13 % in nine of ten cases."""

LONGEST_PAUSE_S = 2.0
"""No voice pauses longer inside a line; the script's pauses are made by the timeline."""

CLIPPED = 0.999
CLIPPED_SHARE = 1e-3
"""One sample in a thousand at full scale is audible as harshness."""

QUIETEST_DBFS = -50.0
"""Below this level over its loudest tenth, speech drowns in what amplifying it brings up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """An utterance that passed, how many takes it took, and what was wrong with those before.

    `traits` are None for engines that cannot change their voice.
    """

    utterance: Utterance
    takes: int
    rejected: tuple[str, ...]
    traits: VoiceTraits | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What is wrong with a take, "" when nothing is, and what it tells of its voice."""

    fault: str
    traits: VoiceTraits | None = None


def speak_checked(
    voice: Voice, line: LineSpec, max_takes: int, speaker: Acquaintance | None = None
) -> Take:
    """Speak `line` until a take passes, with seeds `line.seed`, `line.seed + 1`, ...

    `speaker` is what was heard of its speaker so far; the take that passes is added. Raises
    `SpeechError` naming the line and the fault of every take when none of `max_takes` passes.
    """
    (first,) = voice.say([line])
    return check_take(voice, line, first, max_takes, speaker)


def check_take(
    voice: Voice,
    line: LineSpec,
    first: Utterance,
    max_takes: int,
    speaker: Acquaintance | None = None,
) -> Take:
    """As `speak_checked`, for a line whose first take `first` is there already, as when several
    lines were spoken in one batch.
    """
    if voice.info.name in EXACT_ENGINES:
        return Take(utterance=first, takes=1, rejected=())
    known = speaker or Acquaintance()
    faults: list[str] = []
    for number in range(max_takes):
        if number:
            (utterance,) = voice.say([replace(line, seed=line.seed + number)])
        else:
            utterance = first
        heard = listen(line, utterance, known)
        if not heard.fault:
            if heard.traits:
                known.hear(heard.traits)
            return Take(
                utterance=utterance,
                takes=number + 1,
                rejected=tuple(faults),
                traits=heard.traits,
            )
        faults.append(heard.fault)
    raise SpeechError(
        f'line "{line.text[:60]}"',
        f"{voice.info.name} failed {max_takes} takes: {'; '.join(dict.fromkeys(faults))}",
        "Rewrite the line, choose another voice or engine, or raise voice.max_takes",
    )


def judge(line: LineSpec, utterance: Utterance) -> str:
    """What is wrong with a take of a speaker of whom nothing is known, "" when nothing is."""
    return listen(line, utterance, Acquaintance()).fault


def listen(line: LineSpec, utterance: Utterance, speaker: Acquaintance) -> Heard:
    """Hear a take of `line`: its signal, its words, and whether it is still the same voice."""
    if fault := _signal_fault(utterance):
        return Heard(fault=fault)
    try:
        target = spoken(utterance.samples, utterance.sample_rate, line.text)
        fits = fits_to(line, target)
    except SpeechError as error:
        return Heard(fault=error.found)
    fit = aligned(fits, target, len(utterance.samples), utterance.sample_rate)
    if fault := _word_fault(fit):
        return Heard(fault=fault)
    if fault := _gap_fault(find_gaps(line, target), fit.tempo, speaker.tempo):
        return Heard(fault=fault)
    traits = traits_of(fits[0], target)
    if (distance := speaker.drift(traits)) > 1.0:
        return Heard(fault=f"drifts to another voice (distance {distance:.1f})", traits=traits)
    return Heard(fault="", traits=traits)


def _word_fault(fit: Alignment) -> str:
    """Faults of the alignment: length, strain, distance."""
    if fit.tempo > FASTEST_TEMPO:
        return f"too short: {fit.tempo:.1f} times faster than its words take"
    if fit.tempo < SLOWEST_TEMPO:
        return f"too long: {1.0 / fit.tempo:.1f} times what its words take"
    if fit.strain > HIGHEST_STRAIN:
        return f"words skipped, repeated or added (strain {fit.strain:.2f})"
    if fit.cost > HIGHEST_COST:
        return f"does not sound like its words (distance {fit.cost:.1f})"
    return ""


def _gap_fault(gaps: Gaps, tempo: float, usual: float | None) -> str:
    """Words missing or added, by the gaps alone or with a length that is odd for the speaker."""
    faster = tempo / usual if usual else 1.0
    if gaps.left_out > (SUSPECT if faster > ODD_TEMPO else CLEAR):
        return f"words skipped ({gaps.left_out:.1f})"
    if gaps.added > (SUSPECT if faster < 1.0 / ODD_TEMPO else CLEAR):
        return f"words repeated or added ({gaps.added:.1f})"
    return ""


def _signal_fault(utterance: Utterance) -> str:
    """Faults that need no text: silence, clipping, broken samples, dead air."""
    samples, rate = utterance.samples, utterance.sample_rate
    if not len(samples) or not np.isfinite(samples).all():
        return "no finite samples"
    if float((np.abs(samples) >= CLIPPED).mean()) > CLIPPED_SHARE:
        return "clipped"
    window = max(rate // 50, 1)
    count = -(-len(samples) // window)
    padded = np.pad(samples.astype(np.float64), (0, count * window - len(samples)))
    power = (padded.reshape(count, window) ** 2).mean(axis=1)
    loud = float(np.quantile(power, 0.9))
    if loud <= 10.0 ** (QUIETEST_DBFS / 10.0):
        return "silent"
    audible = np.flatnonzero(power > loud * 1e-4)
    longest = int(np.diff(audible).max(initial=0)) * window / rate
    if longest > LONGEST_PAUSE_S:
        return f"a pause of {longest:.1f} s inside the line"
    return ""
