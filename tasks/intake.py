"""What a stage reads and decodes before it can work on it: told to the meter as waiting for input.

A card that idles meanwhile idles for that reason, and reading ahead is what would save the time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from tasks.run import RUNNING

Item = TypeVar("Item")

_END = object()


@contextmanager
def reading() -> Iterator[None]:
    """The stage of the calling thread reads its input in this block; outside a metered stage
    nothing is told.
    """
    running = RUNNING.get()
    if running is None:
        yield
        return
    with running.phase("input"):
        yield


def fed(source: Iterable[Item]) -> Iterator[Item]:
    """The items of a source; that each has to be waited for is told, the work on it is not."""
    items = iter(source)
    while True:
        with reading():
            item = next(items, _END)
        if item is _END:
            return
        yield item  # type: ignore[misc]  # the sentinel is gone by here
