"""The cue sheet: from what the script asks of the music to where each piece sounds.

A *bed* is one piece as it will be heard: its span, fades and steps of level. Cues are walked in
their order; each one opens, changes or closes the bed that sounds. A step of level inside a bed is
expressed as several placements of the same piece whose amplitudes add up: below every step lies
what both levels share, above it what only the louder one has, with a fade at the step. The same
samples are added, so the sum is exactly the piece under a smooth ramp; two fragments cross-faded
at equal power would swell by 3 dB instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import log10
from typing import Final, NamedTuple

from studio.specs import MixSpec
from studio.types import SAMPLE_RATE, MusicCue, MusicPlacement, Script

DECLICK: Final = round(0.03 * SAMPLE_RATE)
"""Samples in which a stopped piece ends: heard as at once, long enough not to click."""

STEP_RAMP: Final = round(0.6 * SAMPLE_RATE)
"""Samples of a change of level: a hand on a fader."""

HOLD_FADE_SHARE: Final = 1 / 3
"""Share of a piece with a stated length that its fade-out may take when the script names none."""

_SILENT_DB: Final = -80.0
"""A layer below this is not worth a placement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CueClock:
    """When cues fall: `lines[i]` is the first sample of line i, `speech_end` where speech ends."""

    lines: tuple[int, ...]
    speech_end: int

    @classmethod
    def of(cls, script: Script, starts: Sequence[int], lengths: Sequence[int]) -> CueClock:
        """The clock of lines that begin at `starts` and are `lengths` samples long."""
        end = 0
        if starts:
            pause = round(script.segments[len(starts) - 1].pause_after_s * SAMPLE_RATE)
            end = starts[-1] + lengths[-1] + pause
        return cls(lines=tuple(starts), speech_end=end)

    def at(self, line: int) -> int:
        """The first sample of a line; of the one after the last: where speech ends."""
        return self.lines[line] if line < len(self.lines) else self.speech_end


@dataclass(slots=True)
class Bed:
    """A piece as it will be heard; `end` is None while only the episode's end closes it."""

    cue: MusicCue
    start: int
    fade_in: int
    fade_out: int
    end: int | None
    gain_db: float
    steps: list[tuple[int, float]] = field(default_factory=list)
    closed_by_hold: bool = False


def stings_before(script: Script, line: int) -> int:
    """Samples that jingles take before a line: cues with a length, followed by another cue that
    plays at the same place.
    """
    here = [cue for cue in script.cues if cue.at == line and cue.action == "play"]
    return sum(round((cue.hold_s or 0.0) * SAMPLE_RATE) for cue in here[:-1])


def draw_beds(script: Script, clock: CueClock, mix: MixSpec) -> list[Bed]:
    """Walk the cues; beds in order of their start, those without any length left out."""
    beds: list[Bed] = []
    current: Bed | None = None
    into: dict[int, int] = {}
    for cue in script.cues:
        time = clock.at(cue.at)
        match cue.action:
            case "play":
                opening = 0 if cue.at == 0 else time - _stings(script, cue.at, clock)
                time = opening + into.get(cue.at, 0)
                into[cue.at] = into.get(cue.at, 0) + round((cue.hold_s or 0.0) * SAMPLE_RATE)
                current = _open(cue, time, current, mix)
                beds.append(current)
            case "fade_out" | "stop":
                if current is not None and _sounds(current, time):
                    length = _samples(cue.fade_out_s, mix.fade_out_s)
                    current.fade_out = DECLICK if cue.action == "stop" else max(DECLICK, length)
                    current.end = time + current.fade_out
                    current.closed_by_hold = False
                current = None
            case "level":
                if current is not None and _sounds(current, time):
                    current.steps.append((time, _over_bed(cue, mix)))
    return [bed for bed in beds if bed.end is None or bed.end > bed.start]


def _stings(script: Script, line: int, clock: CueClock) -> int:
    """Jingles before a line push the line back; after the last line there is none to push."""
    return stings_before(script, line) if line < len(clock.lines) else 0


def _open(cue: MusicCue, time: int, before: Bed | None, mix: MixSpec) -> Bed:
    """A new bed at `time`; the one that sounds gives way to it."""
    fade_in = _samples(cue.fade_in_s, mix.fade_in_s)
    if before is not None and _sounds(before, time):
        crossfade = max(DECLICK, _samples(cue.fade_in_s, mix.crossfade_s))
        if time <= before.start:
            before.end = before.start  # replaced before it was heard
        else:
            reach = time + crossfade
            before.end = reach if before.end is None else min(before.end, reach)
            before.fade_out = max(DECLICK, before.end - time)
            before.closed_by_hold = False
            fade_in = crossfade
    hold = None if cue.hold_s is None else max(1, round(cue.hold_s * SAMPLE_RATE))
    fade_out = _samples(cue.fade_out_s, mix.fade_out_s)
    if hold is not None and cue.fade_out_s is None:
        fade_out = min(fade_out, round(hold * HOLD_FADE_SHARE))
    return Bed(
        cue=cue,
        start=time,
        fade_in=fade_in,
        fade_out=fade_out,
        end=None if hold is None else time + hold,
        gain_db=_over_bed(cue, mix),
        closed_by_hold=hold is not None,
    )


def _sounds(bed: Bed, time: int) -> bool:
    return bed.end is None or bed.end > time


def _over_bed(cue: MusicCue, mix: MixSpec) -> float:
    """A cue's level in dB relative to the profile's bed."""
    if cue.gain_db is None:
        return 0.0
    return cue.gain_db - (mix.bed_db if cue.gain_from == "speech" else 0.0)


def music_end(beds: Sequence[Bed], clock: CueClock, mix: MixSpec) -> int:
    """Where the episode may end as far as music goes; 0 without music.

    Music that nothing ends sounds `mix.tail_s` after the last word, and so does a piece whose
    stated length would reach further; a piece that begins after the last word, or is being faded
    out there, is heard to its end.
    """
    after_last = len(clock.lines)
    tail = clock.speech_end + round(mix.tail_s * SAMPLE_RATE)
    ends = [0]
    for bed in beds:
        if bed.end is None:
            ends.append(max(tail, bed.start + round(mix.tail_s * SAMPLE_RATE)))
        elif bed.closed_by_hold and bed.cue.at < after_last:
            ends.append(min(bed.end, tail))
        else:
            ends.append(bed.end)
    return max(ends)


class _Span(NamedTuple):
    """Part of a bed with its fades; `level` is an amplitude factor relative to the bed."""

    start: int
    end: int
    fade_in: int
    fade_out: int
    level: float


def placements(beds: Sequence[Bed], num_samples: int, mix: MixSpec) -> tuple[MusicPlacement, ...]:
    """Beds as placements within an episode of `num_samples`, ordered by start."""
    placed = []
    for bed in beds:
        end = num_samples if bed.end is None else min(bed.end, num_samples)
        if end <= bed.start:
            continue
        fade_in, fade_out = _fit_fades(bed.fade_in, bed.fade_out, end - bed.start)
        whole = _Span(bed.start, end, fade_in, fade_out, 1.0)
        for layer in _layers(whole, bed.gain_db, bed.steps):
            level_db = 20.0 * log10(layer.level)
            first, second = _fit_fades(layer.fade_in, layer.fade_out, layer.end - layer.start)
            placed.append(
                MusicPlacement(
                    cue=bed.cue.index,
                    start=layer.start,
                    num_samples=layer.end - layer.start,
                    gain_db=round(level_db, 4),
                    fade_in=first,
                    fade_out=second,
                    offset=layer.start - bed.start,
                )
            )
    return tuple(sorted(placed, key=lambda one: (one.start, one.cue, one.offset)))


def _fit_fades(fade_in: int, fade_out: int, num_samples: int) -> tuple[int, int]:
    """Fades that fit into a length, shortened in proportion."""
    total = fade_in + fade_out
    if total <= num_samples:
        return fade_in, fade_out
    first = fade_in * num_samples // total
    return first, num_samples - first


def _layers(whole: _Span, gain_db: float, steps: Sequence[tuple[int, float]]) -> list[_Span]:
    """Spans whose amplitudes add up to the bed's level before, between and after its steps."""
    inside = [(at, level) for at, level in steps if whole.start < at < whole.end]
    edges = [whole.start, *(at for at, _ in inside), whole.end]
    levels = [10 ** (db / 20) for db in (gain_db, *(level for _, level in inside))]
    spans: list[_Span] = []
    open_from: list[tuple[int, float]] = []  # (index of the edge, height up to which it reaches)
    for index, level in enumerate([*levels, 0.0]):
        first = index
        while open_from and open_from[-1][1] > level:
            first, height = open_from.pop()
            floor = max(level, open_from[-1][1] if open_from else 0.0)
            spans.append(_span(whole, edges, first, index, height - floor))
        if level > (open_from[-1][1] if open_from else 0.0):
            open_from.append((first, level))
    return [span for span in spans if span.level > 10 ** (_SILENT_DB / 20)]


def _span(whole: _Span, edges: Sequence[int], first: int, last: int, level: float) -> _Span:
    """One layer from edge `first` to edge `last`; inside the bed its fades begin at the edges."""
    ends_bed = last == len(edges) - 1
    end = whole.end if ends_bed else min(edges[last] + STEP_RAMP, whole.end)
    return _Span(
        start=edges[first],
        end=end,
        fade_in=whole.fade_in if first == 0 else min(STEP_RAMP, end - edges[first]),
        fade_out=whole.fade_out if ends_bed else end - edges[last],
        level=level,
    )


def _samples(seconds: float | None, default_s: float) -> int:
    return round((default_s if seconds is None else seconds) * SAMPLE_RATE)
