"""One place for media and remembered values, named by content.

    <root>/ab/abcdef….flac     media: written beside, fsynced, renamed in; verified when it is read
    <root>/memory/<key>.json   values remembered by the hash of what determines them
    <root>/results/            Prefect's own record of finished stages
    <root>/claims/             locks of what is being made at this moment

Nothing here is ever changed in place, so any number of runs may share a store. Only `collect`
deletes. Behind it there may be a second tier that machines share (`studio.shared`): what is missing
here is pulled from there, what is remembered here is pushed there.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from studio.claims import local_claim
from studio.errors import OutputError, StoreError
from studio.shared import Shared, shared_store
from studio.types import Blob

T = TypeVar("T")

WAIT_S = 0.25
"""How often a run looks whether what another makes is there; grows to eight times that."""


def studio_home(environ: Mapping[str, str]) -> Path:
    """Where the store is: `STUDIO_HOME`, or a folder in the user's cache."""
    if home := environ.get("STUDIO_HOME"):
        return Path(home)
    cache = environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(cache) / "podcast-studio"


def open_store(environ: Mapping[str, str], *, recalls: bool = True) -> Store:
    """The store of this machine (`STUDIO_HOME`), before the one that machines share if
    `STUDIO_REMOTE` names one by an fsspec URL.
    """
    shared = shared_store(environ.get("STUDIO_REMOTE", ""))
    return Store(studio_home(environ), recalls=recalls, shared=shared)


@dataclasses.dataclass(slots=True)
class Draft:
    """A file being written. `blob` is known once the `with` block has ended without an error."""

    path: Path
    blob: Blob | None = None

    def taken(self) -> Blob:
        """The stored file. Raises `StoreError` when asked before the file is complete."""
        if self.blob is None:
            raise StoreError(str(self.path), "the file is not finished", "Read it after its block")
        return self.blob


class Store:
    """A content-addressed folder. Opening one creates it; it holds no open files.

    One that does not recall (`recalls=False`) answers nothing from memory: all is made anew, and
    remembered.
    """

    def __init__(self, root: Path, *, recalls: bool = True, shared: Shared | None = None) -> None:
        self.root = root
        self.recalls = recalls
        self.shared = shared
        self._verified: set[str] = set()
        try:
            for folder in (root / "memory", root / "results", root / "drafts"):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _output_error(root, error) from error

    @contextlib.contextmanager
    def draft(self, suffix: str) -> Iterator[Draft]:
        """Write a new file at `draft.path`; it enters the store when the block ends, or leaves no
        trace.
        """
        handle, name = tempfile.mkstemp(suffix=suffix, dir=self.root / "drafts")
        os.close(handle)
        draft = Draft(Path(name))
        try:
            yield draft
            draft.blob = self._take_in(draft.path, suffix)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EFBIG):
                raise _output_error(self.root, error) from error
            raise
        finally:
            draft.path.unlink(missing_ok=True)

    def put_bytes(self, data: bytes, suffix: str) -> Blob:
        """Store `data`."""
        with self.draft(suffix) as draft:
            draft.path.write_bytes(data)
        return draft.taken()

    def put_file(self, source: Path, suffix: str | None = None) -> Blob:
        """Store a copy of a user's file; the file itself is never moved or changed."""
        with self.draft(suffix or source.suffix.lower()) as draft:
            shutil.copyfile(source, draft.path)
        return draft.taken()

    def _take_in(self, path: Path, suffix: str) -> Blob:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            os.fsync(file.fileno())
        blob = Blob(sha256=sha256, suffix=suffix, num_bytes=path.stat().st_size)
        final = self._place(blob)
        final.parent.mkdir(exist_ok=True)
        path.chmod(0o644)
        path.replace(final)
        folder = os.open(final.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        self._verified.add(sha256)
        return blob

    def _pull(self, blob: Blob) -> bool:
        """Fetch media from the shared store, if there is one and it has it whole."""
        if self.shared is None:
            return False
        handle, name = tempfile.mkstemp(suffix=blob.suffix, dir=self.root / "drafts")
        os.close(handle)
        path = Path(name)
        try:
            if not self.shared.fetch(blob, path):
                return False
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
            if found != blob.sha256:
                self.shared.reject(blob)
                return False
            self._take_in(path, blob.suffix)
        except OSError as error:
            raise _output_error(self.root, error) from error
        finally:
            path.unlink(missing_ok=True)
        return True

    def _place(self, blob: Blob) -> Path:
        return self.root / blob.sha256[:2] / f"{blob.sha256}{blob.suffix}"

    def holds(self, blob: Blob) -> bool:
        """Whether the file is there in full length, pulled from the shared store if need be. Marks
        it as used.
        """
        return self._has(blob) or self._pull(blob)

    def _has(self, blob: Blob) -> bool:
        place = self._place(blob)
        try:
            complete = place.stat().st_size == blob.num_bytes
            if complete:
                os.utime(place)
        except FileNotFoundError:
            return False
        return complete

    def path(self, blob: Blob) -> Path:
        """Where the file lies. Its hash is verified at the first use in a process.

        Raises `StoreError` when it is missing or is not what its name says; a damaged file is
        removed, so that the next run makes it again.
        """
        place = self._place(blob)
        if not self.holds(blob):
            place.unlink(missing_ok=True)
            raise StoreError(str(place), "missing or cut short", "Run again: it is made anew")
        if blob.sha256 not in self._verified:
            with place.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
            if found != blob.sha256:
                place.unlink(missing_ok=True)
                if not self._pull(blob):
                    remedy = "Run again: it is made anew"
                    raise StoreError(str(place), f"holds {found[:12]}…", remedy)
            self._verified.add(blob.sha256)
        return place

    def remember(self, key: str, value: T) -> T:
        """Keep a value (a dataclass of `studio.types`) under the hash of what determined it."""
        data = TypeAdapter(type(value)).dump_json(value)
        self._write_memory(key, data)
        if self.shared is not None:
            media = [(blob, self._place(blob)) for blob in blobs_in(value)]
            self.shared.push(key, data, media)
        return value

    def _write_memory(self, key: str, data: bytes) -> None:
        handle, name = tempfile.mkstemp(suffix=".json", dir=self.root / "drafts")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            Path(name).replace(self._memory(key))
        except OSError as error:
            raise _output_error(self.root, error) from error
        finally:
            Path(name).unlink(missing_ok=True)

    def _memory(self, key: str) -> Path:
        return self.root / "memory" / f"{key}.json"

    def recall(self, key: str, kind: type[T]) -> T | None:
        """The value remembered under `key`, if it is there and so is all of its media."""
        if not self.recalls:
            return None
        try:
            data = self._memory(key).read_bytes()
        except FileNotFoundError:
            data = b""
        value = self._whole(data, kind)
        if value is None and self.shared is not None:
            other = self.shared.value(key)
            # The same text names the same media, which could not be had.
            value = None if other in (None, data) else self._whole(other or b"", kind)
            if value is not None:
                self._write_memory(key, other or b"")
        return value

    def _whole(self, data: bytes, kind: type[T]) -> T | None:
        try:
            value = TypeAdapter(kind).validate_json(data)
        except ValidationError:
            return None
        return value if all(self.holds(blob) for blob in blobs_in(value)) else None

    @contextlib.contextmanager
    def claim(self, key: str) -> Iterator[bool]:
        """Whether this caller may make what is remembered under `key`, until the block ends: one
        may among the threads and processes of this machine, and among the machines that share a
        store. Does not wait.
        """
        with local_claim(self.root / "claims", key) as mine:
            if not mine or self.shared is None:
                yield mine
                return
            with self.shared.claim(key) as ours:
                yield ours

    def once(
        self, key: str, kind: type[T], make: Callable[[], T], pause: Callable[[float], None]
    ) -> T:
        """The value remembered under `key`, or what `make` makes, remembered and shared.

        While another makes it, this waits with `pause(seconds)`, which may raise to give up.
        """
        if not self.recalls:
            return self.remember(key, make())
        seconds = WAIT_S
        while True:
            with self.claim(key) as mine:
                known = self.recall(key, kind)
                if known is not None:
                    return known
                if mine:
                    made = self.remember(key, make())
                    # Who claims it next must find it.
                    self.flush()
                    return made
            pause(seconds)
            seconds = min(seconds * 1.5, WAIT_S * 8)

    def flush(self) -> None:
        """Wait until what was remembered is shared."""
        if self.shared is not None:
            self.shared.flush()

    @contextlib.contextmanager
    def in_use(self) -> Iterator[None]:
        """Hold this while a run works: `collect` then leaves the store alone.

        Who comes when nobody else is there sweeps the drafts that killed runs left.
        """
        with (self.root / "in-use.lock").open("a") as lock:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._sweep_drafts()
            fcntl.flock(lock, fcntl.LOCK_SH)
            yield

    def _sweep_drafts(self) -> None:
        for left in (*(self.root / "drafts").iterdir(), *(self.root / "claims").glob("*.lock")):
            left.unlink(missing_ok=True)

    def collect(self, max_bytes: int) -> tuple[int, int]:
        """Delete the least recently used media until at most `max_bytes` are left.

        Returns how many files and bytes were freed. Raises `StoreError` while a run uses the store.
        """
        with (self.root / "in-use.lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                remedy = "Wait until the running episodes have finished"
                raise StoreError(str(self.root), "in use", remedy) from error
            self._sweep_drafts()
            files = [(s.st_mtime_ns, s.st_size, p) for p in self.media() for s in [p.stat()]]
            total, freed, count = sum(size for _, size, _ in files), 0, 0
            for _, size, place in sorted(files):
                if total - freed <= max_bytes:
                    break
                place.unlink(missing_ok=True)
                freed, count = freed + size, count + 1
        return count, freed

    def media(self) -> list[Path]:
        """Every media file in the store."""
        return [p for p in self.root.glob("[0-9a-f][0-9a-f]/*") if p.is_file()]


def blobs_in(value: object) -> Iterator[Blob]:
    """Every `Blob` inside a value."""
    if isinstance(value, Blob):
        yield value
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            yield from blobs_in(getattr(value, field.name))
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from blobs_in(item)


def _output_error(place: Path, error: OSError) -> OutputError:
    remedy = "Free some room, or choose another place with --out-dir or STUDIO_HOME"
    return OutputError(str(place), error.strerror or str(error), remedy)
