"""Who makes what, among runs of one machine and among machines that share a store.

A claim is held while something is made. On one machine it is a kernel file lock, which ends with
its process. Among machines it is an object `claims/<key>.0` that only one can create, and whose
text its holder renews every few seconds. Whoever has seen the same text for `LEASE_S` by a clock of
his own takes the holder for dead and creates `<key>.1`, and so on; again only one can. No two
clocks are ever compared. A holder that only stalled makes the same bytes as his successor: a claim
saves work, it does not guard content.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from studio.errors import RemoteError
from studio.remote import Remote

BEAT_S: Final = 5.0
"""How often a holder renews its claim."""

LEASE_S: Final = 30.0
"""So long without a sign and a holder counts as dead: six beats may be lost."""


@contextlib.contextmanager
def local_claim(folder: Path, key: str) -> Iterator[bool]:
    """Whether this caller now holds `key` on this machine; it does until the block ends. Does not
    wait. Threads of one process count as different callers.
    """
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / f"{key}.lock"
    with place.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        if not _same(place, lock.fileno()):
            # Its holder deleted the file between our opening and our locking it.
            yield False
            return
        try:
            yield True
        finally:
            place.unlink(missing_ok=True)


def _same(place: Path, descriptor: int) -> bool:
    try:
        return place.stat().st_ino == os.fstat(descriptor).st_ino
    except FileNotFoundError:
        return False


class Claims:
    """The claims of this process in a shared store. Safe in threads."""

    def __init__(
        self,
        remote: Remote,
        *,
        beat_s: float = BEAT_S,
        lease_s: float = LEASE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._remote, self._beat_s, self._lease_s, self._clock = remote, beat_s, lease_s, clock
        self._seen: dict[str, tuple[tuple[int, bytes], float]] = {}

    @contextlib.contextmanager
    def claim(self, key: str) -> Iterator[bool]:
        """Whether this caller now holds `key` among all machines; it does until the block ends.

        Does not wait. Raises `RemoteError` when the store does not answer at the beginning; a beat
        or a release that fails later costs others at most the lease.
        """
        token = f"{socket.gethostname()} {os.getpid()} {uuid.uuid4().hex}"
        number = self._take(key, token)
        if number is None:
            yield False
            return
        over = threading.Event()
        beats = threading.Thread(
            target=self._beat, args=(_name(key, number), token, over), daemon=True
        )
        beats.start()
        try:
            yield True
        finally:
            over.set()
            beats.join()
            # The dead ones first: whoever looks meanwhile must not take one of them for the last.
            with contextlib.suppress(RemoteError):
                for one in range(number + 1):
                    self._remote.delete(_name(key, one))

    def _take(self, key: str, token: str) -> int | None:
        if self._remote.create(_name(key, 0), _text(token, 0)):
            return 0
        number, text = 0, self._remote.get(_name(key, 0))
        while (above := self._remote.get(_name(key, number + 1))) is not None:
            number, text = number + 1, above
        if text is None or not self._is_dead(key, (number, text)):
            return None
        if not self._remote.create(_name(key, number + 1), _text(token, 0)):
            return None
        if self._remote.get(_name(key, number)) != text:
            # It was released just before, and perhaps claimed anew.
            self._remote.delete(_name(key, number + 1))
            return None
        return number + 1

    def _is_dead(self, key: str, held: tuple[int, bytes]) -> bool:
        """Whether this claim has given no sign for the lease, by our own clock."""
        now = self._clock()
        before, since = self._seen.setdefault(key, (held, now))
        if before != held:
            self._seen[key] = (held, now)
            return False
        return now - since >= self._lease_s

    def _beat(self, name: str, token: str, over: threading.Event) -> None:
        count = 0
        while not over.wait(self._beat_s):
            count += 1
            with contextlib.suppress(RemoteError):
                self._remote.put(name, _text(token, count))


def _name(key: str, number: int) -> str:
    return f"claims/{key}.{number}"


def _text(token: str, count: int) -> bytes:
    return f"{token} {count}\n".encode()
