"""One script, one episode package."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, nullcontext
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from prefect import flow
from prefect.futures import PrefectFuture
from prefect.runtime import flow_run

from flows.remembered import episode_key
from profiles import Profile, load_profile, settle, shortfall
from studio.types import Episode, Header, Rehearsal
from tasks.avatar import animate
from tasks.episode import encode, mix_sound, package
from tasks.music import score
from tasks.notify import NOTIFIED
from tasks.package import Brief
from tasks.report import report_run
from tasks.run import Run, open_run
from tasks.script import Order, rehearse, without_music
from tasks.speech import speak
from tasks.stage import at
from tasks.tag_limits import keep_limits

FLOOR: ContextVar[AbstractAsyncContextManager[object] | None] = ContextVar("floor", default=None)
"""Set by a flow of several episodes to bound how many are mixed, filmed and encoded at once; others
may speak and compose meanwhile.
"""


def _name() -> str:
    given = flow_run.parameters
    return str(given.get("name") or Path(str(given.get("script", "episode"))).stem)


@flow(name="episode", flow_run_name=_name, persist_result=False, **NOTIFIED)
async def make_episode(
    script: str,
    profile: str = "cpu",
    out_dir: str = "out",
    options: dict[str, Any] | None = None,
    lexicon: str = "",
    music_file: str = "",
    avatar_image: str = "",
    name: str = "",
    anew: bool = False,
) -> Episode:
    """Make the episode of `script` and put its package into `out_dir`.

    `name` is the package's, by default the script's without its suffix. `options` are profile keys
    in dotted form, for instance `{"picture.aspect": "9:16"}`; they win over the script's header,
    which wins over the profile. With `anew` nothing is answered from the store.
    """
    name = name or Path(script).stem
    wanted = settle(load_profile(profile), Header(), options or {})
    order = Order(
        script=script,
        lexicon=lexicon,
        music=music_file,
        portrait=avatar_image,
        background=wanted.picture.background,
        pose_film=wanted.avatar.sadtalker.pose_film,
    )
    with open_run(
        out_dir,
        name=name,
        device=wanted.device,
        gpu=wanted.gpu,
        strict=wanted.strict,
        commercial=wanted.commercial,
        anew=anew,
    ) as run:
        lacks = shortfall(wanted, run.cards)
        if lacks:
            run.tell(f"profile {wanted.name}: {lacks}; engines step down where they must")
        await keep_limits(wanted.gpu)
        heard: Rehearsal = await _done(at(run, rehearse).submit(order, run=run))
        told = settle(wanted, heard.script.header, options or {})
        if not told.music.enabled:
            heard = without_music(heard)
        episode = await _produce(run, heard, told, name)
        episode = await report_run(episode, run, told.expectations)
        return run.store.remember(episode_key(heard, told, name), episode)


async def _produce(run: Run, heard: Rehearsal, told: Profile, name: str) -> Episode:
    """The DAG: speech and music side by side, avatar and mix side by side, encode, package."""
    seed = told.seed
    # The file itself is among the assets; its path would make the key depend on the machine.
    picture = told.picture.model_copy(update={"background": ""})
    brief = Brief(package=told.package, mix=told.mix, picture=picture, encode=told.encode)

    speech = at(run, speak, told.voice.engine).submit(heard, told.voice, told.mix, seed, run=run)
    music = at(run, score, told.music.engine).submit(
        heard, told.voice, told.music, told.mix, seed, run=run
    )
    async with FLOOR.get() or nullcontext():
        sound = at(run, mix_sound).submit(heard, speech, music, told.mix, run=run)
        seen, video = None, None
        if not told.package.audio_only:
            seen = at(run, animate, told.avatar.engine).submit(
                heard, speech, told.avatar, picture, seed, run=run
            )
            asked = (picture, told.avatar, told.mix, told.encode, seed)
            video = at(run, encode, told.encode.encoder).submit(
                heard, speech, sound, seen, *asked, run=run
            )
        packed = at(run, package).submit(
            name, heard, speech, music, sound, seen, video, brief, seed, run=run
        )
        # In the order of the DAG: a stage behind one that failed never ends, and says nothing.
        for future in (speech, music, sound, seen, video):
            if future is not None:
                await _done(future)
        episode: Episode = await _done(packed)
        return episode


async def _done(future: PrefectFuture[Any]) -> Any:
    """Wait for a stage without holding up the flow's own heartbeat."""
    return await asyncio.to_thread(future.result)
