"""What became of a batch: figures, a verdict, a file and artifacts."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from prefect import task
from prefect.artifacts import acreate_markdown_artifact, acreate_table_artifact
from prefect.cache_policies import NO_CACHE

from studio.errors import BatchError
from studio.gathering import Call
from studio.gpu.report_rows import escape_markdown, figure, verdict_markdown
from studio.gpu.run_report import RunReport
from studio.types import BatchResult, StageUse
from tasks.delivery import output_error

REPORT_FILE = "batch-report.json"
"""In the folder that the episodes are made in; each batch replaces it."""

SCHEMA = "podcast-studio.batch/1"

_BUSY_PCT = 85.0
"""From here on the processors count as the limit: the rest goes to waiting for storage and to the
ends of stages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineCalls:
    """What a neural engine was asked for in a batch, and how much of it together.

    `requests` are lines or cues, of which `repeated` asked for what another one in the same call
    asked for. `shared_calls` served several episodes, `shared_requests` were in those; `largest` is
    the most requests in one call, `call_s` the time in calls.
    """

    engine: str
    requests: int
    calls: int
    shared_calls: int
    shared_requests: int
    repeated: int
    largest: int
    call_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchFigures:
    """A batch in figures. `None`: nothing was made, or no sensor could tell.

    `finished_s` is the length of the episodes made; those that stood unchanged do not count.
    `cost_per_finished_min` is what the machine cost while the batch ran, in the currency of its
    price per hour, per minute of episode.
    """

    made: int
    unchanged: int
    failed: int
    wall_s: float
    finished_s: float
    finished_min_per_hour: float | None
    cpu_s: float | None
    cpu_busy_pct: float | None
    gpu_busy_pct: float | None = None
    cpu_s_per_finished_min: float | None
    gpu_s_per_finished_min: float | None
    energy_j_per_finished_min: float | None
    cost_per_finished_min: float | None
    verdict: str
    engines: tuple[EngineCalls, ...] = ()


def calls_of(calls: Sequence[Call]) -> tuple[EngineCalls, ...]:
    """The calls of each engine added up, in the order of their first one."""
    rows = []
    for engine in dict.fromkeys(call.engine for call in calls):
        own = [call for call in calls if call.engine == engine]
        shared = [call for call in own if len(call.parties) > 1]
        rows.append(
            EngineCalls(
                engine=engine,
                requests=sum(call.num_requests for call in own),
                calls=len(own),
                shared_calls=len(shared),
                shared_requests=sum(call.num_requests for call in shared),
                repeated=sum(call.num_requests - call.num_made for call in own),
                largest=max(call.num_requests for call in own),
                call_s=sum(call.wall_s for call in own),
            )
        )
    return tuple(rows)


def figures_of(
    results: Sequence[BatchResult],
    uses: Sequence[StageUse],
    *,
    wall_s: float,
    cores: int,
    cards: int = 0,
    jobs: int,
    cost_per_hour: float | None,
    calls: Sequence[Call] = (),
) -> BatchFigures:
    """Sum a batch up: what became of the scripts, what the stages used, what engines were asked."""
    made = [one for one in results if one.made and not one.why]
    ours = [use for use in uses if use.stage != "other programs"]
    on_cards = [card for use in ours for card in use.cards]
    finished_s = sum(one.duration_s for one in made)
    minutes = finished_s / 60
    cpu_s = _sum(use.cpu_s for use in ours)
    gpu_s = _sum(card.gpu_s for card in on_cards)
    energy_j = _sum(card.energy_j for card in on_cards)
    busy_pct = _busy_pct(cpu_s, wall_s, cores)
    cost = None if cost_per_hour is None else cost_per_hour * wall_s / 3600
    return BatchFigures(
        made=len(made),
        unchanged=sum(bool(one.folder) and not one.made for one in results),
        failed=sum(bool(one.why) for one in results),
        wall_s=wall_s,
        finished_s=finished_s,
        finished_min_per_hour=minutes / (wall_s / 3600) if made and wall_s > 0 else None,
        cpu_s=cpu_s,
        cpu_busy_pct=busy_pct,
        gpu_busy_pct=_busy_pct(gpu_s, wall_s, cards),
        cpu_s_per_finished_min=_per(cpu_s, minutes),
        gpu_s_per_finished_min=_per(gpu_s, minutes),
        energy_j_per_finished_min=_per(energy_j, minutes),
        cost_per_finished_min=_per(cost, minutes),
        verdict=_verdict(len(made), busy_pct, jobs),
        engines=calls_of(calls),
    )


def _busy_pct(used_s: float | None, wall_s: float, count: int) -> float | None:
    """How busy so many processors or cards were on average."""
    return None if used_s is None or wall_s <= 0 or not count else 100 * used_s / (wall_s * count)


def _sum(values: Iterable[float | None]) -> float | None:
    """The sum of what was measured; None when nothing was."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _per(value: float | None, minutes: float) -> float | None:
    return None if value is None or minutes <= 0 else value / minutes


def _verdict(made: int, busy_pct: float | None, jobs: int) -> str:
    if made == 0:
        return "Nothing was made."
    if busy_pct is None:
        return "The processors could not be read: nothing is concluded."
    said = f"This batch kept the processors {min(busy_pct, 100):.0f} % busy, {jobs} at once"
    if busy_pct >= _BUSY_PCT:
        return f"{said}: they were the limit. Another machine makes it faster, more jobs do not."
    if made <= jobs:
        return f"{said}: there was nothing more to fill them with."
    return f"{said}: --jobs {jobs + 1} would use more of them, if the memory allows."


@task(name="report batch", task_run_name="report batch", tags=["cpu"], cache_policy=NO_CACHE)
async def report_batch(
    results: tuple[BatchResult, ...], figures: BatchFigures, report: RunReport, out_dir: str
) -> None:
    """Write the batch's report beside its episodes and publish it. Raises `BatchError` when an
    episode failed.
    """
    write_report(Path(out_dir), results, figures, report)
    await acreate_table_artifact(
        key="batch", table=result_rows(results), description="Episodes of this batch"
    )
    await acreate_table_artifact(
        key="batch-figures", table=figure_rows(figures), description=figures.verdict
    )
    text = f"{escape_markdown(figures.verdict)}\n\n{verdict_markdown(report)}"
    await acreate_markdown_artifact(key="batch-verdict", markdown=text)
    failed = [result for result in results if result.why]
    if failed:
        reasons = "; ".join(f"{result.name or result.script}: {result.why}" for result in failed)
        found = f"{len(failed)} of {len(results)} failed: {reasons}"
        raise BatchError("batch", found, "Mend these and run again: the others are kept")


def result_rows(results: Sequence[BatchResult]) -> list[dict[str, str]]:
    """A row per episode, for people."""
    return [
        {
            "script": result.script,
            "episode": result.name,
            "state": "failed" if result.why else "made" if result.made else "unchanged",
            "minutes": f"{result.duration_s / 60:.1f}" if result.folder else "",
            "wall s": f"{result.wall_s:.1f}",
            "stages that ran": ", ".join(result.made),
            "why it failed": result.why,
        }
        for result in results
    ]


def figure_rows(figures: BatchFigures) -> list[dict[str, str]]:
    """The figures with their units, for people."""
    rows = {
        "episodes made": str(figures.made),
        "unchanged": str(figures.unchanged),
        "failed": str(figures.failed),
        "wall time (s)": figure(figures.wall_s),
        "finished minutes an hour": figure(figures.finished_min_per_hour),
        "processors busy (%)": figure(figures.cpu_busy_pct),
        "cards busy (%)": figure(figures.gpu_busy_pct),
        "CPU seconds a finished minute": figure(figures.cpu_s_per_finished_min),
        "GPU seconds a finished minute": figure(figures.gpu_s_per_finished_min),
        "joules of the cards a finished minute": figure(figures.energy_j_per_finished_min),
        "cost of a finished minute": figure(figures.cost_per_finished_min, 4),
    }
    rows |= {f"{row.engine}: asked together": _together(row) for row in figures.engines}
    return [{"figure": name, "value": value} for name, value in rows.items()]


def _together(row: EngineCalls) -> str:
    once = f", made once for several: {row.repeated}" if row.repeated else ""
    return f"{row.shared_requests} of {row.requests} (calls: {row.calls}{once})"


def write_report(
    out_dir: Path, results: Sequence[BatchResult], figures: BatchFigures, report: RunReport
) -> None:
    """Put the report of a batch into its output folder, whole or not at all."""
    data = {
        "schema": SCHEMA,
        "figures": asdict(figures),
        "episodes": [asdict(result) for result in results],
        "stages": [asdict(use) for use in report.uses],
        "headline": report.verdict.headline,
        "changes": [asdict(change) for change in report.verdict.changes],
    }
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".batch-", dir=out_dir)
        try:
            with open(handle, "w", encoding="utf-8") as file:  # noqa: PTH123 - a descriptor
                json.dump(data, file, ensure_ascii=False, indent=2)
            Path(name).chmod(0o644)
            Path(name).replace(out_dir / REPORT_FILE)
        finally:
            Path(name).unlink(missing_ok=True)
    except OSError as error:
        raise output_error(out_dir, error) from error


def read_report(out_dir: Path) -> tuple[tuple[BatchResult, ...], BatchFigures, dict[str, Any]]:
    """What `write_report` wrote: the results, the figures, and the whole document."""
    data = json.loads((out_dir / REPORT_FILE).read_text(encoding="utf-8"))
    results = tuple(
        BatchResult(**(entry | {"made": tuple(entry["made"])})) for entry in data["episodes"]
    )
    figures = dict(data["figures"])
    engines = tuple(EngineCalls(**row) for row in figures.pop("engines"))
    return results, BatchFigures(**figures, engines=engines), data
