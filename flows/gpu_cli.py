"""`studio gpu`, `studio gpu watch`, `studio report`, `studio doctor --gpu`: what the cards do.

Everything is imported when a command runs: `studio --help` loads neither Prefect nor NumPy.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

if TYPE_CHECKING:
    from profiles import Profile
    from tasks.machine import Machine

app = typer.Typer(help="The cards: what they do now, and what is lent to whom.")
console = Console()

ProfileText = Annotated[str, typer.Option(help="The profile that says how cards are counted.")]


def add_to(studio: typer.Typer) -> None:
    """Give `studio` these commands."""
    studio.add_typer(app, name="gpu")
    studio.command()(report)


@app.callback(invoke_without_command=True)
def cards(context: typer.Context, profile: ProfileText = "cpu") -> None:
    """Show the cards as they are now, and what is lent to whom."""
    if context.invoked_subcommand is None:
        _, machine = _machine(profile)
        from studio.gpu.live import watch

        pictures = watch(machine.nvml, machine.found, machine.holdings)
        console.print(next(pictures))


@app.command(name="watch")
def watch_cards(
    hz: Annotated[float, typer.Option(min=0.1, max=20.0, help="Pictures per second.")] = 2.0,
    profile: ProfileText = "cpu",
) -> None:
    """Show them live until Ctrl-C."""
    from rich.live import Live

    from studio.gpu.live import watch

    _, machine = _machine(profile)
    pictures = watch(machine.nvml, machine.found, machine.holdings, sample_hz=hz)
    try:
        with Live(next(pictures), console=console, auto_refresh=False) as live:
            for picture in pictures:
                live.update(picture, refresh=True)
    except KeyboardInterrupt:
        return


def report(
    place: Annotated[
        str, typer.Argument(help="An episode's folder or report.json; `latest` in --out-dir.")
    ] = "latest",
    html: Annotated[
        Path | None, typer.Option("--html", help="Write it as a page that stands alone.")
    ] = None,
    out_dir: Annotated[Path, typer.Option(help="Where `latest` is looked for.")] = Path("out"),
) -> None:
    """Say what a run took, why the cards were idle, and what to change."""
    from flows.tables import report_tables
    from tasks.report_files import find_report, read_report, write_page

    path = find_report(place, out_dir)
    told = read_report(path)
    if html is not None:
        write_page(told.report, html)
        console.print(escape(str(html)), style="bold green", soft_wrap=True)
        return
    console.print(escape(str(path)), style="dim", soft_wrap=True)
    for part in report_tables(told):
        console.print(part, highlight=False)


def examine_cards(profile: str) -> None:
    """Try every card: a kernel per precision, copies, an encoded frame; and the device settings."""
    from flows.tables import card_doctor_table, settings_table
    from studio.gpu.doctor import examine

    wanted, machine = _machine(profile)
    # First the settings: the trials are torch's first operations.
    settings = machine.set_up(wanted.device)
    console.print(card_doctor_table(examine(machine.nvml, os.environ)))
    console.print(settings_table(settings))
    suggest_profile(profile)


def suggest_profile(profile: str) -> None:
    """The profile that fits this machine, and what the machine lacks for the one that was asked."""
    from profiles import shortfall, suggest

    wanted, machine = _machine(profile)
    lacks = shortfall(wanted, machine.found.cards)
    if lacks:
        console.print(f"profile {wanted.name}: {escape(lacks)}", highlight=False)
    console.print(f"fitting profile: [bold]{suggest(machine.found.cards)}[/]", highlight=False)


def _machine(profile: str) -> tuple[Profile, Machine]:
    from profiles import load_profile
    from tasks.machine import machine_for

    wanted = load_profile(profile)
    return wanted, machine_for(wanted.gpu)
