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


def episode_key(heard: Rehearsal, told: Profile, script: str) -> str:
    """The key under which a whole episode is remembered: its words, its files, what was asked."""
    code = code_version("tasks", "models", "studio", "profiles", "flows")
    return fingerprint("episode", code, heard, told, Path(script).stem)


def standing_episode(
    run: Run, order: Order, wanted: Profile, options: Mapping[str, object]
) -> Episode | None:
    """The episode of this order if its package stands unchanged in the run's output folder.

    Reads the script and the user's files, so that whatever is wrong with them is said here.
    """
    heard = rehearse.fn(order, run=run)
    told = settle(wanted, heard.script.header, options)
    if not told.music.enabled:
        heard = without_music(heard)
    known = run.store.recall(episode_key(heard, told, order.script), Episode)
    folder = run.out_dir / slug(Path(order.script).stem)
    if known is None or not is_intact(folder, known.manifest_sha256):
        return None
    return replace(known, folder=str(folder), uses=())
