"""What a stage does with its time, step by step: said where the work is done, heard by the meter.

An engine says `with step("paste"):` and knows of no meter; `Meter.stage` listens to the thread that
runs the stage. Steps are added up by name, however often they come: a film of 90 000 frames has as
many lines in a report as one of ten.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

from studio.types import StepUse

Listener = Callable[[str, int, int | None], None]
"""Told of a step's name, its time on this thread and its time on the card, both in nanoseconds; the
second is `None` where no card worked, or none could tell.
"""

LISTENER: ContextVar[Listener | None] = ContextVar("listener", default=None)
"""Who hears of the steps of this context; nobody outside a metered stage."""


@contextmanager
def step(name: str) -> Iterator[None]:
    """A step on this thread. A block that fails is not counted."""
    listener = LISTENER.get()
    start_ns = time.perf_counter_ns()
    yield
    if listener is not None:
        listener(name, time.perf_counter_ns() - start_ns, None)


class StepBook:
    """Steps of one span, added up; any thread may write."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: dict[str, tuple[int, int, int | None]] = {}

    def add(self, name: str, wall_ns: int, gpu_ns: int | None) -> None:
        """Count a step once more; this is a `Listener`."""
        with self._lock:
            times, wall, gpu = self._rows.get(name, (0, 0, None))
            if gpu_ns is not None:
                gpu = gpu_ns if gpu is None else gpu + gpu_ns
            self._rows[name] = times + 1, wall + wall_ns, gpu

    def rows(self) -> tuple[StepUse, ...]:
        """The steps in the order in which they were first heard of."""
        with self._lock:
            return tuple(
                StepUse(
                    step=name,
                    times=times,
                    wall_s=wall / 1e9,
                    gpu_s=None if gpu is None else gpu / 1e9,
                )
                for name, (times, wall, gpu) in self._rows.items()
            )


def merged(parts: Sequence[Sequence[StepUse]]) -> tuple[StepUse, ...]:
    """The steps of several spans as if they were one."""
    rows: dict[str, StepUse] = {}
    for row in (row for part in parts for row in part):
        known = rows.get(row.step)
        rows[row.step] = row if known is None else _sum(known, row)
    return tuple(rows.values())


def _sum(one: StepUse, other: StepUse) -> StepUse:
    gpu = [seconds for seconds in (one.gpu_s, other.gpu_s) if seconds is not None]
    return StepUse(
        step=one.step,
        times=one.times + other.times,
        wall_s=one.wall_s + other.wall_s,
        gpu_s=sum(gpu) if gpu else None,
    )
