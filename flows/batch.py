"""Many scripts, many episode packages: one process, stages of different episodes side by side."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any

from prefect import flow

from flows.episode import FLOOR, make_episode
from flows.remembered import order_of, standing_episode
from profiles import load_profile, settle
from studio.errors import StudioError
from studio.gathering import Call
from studio.gpu.run_report import report_of
from studio.types import BatchResult, Episode, Header
from tasks.batch import figures_of, report_batch
from tasks.batch_plan import BatchItem, look_ahead, plan_batch
from tasks.notify import NOTIFIED
from tasks.run import CALLS, DESK, METER, Desk, Stopped, open_meter, open_run

ANNOUNCE: ContextVar[Callable[[BatchResult], None]] = ContextVar("announce")
"""Set by whoever starts a batch in this process and wants to hear of each episode at its end."""


@flow(name="nightly-batch", persist_result=False, **NOTIFIED)
async def make_batch(
    folder: str,
    profile: str = "cpu",
    out_dir: str = "out",
    limit: int = 0,
    only_changed: bool = True,
    jobs: int = 2,
    ahead: int | None = None,
    options: dict[str, Any] | None = None,
    lexicon: str = "",
    music_file: str = "",
    avatar_image: str = "",
    cost_per_hour: float | None = None,
) -> tuple[BatchResult, ...]:
    """Make the episodes that `folder` means: a folder of scripts, a pattern, or a `.json` list.

    At most `jobs` are mixed, filmed and encoded at once, and `limit` made in all (0: all); `ahead`
    more are spoken and composed meanwhile, so that engines find several to work for (by default as
    many as the profile's composer takes at once). An episode that fails does not stop the others;
    one whose package stands unchanged is left alone, and of the rest only the stages run whose
    inputs have changed. Without `only_changed` everything is made anew. `cost_per_hour` is the
    price of this machine. Raises `BatchError` at the end, naming what failed and why.
    """
    files: dict[str, Any] = {"lexicon": lexicon, "music_file": music_file}
    files["avatar_image"] = avatar_image
    shared = BatchItem(script="", profile=profile, options=options or {}, **files)
    items = await asyncio.to_thread(plan_batch, folder, shared, limit)
    told = settle(load_profile(profile), Header(), options or {})
    more = look_ahead(told.voice, told.music) if ahead is None else ahead
    began = time.monotonic()
    with open_meter(told.gpu) as meter:
        METER.set(meter)
        calls: list[Call] = []
        CALLS.set(calls)
        FLOOR.set(asyncio.Semaphore(max(1, jobs)))
        results = await _all_made(items, max(1, jobs) + max(0, more), out_dir, only_changed)
        report = report_of(f"Batch of {len(items)}", meter.trace(), meter.uses())
    figures = figures_of(
        results,
        report.uses,
        wall_s=time.monotonic() - began,
        cores=report.trace.cpu_count,
        cards=len(report.trace.cards),
        jobs=jobs,
        cost_per_hour=cost_per_hour,
        calls=calls,
    )
    await report_batch(results, figures, report, out_dir)
    return results


async def _all_made(
    items: Sequence[BatchItem], at_once: int, out_dir: str, only_changed: bool
) -> tuple[BatchResult, ...]:
    """Make the episodes in their order, `at_once` of them begun and not ended. Raises `Stopped`."""
    desk = DESK.get(Desk())
    places = asyncio.Semaphore(at_once)
    ended: list[BatchResult] = []

    async def one(item: BatchItem) -> BatchResult:
        async with places:
            # The bars of a batch count episodes; those of its stages would be of several at once.
            DESK.set(Desk(stop=desk.stop))
            result = await _made(item, out_dir, only_changed=only_changed)
        ended.append(result)
        desk.report("episodes", len(ended), len(items))
        ANNOUNCE.get(_nobody)(result)
        return result

    desk.report("episodes", 0, len(items))
    results = tuple(await asyncio.gather(*(one(item) for item in items)))
    if desk.stop.is_set():
        raise Stopped
    return results


async def _made(item: BatchItem, out_dir: str, *, only_changed: bool) -> BatchResult:
    """Make one episode, unless its package stands; whatever goes wrong is part of the answer."""
    began = time.monotonic()
    try:
        standing = await asyncio.to_thread(_standing, item, out_dir) if only_changed else None
    except StudioError as error:
        return _failed(item, error, began)
    except Stopped:
        return BatchResult(script=item.script, name=item.name, why="stopped")
    if standing is not None:
        return _done(item, standing, (), began)
    made = make_episode(
        script=item.script,
        profile=item.profile,
        out_dir=out_dir,
        options=item.options,
        lexicon=item.lexicon,
        music_file=item.music_file,
        avatar_image=item.avatar_image,
        name=item.name,
        anew=not only_changed,
    )
    # A fault of the studio itself in one episode must not take the others with it either. Asked for
    # its state, a run that a crowded server was told of twice would come back without its result.
    answers: list[object] = await asyncio.gather(made, return_exceptions=True)
    answer = answers[0]
    if isinstance(answer, Episode):
        stages = tuple(dict.fromkeys(use.stage for use in answer.uses if use.run))
        return _done(item, answer, stages, began)
    return _failed(item, answer, began)


def _standing(item: BatchItem, out_dir: str) -> Episode | None:
    wanted = settle(load_profile(item.profile), Header(), item.options)
    with open_run(out_dir, device=wanted.device, gpu=wanted.gpu) as run:
        return standing_episode(run, order_of(item, wanted), wanted, item.options, item.name)


def _done(item: BatchItem, episode: Episode, made: tuple[str, ...], began: float) -> BatchResult:
    return BatchResult(
        script=item.script,
        name=item.name,
        folder=episode.folder,
        duration_s=episode.duration_s,
        made=made,
        wall_s=time.monotonic() - began,
    )


def _failed(item: BatchItem, cause: object, began: float) -> BatchResult:
    kind = "" if isinstance(cause, StudioError) else f"{type(cause).__name__}: "
    why = f"{kind}{cause}" if str(cause) else type(cause).__name__
    wall_s = time.monotonic() - began
    return BatchResult(script=item.script, name=item.name, why=why, wall_s=wall_s)


def _nobody(_result: BatchResult) -> None:
    """Nobody listens."""
