"""What to change, and the seconds each change should save.

A change takes one cause away from one stage. Its saving is the difference between the run as it was
and the run followed again without that cause: an upper bound, and 0 for what the run did not have
to wait for.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from studio.gpu.causes import BUSY_CORES, CROWDED_PCT, Cause, IdleTime, phase_seconds
from studio.gpu.schedule import Wish, critical_path, makespan_s
from studio.gpu.trace import Span, Trace

_WORTH_S, _WORTH_SHARE = 0.2, 0.01
"""A saving below both is noise."""

ADVICE: dict[Cause, str] = {
    "cpu_bound": "spread the CPU work of {stage} over more threads, or prepare its data ahead",
    "launch_bound": "give {stage} larger batches, or compile its model: fewer, larger kernels",
    "encoder_bound": "use a faster encoder preset for {stage}, or a smaller picture",
    "io_bound": "put the files of {stage} on faster storage, or read and write ahead",
}
"""For causes that sensors find; the others are known from the stages' own words."""

_NO_CORE_FREE = "give {stage} more or faster cores: all of them were busy"
_CORES_TAKEN = "keep other programs off the cores while {stage} runs"
"""For CPU-bound stages that more threads would not help."""

_MAY_USE_CARDS = frozenset({"speech", "music", "avatar", "encode", "training"})
"""Stages that have engines, or encoders, for a card."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing to change. `saves_s` is at most what it saves; `None`: this run cannot tell."""

    what: str
    stage: str
    saves_s: float | None
    why: str


def top_changes(
    trace: Trace, causes: Mapping[int, Sequence[IdleTime]], most: int = 3
) -> tuple[Change, ...]:
    """The changes that would save most, best first; then, if there is room, what no run can
    price.
    """
    spans = trace.spans
    base_s = makespan_s(spans, Wish())
    priced = []
    for what, stage, why, wish in _candidates(trace, causes):
        saves_s = base_s - makespan_s(spans, wish)
        if saves_s >= max(_WORTH_S, _WORTH_SHARE * base_s):
            priced.append(Change(what=what, stage=stage, saves_s=saves_s, why=why))
    priced.sort(key=lambda change: -(change.saves_s or 0.0))
    return tuple([*priced, *_unpriced(trace)][:most])


def _candidates(
    trace: Trace, causes: Mapping[int, Sequence[IdleTime]]
) -> Iterator[tuple[str, str, str, Wish]]:
    """Every change that could be named: what, where, why, and the wish that prices it."""
    stages: defaultdict[str, list[Span]] = defaultdict(list)
    for span in trace.spans:
        stages[span.stage].append(span)
    for stage, spans in stages.items():
        yield from _said(stage, spans)
        yield from _late(stage, spans)
    found: defaultdict[tuple[Cause, str], dict[str, float]] = defaultdict(dict)
    evidence: dict[tuple[Cause, str], str] = {}
    stage_of = {span.id: span.stage for span in trace.spans}
    for times in causes.values():
        for time in times:
            if time.cause in ADVICE:
                for name, seconds in time.by_span:
                    key = (time.cause, stage_of[name])
                    found[key][name] = max(found[key].get(name, 0.0), seconds)
                    evidence[key] = time.evidence
    for (cause, stage), shorter in found.items():
        words = _cpu_advice(trace, shorter) if cause == "cpu_bound" else ADVICE[cause]
        what = words.format(stage=stage)
        yield what, stage, evidence[cause, stage], Wish(shorter_s=shorter)


def _cpu_advice(trace: Trace, names: Iterable[str]) -> str:
    """What helps spans that the CPU held up: threads only where cores are free for them."""
    wanted = set(names)
    spans = [span for span in trace.spans if span.id in wanted]
    cores_s = crowd_pct_s = watched_s = 0.0
    for sample in trace.samples:
        middle = (sample.start_s + sample.end_s) / 2.0
        if any(span.start_s <= middle < span.end_s for span in spans):
            watched_s += sample.seconds
            cores_s += (sample.cpu_cores or 0.0) * sample.seconds
            crowd_pct_s += (sample.cpu_stall_pct or 0.0) * sample.seconds
    if cores_s >= BUSY_CORES * trace.cpu_count * watched_s:
        return _NO_CORE_FREE
    return _CORES_TAKEN if crowd_pct_s >= CROWDED_PCT * watched_s else ADVICE["cpu_bound"]


def _said(stage: str, spans: Sequence[Span]) -> Iterator[tuple[str, str, str, Wish]]:
    """Changes for what a stage says of itself."""
    yield from _loads(stage, spans)
    inputs = {span.id: phase_seconds(span, ("input",)) for span in spans}
    if any(inputs.values()):
        why = f"{sum(inputs.values()):.1f} s of reading, decoding and waiting for it"
        what = f"have the input of {stage} ready sooner: read and decode it ahead"
        yield what, stage, why, Wish(shorter_s=inputs)
    waits = {span.id: phase_seconds(span, ("lease",)) for span in spans}
    if any(waits.values()):
        why = f"{sum(waits.values()):.1f} s of waiting for a share of the card"
        wish = Wish(no_lease=frozenset(waits))
        yield f"make room for {stage}: more memory, or smaller needs", stage, why, wish


def _loads(stage: str, spans: Sequence[Span]) -> Iterator[tuple[str, str, str, Wish]]:
    """Loads that need not have been. The first of several had to be; that of a run by itself would
    serve as many more.
    """
    loading = sorted(spans, key=lambda span: span.start_s)
    loads = {span.id: phase_seconds(span, ("load",)) for span in loading}
    loads = {name: seconds for name, seconds in loads.items() if seconds}
    if len(loads) > 1:
        spared = dict(list(loads.items())[1:])
        why = f"{sum(spared.values()):.1f} s of loading it again, in {_times(spared)}"
        yield f"keep the engine of {stage} loaded between uses", stage, why, Wish(shorter_s=spared)
    elif loads and len({span.run for span in spans}) == 1:
        why = f"{sum(loads.values()):.1f} s of loading, which a batch does once for all its runs"
        yield f"load the engine of {stage} once for several runs", stage, why, Wish(shorter_s=loads)


def _late(stage: str, spans: Sequence[Span]) -> Iterator[tuple[str, str, str, Wish]]:
    wish = Wish(prompt=frozenset(span.id for span in spans))
    if all(span.after for span in spans):
        what = f"start {stage} as soon as its input is there"
        why = (
            "its input was there and nothing ran for it: the runner was late, or had no free place"
        )
    else:
        what, why = f"start {stage} at once, beside the others", "it needs no other stage's result"
    yield what, stage, why, wish


def _unpriced(trace: Trace) -> Iterator[Change]:
    """A stage on the critical path that never had a card, where there is one."""
    if not trace.cards or not any(span.holds for span in trace.spans):
        return
    on_path = [span for span in critical_path(trace.spans) if not span.holds]
    total = max((span.end_s for span in trace.spans), default=0.0)
    for span in sorted(on_path, key=lambda span: -span.wall_s):
        if span.stage in _MAY_USE_CARDS and span.wall_s >= 0.1 * total:
            yield Change(
                what=f"let {span.stage} use the card, with an engine or encoder that can",
                stage=span.stage,
                saves_s=None,
                why=f"{span.wall_s:.1f} s on the CPU and on the critical path",
            )


def _times(amounts: Mapping[str, float]) -> str:
    count = sum(1 for seconds in amounts.values() if seconds)
    return "one run of it" if count == 1 else f"{count} runs of it"
