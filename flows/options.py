"""Options that several commands share, and what they do before anything heavy is imported."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from flows.server import apply_settings

OutDir = Annotated[Path, typer.Option(help="Where the episode's folder is made.")]
ProfileName = Annotated[str, typer.Option(help="A profile's name or your own .toml file.")]
Quality = Annotated[str | None, typer.Option(help="480p, 720p, 1080p, 1440p or 2160p.")]
Aspect = Annotated[str | None, typer.Option(help="16:9, 9:16 or 1:1.")]
AudioOnly = Annotated[bool, typer.Option("--audio-only", help="Only MP3 and M4A, no video.")]
SkipMusic = Annotated[bool, typer.Option("--skip-music", help="No music at all.")]
MusicFile = Annotated[Path | None, typer.Option(help="A recording in place of the composed music.")]
AvatarImage = Annotated[
    Path | None, typer.Option(help="A portrait that speaks in place of the drawn host.")
]
Lexicon = Annotated[
    Path | None, typer.Option(help="Pronunciations, one 'word = respelling' a line.")
]
Seed = Annotated[int | None, typer.Option(help="Another seed: other music, other moves.")]
Strict = Annotated[
    bool, typer.Option("--strict", help="Fail rather than step down to an alternative.")
]
Commercial = Annotated[
    bool, typer.Option("--commercial", help="Refuse weights that forbid commercial use.")
]
Settings = Annotated[
    list[str] | None, typer.Option("--set", help="Any profile key: --set picture.fps=25.")
]
ShowProgress = Annotated[bool, typer.Option("--progress/--no-progress")]
Verbose = Annotated[bool, typer.Option("--verbose", help="Show Prefect's own log.")]


def given(**named: object) -> dict[str, object]:
    """What was given of options, by profile key with `__` for the dot; None is "not given"."""
    return {key.replace("__", "."): value for key, value in named.items() if value is not None}


def set_options(pairs: list[str] | None, flag: str = "--set") -> dict[str, str]:
    """`--set KEY=VALUE` as a mapping; `flag` is the option's name, for the error."""
    options: dict[str, str] = {}
    for pair in pairs or ():
        key, equals, value = pair.partition("=")
        if not equals:
            raise typer.BadParameter(f"{pair!r} is not KEY=VALUE", param_hint=flag)
        options[key.strip()] = value.strip()
    return options


def prepare(*, verbose: bool) -> None:
    """Set Prefect's environment, before its import. Its log stays off the console, not the UI."""
    if not verbose:
        os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    apply_settings(os.environ)
