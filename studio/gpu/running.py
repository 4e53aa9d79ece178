"""A stage at work: what it can say of itself, and the span it leaves behind."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from studio.gpu.books import Books
from studio.gpu.steps import StepBook
from studio.gpu.trace import Hold, Phase, PhaseKind, Span
from studio.types import StageUse

_MOST_PHASES = 1024
"""Of one kind in one span. A loop that fetches a batch a thousand times a minute would otherwise
fill the report with phases.
"""


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
        self._phases: defaultdict[PhaseKind, list[tuple[int, int]]] = defaultdict(list)
        self._leases: list[Lent] = []

    @contextmanager
    def phase(self, kind: PhaseKind) -> Iterator[None]:
        """Say what the stage is doing: `with running.phase("load"): ...`.

        A block that fails is not counted: a search for weights that are not there is no load that a
        warm engine would save.
        """
        start = self._meter.now_ns()
        yield
        self._note(kind, start, self._meter.now_ns())

    def holds(self, lease: Lent) -> None:
        """Note that the stage works on the lease's card, and how long it waited for it. A lease
        that it has already, with an engine that it uses again, is not counted twice.
        """
        if lease in self._leases:
            return
        with self._meter.boundary():
            self._leases.append(lease)
        if lease.granted_ns > max(lease.asked_ns, self.start_ns):
            self._note("lease", max(lease.asked_ns, self.start_ns), lease.granted_ns)

    def _note(self, kind: PhaseKind, start_ns: int, end_ns: int) -> None:
        phases = self._phases[kind]
        phases.append((start_ns, end_ns))
        if len(phases) > _MOST_PHASES:
            self._phases[kind] = paired(phases)

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

    @contextmanager
    def works_for(self, parts: Mapping[Running, int]) -> Iterator[None]:
        """What this stage uses in the block is shared out among `parts`, in proportion: the calling
        thread serves requests of several stages at once.
        """
        weights = {stage.id: weight for stage, weight in parts.items()}
        with self._meter.boundary() as books:
            books.company[self.id] = weights
        try:
            yield
        finally:
            with self._meter.boundary() as books:
                del books.company[self.id]

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
                for start, end, kind in sorted(
                    (start, end, kind)
                    for kind, phases in list(self._phases.items())
                    for start, end in phases
                )
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


def paired(phases: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Half as many phases: each two neighbours as one of their common length, from where the first
    began. The sum stays exact, the place is right to the distance of the two.

    Phases in order that do not overlap stay so. The last one of an odd number stays as it is.
    """
    pairs = zip(phases[::2], phases[1::2], strict=False)
    made = [(first[0], first[1] + second[1] - second[0]) for first, second in pairs]
    return made + list(phases[2 * len(made) :])
