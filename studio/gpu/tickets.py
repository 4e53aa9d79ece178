"""Tickets on disk: one locked file for everybody who waits or holds, on one host.

A ticket's owner keeps a kernel lock (`flock`) on its file for as long as it waits and holds. The
kernel drops the lock when the owner ends in whatever way, so a file that can be locked is nobody's
and is swept. All reading and writing is done under one more lock, the mutex, which nobody keeps for
longer than it takes to read a few small files.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import uuid
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from studio.errors import OutputError
from studio.gpu.folder_watch import FolderWatch


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """What a ticket says. `cards` are the capacities (MiB, encoder sessions) of the cards that
    would do.
    """

    stage: str
    pid: int
    need_mib: int
    nvenc: int
    cards: dict[str, tuple[int, int]]
    since: float
    card: str | None = None
    idle: bool = False


class TicketFile:
    """An own ticket: the locked file."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path, self._descriptor = path, descriptor

    @property
    def name(self) -> str:
        """The file's name; names sort in order of arrival."""
        return self.path.name

    def write(self, ticket: Ticket) -> None:
        """Replace what it says. Only under the mutex."""
        data = json.dumps(asdict(ticket)).encode()
        os.pwrite(self._descriptor, data, 0)
        os.ftruncate(self._descriptor, len(data))

    def remove(self) -> None:
        """Give it up. The next scan of anybody sees it gone."""
        if self._descriptor < 0:
            return
        descriptor, self._descriptor = self._descriptor, -1
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()
        # Said aloud, not only closed: a forked child may still have the descriptor.
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)

    def leave_to_parent(self) -> None:
        """In a forked child: close the copy, so that the parent's end alone frees the ticket."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


_OWN: weakref.WeakSet[TicketFile] = weakref.WeakSet()


class TicketFolder:
    """All tickets of a host. For any number of processes and threads.

    Raises `OutputError` when the folder cannot be made.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        try:
            root.mkdir(parents=True, exist_ok=True)
            self._mutex = root / "mutex"
            self._mutex.touch()
        except OSError as error:
            raise OutputError(
                str(root),
                f"cannot be used ({error.strerror})",
                "Name a local folder for the ledger.",
            ) from error
        self._tickets = root / "tickets"
        self._tickets.mkdir(exist_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """The mutex. Not re-entrant."""
        descriptor = os.open(self._mutex, os.O_RDWR)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)

    def draw(self, ticket: Ticket) -> TicketFile:
        """A new ticket behind all others. Only under the mutex."""
        numbers = [int(name.partition("-")[0]) for name in self._names()]
        number = max(numbers, default=0) + 1
        path = self._tickets / f"{number:012d}-{ticket.pid}-{uuid.uuid4().hex[:8]}"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        file = TicketFile(path, descriptor)
        file.write(ticket)
        _OWN.add(file)
        return file

    def read(self) -> dict[str, Ticket]:
        """Every living ticket, oldest first; dead ones are swept. Only under the mutex."""
        found: dict[str, Ticket] = {}
        for name in self._names():
            ticket = self._read(self._tickets / name)
            if ticket is not None:
                found[name] = ticket
        return found

    def watch(self) -> FolderWatch:
        """Tells when a ticket is drawn, given up or swept."""
        return FolderWatch(self._tickets)

    def _names(self) -> list[str]:
        with os.scandir(self._tickets) as entries:
            return sorted(entry.name for entry in entries)

    def _read(self, path: Path) -> Ticket | None:
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            return None
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                data = json.loads(os.read(descriptor, 1 << 20))
                cards = {card: (mib, nvenc) for card, (mib, nvenc) in data["cards"].items()}
                return Ticket(**{**data, "cards": cards})
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
            return None
        finally:
            os.close(descriptor)


def _after_fork() -> None:
    for file in list(_OWN):
        file.leave_to_parent()


os.register_at_fork(after_in_child=_after_fork)
