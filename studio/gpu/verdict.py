"""The verdict: where the time went, why the cards were idle, and what to change, in plain words.

It reads a trace, whatever made it: an episode, a batch, a training run. It would rather say
"inconclusive" than guess. Savings come from `studio.gpu.schedule`: the run is followed again with
only that one thing changed, so what is not on the critical path saves nothing; each is an upper
bound, because the change is assumed to remove its cause entirely.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from studio.gpu.causes import (
    BUSY_CORES,
    CROWDED_PCT,
    WORDS,
    Cause,
    IdleTime,
    idle_times,
)
from studio.gpu.changes import Change, top_changes
from studio.gpu.schedule import Wish, busy_s, critical_path, makespan_s
from studio.gpu.trace import Trace

Finding = Literal[Cause, "well_used", "inconclusive"]

WELL_USED = 0.1
"""Below this idle share there is nothing to explain."""
MAJORITY = 0.5
"""A cause with half of the idle time is the main one; with less it must be well ahead of the
next.
"""
PLURALITY, AHEAD = 0.4, 1.5
_LEAST_SAMPLES = 8
_LEAST_WATCHED = 0.5
"""With fewer samples, or less than half of the run watched, nothing is concluded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CardFinding:
    """One card: how long it was idle, and why. `busy_pct` is NVML's utilisation averaged over the
    run.
    """

    card: int
    name: str
    watched_s: float
    idle_s: float
    finding: Finding
    sentence: str
    causes: tuple[IdleTime, ...]

    @property
    def busy_pct(self) -> float | None:
        """Share of the watched time that was not idle; `None` if the card was never read."""
        return 100.0 * (1.0 - self.idle_s / self.watched_s) if self.watched_s else None


@dataclass(frozen=True, slots=True, kw_only=True)
class PathStep:
    """A span on the critical path and the seconds of the run that it decided."""

    span: str
    stage: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a run teaches. `overlap_reached` is work per second of the run: 1.0 is one stage at a
    time.
    """

    wall_s: float
    work_s: float
    overlap_reached: float
    overlap_possible: float
    critical_path: tuple[PathStep, ...]
    cards: tuple[CardFinding, ...]
    changes: tuple[Change, ...]
    headline: str


def judge(trace: Trace) -> Verdict:
    """Read a trace."""
    spans = trace.spans
    first_s = min((span.start_s for span in spans), default=0.0)
    wall_s = max((span.end_s for span in spans), default=0.0) - first_s
    work_s = sum(busy_s(span) for span in spans)
    everybody = frozenset(span.id for span in spans)
    ideal_s = makespan_s(spans, Wish(no_lease=everybody, prompt=everybody))
    cards = tuple(_card(trace, card.index, card.name) for card in trace.cards)
    changes = top_changes(trace, {card.card: card.causes for card in cards})
    return Verdict(
        wall_s=wall_s,
        work_s=work_s,
        overlap_reached=work_s / wall_s if wall_s else 0.0,
        overlap_possible=work_s / ideal_s if ideal_s else 0.0,
        critical_path=_path(trace),
        cards=cards,
        changes=changes,
        headline=_headline(trace, wall_s, cards, _advice(changes)),
    )


def _path(trace: Trace) -> tuple[PathStep, ...]:
    """Steps of the critical path: each decides the time from the end of the one before to its
    own.
    """
    steps, reached = [], min((span.start_s for span in trace.spans), default=0.0)
    for span in critical_path(trace.spans):
        steps.append(
            PathStep(span=span.id, stage=span.stage, seconds=max(0.0, span.end_s - reached))
        )
        reached = max(reached, span.end_s)
    return tuple(steps)


def _card(trace: Trace, card: int, name: str) -> CardFinding:
    causes, watched_s = idle_times(trace, card)
    idle_s = sum(time.seconds for time in causes)
    enough = len(trace.samples) >= _LEAST_SAMPLES and watched_s >= _LEAST_WATCHED * trace.end_s
    finding = _finding(causes, idle_s, watched_s, enough=enough)
    return CardFinding(
        card=card,
        name=name,
        watched_s=watched_s,
        idle_s=idle_s,
        finding=finding,
        sentence=_sentence(finding, causes, idle_s, watched_s),
        causes=causes,
    )


def _finding(
    causes: tuple[IdleTime, ...], idle_s: float, watched_s: float, *, enough: bool
) -> Finding:
    if not enough:
        return "inconclusive"
    if idle_s <= WELL_USED * watched_s:
        return "well_used"
    first = causes[0]
    second_s = causes[1].seconds if len(causes) > 1 else 0.0
    leads = first.seconds >= MAJORITY * idle_s or (
        first.seconds >= PLURALITY * idle_s and first.seconds >= AHEAD * second_s
    )
    return first.cause if leads and first.cause != "unknown" else "inconclusive"


def _sentence(
    finding: Finding, causes: tuple[IdleTime, ...], idle_s: float, watched_s: float
) -> str:
    if not watched_s:
        return "Its utilisation was never read, so nothing can be said of it."
    share = f"{100 * idle_s / watched_s:.0f} % of the time ({idle_s:.1f} s)"
    if finding == "well_used":
        return f"Well used: idle for only {share}."
    parts = "; ".join(
        f"{time.seconds:.1f} s because {WORDS[time.cause]} ({time.evidence})"
        for time in causes[:3]
        if time.cause != "unknown"
    )
    if finding == "inconclusive":
        known = f" Of that, {parts}." if parts else ""
        return f"Idle for {share}; the evidence names no main cause.{known}"
    return f"Idle for {share}: {parts}."


def _explained_idle_s(card: CardFinding) -> float:
    """Idle time that a stage with the card is to answer for: a card that nobody used is no
    headline.
    """
    return sum(time.seconds for time in card.causes if time.cause != "no_gpu_work")


def _headline(trace: Trace, wall_s: float, cards: tuple[CardFinding, ...], advice: str) -> str:
    """The first line of a report: what was idle and why, what to change, what that saves."""
    if not cards:
        return f"{wall_s:.1f} s without a GPU: {_cores(trace)}.{advice}"
    worst = max(cards, key=_explained_idle_s)
    busy = "n/a" if worst.busy_pct is None else f"{worst.busy_pct:.0f} %"
    said = f"{wall_s:.1f} s; card {worst.card} was busy {busy} of the time"
    if worst.finding == "well_used":
        return f"{said}.{advice}"
    if worst.finding == "inconclusive":
        return f"{said}, with no single main cause.{advice}"
    return f"{said}: {WORDS[worst.finding]}.{advice}"


def _cores(trace: Trace) -> str:
    """How busy this run kept the host's cores, and whether others kept them from it."""
    known = [(one.cpu_cores, one.seconds) for one in trace.samples if one.cpu_cores is not None]
    watched_s = sum(seconds for _, seconds in known)
    if not watched_s:
        return "no card was there to be measured"
    mean = sum(cores * seconds for cores, seconds in known) / watched_s
    said = f"it kept {mean:.1f} of {trace.cpu_count} cores busy"
    stalls = [(one.cpu_stall_pct, one.seconds) for one in trace.samples]
    stalled = [(pct, seconds) for pct, seconds in stalls if pct is not None]
    stall_pct = sum(pct * seconds for pct, seconds in stalled) / (sum(s for _, s in stalled) or 1.0)
    if stall_pct < CROWDED_PCT or mean >= BUSY_CORES * trace.cpu_count:
        return said
    return (
        f"{said} while tasks of this machine waited for a core {stall_pct:.0f} % of the time: "
        "other programs had the cores"
    )


def _advice(changes: tuple[Change, ...]) -> str:
    if not changes:
        return ""
    first = changes[0]
    saving = "" if first.saves_s is None else f" (saves up to {first.saves_s:.1f} s)"
    return f" First change: {first.what}{saving}."
