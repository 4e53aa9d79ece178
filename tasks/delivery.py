"""A folder that appears whole: written beside its place under a hidden name, renamed in.

A crash leaves at most a hidden folder, which the next run of that name removes, never half an
episode under a final name. Where an older package stands, the two change places in one step. What
the user put there, and anything else that no package wrote, is never deleted.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import glob
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from studio.errors import OutputError

MANIFEST = "manifest.json"
"""Lists the files of a package; a folder without one is not ours."""

LATER = frozenset({MANIFEST, "report.json"})
"""Files of a package that its manifest does not list: itself, and what a run adds at its end."""

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2
"""Linux's numbers for "relative to here" and "swap the two names" (renameat2(2))."""

_REMEDY = "Choose another place with --out-dir, or free some room there"


@contextlib.contextmanager
def staged(final: Path) -> Iterator[Path]:
    """A hidden folder to write a package into; it stands at `final` when the block has ended.

    When the block raises, nothing changes at `final` and the hidden folder is removed; one that a
    killed run left behind is removed by the next. The manifest must be written by then. Raises
    `OutputError` when the place cannot be written or is full.
    """
    if final.exists() and not final.is_dir():
        raise OutputError(str(final), "is a file, not a folder", _REMEDY)
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        beside, claim = _claimed(final)
    except OSError as error:
        raise output_error(final.parent, error) from error
    try:
        yield beside
        beside.chmod(0o755)
        _sync(beside)
        _put(beside, final)
    except OutputError:
        raise
    except OSError as error:
        raise output_error(final, error) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
        os.close(claim)


def _claimed(final: Path) -> tuple[Path, int]:
    """A new hidden folder beside `final` and the descriptor that holds its lock.

    The kernel drops the lock of a process that dies, however it dies: a folder of ours that nobody
    holds is a dead run's, and goes. The lock of the parent keeps others from looking between the
    making of a folder and its locking.
    """
    prefix = f".{final.name[:40]}.draft-"
    parent = os.open(final.parent, os.O_RDONLY)
    try:
        fcntl.flock(parent, fcntl.LOCK_EX)
        for left in final.parent.glob(f"{glob.escape(prefix)}*"):
            if left.is_dir() and not left.is_symlink():
                _drop_if_dead(left)
        beside = Path(tempfile.mkdtemp(prefix=prefix, dir=final.parent))
        claim = os.open(beside, os.O_RDONLY)
        fcntl.flock(claim, fcntl.LOCK_EX)
    finally:
        os.close(parent)
    return beside, claim


def _drop_if_dead(folder: Path) -> None:
    try:
        held = os.open(folder, os.O_RDONLY)
    except OSError:
        # Gone meanwhile, or another user's: neither is ours to remove.
        return
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    except BlockingIOError:
        return
    finally:
        os.close(held)


def is_intact(folder: Path, manifest_sha256: str) -> bool:
    """Whether `folder` holds the package of that manifest, every file in full length."""
    try:
        text = (folder / MANIFEST).read_bytes()
        if hashlib.sha256(text).hexdigest() != manifest_sha256:
            return False
        listed = json.loads(text)["files"]
        return all((folder / file["name"]).stat().st_size == file["bytes"] for file in listed)
    except FileNotFoundError:
        return False


def output_error(place: Path, error: OSError) -> OutputError:
    """What the operating system said about a place, as an error with a remedy."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return OutputError(str(place), "no room left" if full else error.strerror or "failed", _REMEDY)


def _put(beside: Path, final: Path) -> None:
    """Move a finished folder to its place."""
    if not final.exists():
        beside.rename(final)
    elif _all_ours(final) and _exchange(beside, final):
        pass  # what is beside now is the old package, and goes
    else:
        _merge(beside, final)
    _sync_entry(final.parent)


def _listed(folder: Path) -> frozenset[str]:
    """The files that a folder's manifest lists; empty when it has none."""
    try:
        data = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        names = [entry["name"] for entry in data["files"]]
        return frozenset(one for one in names if isinstance(one, str) and "\0" not in one) | LATER
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return frozenset()


def _all_ours(folder: Path) -> bool:
    """Whether nothing is in a folder but a package."""
    return _names(folder) <= _listed(folder)


def _names(folder: Path) -> frozenset[str]:
    """Every file below a folder, by its path inside it; links are not followed."""
    return frozenset(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_symlink() or not path.is_dir()
    )


def _exchange(one: Path, two: Path) -> bool:
    """Swap two names in one step; False where the system cannot."""
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError):
        return False
    done = rename(
        _AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(two), ctypes.c_uint(_RENAME_EXCHANGE)
    )
    return bool(done == 0)


def _merge(beside: Path, final: Path) -> None:
    """Replace a package file by file, its manifest last; foreign files stay."""
    before, new = _listed(final), _names(beside)
    for name in [*sorted(new - {MANIFEST}), MANIFEST]:
        target = final / name
        target.parent.mkdir(parents=True, exist_ok=True)
        (beside / name).replace(target)
    for name in before - new - {"report.json"}:
        inside = final / name
        if inside.resolve().is_relative_to(final.resolve()):
            inside.unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())


def _sync_entry(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
