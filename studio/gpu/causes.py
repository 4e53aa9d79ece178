"""Why a card was idle, interval by interval, with the evidence.

What a stage says of itself (it loads, it waits for input or for a lease) comes before what sensors
suggest: it explains a sample's idle time for as long as it was said. What neither explains is
"unknown", and a verdict drawn from too much of it is "inconclusive" rather than a guess.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from studio.gpu.trace import CardReading, PhaseKind, Sample, Span, Trace

Cause = Literal[
    "no_gpu_work",
    "between_stages",
    "lease",
    "input",
    "loading",
    "encoder_bound",
    "io_bound",
    "launch_bound",
    "cpu_bound",
    "unknown",
]

WORDS: dict[Cause, str] = {
    "no_gpu_work": "the running stages do not use the card",
    "between_stages": "no stage was running",
    "lease": "a stage waited for its share of the card",
    "input": "the stage waited for its input",
    "loading": "an engine was being loaded",
    "encoder_bound": "the video encoder was the limit",
    "io_bound": "storage was the limit",
    "launch_bound": "kernels too small to fill the card were launched one by one",
    "cpu_bound": "the CPU could not keep up",
    "unknown": "no sensor explains it",
}
"""Each cause in plain words, for sentences like "idle because ..."."""

BUSY_THREAD_PCT = 80.0
"""A thread above this is the limit: at 5 Hz a fully busy one reads 85 to 100."""
BUSY_CORES = 0.85
"""Share of all cores above which the CPU as a whole is the limit."""
BUSY_ENCODER_PCT = 85.0
CROWDED_PCT, CROWDED_THREAD_PCT = 40.0, 10.0
"""When tasks waited for a core this share of the time, a thread that got this much of one wanted
more.
"""
STALLED_PCT = 40.0
"""Share of time in which something on the host waited for storage, above which storage is the
limit.
"""
HOLLOW = 0.5
"""When fewer multiprocessors than this share of the utilisation were active, the card was busy in
name only.
"""
LAUNCHING_PCT = 25.0
"""Below this utilisation the card waits for work, not between kernels: launches follow one another
every 5 to 10 µs (an estimate), so that even kernels of 2 µs run for a quarter of the time."""


_NOTHING_S = 1e-9
"""Less than this is rounding."""


@dataclass(frozen=True, slots=True)
class IdleTime:
    """Idle time of one card with one cause: `by_span` says in which spans, `evidence` what was
    seen.
    """

    cause: Cause
    seconds: float
    by_span: tuple[tuple[str, float], ...]
    evidence: str


@dataclass(slots=True)
class _Pile:
    seconds: float = 0.0
    thread_pct_s: float = 0.0
    cores_s: float = 0.0
    stall_pct_s: float = 0.0
    crowd_pct_s: float = 0.0
    encoder_pct_s: float = 0.0
    util_pct_s: float = 0.0
    sm_pct_s: float = 0.0
    weight_s: float = 0.0


def idle_times(trace: Trace, card: int) -> tuple[tuple[IdleTime, ...], float]:
    """Idle time of a card by cause, longest first, and for how long the card was watched at all."""
    piles: defaultdict[Cause, _Pile] = defaultdict(_Pile)
    spans: defaultdict[Cause, defaultdict[str, float]] = defaultdict(lambda: defaultdict(float))
    watched_s = 0.0
    for sample, reading, parts in idle_parts(trace, card):
        watched_s += sample.seconds
        for part in parts:
            _pile(piles[part.cause], sample, reading, part.seconds)
            for span in part.blamed:
                spans[part.cause][span.id] += part.seconds / len(part.blamed)
    times = [
        IdleTime(
            cause,
            pile.seconds,
            tuple(sorted(spans[cause].items(), key=lambda item: -item[1])),
            _evidence(cause, pile, trace.cpu_count),
        )
        for cause, pile in piles.items()
    ]
    return tuple(sorted(times, key=lambda time: -time.seconds)), watched_s


@dataclass(frozen=True, slots=True)
class IdlePart:
    """A part of one sample's idle time, its cause, and the spans in which the cause lies."""

    cause: Cause
    seconds: float
    blamed: Sequence[Span]


def idle_parts(
    trace: Trace, card: int
) -> Iterator[tuple[Sample, CardReading, tuple[IdlePart, ...]]]:
    """Every sample in which the card's utilisation was read, with its idle time by cause."""
    lends = any(span.holds for span in trace.spans)
    sayings = {span.id: _Sayings(span) for span in trace.spans}
    for sample in trace.samples:
        reading = sample.card(card)
        if reading is None or reading.gpu_util_pct is None:
            continue
        middle = (sample.start_s + sample.end_s) / 2.0
        active = [span for span in trace.spans if span.start_s <= middle < span.end_s]
        users = [span for span in active if _uses(span, card, middle)] if lends else active
        yield sample, reading, tuple(_parts(trace, sample, reading, active, users, sayings))


def _parts(
    trace: Trace,
    sample: Sample,
    reading: CardReading,
    active: Sequence[Span],
    users: Sequence[Span],
    sayings: Mapping[str, _Sayings],
) -> Iterator[IdlePart]:
    """One sample's idle time, shared out: first to what stages say of themselves, for as long as
    they say it in this sample; the rest to what the sensors suggest.

    Args:
        trace: for the number of cores.
        sample: the interval.
        reading: the card in that interval; its utilisation is known.
        active: spans that ran.
        users: those of them that had the card.
        sayings: what each span says.
    """
    util = reading.gpu_util_pct or 0.0
    thread_pct = sample.busiest_thread_pct or 0.0
    hollow = reading.sm_active_pct is not None and reading.sm_active_pct < HOLLOW * util
    if hollow and util >= LAUNCHING_PCT and thread_pct >= BUSY_THREAD_PCT:
        empty = 1.0 - (reading.sm_active_pct or 0.0) / 100.0
        yield IdlePart("launch_bound", empty * sample.seconds, users or active)
        return
    left_s = (1.0 - util / 100.0) * sample.seconds
    if not users:
        if left_s > 0.0:
            yield IdlePart(_without_users(sample, reading, active), left_s, active)
        return
    for kind, cause in _SAID:
        said = [(sayings[span.id].seconds(kind, sample), span) for span in users]
        seconds = min(left_s, max(said, key=lambda item: item[0])[0])
        if seconds > _NOTHING_S:
            yield IdlePart(cause, seconds, [span for length, span in said if length])
            left_s -= seconds
    if left_s > _NOTHING_S:
        yield IdlePart(_sensed(trace, sample, reading), left_s, users)


def _without_users(sample: Sample, reading: CardReading, active: Sequence[Span]) -> Cause:
    """Why a card is idle that no running stage holds."""
    if not active:
        return "between_stages"
    middle = (sample.start_s + sample.end_s) / 2.0
    waits = any(_waits_for(span, reading.card, middle) for span in active)
    return "lease" if waits else "no_gpu_work"


class _Sayings:
    """The phases of a span, found by time: there may be thousands."""

    def __init__(self, span: Span) -> None:
        self._phases: dict[PhaseKind, tuple[list[float], list[float]]] = {}
        for phase in sorted(span.phases, key=lambda phase: (phase.start_s, phase.end_s)):
            starts, ends = self._phases.setdefault(phase.kind, ([], []))
            starts.append(phase.start_s)
            # Phases of one kind follow one another; should one lie in another, the longer counts.
            ends.append(max(phase.end_s, ends[-1] if ends else phase.end_s))

    def seconds(self, kind: PhaseKind, sample: Sample) -> float:
        """How much of a sample a span spent in phases of a kind."""
        starts, ends = self._phases.get(kind, ([], []))
        total, place = 0.0, bisect_right(ends, sample.start_s)
        reached = sample.start_s
        while place < len(starts) and starts[place] < sample.end_s:
            upto = min(ends[place], sample.end_s)
            total += max(0.0, upto - max(starts[place], reached))
            reached, place = max(reached, upto), place + 1
        return total


_SAID: tuple[tuple[PhaseKind, Cause], ...] = (
    ("load", "loading"),
    ("input", "input"),
    ("lease", "lease"),
    ("write", "io_bound"),
)


def _sensed(trace: Trace, sample: Sample, reading: CardReading) -> Cause:
    """What the sensors say of a stage that has the card and says nothing itself."""
    if (reading.encoder_util_pct or 0.0) >= BUSY_ENCODER_PCT:
        return "encoder_bound"
    cores = sample.cpu_cores or 0.0
    saturated = cores >= BUSY_CORES * trace.cpu_count
    if (sample.io_stall_pct or 0.0) >= STALLED_PCT and not saturated:
        return "io_bound"
    thread_pct = sample.busiest_thread_pct or 0.0
    crowded = (sample.cpu_stall_pct or 0.0) >= CROWDED_PCT and thread_pct >= CROWDED_THREAD_PCT
    if saturated or crowded or thread_pct >= BUSY_THREAD_PCT:
        return "cpu_bound"
    return "unknown"


def phase_at(span: Span, moment_s: float) -> PhaseKind | None:
    """What a span said that it was doing; the innermost phase counts."""
    open_phases = [phase for phase in span.phases if phase.start_s <= moment_s < phase.end_s]
    return max(open_phases, key=lambda phase: phase.start_s).kind if open_phases else None


def phase_seconds(span: Span, kinds: Iterable[PhaseKind]) -> float:
    """Time that a span spent in phases of these kinds."""
    wanted = set(kinds)
    return sum(phase.end_s - phase.start_s for phase in span.phases if phase.kind in wanted)


def _waits_for(span: Span, card: int, moment_s: float) -> bool:
    """Whether a span waits for a lease and was later given this card (or none, and so perhaps this
    one).
    """
    if phase_at(span, moment_s) != "lease":
        return False
    later = {hold.card for hold in span.holds if hold.end_s > moment_s}
    return not later or card in later


def _uses(span: Span, card: int, moment_s: float) -> bool:
    return any(hold.card == card and hold.start_s <= moment_s < hold.end_s for hold in span.holds)


def _pile(pile: _Pile, sample: Sample, reading: CardReading, seconds: float) -> None:
    pile.seconds += seconds
    length = sample.seconds
    pile.weight_s += length
    pile.thread_pct_s += (sample.busiest_thread_pct or 0.0) * length
    pile.cores_s += (sample.cpu_cores or 0.0) * length
    pile.stall_pct_s += (sample.io_stall_pct or 0.0) * length
    pile.crowd_pct_s += (sample.cpu_stall_pct or 0.0) * length
    pile.encoder_pct_s += (reading.encoder_util_pct or 0.0) * length
    pile.util_pct_s += (reading.gpu_util_pct or 0.0) * length
    pile.sm_pct_s += (reading.sm_active_pct or 0.0) * length


def _evidence(cause: Cause, pile: _Pile, cpu_count: int) -> str:
    """The figures behind a cause, as means over its samples."""
    length = pile.weight_s or 1.0
    thread, cores = pile.thread_pct_s / length, pile.cores_s / length
    util = pile.util_pct_s / length
    crowd = pile.crowd_pct_s / length
    texts: dict[Cause, str] = {
        "cpu_bound": (
            f"busiest thread at {thread:.0f} % of a core, {cores:.1f} of {cpu_count} cores busy "
            f"here, tasks waited for a core {crowd:.0f} % of the time, card at {util:.0f} %"
        ),
        "launch_bound": (
            f"a kernel ran {util:.0f} % of the time but only {pile.sm_pct_s / length:.0f} % of the "
            f"multiprocessors had work, with a thread at {thread:.0f} % of a core"
        ),
        "encoder_bound": f"encoder at {pile.encoder_pct_s / length:.0f} %, card at {util:.0f} %",
        "io_bound": f"storage stalled work {pile.stall_pct_s / length:.0f} % of the time",
        "loading": "the stage says that it loads",
        "input": "the stage says that it reads or waits for its input",
        "lease": "the stage says that it waits for the ledger",
        "no_gpu_work": "no running stage holds a share of the card",
        "between_stages": "no stage is open in the trace",
        "unknown": f"busiest thread at {thread:.0f} %, {cores:.1f} of {cpu_count} cores busy",
    }
    return texts[cause]
