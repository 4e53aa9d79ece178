"""Which episodes a batch makes: of a folder, of a pattern, or of a list with options for each."""

from __future__ import annotations

import difflib
import glob
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from pydantic import Field, ValidationError

from models.needs import NEURAL
from studio.errors import ScriptError, SettingError
from studio.keys import fingerprint
from studio.slugs import slug
from studio.specs import MusicSpec, Spec, VoiceSpec

MOST_AHEAD = 8
"""Each is a run of its own in Prefect, and holds a batch of spoken lines in memory."""

SCRIPTS = frozenset({".txt", ".md"})


class BatchItem(Spec):
    """One episode of a batch. In a list, paths are relative to the list's own folder; what is not
    given is the batch's.
    """

    script: str
    name: str = ""
    profile: str = ""
    options: dict[str, Any] = Field(default_factory=dict)
    lexicon: str = ""
    music_file: str = ""
    avatar_image: str = ""


class BatchList(Spec):
    """A `.json` file that names the episodes of a batch."""

    profile: str = ""
    options: dict[str, Any] = Field(default_factory=dict)
    lexicon: str = ""
    music_file: str = ""
    avatar_image: str = ""
    episodes: tuple[BatchItem, ...] = Field(min_length=1)


def look_ahead(voice: VoiceSpec, music: MusicSpec) -> int:
    """How many coming episodes to speak and compose while others are filmed and encoded.

    Neural engines find requests of so many episodes to work on at once; an episode has a cue or
    more. One is enough for engines that take no batches: what is ahead then only fills pauses.
    """
    batches = [music.batch] if music.enabled and NEURAL & set(music.engine) else []
    if NEURAL & set(voice.engine):
        batches.append(voice.batch)
    return min(max(batches, default=1), MOST_AHEAD)


@task(name="plan batch", task_run_name="plan batch", tags=["cpu"], cache_policy=NO_CACHE)
def plan_batch(source: str, shared: BatchItem, limit: int = 0) -> tuple[BatchItem, ...]:
    """The episodes that `source` means, each with its own name, at most `limit` of them (0: all).

    `source` is a folder with scripts (`.txt`, `.md`), a pattern such as `scripts/2026-*.md`, or a
    `.json` list. `shared` holds what the whole batch is told (its script is not used); what the
    list and its episodes say wins. Raises `ScriptError` when there is nothing to make,
    `SettingError` for a list that is not well formed.
    """
    items = _of_list(Path(source)) if source.lower().endswith(".json") else _of_scripts(source)
    told = [_under(item, shared) for item in items]
    return tuple(named(told)[: limit or None])


def _of_scripts(source: str) -> list[BatchItem]:
    place = Path(source)
    if place.is_dir():
        found = sorted(p for p in place.iterdir() if p.suffix.lower() in SCRIPTS and p.is_file())
        if not found:
            raise ScriptError(source, "holds no script", "Put .txt or .md scripts into it")
    elif place.is_file():
        found = [place]
    elif glob.has_magic(source):
        matches = sorted(Path(name) for name in glob.glob(source, recursive=True))  # noqa: PTH207
        found = [p for p in matches if p.suffix.lower() in SCRIPTS and p.is_file()]
        if not found:
            raise ScriptError(source, "matches no script", "Name .txt or .md files")
    else:
        remedy = "Name a folder with .txt or .md scripts, a pattern, or a .json list"
        raise ScriptError(source, "no such folder", remedy)
    return [BatchItem(script=str(path)) for path in found]


def _of_list(path: Path) -> list[BatchItem]:
    try:
        listed = BatchList.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        found = error.strerror or "cannot be read"
        raise ScriptError(str(path), found, "Name a .json list of episodes") from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part)[:60] for part in first["loc"]) or "the list"
        known = [*BatchItem.model_fields, "episodes"]
        near = difflib.get_close_matches(key.rsplit(".", maxsplit=1)[-1], known, n=1)
        remedy = f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(known)}"
        raise SettingError(str(path), f"{key}: {first['msg']}", remedy) from error
    except ValueError as error:
        raise SettingError(str(path), f"is no valid JSON ({error})", "Mend it") from error
    shared = BatchItem(script="", **listed.model_dump(exclude={"episodes"}))
    return [_beside(_under(item, shared), path.parent) for item in listed.episodes]


def _under(item: BatchItem, shared: BatchItem) -> BatchItem:
    """An item with what it does not say taken from what is shared."""
    given = shared.model_dump() | {key: value for key, value in item.model_dump().items() if value}
    given["options"] = {**shared.options, **item.options}
    return BatchItem.model_validate(given | {"name": item.name})


def _beside(item: BatchItem, folder: Path) -> BatchItem:
    """Paths of a list, and profiles that are files, are found from the list's folder."""
    changed = {
        key: str(folder / value)
        for key in ("script", "lexicon", "music_file", "avatar_image")
        if (value := getattr(item, key))
    }
    if item.profile.endswith(".toml"):
        changed["profile"] = str(folder / item.profile)
    return item.model_copy(update=changed)


def named(items: Sequence[BatchItem]) -> list[BatchItem]:
    """Every item with a name of its own, so that no episode replaces another.

    A name that was given stays; a script's is its file name. Scripts that would share one are told
    apart by their suffix, then by their folder, then by the hash of their path: none of them keeps
    the short name, for whose it is would depend on what else is in the batch. Raises
    `SettingError` when two names that were given are the same.
    """
    given = [slug(item.name) for item in items if item.name]
    twice = [name for name, count in Counter(given).items() if count > 1]
    if twice:
        raise SettingError(f"name {twice[0]!r}", "is given to two episodes", "Rename one")
    names = {index: item.name for index, item in enumerate(items) if item.name}
    left = [index for index in range(len(items)) if index not in names]
    for spelt in (_stem, _with_suffix, _with_folder, _with_hash):
        wanted = {index: spelt(Path(items[index].script), items[index]) for index in left}
        taken = Counter(slug(name) for name in (*names.values(), *wanted.values()))
        names |= {index: name for index, name in wanted.items() if taken[slug(name)] == 1}
        left = [index for index in left if index not in names]
    if left:
        script = items[left[0]].script
        raise SettingError(script, "is in the batch twice, alike", "Leave one out")
    return [item.model_copy(update={"name": names[i]}) for i, item in enumerate(items)]


def _stem(path: Path, _item: BatchItem) -> str:
    return path.stem


def _with_suffix(path: Path, _item: BatchItem) -> str:
    return path.name


def _with_folder(path: Path, _item: BatchItem) -> str:
    return f"{path.parent.name} {path.name}"


def _with_hash(path: Path, item: BatchItem) -> str:
    return f"{path.stem} {fingerprint(item)[:8]}"
