"""Whole episodes that were made before: answered from the store, without a server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from profiles import Profile, settle
from studio.keys import code_version, fingerprint
from studio.slugs import slug
from studio.types import Episode, Rehearsal
from tasks.batch_plan import BatchItem
from tasks.delivery import is_intact
from tasks.reach import within_reach
from tasks.run import Run
from tasks.script import Order, rehearse, without_music


def episode_key(heard: Rehearsal, told: Profile, name: str) -> str:
    """The key under which a whole episode is remembered: its words, its files, what was asked, and
    its package's name.
    """
    code = code_version("tasks", "models", "studio", "profiles", "flows")
    here = within_reach((told.voice, told.music, told.avatar))
    return fingerprint("episode", code, heard, told, name, here)


def order_of(item: BatchItem, wanted: Profile) -> Order:
    """What a batch asks of the first stage of one of its episodes."""
    return Order(
        script=item.script,
        lexicon=item.lexicon,
        music=item.music_file,
        portrait=item.avatar_image,
        background=wanted.picture.background,
        pose_film=wanted.avatar.sadtalker.pose_film,
    )


def remembered_episode(
    run: Run, order: Order, wanted: Profile, options: Mapping[str, object], name: str = ""
) -> Episode | None:
    """The episode of this order as whoever made it left it, wherever its package stands.

    `name` is the package's, by default the script's without its suffix.
    Reads the script and the user's files, so that whatever is wrong with them is said here.
    """
    heard = rehearse.fn(order, run=run)
    told = settle(wanted, heard.script.header, options)
    if not told.music.enabled:
        heard = without_music(heard)
    return run.store.recall(episode_key(heard, told, name or Path(order.script).stem), Episode)


def standing_episode(
    run: Run, order: Order, wanted: Profile, options: Mapping[str, object], name: str = ""
) -> Episode | None:
    """The same, if its package stands unchanged in the run's output folder."""
    known = remembered_episode(run, order, wanted, options, name)
    folder = run.out_dir / slug(name or Path(order.script).stem)
    if known is None or not is_intact(folder, known.manifest_sha256):
        return None
    return replace(known, folder=str(folder), uses=())
