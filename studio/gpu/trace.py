"""What a run looked like: spans of work, the readings between them, the cards. Plain values,
readable as JSON.

The meter writes a trace, the verdict and the reports read it. Times are seconds on one monotonic
clock that begins with the trace; an episode, a batch and a training run differ only in their spans.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from studio.errors import StoreError, quoted

PhaseKind = Literal["lease", "input", "load", "write"]
"""What a stage can say of itself: it waits for a lease or for its input, loads an engine, writes
files.
"""

SCHEMA = "podcast-studio.trace/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A part of a span with a known nature."""

    kind: PhaseKind
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A card lent to a span, from the grant to the return."""

    card: int
    gib: float
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One stage at work. `after` names the spans whose results it needs; `run` is the episode (or
    training run).
    """

    id: str
    stage: str
    run: str
    start_s: float
    end_s: float
    after: tuple[str, ...] = ()
    phases: tuple[Phase, ...] = ()
    holds: tuple[Hold, ...] = ()

    @property
    def wall_s(self) -> float:
        """From start to end, waits included."""
        return self.end_s - self.start_s


@dataclass(frozen=True, slots=True, kw_only=True)
class CardReading:
    """One look at one card; every figure is `None` where its sensor is absent, refused or lost.

    Units and sources stand in `studio.gpu.metrics.METRICS` under the same names.
    """

    card: int
    gpu_util_pct: float | None = None
    mem_util_pct: float | None = None
    encoder_util_pct: float | None = None
    decoder_util_pct: float | None = None
    memory_used_mib: float | None = None
    memory_ours_mib: float | None = None
    memory_others_mib: float | None = None
    power_w: float | None = None
    energy_mj: int | None = None
    sm_clock_mhz: int | None = None
    mem_clock_mhz: int | None = None
    temperature_c: int | None = None
    throttle: tuple[str, ...] | None = None
    pcie_tx_mib_s: float | None = None
    pcie_rx_mib_s: float | None = None
    sm_active_pct: float | None = None
    sm_occupancy_pct: float | None = None
    tensor_active_pct: float | None = None
    dram_active_pct: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What was seen between `start_s` and `end_s`. CPU figures count cores: 2.0 is two cores fully
    busy.
    """

    start_s: float
    end_s: float
    cpu_cores: float | None = None
    busiest_thread_pct: float | None = None
    rss_mib: float | None = None
    read_mib: float | None = None
    write_mib: float | None = None
    io_stall_pct: float | None = None
    cpu_stall_pct: float | None = None
    cards: tuple[CardReading, ...] = ()

    @property
    def seconds(self) -> float:
        """Length of the interval."""
        return self.end_s - self.start_s

    def card(self, index: int) -> CardReading | None:
        """The reading of one card, if it was read."""
        return next((reading for reading in self.cards if reading.card == index), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class CardName:
    """A card of the trace."""

    index: int
    name: str
    memory_gib: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """A whole run. `cpu_count` is the number of cores that the process may use."""

    cpu_count: int
    spans: tuple[Span, ...] = ()
    samples: tuple[Sample, ...] = ()
    cards: tuple[CardName, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def end_s(self) -> float:
        """When the last span or reading ended."""
        ends = [span.end_s for span in self.spans] + [sample.end_s for sample in self.samples]
        return max(ends, default=0.0)


def trace_to_dict(trace: Trace) -> dict[str, Any]:
    """The trace as JSON values; `trace_from_dict` reads it back unchanged."""
    return {"schema": SCHEMA, **asdict(trace)}


def trace_from_dict(data: Any) -> Trace:
    """Read what `trace_to_dict` wrote. Raises `StoreError` for anything else."""
    remedy = "Run the episode again."
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        schema = data.get("schema") if isinstance(data, dict) else None
        found = f"the schema of its trace is {quoted(schema)}"
        raise StoreError("run report", found, f"This version reads {SCHEMA}.")
    try:
        fields = {name: value for name, value in data.items() if name != "schema"}
        return TypeAdapter(Trace).validate_python(fields)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part)[:60] for part in first["loc"])
        raise StoreError("run report", f"trace.{where}: {first['msg']}", remedy) from error
