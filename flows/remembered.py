"""Whole episodes that were made before: answered from the store, without a server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from profiles import Profile, settle
from studio.keys import code_version, fingerprint
from studio.slugs import slug
from studio.types import Episode, Rehearsal
from tasks.delivery import is_intact
from tasks.run import Run
from tasks.script import Order, rehearse, without_music


def episode_key(heard: Rehearsal, told: Profile, name: str) -> str:
    """The key under which a whole episode is remembered: its words, its files, what was asked, and
    its package's name.
    """
    code = code_version("tasks", "models", "studio", "profiles", "flows")
    return fingerprint("episode", code, heard, told, name)


def standing_episode(
    run: Run, order: Order, wanted: Profile, options: Mapping[str, object], name: str = ""
) -> Episode | None:
    """The episode of this order if its package stands unchanged in the run's output folder.

    `name` is the package's, by default the script's without its suffix.
    Reads the script and the user's files, so that whatever is wrong with them is said here.
    """
    heard = rehearse.fn(order, run=run)
    told = settle(wanted, heard.script.header, options)
    if not told.music.enabled:
        heard = without_music(heard)
    name = name or Path(order.script).stem
    known = run.store.recall(episode_key(heard, told, name), Episode)
    folder = run.out_dir / slug(name)
    if known is None or not is_intact(folder, known.manifest_sha256):
        return None
    return replace(known, folder=str(folder), uses=())
