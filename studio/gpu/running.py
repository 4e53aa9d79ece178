"""A stage at work: what it can say of itself, and the span it leaves behind."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from studio.gpu.books import Books
from studio.gpu.steps import StepBook
from studio.gpu.trace import Hold, Phase, PhaseKind, Span
from studio.types import StageUse


class Watch(Protocol):
    """What a running stage needs of its meter."""

    @property
    def now_ns(self) -> Callable[[], int]:
        """The meter's clock."""

    def boundary(self) -> AbstractContextManager[Books]:
        """Close the running interval."""

    def use(self, running: Running) -> StageUse:
        """The row of one span."""


class Lent(Protocol):
    """A lease as the ledger gives it, on the clock of `time.monotonic_ns`."""

    @property
    def card_index(self) -> int:
        """The card as CUDA numbers it."""

    @property
    def gib(self) -> float:
        """What was lent."""

    @property
    def asked_ns(self) -> int:
        """When it was asked for."""

    @property
    def granted_ns(self) -> int:
        """When it was granted."""

    @property
    def returned_ns(self) -> int | None:
        """When it was given back; `None` while it is held."""


class Running:
    """A stage at work, as `Meter.stage` hands it out."""

    def __init__(
        self, meter: Watch, span_id: str, stage: str, run: str, after: tuple[str, ...]
    ) -> None:
        self.id, self.stage, self.run, self.after = span_id, stage, run, after
        self._meter = meter
        self.start_ns, self.end_ns = 0, 0
        self.steps = StepBook()
        self._phases: list[tuple[PhaseKind, int, int]] = []
        self._leases: list[Lent] = []

    @contextmanager
    def phase(self, kind: PhaseKind) -> Iterator[None]:
        """Say what the stage is doing: `with running.phase("load"): ...`.

        A block that fails is not counted: a search for weights that are not there is no load that a
        warm engine would save.
        """
        start = self._meter.now_ns()
        yield
        self._phases.append((kind, start, self._meter.now_ns()))

    def holds(self, lease: Lent) -> None:
        """Note that the stage works on the lease's card, and how long it waited for it."""
        with self._meter.boundary():
            self._leases.append(lease)
        if lease.granted_ns > max(lease.asked_ns, self.start_ns):
            self._phases.append(("lease", max(lease.asked_ns, self.start_ns), lease.granted_ns))

    def owns(self, pid: int) -> None:
        """A child process works for this stage. Needed only for children that another stage or
        thread started.
        """
        with self._meter.boundary() as books:
            books.child_owner[pid] = self.id

    def joins(self) -> None:
        """The calling thread works for this stage until the stage ends."""
        with self._meter.boundary() as books:
            books.thread_owner[threading.get_native_id()] = self.id

    def use(self) -> StageUse:
        """What this stage has used so far; final once its `with` block has ended."""
        return self._meter.use(self)

    @property
    def cards(self) -> tuple[int, ...]:
        """Cards lent to this stage at the moment."""
        return tuple(lease.card_index for lease in self._leases if lease.returned_ns is None)

    def span(self, origin_ns: int, now_ns: int) -> Span:
        """The span as it goes into a trace."""
        end_ns = self.end_ns or now_ns

        def seconds(value: int) -> float:
            return (min(max(value, self.start_ns), end_ns) - origin_ns) * 1e-9

        return Span(
            id=self.id,
            stage=self.stage,
            run=self.run,
            start_s=seconds(self.start_ns),
            end_s=seconds(end_ns),
            after=self.after,
            phases=tuple(
                Phase(kind=kind, start_s=seconds(start), end_s=seconds(end))
                for kind, start, end in self._phases
            ),
            holds=tuple(
                Hold(
                    card=lease.card_index,
                    gib=lease.gib,
                    start_s=seconds(lease.granted_ns),
                    end_s=seconds(end_ns if lease.returned_ns is None else lease.returned_ns),
                )
                for lease in self._leases
            ),
        )
