"""How long an engine's steps take, on the thread and on the card, without waiting for the card.

A card works behind the thread's back: the thread's clock says how long it took to ask. Events in
the card's own queue say how long it took to do; they are read when they have come to pass.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch

from studio.gpu.steps import LISTENER, Listener, step

StepName = Literal[
    "detection",
    "3DMM",
    "source features",
    "mel",
    "audio to coefficients",
    "rendering",
    "lips",
    "enhancement",
    "paste",
    "resizing",
]
"""What the engines spend their time on, as reports show it."""


@dataclass(frozen=True, slots=True)
class _Lap:
    listener: Listener
    name: str
    wall_ns: int
    begin: torch.cuda.Event
    end: torch.cuda.Event


class Stopwatch:
    """Tells whoever listens (`studio.gpu.steps`) of one engine's steps on `device`."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._laps: deque[_Lap] = deque()

    @contextmanager
    def step(self, name: StepName) -> Iterator[None]:
        """A step that is worked, or only asked for, inside the block. One that fails is not
        counted.
        """
        listener = LISTENER.get()
        if listener is None or self._device.type != "cuda":
            with step(name):
                yield
            return
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        start_ns = time.perf_counter_ns()
        begin.record()
        yield
        end.record()
        self._laps.append(_Lap(listener, name, time.perf_counter_ns() - start_ns, begin, end))
        self.read()

    def read(self, *, wait: bool = False) -> None:
        """Tell of the steps that the card has done, in order; `wait` for all that were asked for.

        Raises `RuntimeError` where torch reports that the card failed.
        """
        while self._laps and (wait or self._laps[0].end.query()):  # type: ignore[no-untyped-call]
            lap = self._laps[0]
            lap.end.synchronize()
            lap.listener(lap.name, lap.wall_ns, round(lap.begin.elapsed_time(lap.end) * 1e6))
            self._laps.popleft()
