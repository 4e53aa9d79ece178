"""The run as a graph of moments, to ask "how long would it have taken if ...".

Each span has a start, an end and, if it waited for a lease, a grant; each lease has a return. Every
moment follows from earlier ones by a lag that was observed. Changing lags and following the graph
again gives the length of a run in which only that had been different (the critical path method of
Kelley and Walker, 1959, on moments instead of tasks). With no change the graph returns the observed
run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from studio.gpu.causes import phase_seconds
from studio.gpu.trace import Phase, Span

_SAME_MOMENT_S = 0.25
"""A grant follows a return within the ledger's latency and a reading's length; further apart they
are unrelated.
"""

_EPSILON_S = 1e-9


@dataclass(frozen=True, slots=True)
class Wish:
    """What might have been different: seconds less work per span, no waiting for leases, no late
    starts.
    """

    shorter_s: Mapping[str, float] = field(default_factory=dict)
    no_lease: frozenset[str] = frozenset()
    prompt: frozenset[str] = frozenset()
    """Spans that start as soon as what they need is there (at 0 when they need nothing)."""


def makespan_s(spans: Sequence[Span], wish: Wish) -> float:
    """Length of the run, from the first observed start, if the wish had come true."""
    if not spans:
        return 0.0
    moments = _follow(spans, wish)
    return max(moments[span.id, "end"] for span in spans)


def critical_path(spans: Sequence[Span]) -> tuple[Span, ...]:
    """The chain of spans that decided when the run ended, first to last."""
    if not spans:
        return ()
    known = {span.id: span for span in spans}
    path = [max(spans, key=lambda span: span.end_s)]
    seen = {path[0].id}
    while True:
        here = path[-1]
        causes = [known[name] for name in here.after if name in known]
        wait = _lease_wait(here)
        blocker = _blocker(spans, here, wait) if wait is not None else None
        if blocker is not None and wait is not None:
            deps_end = max((span.end_s for span in causes), default=0.0)
            causes = [blocker] if wait.end_s > deps_end else causes
        causes = [span for span in causes if span.id not in seen]
        if not causes:
            return tuple(reversed(path))
        path.append(max(causes, key=lambda span: span.end_s))
        seen.add(path[-1].id)


def busy_s(span: Span) -> float:
    """A span's own work: its length without waiting for a lease or for input."""
    return max(0.0, span.wall_s - phase_seconds(span, ("lease", "input")))


def _follow(spans: Sequence[Span], wish: Wish) -> dict[tuple[str, str], float]:
    """New times of all moments, in order of their observed times, each from earlier ones."""
    known = {span.id: span for span in spans}
    first_s = min(span.start_s for span in spans)
    waits = {span.id: _lease_wait(span) for span in spans}
    blockers = {
        span.id: _blocker(spans, span, wait)
        for span in spans
        if (wait := waits[span.id]) is not None and span.id not in wish.no_lease
    }
    order: list[tuple[float, int, int, str, str]] = []
    # At one moment the spans come in order of their starts, and so what a span needs comes first.
    begun = sorted(spans, key=lambda span: (span.start_s, span.end_s > span.start_s))
    for rank, span in enumerate(begun):
        order += [(span.start_s, rank, 0, span.id, "start"), (span.end_s, rank, 2, span.id, "end")]
        if (wait := waits[span.id]) is not None:
            order.append((wait.end_s, rank, 1, span.id, "grant"))
    moments: dict[tuple[str, str], float] = {}
    for _, _, _, name, what in sorted(order):
        span = known[name]
        wait = waits[name]
        if what == "start":
            moments[name, what] = _start(span, known, moments, first_s, wish)
        elif what == "grant" and wait is not None:
            moments[name, what] = _grant(span, wait, blockers.get(name), moments, wish)
        else:
            moments[name, what] = _end(span, wait, known, moments, wish)
    return moments


def _start(
    span: Span,
    known: Mapping[str, Span],
    moments: Mapping[tuple[str, str], float],
    first_s: float,
    wish: Wish,
) -> float:
    needs = [known[name] for name in span.after if name in known]
    done = [need for need in needs if need.end_s <= span.start_s + _EPSILON_S]
    streaming = [need for need in needs if need not in done and need.start_s <= span.start_s]
    times = [moments[need.id, "start"] + span.start_s - need.start_s for need in streaming]
    if done:
        gap = 0.0 if span.id in wish.prompt else span.start_s - max(need.end_s for need in done)
        times.append(max(moments[need.id, "end"] for need in done) + gap)
    if not times:
        return 0.0 if span.id in wish.prompt else span.start_s - first_s
    return max(times)


def _grant(
    span: Span,
    wait: Phase,
    blocker: Span | None,
    moments: Mapping[tuple[str, str], float],
    wish: Wish,
) -> float:
    begun = moments[span.id, "start"]
    asked = begun + wait.start_s - span.start_s
    if span.id in wish.no_lease:
        return asked
    if blocker is None:
        return begun + wait.end_s - span.start_s
    return max(asked, _returned(blocker, wait, moments, wish))


def _returned(
    blocker: Span, wait: Phase, moments: Mapping[tuple[str, str], float], wish: Wish
) -> float:
    """When the blocker's lease comes back: with its end, or as long before as was observed."""
    work_from = moments.get((blocker.id, "grant"), moments[blocker.id, "start"])
    own_wait = _lease_wait(blocker)
    observed_from = own_wait.end_s if own_wait is not None else blocker.start_s
    return work_from + max(0.0, wait.end_s - observed_from - wish.shorter_s.get(blocker.id, 0.0))


def _end(
    span: Span,
    wait: Phase | None,
    known: Mapping[str, Span],
    moments: Mapping[tuple[str, str], float],
    wish: Wish,
) -> float:
    less = wish.shorter_s.get(span.id, 0.0)
    if wait is None:
        times = [moments[span.id, "start"] + max(0.0, span.wall_s - less)]
    else:
        times = [moments[span.id, "grant"] + max(0.0, span.end_s - wait.end_s - less)]
    for name in span.after:
        need = known.get(name)
        if need is not None and span.start_s + _EPSILON_S < need.end_s <= span.end_s:
            tail = max(0.0, span.end_s - need.end_s - less)
            times.append(moments[name, "end"] + tail)
    return max(times)


def _lease_wait(span: Span) -> Phase | None:
    """The longest wait for a lease; short ones are part of the span's work."""
    waits = [phase for phase in span.phases if phase.kind == "lease"]
    return max(waits, key=lambda phase: phase.end_s - phase.start_s, default=None)


def _blocker(spans: Sequence[Span], span: Span, wait: Phase) -> Span | None:
    """Whose return ended the wait: the last lease given back just before the grant, on the card
    that was granted.
    """
    cards = {hold.card for hold in span.holds if hold.start_s >= wait.end_s - _SAME_MOMENT_S}
    returns = [
        (hold.end_s, other)
        for other in spans
        for hold in other.holds
        if other.id != span.id
        and (hold.card in cards or not cards)
        and wait.end_s - _SAME_MOMENT_S <= hold.end_s <= wait.end_s + _EPSILON_S
        and hold.start_s < wait.end_s
    ]
    return max(returns, key=lambda item: item[0])[1] if returns else None
