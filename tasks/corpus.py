"""Prepare, check and export a corpus as stages of a run: measured, watched, published."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from prefect import task
from prefect.artifacts import (
    acreate_image_artifact,
    acreate_markdown_artifact,
    acreate_table_artifact,
)
from prefect.cache_policies import NO_CACHE

from models.corpus.mapped import open_store
from models.corpus.statistics import CorpusStats, measure
from studio.corpus import BatchSpec, CorpusReport, CorpusSpec, layout
from studio.corpus.settings import changed
from studio.errors import StoreError
from studio.gpu.report_rows import use_rows
from studio.types import Check
from tasks.corpus_check import check_store
from tasks.corpus_export import SHARD_MIB, export_records
from tasks.corpus_plots import draw_corpus
from tasks.corpus_prepare import prepare_corpus
from tasks.run import Run
from tasks.stage import stage

PLOTS = "plots"
"""The folder of a store's pictures."""

_SHOWN = 200
"""Rows of the quarantine that the UI shows; the file holds all of them."""


def wanted_spec(folder: Path, options: Mapping[str, object]) -> CorpusSpec:
    """The spec of the store in `folder`, or the defaults for a new one, with `options` over it."""
    spec = CorpusSpec()
    try:
        told = json.loads((folder / layout.SPEC).read_bytes())
        spec = CorpusSpec.model_validate(told["spec"])
    except FileNotFoundError:
        pass
    except (ValueError, KeyError, TypeError) as error:
        remedy = "Prepare the corpus into a new folder"
        raise StoreError(str(folder / layout.SPEC), "cannot be read", remedy) from error
    return changed(spec, options)


@stage("prepare", tags=("cpu",), made_by=(), remembered=False)
def prepare(
    sources: tuple[str, ...], folder: str, spec: CorpusSpec, workers: int, *, run: Run
) -> CorpusReport:
    """Bring a store to what its sources hold; what cannot be used is put aside with a reason."""
    return prepare_corpus(
        [Path(source) for source in sources],
        Path(folder),
        spec,
        workers=workers,
        report=lambda done, total: run.report("prepare", done, total),
    )


@stage("check", tags=("cpu",), made_by=(), after=("prepare",), remembered=False)
def check(folder: str, batches: BatchSpec, *, run: Run) -> tuple[Check, ...]:
    """Read every byte of a store and hold it against its promises."""
    return check_store(
        open_store(folder),
        batches,
        report=lambda done, total: run.report("check", done, total),
    )


@stage("plot", tags=("cpu",), made_by=(), after=("prepare",), remembered=False)
def plot(folder: str, batches: BatchSpec, *, run: Run) -> CorpusStats:
    """Work out a store's figures and draw them into its folder."""
    run.report("plot", 0, 1)
    corpus = open_store(folder)
    stats = measure(corpus, batches)
    draw_corpus(corpus, stats, Path(folder) / PLOTS)
    run.report("plot", 1, 1)
    return stats


def store_figures(folder: str, batches: Mapping[str, object]) -> CorpusStats:
    """A store's figures for batches with these settings."""
    return measure(open_store(folder), changed(BatchSpec(), batches))


def draw_figures(
    folder: str, batches: Mapping[str, object], out_dir: Path | None
) -> tuple[Path, ...]:
    """A store's pictures, drawn into `out_dir` or its own folder."""
    stats = store_figures(folder, batches)
    return draw_corpus(open_store(folder), stats, out_dir or Path(folder) / PLOTS)


@stage("export", tags=("cpu",), made_by=(), remembered=False)
def export(folder: str, out_dir: str, *, shard_mib: int = SHARD_MIB, run: Run) -> tuple[str, ...]:
    """Write a store's clips as TFRecord shards."""
    shards = export_records(
        open_store(folder),
        Path(out_dir),
        shard_mib=shard_mib,
        report=lambda done, total: run.report("export", done, total),
    )
    return tuple(str(path) for path in shards)


@task(name="report corpus", task_run_name="report corpus", tags=["cpu"], cache_policy=NO_CACHE)
async def report_corpus(
    folder: str,
    report: CorpusReport | None,
    stats: CorpusStats,
    checks: tuple[Check, ...],
    run: Run,
) -> None:
    """Publish figures, pictures, checks, what was put aside, and what the stages took.

    Raises `StoreError` when a check did not pass, after everything is published.
    """
    uses = run.meter.uses() if run.meter else ()
    await acreate_table_artifact(
        key="stages", table=use_rows(uses), description="What each stage took"
    )
    await acreate_table_artifact(
        key="corpus", table=figure_rows(stats, report), description="What the store holds"
    )
    await acreate_table_artifact(
        key="corpus-checks",
        table=[asdict(one) for one in checks],
        description="Every byte of the store, held against its promises",
    )
    if report is not None and report.quarantined:
        await acreate_table_artifact(
            key="corpus-quarantine",
            table=[asdict(one) for one in report.quarantined[:_SHOWN]],
            description=f"{len(report.quarantined)} clips are not used",
        )
    for name in ("lengths", "buckets", "levels"):
        picture = Path(folder) / PLOTS / f"{name}.png"
        data = base64.b64encode(picture.read_bytes()).decode()
        await acreate_image_artifact(
            image_url=f"data:image/png;base64,{data}", key=f"corpus-{name}", description=name
        )
    failed = [one for one in checks if not one.passed]
    if failed:
        found = "; ".join(f"{one.name}: {one.measured}" for one in failed)
        remedy = "Prepare the corpus into a new folder"
        await acreate_markdown_artifact(key="corpus-verdict", markdown=f"**Unfit:** {found}")
        raise StoreError(folder, found, remedy)


def figure_rows(stats: CorpusStats, report: CorpusReport | None = None) -> list[dict[str, str]]:
    """A store's figures as rows `figure`, `value` for a person."""
    low, middle, high = stats.seconds
    quiet, level, loud = stats.level_db
    slow, pace, fast = stats.tokens_per_s
    rows = {
        "clips": f"{stats.num_clips}, {stats.hours:.2f} h, {len(stats.speakers)} speakers",
        "length": f"{low:.1f} / {middle:.1f} / {high:.1f} s (5, 50, 95 %), {stats.longest_s:.1f} s",
        "level": f"{quiet:.1f} / {level:.1f} / {loud:.1f} dBFS, {stats.clipped} at full scale",
        "tokens a second": f"{slow:.1f} / {pace:.1f} / {fast:.1f}, {stats.symbols} symbols",
    }
    for policy in stats.policies:
        rows[f"padding, {policy.name}"] = f"{policy.padding:.1%} with {policy.shapes} shapes"
    if report is not None:
        rows["this run"] = f"{report.added} added, {report.kept} kept, {report.dropped} dropped"
        asides = ", ".join(f"{count} {reason}" for reason, count in report.reasons.items())
        rows["put aside"] = f"{len(report.quarantined)}" + (f": {asides}" if asides else "")
        rows["no longer used"] = f"{report.dead_bytes / 2**20:.1f} MiB of the data files"
        rows["store"] = report.store_sha256
    return [{"figure": name, "value": value} for name, value in rows.items()]
