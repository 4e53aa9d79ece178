"""`studio engines`: which there are, what they may be used for, getting what they need."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

if TYPE_CHECKING:
    from rich.table import Table

    from tasks.engine_shelf import Standing

app = typer.Typer(no_args_is_help=True, help="Which engines there are, and getting what they need.")
console = Console()

_FETCH_EXAMPLES = """
[b]Examples[/b]

  studio engines fetch coqui_tts
  studio engines fetch xtts_v2 --accept-licence
  studio engines fetch musicgen-small
  studio engines fetch sadtalker
"""


@app.command("list")
def list_engines(
    as_json: Annotated[bool, typer.Option("--json", help="For other programs.")] = False,
) -> None:
    """Every engine: whether it runs here, its licences, its memory, what to do if it does not."""
    from tasks.engine_shelf import examine_engines

    found = examine_engines(os.environ)
    if as_json:
        from dataclasses import asdict

        sys.stdout.write(json.dumps([asdict(engine) for engine in found], indent=2) + "\n")
        return
    console.print(engine_table(found))


@app.command()
def install(
    name: Annotated[str, typer.Argument(help="An engine with its own environment: audiocraft.")],
) -> None:
    """Build an engine's own environment from its lock files; a build that fails leaves nothing."""
    from tasks.engine_shelf import install_environment

    began = time.monotonic()
    with console.status(f"building the environment of {escape(name)} …") as status:

        def tell(line: str) -> None:
            status.update(escape(f"{name}: {line[:96]}"))

        home = install_environment(name, tell)
    console.print(f"built in {time.monotonic() - began:.0f} s: {escape(str(home))}", soft_wrap=True)


@app.command(epilog=_FETCH_EXAMPLES)
def fetch(
    name: Annotated[
        str, typer.Argument(help="As `studio engines list` calls it, or any tts_models/... name.")
    ],
    accept_licence: Annotated[
        bool, typer.Option("--accept-licence", help="You have read it and agree.")
    ] = False,
) -> None:
    """Download published weights; what was begun is gone on with. Shows their licence first."""
    from tasks.engine_shelf import bring, terms_of

    terms = terms_of(name)
    if terms.size_gib:
        console.print(f"{escape(name)} is here already ({terms.size_gib:.2f} GiB)")
        return
    use = "" if terms.commercial else " [yellow]no commercial use[/]"
    console.print(f"{escape(terms.model)}\n  from     {escape(terms.page)}", soft_wrap=True)
    console.print(f"  code     {escape(terms.code_licence)}")
    console.print(f"  weights  {escape(terms.weights_licence)}{use}", soft_wrap=True)
    if not accept_licence:
        if not sys.stdin.isatty():
            from studio.errors import SettingError

            raise SettingError(
                f"weights {name}",
                f"their licence ({terms.weights_licence}) was not accepted; nothing was downloaded",
                "Read it and add --accept-licence",
            )
        typer.confirm("Do you accept these terms?", abort=True)
    from rich.progress import DownloadColumn, Progress, TaskID, TransferSpeedColumn

    bars: dict[str, TaskID] = {}
    columns = Progress.get_default_columns()
    with Progress(*columns, DownloadColumn(), TransferSpeedColumn(), console=console) as progress:

        def report(file: str, done: int, total: int) -> None:
            if file not in bars:
                bars[file] = progress.add_task(escape(file), total=None)
            progress.update(bars[file], completed=done, total=total or None)

        place = bring(name, report)
    console.print(f"here: {escape(str(place))}", soft_wrap=True)


def weights_options(folder: Path, profile: str) -> dict[str, object]:
    """The profile's keys that a folder of checkpoints stands for: where each family's weights lie,
    and the engine that reads them in front of the profile's own list.

    Raises `SettingError` for a folder without checkpoints, or an unknown profile.
    """
    from profiles import load_profile
    from tasks.engine_shelf import recognise_weights

    told = load_profile(profile)
    listed = {"voice": told.voice.engine, "music": told.music.engine, "avatar": told.avatar.engine}
    options: dict[str, object] = {}
    for family, (engine, place) in recognise_weights(folder).items():
        options[f"{family}.weights_dir"] = place
        if engine not in listed[family]:
            options[f"{family}.engine"] = [engine, *listed[family]]
    return options


def engine_table(found: tuple[Standing, ...]) -> Table:
    """A row per engine: its terms under its name; what keeps it from running, and the remedy."""
    from rich.table import Table

    table = Table(show_lines=False)
    for title in ("", "engine, licences of code and weights", "memory", "why not, remedy"):
        table.add_column(title, overflow="fold")
    for engine in found:
        mark = "[green]runs[/]" if engine.runs else "[yellow]no[/]"
        terms = escape(f"{engine.code_licence}; {engine.weights_licence}")
        use = "" if engine.commercial else ", [yellow]no commercial use[/]"
        who = f"[b]{escape(f'{engine.family} {engine.name}')}[/]\n[dim]{terms}[/]{use}"
        memory = "n/a" if engine.memory_gib is None else f"{engine.memory_gib:.1f} GiB"
        if engine.size_gib is not None:
            memory += f"\n{engine.size_gib:.2f} on disk"
        reason = f"{engine.why}\n{engine.remedy}" if engine.why else ""
        table.add_row(mark, who, memory, escape(reason))
    return table
