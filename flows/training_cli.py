"""The `studio train` command: settings, a training run, or a diagnosis of one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

console = Console()

_EXAMPLES = """
[b]Examples[/b]

  studio train lj --out-dir out/lj --set fit.num_steps=20000 --tf precision.policy=mixed_bfloat16
  studio train lj --configure --tf threads.intra_op=4 --tf memory.growth=true
  studio train lj --diagnose --budget-s 120 --set batch.parallel_calls=1
  studio train lj --tf reading.backend=tfrecord --tf reading.records=shards
  studio train lj --tf devices.replicas=2

[b]Exit codes of --diagnose[/b]: 0 compute-bound, 10 input-bound, 11 inconclusive.
"""


Pairs = Annotated[int, typer.Option(min=5, max=200, help="Of blocks, at first, for --diagnose.")]
BlockSeconds = Annotated[
    float, typer.Option(min=0.05, max=30.0, help="Seconds of a block, for --diagnose.")
]
BudgetSeconds = Annotated[
    float, typer.Option(min=10.0, max=86_400.0, help="Seconds that --diagnose may take in all.")
]


def train(
    store: Annotated[Path, typer.Argument(help="The folder of a prepared corpus.")] = Path(
        "corpus"
    ),
    out_dir: Annotated[
        Path, typer.Option(help="Where checkpoints, pictures and the report go.")
    ] = Path("out/training"),
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", help="A key of model, fit or batch: --set fit.num_steps=5000."),
    ] = None,
    tensorflow: Annotated[
        list[str] | None,
        typer.Option("--tf", help="A setting of TensorFlow: --tf xla.step=false."),
    ] = None,
    profile: Annotated[str, typer.Option(help="How cards are lent and watched.")] = "cpu",
    resume: Annotated[
        bool, typer.Option("--resume/--anew", help="Go on from the last checkpoint.")
    ] = True,
    configure: Annotated[
        bool, typer.Option("--configure", help="Only apply the settings and report on them.")
    ] = False,
    diagnose: Annotated[
        bool, typer.Option("--diagnose", help="Only measure what the loop waits for.")
    ] = False,
    pairs: Pairs = 8,
    block_s: BlockSeconds = 0.4,
    budget_s: BudgetSeconds = 300.0,
    progress: Annotated[bool, typer.Option("--progress/--no-progress")] = True,
) -> None:
    """Train a text-to-mel model on a prepared corpus, or find out what holds the training up."""
    from flows.corpus_cli import watched
    from flows.options import set_options

    if configure and diagnose:
        raise typer.BadParameter("--configure and --diagnose are two commands")
    options, settings = set_options(setting, "--set"), set_options(tensorflow, "--tf")
    if configure:
        _show_settings(settings)
        return
    order: dict[str, Any] = {
        "store": str(store),
        "out_dir": str(out_dir),
        "options": options,
        "settings": settings,
        "profile": profile,
    }

    if diagnose:
        effort = {"pairs": pairs, "block_s": block_s, "budget_s": budget_s}
        code = watched(lambda: _diagnosed({**order, **effort}), live=progress)
    else:
        code = watched(lambda: _trained({**order, "resume": resume}), live=progress)
    if code:
        sys.exit(code)


async def _trained(order: dict[str, Any]) -> int:
    """Train, and show what came of it."""
    from flows.training import train_model
    from tasks.training_words import result_rows

    result = await train_model(**order)
    _show("Training", result_rows(result))
    console.print(escape(result.folder), style="bold green", soft_wrap=True)
    return 0


async def _diagnosed(order: dict[str, Any]) -> int:
    """Diagnose, and show the verdict and what to change; returns its exit code."""
    from flows.training import diagnose_training
    from tasks.training_words import advice, diagnosis_rows, sentence_of

    found, counters = await diagnose_training(**order)
    _show("Diagnosis", diagnosis_rows(found, counters))
    console.print(f"[bold]{escape(sentence_of(found.measured.verdict))}[/]", soft_wrap=True)
    for line in advice(found):
        console.print(escape(line), soft_wrap=True)
    return int(found.measured.verdict.exit_code)


def _show_settings(settings: dict[str, str]) -> None:
    """What became of the settings; without any, every name there is."""
    from tasks.training import setting_names, settings_report
    from tasks.training_words import row_cells

    if settings:
        _show("Settings", [row_cells(row) for row in settings_report(settings)])
        return
    _show("Settings", [{"name": name, "successor": after} for name, after in setting_names()])


def _show(title: str, rows: list[dict[str, str]]) -> None:
    table = Table(title=title, title_justify="left")
    for name in rows[0]:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(escape(cell) for cell in row.values()))
    console.print(table)


def add_to(app: typer.Typer) -> None:
    """Give `app` the command."""
    app.command(epilog=_EXAMPLES)(train)
