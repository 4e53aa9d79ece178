"""The batch: which scripts there are, and what became of them."""

from __future__ import annotations

from pathlib import Path

from prefect import task
from prefect.artifacts import acreate_table_artifact
from prefect.cache_policies import NO_CACHE

from studio.errors import BatchError, ScriptError
from studio.types import BatchResult


@task(name="find scripts", task_run_name="find scripts", tags=["cpu"], cache_policy=NO_CACHE)
def find_scripts(folder: str, limit: int) -> tuple[str, ...]:
    """The scripts of a folder (`.txt`, `.md`) by name, at most `limit` of them (0: all).

    Raises `ScriptError` when there is no such folder or it holds no script.
    """
    place = Path(folder)
    if not place.is_dir():
        raise ScriptError(folder, "no such folder", "Name a folder with .txt or .md scripts")
    found = [str(p) for p in sorted(place.iterdir()) if p.suffix.lower() in {".txt", ".md"}]
    if not found:
        raise ScriptError(folder, "holds no script", "Put .txt or .md scripts into it")
    return tuple(found[: limit or None])


@task(name="report batch", task_run_name="report batch", tags=["cpu"], cache_policy=NO_CACHE)
async def report_batch(results: tuple[BatchResult, ...]) -> None:
    """Publish a row per script. Raises `BatchError` when an episode failed."""
    rows = [
        {
            "script": result.script,
            "minutes": f"{result.duration_s / 60:.1f}" if result.folder else "",
            "episode": result.folder,
            "why it failed": result.why,
        }
        for result in results
    ]
    await acreate_table_artifact(key="batch", table=rows, description="Episodes of this batch")
    failed = [result for result in results if not result.folder]
    if failed:
        found = f"{len(failed)} of {len(results)} failed: " + "; ".join(r.why for r in failed)
        raise BatchError("batch", found, "Mend these and run again: the others are kept")
