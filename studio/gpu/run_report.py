"""The report of a run as JSON, written and read: the trace, who used what, the verdict.

    {"schema": "podcast-studio.report/1",
     "title": text, "trace": {...}, "uses": [StageUse, ...], "verdict": {...}}

The fields are those of `studio.gpu.trace.Trace`, `studio.types.StageUse` and
`studio.gpu.verdict.Verdict`, by name; `null` is a figure that no sensor gave. The verdict is stored
for other programs: reading a report judges the trace anew.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from pydantic import TypeAdapter, ValidationError

from studio.errors import StoreError, quoted
from studio.gpu.causes import WORDS, Cause
from studio.gpu.trace import Trace, trace_from_dict, trace_to_dict
from studio.gpu.verdict import Verdict, judge
from studio.types import StageUse

SCHEMA = "podcast-studio.report/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """Everything a page or a table of a run is made from."""

    title: str
    trace: Trace
    uses: tuple[StageUse, ...]
    verdict: Verdict


def report_of(title: str, trace: Trace, uses: Sequence[StageUse]) -> RunReport:
    """Judge a run and put its report together; the rows learn why the cards were idle in their
    stage.
    """
    verdict = judge(trace)
    return RunReport(
        title=title, trace=trace, uses=_with_reasons(uses, trace, verdict), verdict=verdict
    )


def report_to_dict(report: RunReport) -> dict[str, Any]:
    """The report as JSON values."""
    return {
        "schema": SCHEMA,
        "title": report.title,
        "trace": trace_to_dict(report.trace),
        "uses": [asdict(use) for use in report.uses],
        "verdict": asdict(report.verdict),
    }


def report_from_dict(data: dict[str, Any]) -> RunReport:
    """Read what `report_to_dict` wrote. Raises `StoreError` for anything else."""
    if data.get("schema") != SCHEMA:
        found = f"its schema is {quoted(data.get('schema'))}"
        raise StoreError("run report", found, f"This version reads {SCHEMA}.")
    try:
        uses = TypeAdapter(tuple[StageUse, ...]).validate_python(data["uses"])
        trace, title = trace_from_dict(data["trace"]), str(data["title"])
    except ValidationError as error:
        first = error.errors()[0]
        found = f"uses.{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
        raise StoreError("run report", found, "Run the episode again.") from error
    except KeyError as error:
        raise StoreError("run report", f"has no {error}", "Run the episode again.") from error
    return report_of(title, trace, uses)


def _with_reasons(uses: Sequence[StageUse], trace: Trace, verdict: Verdict) -> tuple[StageUse, ...]:
    """The main cause of the cards' idle time in each stage, in words."""
    stage_of = {span.id: (span.run, span.stage) for span in trace.spans}
    idle: defaultdict[tuple[str, str], defaultdict[Cause, float]] = defaultdict(
        lambda: defaultdict(float)
    )
    for card in verdict.cards:
        for time in card.causes:
            if time.cause != "no_gpu_work":
                for span, seconds in time.by_span:
                    idle[stage_of[span]][time.cause] += seconds
    reasons = {
        stage: WORDS[max(causes, key=lambda cause: causes[cause])] for stage, causes in idle.items()
    }
    return tuple(replace(use, idle_reason=reasons.get((use.run, use.stage))) for use in uses)
