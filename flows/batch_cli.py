"""`studio batch`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from flows.server import apply_settings

_EXAMPLES = """
[b]Examples[/b]

  studio batch scripts --jobs 3
  studio batch 'scripts/2026-*.md' --audio-only --set mix.bed_db=-18
  studio batch tonight.json --cost-per-hour 1.20
"""


def batch(
    source: Annotated[
        str, typer.Argument(help="A folder of scripts, a pattern, or a .json list of episodes.")
    ],
    out_dir: Annotated[Path, typer.Option(help="Where the episodes are made.")] = Path("out"),
    profile: Annotated[str, typer.Option(help="A profile's name or your own .toml file.")] = "cpu",
    jobs: Annotated[int, typer.Option(min=1, help="Episodes at once.")] = 2,
    limit: Annotated[int, typer.Option(min=0, help="Episodes in all; 0: every one.")] = 0,
    cost_per_hour: Annotated[
        float | None, typer.Option(min=0.0, help="What this machine costs, in any currency.")
    ] = None,
    quality: Annotated[str | None, typer.Option(help="480p, 720p, 1080p, 1440p or 2160p.")] = None,
    aspect: Annotated[str | None, typer.Option(help="16:9, 9:16 or 1:1.")] = None,
    audio_only: Annotated[
        bool, typer.Option("--audio-only", help="Only MP3 and M4A, no video.")
    ] = False,
    skip_music: Annotated[bool, typer.Option("--skip-music", help="No music at all.")] = False,
    music_file: Annotated[
        Path | None, typer.Option(help="A recording in place of the composed music.")
    ] = None,
    avatar_image: Annotated[Path | None, typer.Option(help="A portrait that speaks.")] = None,
    lexicon: Annotated[Path | None, typer.Option(help="Pronunciations.")] = None,
    seed: Annotated[int | None, typer.Option(help="Other music, other moves.")] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Fail rather than step down to an alternative.")
    ] = False,
    commercial: Annotated[
        bool, typer.Option("--commercial", help="Refuse weights that forbid commercial use.")
    ] = False,
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="Any profile key: --set picture.fps=25.")
    ] = None,
    progress: Annotated[bool, typer.Option("--progress/--no-progress")] = True,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show Prefect's own log.")] = False,
) -> None:
    """Make many episodes; what has not changed since the last time is left alone."""
    given: dict[str, object] = {
        "picture.quality": quality,
        "picture.aspect": aspect,
        "package.audio_only": audio_only or None,
        "music.enabled": False if skip_music else None,
        "seed": seed,
        "strict": strict or None,
        "commercial": commercial or None,
    }
    options = {key: value for key, value in given.items() if value is not None}
    options |= set_options(setting)
    if not verbose:
        os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    apply_settings(os.environ)
    from flows.batch_console import produce_batch

    order: dict[str, Any] = {
        "folder": source,
        "profile": profile,
        "out_dir": str(out_dir),
        "limit": limit,
        "jobs": jobs,
        "options": options,
        "lexicon": str(lexicon or ""),
        "music_file": str(music_file or ""),
        "avatar_image": str(avatar_image or ""),
        "cost_per_hour": cost_per_hour,
    }
    produce_batch(order, live=progress)


def set_options(pairs: list[str] | None) -> dict[str, str]:
    """`--set KEY=VALUE` as a mapping."""
    options = {}
    for pair in pairs or ():
        key, equals, value = pair.partition("=")
        if not equals:
            raise typer.BadParameter(f"{pair!r} is not KEY=VALUE", param_hint="--set")
        options[key.strip()] = value.strip()
    return options


def add_to(app: typer.Typer) -> None:
    """Add the command to the `studio` command."""
    app.command(epilog=_EXAMPLES)(batch)
