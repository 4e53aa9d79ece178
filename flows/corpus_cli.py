"""The `studio corpus` commands: recordings into training data, and a look at what they are like."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from flows.options import prepare as prepare_environment
from flows.options import set_options

T = TypeVar("T")

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="Recordings and their text become training data: prepared once, read for nothing.",
)
console = Console()

_PREPARE_EXAMPLES = """
[b]Examples[/b]

  studio corpus prepare LJSpeech-1.1 --store lj
  studio corpus prepare out/episode-1 out/episode-2 --store ours --set mel.storage=u16
  studio corpus prepare spoken/manifest.jsonl --store timed --set tokens.kind=phonemes
"""

StoreArgument = Annotated[Path, typer.Argument(help="The folder of a prepared store.")]
Batching = Annotated[
    list[str] | None,
    typer.Option("--batch", help="A key of the batches: --batch batch_size=128."),
]
Live = Annotated[bool, typer.Option("--progress/--no-progress")]


@app.command(epilog=_PREPARE_EXAMPLES)
def prepare(
    sources: Annotated[
        list[Path],
        typer.Argument(help="LJSpeech folders, .jsonl manifests, episode packages."),
    ],
    store: Annotated[Path, typer.Option(help="Where the store is, or is to be.")] = Path("corpus"),
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", help="A key of the store's spec: --set mel.sample_rate=24000."),
    ] = None,
    batch: Batching = None,
    workers: Annotated[
        int, typer.Option(min=0, max=256, help="Threads; 0: one a core. No byte depends on it.")
    ] = 0,
    progress: Live = True,
) -> None:
    """Bring a store to what its sources hold: only what is new or changed is worked out.

    What cannot be used is put aside with its reason, in quarantine.jsonl.
    """
    options, batches = set_options(setting, "--set"), set_options(batch, "--batch")

    async def flow() -> None:
        from flows.corpus import make_corpus
        from tasks.corpus import figure_rows, store_figures

        report = await make_corpus(
            sources=[str(source) for source in sources],
            store=str(store),
            options=options,
            batches=batches,
            workers=workers,
        )
        _show("Corpus", figure_rows(store_figures(report.folder, batches), report))
        for one in report.quarantined[:10]:
            words = f"{one.id}: {one.reason}, {one.found}"
            console.print(f"[yellow]put aside[/] {escape(words)}", soft_wrap=True)
        if len(report.quarantined) > 10:
            console.print(f"and {len(report.quarantined) - 10} more in quarantine.jsonl")
        console.print(escape(report.folder), style="bold green", soft_wrap=True)

    watched(flow, live=progress)


@app.command()
def check(store: StoreArgument, batch: Batching = None, progress: Live = True) -> None:
    """Read every byte of a store and hold it against its promises; exit code 3 when it is unfit."""
    chosen = set_options(batch, "--batch")

    async def flow() -> None:
        from flows.corpus import check_corpus

        checks = await check_corpus(str(store), chosen)
        rows = [{"": "ok", "check": c.name, "measured": c.measured} for c in checks]
        _show("Checks", rows)

    watched(flow, live=progress)


@app.command()
def stats(
    store: StoreArgument,
    batch: Batching = None,
    plots: Annotated[
        Path | None, typer.Option(help="Where the pictures go; the store's own folder without.")
    ] = None,
) -> None:
    """Print what a store holds and what its batches waste; draw lengths, buckets and levels."""
    from tasks.corpus import draw_figures, figure_rows, store_figures

    chosen = set_options(batch, "--batch")
    _show("Corpus", figure_rows(store_figures(str(store), chosen)))
    for path in draw_figures(str(store), chosen, plots):
        console.print(escape(str(path)), soft_wrap=True)


@app.command()
def export(
    store: StoreArgument,
    out_dir: Annotated[Path, typer.Argument(help="Where the shards go.")],
    shard_mib: Annotated[int, typer.Option(min=1, max=4096, help="Size of a shard.")] = 128,
    progress: Live = True,
) -> None:
    """Write a store's clips as TFRecord shards; needs the extra "training"."""

    async def flow() -> None:
        from flows.corpus import export_corpus

        shards = await export_corpus(str(store), str(out_dir), shard_mib)
        console.print(f"{len(shards)} shards in {escape(str(out_dir))}")

    watched(flow, live=progress)


def _show(title: str, rows: list[dict[str, str]]) -> None:
    table = Table(title=title, title_justify="left")
    for name in rows[0]:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(escape(cell) for cell in row.values()))
    console.print(table)


def watched(flow: Callable[[], Awaitable[T]], *, live: bool) -> T:
    """Run a flow in this process, with a bar per stage; Ctrl-C lets it stop at its next step."""
    prepare_environment(verbose=False)
    from prefect.exceptions import TerminationSignal

    from flows.console import Board, interruptible
    from flows.server import warm_server
    from tasks.run import DESK, Desk, Stopped

    board = Board(console, live=live and console.is_terminal)
    desk = Desk(report=board.report)
    DESK.set(desk)
    server = warm_server()
    if server is not None:
        server.join()

    async def run() -> T:
        return await flow()

    with interruptible(desk, console), board.shown():
        try:
            return asyncio.run(run())
        except (Stopped, TerminationSignal):
            console.print("stopped; what was finished is kept and the next run goes on from there")
            sys.exit(130)
