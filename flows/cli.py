"""The `studio` command.

Exit codes: 0 done · 1 a fault of the studio itself · 2 bad input (script, option, file, place) · 3
this machine cannot do what was asked · 4 the episode did not pass the release gate · 130
interrupted.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from flows import (
    batch_cli,
    corpus_cli,
    create_cli,
    edit_cli,
    engines_cli,
    gpu_cli,
    publish_cli,
    serve_cli,
    training_cli,
)
from studio.errors import SettingError, StudioError
from studio.heap import share_heaps
from studio.store import open_store

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    help="A script goes in, a finished video podcast comes out.",
    epilog="Exit codes: 0 done, 1 fault, 2 bad input, 3 cannot run here, 4 unfit, 130 stopped.",
)
console = Console()
errors = Console(stderr=True)


@app.command()
def profiles() -> None:
    """List the profiles: what machine, how good."""
    from flows.tables import profile_table
    from profiles import load_profile, profile_names

    console.print(profile_table([load_profile(name) for name in profile_names()]))


@app.command()
def doctor(
    gpu: Annotated[
        bool, typer.Option("--gpu", help="Only the cards: real kernels, copies, a frame.")
    ] = False,
    profile: Annotated[str, typer.Option(help="Whose settings are tried.")] = "cpu",
) -> None:
    """Say what runs on this machine, what does not, and the remedy for each problem."""
    if gpu:
        gpu_cli.examine_cards(profile)
        return
    from flows.tables import doctor_table
    from tasks.doctor import examine

    console.print(doctor_table(examine(os.environ)))
    gpu_cli.suggest_profile(profile)


@app.command()
def gc(
    max_gib: Annotated[float, typer.Option(help="How much of the store to keep, in GiB.")] = 20.0,
    remote: Annotated[
        bool, typer.Option("--remote", help="The store that machines share, not this machine's.")
    ] = False,
) -> None:
    """Delete the least recently used media from the store, down to a size. Nothing else deletes.

    What goes from here is still in the shared store, if STUDIO_REMOTE names one; with --remote the
    media that was shared longest ago goes from there.
    """
    store = open_store(os.environ)
    if remote and store.shared is None:
        remedy = "Name the shared store, like file:///mnt/nas/studio or s3://bucket/prefix"
        raise SettingError("STUDIO_REMOTE", "is not set", remedy)
    if remote and store.shared is not None:
        place = store.shared.remote.url
        count, freed = store.shared.collect(round(max_gib * 2**30))
    else:
        place = str(store.root)
        count, freed = store.collect(round(max_gib * 2**30))
    console.print(f"{count} files, {freed / 2**20:.1f} MiB freed from {place}", soft_wrap=True)


serve_cli.add_to(app)
create_cli.add_to(app)
publish_cli.add_to(app)
batch_cli.add_to(app)
edit_cli.add_to(app)
gpu_cli.add_to(app)
app.add_typer(engines_cli.app, name="engines")
app.add_typer(corpus_cli.app, name="corpus")
training_cli.add_to(app)


def main() -> None:
    """Run the command; an error a user can cause is one line and its exit code."""
    share_heaps()
    try:
        app()
    except StudioError as error:
        errors.print(f"[bold red]error[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
