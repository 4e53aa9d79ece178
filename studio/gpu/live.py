"""What `studio gpu` and `studio gpu watch` show in a terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import psutil
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from studio.gpu.cards import Survey
from studio.gpu.lease import Holding
from studio.gpu.processes import processes_visible
from studio.gpu.report_rows import figure, holding_rows
from studio.gpu.sensors import CardSensor
from studio.gpu.trace import CardReading

_COLUMNS = (
    "card",
    "busy %",
    "SM active %",
    "encoder %",
    "memory GiB",
    "others GiB",
    "power W",
    "clock MHz",
    "held down by",
)


def watch(
    nvml: Any,
    found: Survey,
    holdings: Callable[[], Sequence[Holding]],
    *,
    sample_hz: float = 2.0,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[RenderableType]:
    """A picture of now, `sample_hz` times a second, for ever: for `rich.live.Live`.

    Args:
        nvml: the NVML binding.
        found: the cards.
        holdings: asks the ledger; called once per picture.
        sample_hz: pictures per second.
        sleep: waits between pictures.
    """
    visible = processes_visible()
    sensors = [CardSensor(nvml, card, processes_visible=visible) for card in found.cards]
    try:
        while True:
            lent = holdings()
            ours = _borrowers(lent)
            readings = [sensor.read(ours, slow=True)[0] for sensor in sensors]
            yield Group(cards_table(found, readings), ledger_table(lent))
            sleep(1.0 / sample_hz)
    finally:
        for sensor in sensors:
            sensor.close()


def _borrowers(holdings: Sequence[Holding]) -> set[int]:
    """The processes that hold what is lent, and theirs."""
    found: set[int] = set()
    for pid in {holding.pid for holding in holdings}:
        try:
            below = psutil.Process(pid).children(recursive=True)
        except psutil.Error:
            below = []
        found |= {pid, *(child.pid for child in below)}
    return found


def cards_table(found: Survey, readings: Sequence[CardReading]) -> RenderableType:
    """One line per card; without cards, the reason. Others are programs that borrowed nothing."""
    if not found.cards:
        return Text(f"No card: {found.why}.")
    table = Table(title="Cards (busy: a kernel was running)", title_justify="left")
    for name in _COLUMNS:
        table.add_column(name, justify="left" if name in ("card", "held down by") else "right")
    for card, reading in zip(found.cards, readings, strict=True):
        used = None if reading.memory_used_mib is None else reading.memory_used_mib / 1024.0
        mib = reading.memory_others_mib
        others = None if mib is None else mib / 1024.0
        held = "n/a" if reading.throttle is None else ", ".join(reading.throttle) or "nothing"
        clock = None if reading.sm_clock_mhz is None else float(reading.sm_clock_mhz)
        table.add_row(
            Text(f"{card.index} {card.name}"),
            figure(reading.gpu_util_pct, 0),
            figure(reading.sm_active_pct, 0),
            figure(reading.encoder_util_pct, 0),
            f"{figure(used)} of {card.memory_gib:.1f}",
            figure(others),
            figure(reading.power_w, 0),
            figure(clock, 0),
            held,
        )
    return table


def ledger_table(holdings: Sequence[Holding]) -> RenderableType:
    """Who holds or waits for what."""
    rows = holding_rows(holdings)
    if not rows:
        return Text("Nothing is lent and nobody waits.")
    table = Table(title="Lent", title_justify="left")
    for name in rows[0]:
        table.add_column(name)
    for row in rows:
        table.add_row(*(Text(value) for value in row.values()))
    return table
