"""Sleep until a folder changes: inotify where the kernel has it, else a glance every 10 ms.

Python has no inotify of its own; the two calls are made through the C library that is loaded
anyway.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

_GLANCE_S = 0.01
_CREATED, _DELETED = 0x100, 0x200
"""IN_CREATE and IN_DELETE of <sys/inotify.h>."""


class FolderWatch:
    """Watches one folder for files that come and go, from its creation until its block ends."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stamp = folder.stat().st_mtime_ns
        self._descriptor = _inotify(folder)

    @property
    def by_kernel(self) -> bool:
        """Whether the kernel tells (inotify); otherwise the folder's time stamp is looked at."""
        return self._descriptor >= 0

    def wait(self, timeout_s: float, also: Iterable[int] = ()) -> None:
        """Return when something has changed since the last call, or after `timeout_s`.

        Args:
            timeout_s: the longest wait.
            also: descriptors that end the wait when they become readable; looked at only
                `by_kernel`.
        """
        if self._descriptor >= 0:
            poll = select.poll()
            for descriptor in (self._descriptor, *also):
                poll.register(descriptor, select.POLLIN)
            if poll.poll(max(0.0, timeout_s) * 1000.0):
                with contextlib.suppress(BlockingIOError):
                    os.read(self._descriptor, 65_536)
            return
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            stamp = self._folder.stat().st_mtime_ns
            if stamp != self._stamp:
                self._stamp = stamp
                return
            time.sleep(_GLANCE_S)

    def close(self) -> None:
        """Stop watching; twice does no harm."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class ExitWatch:
    """Descriptors that become readable when processes end, for `FolderWatch.wait`.

    The kernel closes a process's files, and so drops its locks, before it announces the end.
    """

    def __init__(self) -> None:
        self._descriptors: dict[int, int] = {}
        self.complete = True

    def of(self, pids: Iterable[int]) -> list[int]:
        """Descriptors for these processes. `complete` tells whether each of them could be watched:
        not on other systems, and not for a process that has ended or is invisible from here.
        """
        wanted = set(pids) - {os.getpid()}
        for pid in self._descriptors.keys() - wanted:
            os.close(self._descriptors.pop(pid))
        for pid in wanted - self._descriptors.keys():
            with contextlib.suppress(OSError, AttributeError):
                self._descriptors[pid] = os.pidfd_open(pid)
        # One that has ended and is still wanted (its lock lives on in a child) would end every
        # wait.
        ended = _readable(self._descriptors.values())
        self.complete = self._descriptors.keys() == wanted and not ended
        return [descriptor for descriptor in self._descriptors.values() if descriptor not in ended]

    def close(self) -> None:
        """Stop watching."""
        self.of(())


def _readable(descriptors: Iterable[int]) -> set[int]:
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    return {descriptor for descriptor, _ in poll.poll(0)}


def _inotify(folder: Path) -> int:
    """A descriptor that becomes readable when the folder changes; -1 where that cannot be had.

    A user may have 128 of them by default (fs.inotify.max_user_instances): running out is no error.
    """
    if sys.platform != "linux":
        return -1
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = int(libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK))
    if descriptor < 0:
        return -1
    if libc.inotify_add_watch(descriptor, os.fsencode(folder), _CREATED | _DELETED) < 0:
        os.close(descriptor)
        return -1
    return descriptor
