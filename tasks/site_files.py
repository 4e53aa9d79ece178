"""The files of a site: each whole or not at all, the user's own left alone.

A hidden ledger in the site's folder names every file that a publication put there, with its hash. A
file that is not in it, or has another hash, is the user's: it is never replaced.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studio.errors import MediaError, OutputError, SettingError
from tasks.delivery import output_error

LEDGER = ".podcast-studio.json"
"""Hidden: web servers do not list it, and it holds nothing that the feed does not say."""

PART = ".studio-part-"
"""Files being written; what a killed publication left of them is swept by the next."""

KEPT = frozenset({"style.css"})
"""Files that are the user's to change: one that was changed stays, and the publication goes on."""

_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Copied:
    """A file of a package that is to lie on the site, and what its manifest says of it."""

    source: Path
    num_bytes: int
    sha256: str


Content = bytes | Copied


@dataclass(slots=True)
class Ledger:
    """What is known of a site: the show's guid, when each episode was published, our files."""

    guid: str
    episodes: dict[str, dict[str, str]]
    files: dict[str, list[str]]

    @classmethod
    def read(cls, site: Path) -> Ledger:
        """The ledger of a site; an empty one where there is none yet.

        Raises `SettingError` when it cannot be read: without it guids would change.
        """
        try:
            data: Any = json.loads((site / LEDGER).read_text(encoding="utf-8"))
            return cls(str(data["guid"]), dict(data["episodes"]), dict(data["files"]))
        except FileNotFoundError:
            return cls("", {}, {})
        except (ValueError, KeyError, TypeError) as error:
            remedy = "Restore it from a backup, or publish into another folder"
            raise SettingError(str(site / LEDGER), "cannot be read", remedy) from error

    def write(self, site: Path) -> None:
        """Put the ledger beside the site's files."""
        data = {"guid": self.guid, "episodes": self.episodes, "files": self.files}
        text = json.dumps(data, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
        if (site / LEDGER).is_file() and (site / LEDGER).read_text(encoding="utf-8") == text:
            return
        _place(site / LEDGER, text.encode())


@contextmanager
def opened_site(site: Path) -> Iterator[Ledger]:
    """The ledger of a site that nobody else publishes into until the block ends.

    Raises `OutputError` when the place cannot be written or another publication is at work.
    """
    try:
        site.mkdir(parents=True, exist_ok=True)
        handle = os.open(site, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise output_error(site, error) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for left in site.rglob(f"{PART}*"):
            left.unlink(missing_ok=True)
        yield Ledger.read(site)
    except BlockingIOError as error:
        remedy = "Wait until it has finished"
        raise OutputError(str(site), "another publication is at work there", remedy) from error
    finally:
        os.close(handle)


def place_files(
    site: Path, ledger: Ledger, contents: Mapping[str, Content]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Let `contents` (path on the site to content) appear in their order; the ledger is updated.

    Returns what was written and what was kept because the user had changed it. Nothing is written
    when a file of the user's stands in the way: `OutputError`. A copy that is not what its manifest
    says raises `MediaError`.
    """
    new = {name: _sha256(content) for name, content in contents.items()}
    state = {name: _state(site, name, ledger.files.get(name, ()), new[name]) for name in contents}
    foreign = [name for name, found in state.items() if found == "foreign" and name not in KEPT]
    if foreign:
        remedy = "Move it away, or publish into another folder"
        raise OutputError(str(site / foreign[0]), "was not made by a publication", remedy)
    # Before the first file: whichever of the two versions a killed run leaves is known as ours.
    for name, sha256 in new.items():
        if state[name] != "foreign":
            ledger.files[name] = sorted({*ledger.files.get(name, ()), sha256})
    try:
        ledger.write(site)
        for name, content in contents.items():
            if state[name] == "ours":
                _place(site / name, content)
        for name, sha256 in new.items():
            if state[name] != "foreign":
                ledger.files[name] = [sha256]
        ledger.write(site)
    except OutputError:
        raise
    except OSError as error:
        raise output_error(site, error) from error
    written = tuple(name for name, found in state.items() if found == "ours")
    return written, tuple(name for name, found in state.items() if found == "foreign")


def _state(site: Path, name: str, ours: list[str] | tuple[str, ...], wanted: str) -> str:
    """`same`, `ours` (absent, or to be replaced) or `foreign`."""
    target = site / name
    inside = target.parent.resolve().is_relative_to(site.resolve())
    if not inside or target.is_symlink() or target.is_dir():
        return "foreign"
    if not target.exists():
        return "ours"
    found = _file_sha256(target)
    if found == wanted:
        return "same"
    return "ours" if found in ours else "foreign"


def _sha256(content: Content) -> str:
    return content.sha256 if isinstance(content, Copied) else hashlib.sha256(content).hexdigest()


def _file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _place(target: Path, content: Content) -> None:
    """Write a file beside its place, sync it, rename it in."""
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=PART, dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            if isinstance(content, Copied):
                _copy(content, file)
            else:
                file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(target)
    finally:
        Path(name).unlink(missing_ok=True)


def _copy(content: Copied, file: Any) -> None:
    digest = hashlib.sha256()
    with content.source.open("rb") as source:
        while block := source.read(_BLOCK):
            digest.update(block)
            file.write(block)
    if digest.hexdigest() != content.sha256:
        found = "is not what its manifest says"
        raise MediaError(str(content.source), found, "Make the episode again")
