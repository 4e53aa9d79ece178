"""Many scripts, many episode packages: one process, stages of different episodes side by side."""

from __future__ import annotations

import asyncio
from typing import Any

from prefect import flow

from flows.episode import make_episode
from studio.errors import StudioError
from studio.types import BatchResult
from tasks.batch import find_scripts, report_batch


@flow(name="nightly-batch", persist_result=False)
async def make_batch(
    folder: str,
    profile: str = "cpu",
    out_dir: str = "out",
    limit: int = 0,
    jobs: int = 2,
    options: dict[str, Any] | None = None,
) -> tuple[BatchResult, ...]:
    """Make the episode of every script in `folder`, at most `jobs` at once and `limit` in all (0:
    all).

    An episode that fails does not stop the others. What has not changed is answered from the store.
    Raises `BatchError` at the end, naming what failed and why.
    """
    scripts = await asyncio.to_thread(find_scripts, folder, limit)
    places = asyncio.Semaphore(jobs)

    async def one(script: str) -> BatchResult:
        async with places:
            try:
                episode = await make_episode(
                    script=script, profile=profile, out_dir=out_dir, options=options
                )
            except StudioError as error:
                return BatchResult(script=script, why=str(error))
            return BatchResult(script=script, folder=episode.folder, duration_s=episode.duration_s)

    results = tuple(await asyncio.gather(*(one(script) for script in scripts)))
    await report_batch(results)
    return results
