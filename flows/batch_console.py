"""Run a batch from a terminal: a line per episode as it ends, then the figures."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

from prefect.exceptions import TerminationSignal
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from flows.console import Board, interruptible
from flows.server import warm_server
from profiles import load_profile, settle
from studio.errors import BatchError, ServerError
from studio.types import BatchResult, Header
from tasks.batch import figure_rows, read_report
from tasks.batch_plan import BatchItem, plan_batch
from tasks.run import DESK, Desk, Stopped

_COLOURS = {"made": "green", "unchanged": "dim", "failed": "red"}


def produce_batch(order: dict[str, Any], *, live: bool) -> None:
    """Run the batch flow in this process. What is wrong with the list or the options is said before
    a server is started.
    """
    console = Console()
    settle(load_profile(order["profile"]), Header(), order["options"])
    shared = BatchItem(script="", profile=order["profile"], options=order["options"])
    count = len(plan_batch.fn(order["folder"], shared, order["limit"]))
    on_workers = "queue" in order
    if on_workers:
        _need_server()
    server = None if on_workers else warm_server()
    from flows.batch import ANNOUNCE, make_batch
    from flows.fan_out import share_batch

    board = Board(console, live=live and console.is_terminal)
    desk = Desk(report=board.report, tell=lambda notice: console.print(escape(notice)))
    DESK.set(desk)
    ANNOUNCE.set(lambda result: console.print(_line(result), soft_wrap=True))
    how = "on workers" if on_workers else f"{order['jobs']} at once"
    console.print(f"{count} episodes, {how}")
    if server is not None:
        server.join()
    try:
        with interruptible(desk, console), board.shown():
            asyncio.run((share_batch if on_workers else make_batch)(**order))
    except (Stopped, TerminationSignal):
        console.print("stopped; what was finished is kept and the next run goes on from there")
        sys.exit(130)
    except BatchError:
        _summary(Path(order["out_dir"]), console)
        raise
    _summary(Path(order["out_dir"]), console)


def _need_server() -> None:
    """Raises `ServerError` when no server is configured: workers cannot find one of our own."""
    from prefect.settings import get_current_settings

    if get_current_settings().api.url is None:
        remedy = "Start `studio serve` and set PREFECT_API_URL to its address"
        raise ServerError("--on-workers", "no server is named", remedy)


def _line(result: BatchResult) -> str:
    state = "failed" if result.why else "made" if result.made else "unchanged"
    said = result.why or f"{result.duration_s / 60:.1f} min in {result.wall_s:.1f} s"
    colour = _COLOURS[state]
    return f"[{colour}]{state:>9}[/] {escape(result.name or result.script)}: {escape(said)}"


def _summary(out_dir: Path, console: Console) -> None:
    _, figures, data = read_report(out_dir)
    table = Table(show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for row in figure_rows(figures):
        table.add_row(row["figure"], row["value"])
    console.print(table)
    console.print(escape(figures.verdict))
    console.print(escape(str(data["headline"])))
    console.print(escape(str(out_dir)), style="bold green", soft_wrap=True)
