"""The meter's figures in the Prometheus text format, and a small server for them: off unless asked
for, loopback.

The format is version 0.0.4 of the exposition format
(https://prometheus.io/docs/instrumenting/exposition_formats/). In its base units: seconds, bytes,
joules, ratios from 0 to 1. A figure that no sensor gave has no line.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from studio.errors import OutputError
from studio.gpu.lease import Holding
from studio.gpu.trace import CardReading, Trace
from studio.types import CardUse, StageUse

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
MIB = 1024**2

_CARD_GAUGES: tuple[tuple[str, str, str, float], ...] = (
    ("gpu_utilization_ratio", "Share of time in which a kernel was running.", "gpu_util_pct", 0.01),
    ("gpu_sm_active_ratio", "Share of multiprocessors with work.", "sm_active_pct", 0.01),
    ("gpu_encoder_utilization_ratio", "Share of time NVENC worked.", "encoder_util_pct", 0.01),
    ("gpu_decoder_utilization_ratio", "Share of time NVDEC worked.", "decoder_util_pct", 0.01),
    ("gpu_memory_used_bytes", "Device memory in use by everybody.", "memory_used_mib", MIB),
    ("gpu_memory_ours_bytes", "Device memory of this program.", "memory_ours_mib", MIB),
    ("gpu_memory_others_bytes", "Device memory of other programs.", "memory_others_mib", MIB),
    ("gpu_power_watts", "Board power.", "power_w", 1.0),
    ("gpu_sm_clock_hertz", "Clock of the multiprocessors.", "sm_clock_mhz", 1e6),
    ("gpu_temperature_celsius", "Temperature of the die.", "temperature_c", 1.0),
)
_STAGE_COUNTERS: tuple[tuple[str, str, str, float], ...] = (
    ("stage_wall_seconds_total", "Time in which a stage ran.", "wall_s", 1.0),
    ("stage_cpu_seconds_total", "CPU time of a stage.", "cpu_s", 1.0),
    ("stage_read_bytes_total", "Bytes that a stage fetched from storage.", "read_mib", MIB),
    ("stage_written_bytes_total", "Bytes that a stage handed to storage.", "write_mib", MIB),
)
_SHARE_COUNTERS: tuple[tuple[str, str, str, float], ...] = (
    ("stage_gpu_seconds_total", "A stage's share of a card's busy time.", "gpu_s", 1.0),
    ("stage_encoder_seconds_total", "A stage's share of NVENC time.", "encoder_s", 1.0),
    ("stage_energy_joules_total", "A stage's share of a card's energy.", "energy_j", 1.0),
)


@dataclass(frozen=True, slots=True)
class _Family:
    """One metric with its lines."""

    name: str
    kind: str
    text: str
    lines: tuple[tuple[tuple[tuple[str, str], ...], float], ...]

    def __str__(self) -> str:
        full = f"podcast_studio_{self.name}"
        head = [f"# HELP {full} {self.text}", f"# TYPE {full} {self.kind}"]
        return "\n".join(
            [*head, *(f"{full}{_labels(labels)} {value:.10g}" for labels, value in self.lines)]
        )


def exposition(trace: Trace, uses: Sequence[StageUse], holdings: Sequence[Holding] = ()) -> str:
    """All figures as text: the last reading of each card, the rows of the stages, the ledger."""
    names = {card.index: card.name for card in trace.cards}
    last = trace.samples[-1].cards if trace.samples else ()
    families = [_gauge(*entry, readings=last, names=names) for entry in _CARD_GAUGES]
    families += [_stage_counter(*entry, uses=uses) for entry in _STAGE_COUNTERS]
    families += [_share_counter(*entry, uses=uses) for entry in _SHARE_COUNTERS]
    families.append(_ledger(holdings))
    texts = [str(family) for family in families if family.lines]
    return "\n".join([*texts, ""])


@contextmanager
def metrics_endpoint(
    text: Callable[[], str], *, host: str = "127.0.0.1", port: int = 9464
) -> Iterator[int]:
    """Serve `text()` at `/metrics` until the block ends; gives the port (of use with `port=0`).

    Args:
        text: makes the exposition; called per request.
        host: address to listen on; anything but loopback shows the names of stages and cards to the
            network.
        port: port to listen on.

    Raises:
        OutputError: the address cannot be listened on.
    """

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.path.partition("?")[0] == "/metrics"
            body = text().encode() if known else b"the metrics are at /metrics\n"
            self.send_response(200 if known else 404)
            self.send_header("Content-Type", CONTENT_TYPE if known else "text/plain")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            return

    try:
        server = ThreadingHTTPServer((host, port), Answer)
    except OSError as error:
        raise OutputError(
            f"metrics at {host}:{port}", f"cannot listen ({error})", "Choose another port."
        ) from error
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _gauge(
    name: str,
    text: str,
    field: str,
    unit: float,
    *,
    readings: Sequence[CardReading],
    names: dict[int, str],
) -> _Family:
    lines = tuple(
        ((("card", str(reading.card)), ("name", names.get(reading.card, ""))), value * unit)
        for reading in readings
        if (value := getattr(reading, field)) is not None
    )
    return _Family(name, "gauge", text, lines)


def _stage_counter(
    name: str, text: str, field: str, unit: float, *, uses: Sequence[StageUse]
) -> _Family:
    lines = tuple(
        ((("run", use.run), ("stage", use.stage)), value * unit)
        for use in uses
        if (value := getattr(use, field)) is not None
    )
    return _Family(name, "counter", text, lines)


def _share_counter(
    name: str, text: str, field: str, unit: float, *, uses: Sequence[StageUse]
) -> _Family:
    lines = tuple(
        ((("run", use.run), ("stage", use.stage), ("card", str(card.card))), value * unit)
        for use in uses
        for card in use.cards
        if (value := _share(card, field)) is not None
    )
    return _Family(name, "counter", text, lines)


def _share(card: CardUse, field: str) -> float | None:
    value: float | None = getattr(card, field)
    return value


def _ledger(holdings: Sequence[Holding]) -> _Family:
    """Memory lent and asked for, summed per stage, card and state."""
    sums: dict[tuple[tuple[str, str], ...], float] = {}
    for item in holdings:
        state = "waiting" if item.card_uuid is None else "idle" if item.idle else "in_use"
        card = "" if item.card is None else str(item.card)
        labels = (("stage", item.stage), ("card", card), ("state", state))
        sums[labels] = sums.get(labels, 0.0) + item.gib * 1024**3
    text = "Device memory lent by the ledger, or waited for."
    return _Family("ledger_memory_bytes", "gauge", text, tuple(sums.items()))


def _labels(labels: Sequence[tuple[str, str]]) -> str:
    """Label values may hold anything but must escape backslash, quote and newline."""

    def quoted(value: str) -> str:
        return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")

    return "{" + ",".join(f'{name}="{quoted(value)}"' for name, value in labels) + "}"
