"""`studio serve`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from studio.store import studio_home

_EXAMPLES = """
[b]Examples[/b]

  studio serve
  studio serve --no-worker --port 4300
  studio serve --pool h200 --limit 1
"""


def serve(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Where the server listens.")] = 4200,
    host: Annotated[
        str, typer.Option(help="Other addresses than the loopback interface need a password.")
    ] = "127.0.0.1",
    worker: Annotated[
        bool, typer.Option("--worker/--no-worker", help="Whether this machine makes episodes too.")
    ] = True,
    pool: Annotated[
        list[str] | None,
        typer.Option(help="A work pool to serve, again for more; by default those that suit it."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Runs at once, for each pool.")] = 2,
) -> None:
    """Start a Prefect server that stays, with pools, deployments and a worker; print its address.

    Deployments are those of the `prefect.yaml` in this folder, or else the studio's own; their
    relative paths start in this folder.
    """
    from flows import serve as served
    from flows.pools import check_pool, pools_here
    from studio.gpu.cards import load_nvml, survey

    wanted: tuple[str, ...] = ()
    if worker:
        wanted = tuple(map(check_pool, pool or ()))
        wanted = wanted or pools_here(survey(load_nvml(), os.environ).cards)
    house = served.Household(
        home=studio_home(os.environ),
        folder=served.deployments_folder(Path.cwd()),
        host=host,
        port=port,
        pools=wanted,
        limit=limit,
    )
    served.serve(house, lambda line: print(line, flush=True))


def add_to(app: typer.Typer) -> None:
    """Add the command to the `studio` command."""
    app.command(epilog=_EXAMPLES)(serve)
