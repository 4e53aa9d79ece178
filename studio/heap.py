"""How this process keeps freed memory."""

from __future__ import annotations

import ctypes
import sys

_M_ARENA_MAX = -8
"""glibc's name for "how many heaps" in `mallopt(3)`."""

HEAPS = 2
"""glibc gives threads heaps of their own, up to eight per core, and what a stage's thread freed in
one is of no use to the next stage's thread in another. Drafts made in a row held 870 MiB with the
eight, 320 MiB with two (`make soak`).
"""


def share_heaps() -> bool:
    """Let the threads of this process share `HEAPS` heaps; whether the C library knows how.

    Heaps that exist already stay, so it is worth calling early.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(_M_ARENA_MAX, HEAPS))
