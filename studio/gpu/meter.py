"""Watch the machine while stages run: a sampler thread, and a reading at each stage's start and
end.

The meter is opened once per run (an episode, a batch, a training run) and given its stages one by
one, from any thread. It samples at `sample_hz` while a stage runs and once a second between stages.
It costs well under 1 % of a core; what it spent stands in `cost_cores`. It never fails a run: an
absent sensor is `None`.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

from studio.gpu import processes
from studio.gpu.books import Books, CardLook, Look
from studio.gpu.cards import Card
from studio.gpu.running import Running
from studio.gpu.sensors import CardSensor
from studio.gpu.stage_uses import rows_of, use_of
from studio.gpu.steps import LISTENER, merged
from studio.gpu.thinning import sample_between, thin
from studio.gpu.trace import CardName, Sample, Trace
from studio.types import StageUse

_IDLE_HZ = 1.0
_MOST_SAMPLES = 8192
"""Above this the samples are merged pairwise, so that a run of any length fits in a few MB."""


class Meter:
    """The meter of one run.

    Args:
        cards: the cards to watch, as `studio.gpu.cards.survey` found them; none is fine.
        nvml: the NVML binding that the cards came from; needed only with cards.
        sample_hz: readings per second while a stage runs.
        now_ns: a monotonic clock in nanoseconds, the one that leases are stamped with.
    """

    def __init__(
        self,
        cards: Sequence[Card] = (),
        *,
        nvml: Any = None,
        sample_hz: float = 5.0,
        now_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.now_ns = now_ns
        self._period_s = 1.0 / sample_hz
        self._cards = tuple(cards)
        visible = processes.processes_visible()
        self._sensors = [
            CardSensor(nvml, card, processes_visible=visible, clock_ns=now_ns) for card in cards
        ]
        self._books = Books()
        self._lock = threading.RLock()
        self._stop, self._wake = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._running: dict[str, Running] = {}
        self._all: dict[str, Running] = {}
        self._samples: list[Sample] = []
        self._last: Look | None = None
        self._origin_ns = 0
        self._sampler_ns = 0
        self._skipped = 0

    def __enter__(self) -> Self:
        self._last = self._look(slow=False)
        self._origin_ns = self._last.at_ns
        self._books.open(self._last)
        self._thread = threading.Thread(target=self._sample, name="meter", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
        with self._lock:
            self._tick(slow=False)
            for sensor in self._sensors:
                sensor.close()

    @contextmanager
    def stage(self, stage: str, *, run: str = "", after: Sequence[str] = ()) -> Iterator[Running]:
        """Measure a stage: what the calling thread, the threads and the children it starts do
        belongs to it.

        Args:
            stage: the stage's name; a name may come again (a second cue, a second episode).
            run: the episode or training run that it works for.
            after: stages (of the same run) or span ids whose results it needs; unknown ones are
                left out.
        """
        tid = threading.get_native_id()
        with self._lock:
            self._tick(slow=False)
            running = self._begin(stage, run, after)
            outer = self._books.thread_owner.get(tid)
            self._books.thread_owner[tid] = running.id
            counters = processes.thread_bytes(tid)
            if counters is not None and self._last is not None:
                # The thread was nobody's at the last reading: its storage counters begin here.
                self._last.thread_bytes[tid] = counters
        self._wake.set()
        listener = LISTENER.set(running.steps.add)
        try:
            yield running
        finally:
            LISTENER.reset(listener)
            with self._lock:
                self._tick(slow=False)
                running.end_ns = self.now_ns()
                del self._running[running.id]
                self._books.forget(running.id)
                if outer in self._running:
                    self._books.thread_owner[tid] = outer

    @contextmanager
    def boundary(self) -> Iterator[Books]:
        """Close the running interval before something changes hands."""
        with self._lock:
            self._tick(slow=False)
            yield self._books

    def uses(self, run: str | None = None) -> tuple[StageUse, ...]:
        """One row per stage in order of their start, then "unattributed" and, if seen, "other
        programs".

        Args:
            run: only the stages of this run; the two last rows always speak of everything the meter
                saw.
        """
        with self._lock:
            self._catch_up()
            names = {card.index: card.name for card in self._cards}
            rows = rows_of(
                self._books,
                list(self._all.values()),
                names,
                origin_ns=self._origin_ns,
                now_ns=self._origin_ns + self._elapsed_ns(),
            )
            spans = list(self._all.values())
        return tuple(_with_steps(row, spans) for row in rows if run is None or row.run in (run, ""))

    def use(self, running: Running) -> StageUse:
        """The row of a single span (`Running.use`)."""
        with self._lock:
            if not running.end_ns:
                self._catch_up()
            names = {card.index: card.name for card in self._cards}
            row = use_of(self._books, [running], names, now_ns=self._origin_ns + self._elapsed_ns())
        return replace(row, steps=running.steps.rows())

    def _catch_up(self) -> None:
        if self._thread is not None and not self._stop.is_set():
            self._tick(slow=False)

    def trace(self) -> Trace:
        """Spans and samples so far, for the verdict and the reports."""
        with self._lock:
            now = self._last.at_ns if self._last is not None else self.now_ns()
            notes = [
                f"card {sensor.card.index}: no {name} ({why})"
                for sensor in self._sensors
                for name, why in sorted(sensor.why_absent.items())
            ]
            if self._skipped:
                notes.append(f"{self._skipped} readings failed and were skipped")
            return Trace(
                cpu_count=processes.cpu_count(),
                spans=tuple(item.span(self._origin_ns, now) for item in self._all.values()),
                samples=tuple(self._samples),
                cards=tuple(
                    CardName(index=card.index, name=card.name, memory_gib=card.memory_gib)
                    for card in self._cards
                ),
                notes=tuple(notes),
            )

    @property
    def cost_cores(self) -> float:
        """CPU time of the sampler thread per second: 0.01 is 1 % of a core."""
        return self._sampler_ns / max(1, self._elapsed_ns())

    def _elapsed_ns(self) -> int:
        return self._last.at_ns - self._origin_ns if self._last is not None else 0

    def _begin(self, stage: str, run: str, after: Sequence[str]) -> Running:
        stem = f"{run}/{stage}" if run else stage
        span_id, number = stem, 1
        while span_id in self._all:
            number += 1
            span_id = f"{stem}#{number}"
        known = {item.stage: item.id for item in self._all.values() if item.run == run}
        needs = tuple(known.get(name, name) for name in after if name in known or name in self._all)
        running = Running(self, span_id, stage, run, needs)
        running.start_ns = self.now_ns()
        self._running[span_id] = self._all[span_id] = running
        return running

    def _sample(self) -> None:
        while not self._stop.is_set():
            self._wake.wait(self._period_s if self._running else 1.0 / _IDLE_HZ)
            if self._wake.is_set():
                # A stage has begun: its start was read just now, the next reading is due a period
                # later.
                self._wake.clear()
                if self._stop.wait(self._period_s):
                    return
            try:
                with self._lock:
                    self._tick(slow=True)
            except OSError:
                # /proc can refuse for a moment (too many open files); the next reading covers this
                # interval.
                self._skipped += 1
            self._sampler_ns = time.thread_time_ns()

    def _tick(self, *, slow: bool) -> None:
        before = self._last
        if before is None:
            return
        after = self._look(slow=slow)
        if after.at_ns <= before.at_ns:
            return
        active = sorted(self._running)
        holders: dict[int, list[str]] = {}
        for name in active:
            for card in self._running[name].cards:
                holders.setdefault(card, []).append(name)
        self._books.interval(before, after, active=active, holders=holders)
        self._samples.append(sample_between(before, after, self._origin_ns))
        if len(self._samples) > _MOST_SAMPLES:
            self._samples = thin(self._samples)
        self._last = after

    def _look(self, *, slow: bool) -> Look:
        host = processes.read_host()
        ours = {os.getpid(), *host.children}
        looks = []
        for sensor in self._sensors:
            reading, shares = sensor.read(ours, slow=slow)
            looks.append(CardLook(reading, shares))
        owned = {
            tid: counters
            for tid in self._books.thread_owner
            if (counters := processes.thread_bytes(tid)) is not None
        }
        tids = frozenset(item.native_id for item in threading.enumerate() if item.native_id)
        return Look(self.now_ns(), host, tuple(looks), tids, owned)


def _with_steps(row: StageUse, spans: Sequence[Running]) -> StageUse:
    """A row of the books with what its spans said of their work."""
    said = [span.steps.rows() for span in spans if (span.run, span.stage) == (row.run, row.stage)]
    return replace(row, steps=merged(said))
