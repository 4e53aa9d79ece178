"""`studio batch`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from flows import options as told

_EXAMPLES = """
[b]Examples[/b]

  studio batch scripts --jobs 3
  studio batch 'scripts/2026-*.md' --audio-only --set mix.bed_db=-18
  studio batch tonight.json --cost-per-hour 1.20
  studio batch tonight.json --on-workers --queue l40s
"""


def batch(
    source: Annotated[
        str, typer.Argument(help="A folder of scripts, a pattern, or a .json list of episodes.")
    ],
    out_dir: told.OutDir = Path("out"),
    profile: told.ProfileName = "cpu",
    jobs: Annotated[int, typer.Option(min=1, help="Episodes at once.")] = 2,
    ahead: Annotated[
        int | None,
        typer.Option(min=0, help="Coming ones spoken and composed meanwhile.", show_default="auto"),
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="Episodes in all; 0: every one.")] = 0,
    only_changed: Annotated[
        bool, typer.Option("--only-changed/--all-anew", help="Leave alone what stands unchanged.")
    ] = True,
    cost_per_hour: Annotated[
        float | None, typer.Option(min=0.0, help="What this machine costs, in any currency.")
    ] = None,
    on_workers: Annotated[
        bool, typer.Option("--on-workers", help="Have it made by the workers of the server.")
    ] = False,
    queue: Annotated[
        str, typer.Option(help="The work queue for it, for a class of machines. With --on-workers.")
    ] = "",
    quality: told.Quality = None,
    aspect: told.Aspect = None,
    audio_only: told.AudioOnly = False,
    skip_music: told.SkipMusic = False,
    music_file: told.MusicFile = None,
    avatar_image: told.AvatarImage = None,
    lexicon: told.Lexicon = None,
    seed: told.Seed = None,
    strict: told.Strict = False,
    commercial: told.Commercial = False,
    setting: told.Settings = None,
    progress: told.ShowProgress = True,
    verbose: told.Verbose = False,
) -> None:
    """Make many episodes; what has not changed since the last time is left alone."""
    options = told.given(
        picture__quality=quality,
        picture__aspect=aspect,
        package__audio_only=audio_only or None,
        music__enabled=False if skip_music else None,
        seed=seed,
        strict=strict or None,
        commercial=commercial or None,
    )
    options |= told.set_options(setting)
    told.prepare(verbose=verbose)
    from flows.batch_console import produce_batch

    order: dict[str, Any] = {
        "folder": source,
        "profile": profile,
        "out_dir": str(out_dir),
        "limit": limit,
        "only_changed": only_changed,
        "jobs": jobs,
        "ahead": ahead,
        "options": options,
        "lexicon": str(lexicon or ""),
        "music_file": str(music_file or ""),
        "avatar_image": str(avatar_image or ""),
        "cost_per_hour": cost_per_hour,
    }
    if on_workers:
        order["queue"] = queue
        del order["jobs"], order["ahead"]
    elif queue:
        raise typer.BadParameter("goes with --on-workers", param_hint="--queue")
    produce_batch(order, live=progress)


def add_to(app: typer.Typer) -> None:
    """Add the command to the `studio` command."""
    app.command(epilog=_EXAMPLES)(batch)
