"""A batch made by many machines: each episode is a run of a deployment that any worker may take."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from prefect import flow
from prefect.client.orchestration import get_client
from prefect.runtime import flow_run

from flows.batch import ANNOUNCE
from flows.episode import make_episode
from flows.fleet import MAX_TAKES, POLL_S, Fleet, Job
from flows.remembered import order_of, remembered_episode, standing_episode
from profiles import load_profile, settle
from studio.errors import StudioError
from studio.gpu.run_report import report_of
from studio.gpu.trace import Trace
from studio.gpu.usage import UNATTRIBUTED
from studio.types import BatchResult, Episode, Header, StageUse
from tasks.batch import figures_of, report_batch
from tasks.batch_plan import BatchItem, plan_batch
from tasks.notify import NOTIFIED
from tasks.run import DESK, Desk, Stopped, open_run

End = Callable[[BatchItem, BatchResult, tuple[StageUse, ...]], None]
"""Called with an episode, what became of it, and what its stages used."""

_SILENCE_S: Final = 30.0
"""After so long without a run beginning, it is asked whether a worker is there at all."""


@flow(name="fleet-batch", persist_result=False, **NOTIFIED)
async def share_batch(
    folder: str,
    profile: str = "cpu",
    out_dir: str = "out",
    limit: int = 0,
    only_changed: bool = True,
    queue: str = "",
    options: dict[str, Any] | None = None,
    lexicon: str = "",
    music_file: str = "",
    avatar_image: str = "",
    cost_per_hour: float | None = None,
) -> tuple[BatchResult, ...]:
    """Have the episodes that `folder` means made by the workers of this server.

    Each episode goes to the deployment named like its profile (`episode/server-80gb`), or to
    `episode/default`; `queue` is the work queue in its pool, for a class of machines within one
    pool. Workers must see the scripts under the same paths and have the same code and the same
    store (`STUDIO_REMOTE`, or a `STUDIO_HOME` that they share with this machine). A worker that
    dies costs what it had not finished: its episodes are ordered again. Packages that do not appear
    in `out_dir` here are put there from the store. `cost_per_hour` is the price of one run's share
    of a worker. Raises `BatchError` at the end, naming what failed and why.
    """
    shared = BatchItem(
        script="",
        profile=profile,
        options=options or {},
        lexicon=lexicon,
        music_file=music_file,
        avatar_image=avatar_image,
    )
    items = [_everywhere(one) for one in await asyncio.to_thread(plan_batch, folder, shared, limit)]
    out_dir = str(Path(out_dir).resolve())
    desk = DESK.get(Desk())
    # The bars of a batch count episodes; those of what is delivered here would be of several.
    DESK.set(Desk(tell=desk.tell, stop=desk.stop))
    desk.report("episodes", 0, len(items))
    began = time.monotonic()
    ended: dict[str, tuple[BatchResult, tuple[StageUse, ...]]] = {}

    def end(item: BatchItem, result: BatchResult, uses: tuple[StageUse, ...] = ()) -> None:
        ended[item.name] = (result, uses)
        desk.report("episodes", len(ended), len(items))
        ANNOUNCE.get(_nobody)(result)

    due = []
    for item in items:
        result = await asyncio.to_thread(_unchanged, item, out_dir) if only_changed else None
        if result is None:
            due.append(item)
        else:
            end(item, result)
    jobs = await _share(due, out_dir, queue, not only_changed, desk, end)
    results = tuple(ended[item.name][0] for item in items)
    uses = tuple(use for item in items for use in ended[item.name][1])
    wall_s, busy_s = time.monotonic() - began, sum(job.busy_s for job in jobs)
    figures = figures_of(results, uses, wall_s=wall_s, cores=1, jobs=1, cost_per_hour=cost_per_hour)
    paid = figures.cost_per_finished_min
    figures = replace(
        figures,
        # Whose processors? They belong to machines that this one does not see.
        cpu_busy_pct=None,
        cost_per_finished_min=None if paid is None else paid * busy_s / wall_s,
        verdict=_verdict(len(due), busy_s, wall_s),
    )
    note = "the stages ran on workers: each episode's own report tells of its machine"
    report = report_of(f"Batch of {len(items)}", Trace(cpu_count=1, notes=(note,)), uses)
    await report_batch(results, figures, report, out_dir)
    return results


async def _share(
    items: Sequence[BatchItem], out_dir: str, queue: str, anew: bool, desk: Desk, end: End
) -> list[Job]:
    """Order the episodes, wait for them, and say of each at its end what became of it."""
    async with get_client() as client:
        fleet = Fleet(client, str(flow_run.id), queue, desk.tell)
        due: list[tuple[BatchItem, Job]] = []
        for item in items:
            name = f"episode/{Path(item.profile).stem}"
            deployment = await fleet.deployment(name, "episode/default")
            asked = item.model_dump() | {"out_dir": out_dir, "anew": anew}
            due.append((item, Job(deployment=deployment, parameters=asked, name=item.name)))
        jobs = [job for _, job in due]
        quiet_since, told = time.monotonic(), False
        try:
            await asyncio.gather(*(fleet.order(job) for job in jobs))
            while due:
                await asyncio.sleep(POLL_S)
                if desk.stop.is_set():
                    raise Stopped
                await fleet.look([job for _, job in due])
                for item, job in [pair for pair in due if pair[1].over]:
                    due.remove((item, job))
                    end(item, *await _ended(item, job, out_dir))
                if not told and time.monotonic() - quiet_since > _SILENCE_S:
                    told = True
                    await fleet.warn_of_silence([job for _, job in due])
        finally:
            await fleet.cancel([job for _, job in due])
    return jobs


async def _ended(
    item: BatchItem, job: Job, out_dir: str
) -> tuple[BatchResult, tuple[StageUse, ...]]:
    """What became of an episode. Its package is here then, if it was made at all."""
    state = job.run.state if job.run else None
    if state is None or not state.is_completed():
        why = (state.message if state else None) or (state.name if state else "") or "no state"
        why = why.removeprefix("Flow run encountered an exception: ")
        if state is not None and state.is_crashed():
            why = f"{MAX_TAKES} machines died over it: {why}"
        return BatchResult(script=item.script, name=item.name, why=why, wall_s=job.busy_s), ()
    try:
        made = await asyncio.to_thread(_remembered, item, out_dir)
    except StudioError as error:
        return BatchResult(script=item.script, name=item.name, why=str(error)), ()
    if made is None:
        why = (
            "a worker made it, but this machine's store does not know it: give both the same "
            "STUDIO_REMOTE (or STUDIO_HOME) and the same version of the studio"
        )
        return BatchResult(script=item.script, name=item.name, why=why), ()
    episode, is_here = made
    if not is_here:
        asked = item.model_dump()
        answer: Any = await make_episode(**asked, out_dir=out_dir, return_state=True)
        delivered = await answer.aresult(raise_on_failure=False)
        if not isinstance(delivered, Episode):
            return BatchResult(script=item.script, name=item.name, why=str(delivered)), ()
        episode = replace(episode, folder=delivered.folder)
    result = BatchResult(
        script=item.script,
        name=item.name,
        folder=episode.folder,
        duration_s=episode.duration_s,
        made=_stages(episode.uses),
        wall_s=job.busy_s,
    )
    return result, episode.uses


def _stages(uses: Sequence[StageUse]) -> tuple[str, ...]:
    """The stages that ran; the last of them runs each time."""
    ran = dict.fromkeys(use.stage for use in uses if use.stage != UNATTRIBUTED)
    return tuple(ran) or ("package",)


def _everywhere(item: BatchItem) -> BatchItem:
    """The item with absolute paths: workers stand in other folders."""
    files = ("script", "lexicon", "music_file", "avatar_image")
    given = {key: value for key in files if (value := getattr(item, key))}
    if item.profile.endswith(".toml"):
        given["profile"] = item.profile
    return item.model_copy(update={key: str(Path(path).resolve()) for key, path in given.items()})


def _unchanged(item: BatchItem, out_dir: str) -> BatchResult | None:
    """The answer for an episode whose package stands, or that cannot be made."""
    wanted = settle(load_profile(item.profile), Header(), item.options)
    try:
        with open_run(out_dir, device=wanted.device, gpu=wanted.gpu) as run:
            standing = standing_episode(
                run, order_of(item, wanted), wanted, item.options, item.name
            )
    except StudioError as error:
        return BatchResult(script=item.script, name=item.name, why=str(error))
    if standing is None:
        return None
    return BatchResult(
        script=item.script,
        name=item.name,
        folder=standing.folder,
        duration_s=standing.duration_s,
    )


def _remembered(item: BatchItem, out_dir: str) -> tuple[Episode, bool] | None:
    """The episode as its maker left it, and whether its package stands here."""
    wanted = settle(load_profile(item.profile), Header(), item.options)
    with open_run(out_dir, device=wanted.device, gpu=wanted.gpu) as run:
        asked = (run, order_of(item, wanted), wanted, item.options, item.name)
        known = remembered_episode(*asked)
        return None if known is None else (known, standing_episode(*asked) is not None)


def _verdict(ordered: int, busy_s: float, wall_s: float) -> str:
    if ordered == 0:
        return "Nothing was made."
    at_once = busy_s / wall_s
    said = f"{ordered} episodes ordered; {at_once:.1f} were being made at once on average"
    if at_once + 1 < ordered:
        return f"{said}: more workers would shorten the batch."
    return f"{said}: one worker for each; more would find nothing to do."


def _nobody(_result: BatchResult) -> None:
    """Nobody listens."""
