"""What every stage of a run shares: the store, the output, progress, the wish to stop."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prefect.blocks.system import Secret

from studio.gathering import Call
from studio.gpu.cards import Card
from studio.gpu.meter import Meter
from studio.gpu.prometheus import exposition, metrics_endpoint
from studio.gpu.running import Running
from studio.heap import share_heaps
from studio.specs import DeviceSpec, GpuSpec
from studio.store import Store, open_store
from tasks.machine import Machine, machine_for

Report = Callable[[str, int, int], None]
"""Called with a stage's name, how many of its items are done and how many there are."""


class Stopped(Exception):
    """The user asked the run to stop; raised inside a stage at its next report of progress."""


@dataclass(frozen=True, slots=True)
class Desk:
    """Where a run is watched from. A run without anybody watching has a silent one; what a person
    should know before money is spent is then logged.
    """

    report: Report = lambda stage, done, total: None
    tell: Callable[[str], None] = logging.getLogger("studio").warning
    stop: threading.Event = field(default_factory=threading.Event)


DESK: ContextVar[Desk] = ContextVar("desk")
"""Set by whoever starts a flow in this process and wants to see its progress."""

METER: ContextVar[Meter] = ContextVar("meter")
"""Set by a flow of several runs, so that one meter watches them all and nothing counts twice."""

CALLS: ContextVar[list[Call] | None] = ContextVar("calls", default=None)
"""Set by a flow of several runs that wants to know what engines did for several of them at once."""

RUNNING: ContextVar[Running | None] = ContextVar("running", default=None)
"""The metered stage that the calling thread works for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of a flow. Not a value: it is no part of any cache key."""

    store: Store
    out_dir: Path
    desk: Desk
    name: str = ""
    machine: Machine | None = None
    meter: Meter | None = None
    calls: list[Call] | None = None
    strict: bool = False
    commercial: bool = False
    device: DeviceSpec = field(default_factory=DeviceSpec)
    over: threading.Event = field(default_factory=threading.Event)

    def report(self, stage: str, done: int, total: int) -> None:
        """Tell how far a stage is. Raises `Stopped` when the run is to end, or has ended."""
        self.check()
        self.desk.report(stage, done, total)

    def check(self) -> None:
        """Raises `Stopped` when the run is to end, or has ended."""
        if self.desk.stop.is_set() or self.over.is_set():
            raise Stopped

    def tell(self, notice: str) -> None:
        """Say something that a person should know now, not in the summary."""
        self.desk.tell(notice)

    def pause(self, seconds: float) -> None:
        """Wait. Raises `Stopped` as soon as the run is to end."""
        if self.desk.stop.wait(seconds) or self.over.is_set():
            raise Stopped

    @property
    def cards(self) -> tuple[Card, ...]:
        """The cards that may be used."""
        return self.machine.found.cards if self.machine is not None else ()

    def running(self) -> Running | None:
        """The metered stage that the calling thread works for: it learns of waits and loads."""
        return RUNNING.get()


@contextmanager
def open_meter(gpu: GpuSpec) -> Iterator[Meter]:
    """A meter on this machine's cards, with the endpoint for Prometheus if the profile wants it."""
    machine = machine_for(gpu)
    with Meter(machine.found.cards, nvml=machine.nvml, sample_hz=gpu.sample_hz) as meter:

        def figures() -> str:
            return exposition(meter.trace(), meter.uses(), machine.holdings())

        with (
            metrics_endpoint(figures, host=gpu.metrics_host, port=gpu.metrics_port)
            if gpu.metrics_port
            else nullcontext()
        ):
            yield meter


@contextmanager
def open_run(
    out_dir: str,
    *,
    name: str = "",
    device: DeviceSpec,
    gpu: GpuSpec,
    strict: bool = False,
    commercial: bool = False,
    anew: bool = False,
) -> Iterator[Run]:
    """A run on this machine's store (`STUDIO_HOME`, and `STUDIO_REMOTE` behind it) and cards,
    measured until the block ends.

    `name` tells the runs apart that one meter watches (`METER`). With `anew` nothing is answered
    from the store. Raises `RemoteError` when the shared store cannot be used at the start; if it
    fails later, that is told at the end and the run goes on.
    """
    share_heaps()
    store = open_store(os.environ, recalls=not anew)
    if store.shared is not None:
        store.shared.check()
    told = len(store.shared.troubles) if store.shared is not None else 0
    watched = METER.get(None)
    with (
        store.in_use(),
        open_meter(gpu) if watched is None else nullcontext(watched) as meter,
    ):
        run = Run(
            store=store,
            out_dir=Path(out_dir),
            desk=DESK.get(Desk()),
            name="" if watched is None else name,
            machine=machine_for(gpu),
            meter=meter,
            calls=CALLS.get(),
            strict=strict,
            commercial=commercial,
            device=device,
        )
        try:
            yield run
        finally:
            # A cancelled flow leaves stages running in threads: they end at their next step.
            run.over.set()
            store.flush()
            for trouble in store.shared.troubles[told:] if store.shared is not None else ():
                run.tell(trouble)


def secret(service: str) -> str:
    """The key of a cloud service: `ELEVENLABS_API_KEY` for "elevenlabs"; empty when there is none.

    The environment is asked first, then the Prefect block `elevenlabs-api-key`. The key is handed
    to the engine and goes nowhere else.
    """
    if key := os.environ.get(f"{service.upper()}_API_KEY"):
        return key
    try:
        # Prefect gives `load` the argument at run time, unseen by its own types.
        load: Any = Secret.load
        return str(load(f"{service.replace('_', '-')}-api-key", _sync=True).get())
    except ValueError:
        return ""
