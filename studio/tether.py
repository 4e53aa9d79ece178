"""A process that ends with the one that started it, however that one ends.

A parent that is killed with SIGKILL can end nobody. So the child watches: as soon as it is another
process's child, it ends itself as SIGTERM would, and with SIGKILL if that takes too long. Threads
and `exec` cannot loosen it, unlike Linux's PR_SET_PDEATHSIG, and it needs no Linux.

`python -P -m studio.tether PARENT_PID GRACE_S MODULE ARGUMENT…` runs a module so tied.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
import time
from collections.abc import Sequence
from typing import Final

POLL_S: Final = 0.25
"""How long an orphan may live before it knows."""

PARENT: Final = "STUDIO_PARENT_PID"
"""Set by a tied process for its own children: who to watch. A child that asks the kernel when it is
ready to watch may be an orphan by then, and would watch the process that adopted it."""

_THREAD: Final = "tether"


def end_with_parent(parent: int, grace_s: float) -> None:
    """Watch from now on, in a thread: once `parent` is not this process's parent any more, end this
    process with SIGTERM, `grace_s` later with SIGKILL, and then its process group with it if it
    leads one. A second call changes nothing.
    """
    if any(thread.name == _THREAD for thread in threading.enumerate()):
        return
    watch = threading.Thread(target=_watch, args=(parent, grace_s), name=_THREAD, daemon=True)
    watch.start()


def command(grace_s: float, module: str, arguments: Sequence[str]) -> list[str]:
    """The command line of a module that is to end with this process."""
    tied = [sys.executable, "-P", "-m", "studio.tether", str(os.getpid()), str(grace_s)]
    return [*tied, module, *arguments]


def _watch(parent: int, grace_s: float) -> None:
    while os.getppid() == parent:
        time.sleep(POLL_S)
    if grace_s > 0:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(grace_s)
    if os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


def _main(arguments: Sequence[str]) -> None:
    parent, grace_s, module, *rest = arguments
    end_with_parent(int(parent), float(grace_s))
    os.environ[PARENT] = str(os.getpid())
    sys.argv = [module, *rest]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _main(sys.argv[1:])
