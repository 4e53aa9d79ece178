"""Recordings into a training store, and a store held against its promises."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from prefect import flow

from studio.corpus import BatchSpec, CorpusReport
from studio.corpus.settings import changed
from studio.specs import DeviceSpec, GpuSpec
from studio.types import Check
from tasks.corpus import check, export, plot, prepare, report_corpus, wanted_spec
from tasks.notify import NOTIFIED
from tasks.run import open_run
from tasks.stage import at


@flow(name="corpus", persist_result=False, **NOTIFIED)
async def make_corpus(
    sources: list[str],
    store: str = "corpus",
    options: dict[str, Any] | None = None,
    batches: dict[str, Any] | None = None,
    workers: int = 0,
) -> CorpusReport:
    """Bring the store to what `sources` hold, check it, and publish what it is like.

    `options` are keys of the store's spec in dotted form (`{"mel.n_mels": 80}`), `batches` keys of
    the batch spec that buckets are worked out for. `workers` threads work at once (0: one a core);
    the bytes do not depend on it.
    """
    spec = await asyncio.to_thread(wanted_spec, Path(store), options or {})
    shape = changed(BatchSpec(), batches or {})
    with open_run(store, device=DeviceSpec(), gpu=GpuSpec()) as run:
        made = at(run, prepare).submit(tuple(sources), store, spec, workers, run=run)
        report: CorpusReport = await asyncio.to_thread(made.result)
        checked = at(run, check).submit(store, shape, run=run)
        drawn = at(run, plot).submit(store, shape, run=run)
        checks = await asyncio.to_thread(checked.result)
        stats = await asyncio.to_thread(drawn.result)
        await report_corpus(store, report, stats, checks, run)
    return report


@flow(name="corpus-check", persist_result=False, **NOTIFIED)
async def check_corpus(
    store: str = "corpus", batches: dict[str, Any] | None = None
) -> tuple[Check, ...]:
    """Read every byte of a store, hold it against its promises, and publish the findings.

    Raises `StoreError` when a check does not pass.
    """
    shape = changed(BatchSpec(), batches or {})
    with open_run(store, device=DeviceSpec(), gpu=GpuSpec()) as run:
        checked = at(run, check).submit(store, shape, run=run)
        checks: tuple[Check, ...] = await asyncio.to_thread(checked.result)
        drawn = at(run, plot).submit(store, shape, run=run)
        stats = await asyncio.to_thread(drawn.result)
        await report_corpus(store, None, stats, checks, run)
    return checks


@flow(name="corpus-export", persist_result=False, **NOTIFIED)
async def export_corpus(store: str, out_dir: str, shard_mib: int = 128) -> tuple[str, ...]:
    """Write a store's clips as TFRecord shards into `out_dir`."""
    with open_run(store, device=DeviceSpec(), gpu=GpuSpec()) as run:
        written = at(run, export).submit(store, out_dir, shard_mib=shard_mib, run=run)
        shards: tuple[str, ...] = await asyncio.to_thread(written.result)
    return shards
