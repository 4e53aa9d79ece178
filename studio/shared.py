"""The second tier of the store: what one machine has made, others need not make.

Media and remembered values are pushed in the background and pulled when they are missing locally.
Trouble after the start costs no work: it is told, the run goes on with what it has, and the shared
store is left alone for a while.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Final, TypeVar

from studio.claims import Claims
from studio.errors import RemoteError
from studio.remote import Remote
from studio.types import Blob

T = TypeVar("T")

UPLOADS: Final = 4
"""Pushes at once: one waits for the network while another reads the disk."""

PAUSE_S: Final = 30.0
"""So long a shared store that failed is not asked again: hundreds of lines must not wait for its
time-out one by one."""

DEBRIS_S: Final = 24 * 3600.0
"""Claims and half uploads of killed machines that are older than this are swept."""

_RETRY_S: Final = (0.5, 2.0)
"""Waits before a push is tried again."""

_LOG = logging.getLogger("studio.shared")


class Shared:
    """A shared store as the runs of one process use it. Safe in threads."""

    def __init__(self, remote: Remote, claims: Claims | None = None) -> None:
        self.remote = remote
        self.troubles: list[str] = []
        self._claims = claims or Claims(remote)
        self._pool = ThreadPoolExecutor(UPLOADS, thread_name_prefix="share")
        self._pending: set[Future[None]] = set()
        self._lock = threading.Lock()
        self._asleep_until = 0.0
        self._checked = False

    def check(self) -> None:
        """Try it once a process, before there is work to lose. Raises `RemoteError`."""
        if not self._checked:
            self.remote.check()
            self._checked = True

    def fetch(self, blob: Blob, into: Path) -> bool:
        """Copy a blob's media into a file; False when it is not there. It is not verified."""
        return self._tolerant(lambda: self.remote.fetch(_media(blob), into), otherwise=False)

    def reject(self, blob: Blob) -> None:
        """Delete media that is not what its name says; whoever makes it pushes it anew."""
        self._note(f"{self.remote.url}/{_media(blob)}: not what its name says; made anew")
        self._tolerant(lambda: self.remote.delete(_media(blob)), otherwise=None)

    def value(self, key: str) -> bytes | None:
        """What is remembered under `key`; None for nothing and for something damaged."""
        data = self._tolerant(lambda: self.remote.get(_value(key)), otherwise=None)
        if data is None:
            return None
        digest, _, text = data.partition(b"\n")
        return text if digest.decode("ascii", "replace") == _sha256(text) else None

    def push(self, key: str, text: bytes, media: Sequence[tuple[Blob, Path]]) -> None:
        """Share a value and its media, in the background; the value last, so that whoever sees it
        finds its media.
        """

        def work() -> None:
            for blob, path in media:
                self.remote.send(path, _media(blob))
            self.remote.put(_value(key), _sha256(text).encode() + b"\n" + text)

        future = self._pool.submit(self._push, work)
        with self._lock:
            self._pending = {one for one in self._pending if not one.done()} | {future}

    def flush(self) -> None:
        """Wait until everything pushed so far is shared, or has failed and been told."""
        with self._lock:
            pending = set(self._pending)
        wait(pending)

    @contextlib.contextmanager
    def claim(self, key: str) -> Iterator[bool]:
        """Whether this caller may make `key`, among all machines; it may, too, when nobody can
        tell because the store does not answer.
        """
        with contextlib.ExitStack() as stack:
            yield self._tolerant(
                lambda: stack.enter_context(self._claims.claim(key)), otherwise=True
            )

    def collect(self, max_bytes: int) -> tuple[int, int]:
        """Delete the media that was shared longest ago until at most `max_bytes` are left, and what
        killed machines left behind. Returns how many files and bytes of media were freed.

        Other machines may work meanwhile: all that a run uses lies in its own store. Raises
        `RemoteError`.
        """
        now = time.time()
        for folder in ("claims", "media", "values"):
            for name, _, written in self.remote.objects(folder):
                left_over = folder == "claims" or name.endswith(".part")
                if left_over and now - written > DEBRIS_S:
                    self.remote.delete(name)
        found = sorted((w, size, name) for name, size, w in self.remote.objects("media"))
        total, freed, count = sum(size for _, size, _ in found), 0, 0
        for _, size, name in found:
            if total - freed <= max_bytes:
                break
            self.remote.delete(name)
            freed, count = freed + size, count + 1
        return count, freed

    def _push(self, work: Callable[[], None]) -> None:
        for pause_s in _RETRY_S:
            if self._asleep():
                return
            try:
                work()
            except RemoteError:
                time.sleep(pause_s)
            else:
                return
        self._tolerant(work, otherwise=None)

    def _tolerant(self, ask: Callable[[], T], *, otherwise: T) -> T:
        if self._asleep():
            return otherwise
        try:
            return ask()
        except RemoteError as error:
            self._asleep_until = time.monotonic() + PAUSE_S
            self._note(f"{error}. The run goes on by itself: others may make the same again")
            return otherwise

    def _asleep(self) -> bool:
        return time.monotonic() < self._asleep_until

    def _note(self, trouble: str) -> None:
        with self._lock:
            new = trouble not in self.troubles
            if new:
                self.troubles.append(trouble)
        if new:
            _LOG.warning(trouble)


@functools.cache
def shared_store(url: str) -> Shared | None:
    """The shared store of that URL, one for all runs of this process; None for no URL.

    Raises `SettingError` for a URL that no file system serves.
    """
    return Shared(Remote(url)) if url else None


def _media(blob: Blob) -> str:
    return f"media/{blob.sha256[:2]}/{blob.sha256}{blob.suffix}"


def _value(key: str) -> str:
    return f"values/{key[:2]}/{key}"


def _sha256(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()
