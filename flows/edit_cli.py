"""`studio preview`, `say`, `storyboard` and `watch`: the loop of writing and listening."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from flows.options import ProfileName, set_options
from flows.server import apply_settings
from studio.errors import StudioError

if TYPE_CHECKING:
    from flows.preview import Part
    from tasks.script import Order

_POLL_S = 0.4
"""A saved script is noticed within this time; a file that still changes is waited for."""

Script = Annotated[Path, typer.Argument(help="The script, a .txt or .md file.")]
Seconds = Annotated[float, typer.Option(min=0.0, help="About the first so many seconds; 0: all.")]
Chapter = Annotated[int, typer.Option(min=0, help="Only this chapter, from 1.")]
AudioOnly = Annotated[bool, typer.Option("--audio-only", help="Only the sound, as FLAC.")]
Lexicon = Annotated[Path | None, typer.Option(help="Pronunciations.")]
MusicFile = Annotated[Path | None, typer.Option(help="A recording in place of composed music.")]
Portrait = Annotated[Path | None, typer.Option(help="A portrait that speaks.")]
Setting = Annotated[list[str] | None, typer.Option("--set", help="Any profile key: --set seed=3.")]

console = Console()


def preview(
    script: Script,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="By default SCRIPT.preview.mp4.")
    ] = None,
    seconds: Seconds = 20.0,
    chapter: Chapter = 0,
    audio_only: AudioOnly = False,
    profile: ProfileName = "cpu",
    lexicon: Lexicon = None,
    music_file: MusicFile = None,
    avatar_image: Portrait = None,
    setting: Setting = None,
) -> None:
    """Make a small quick picture of a script's beginning, or of one chapter."""
    target = output or _beside(script, audio_only=audio_only)
    order = _order(script, lexicon, music_file, avatar_image)
    part = _part(seconds, chapter)
    _preview(order, profile, set_options(setting), part, target, audio_only=audio_only)


def say(
    text: Annotated[str, typer.Argument(help="What is to be said; several sentences are fine.")],
    voice: Annotated[str, typer.Option(help="A voice of the engine; else its own choice.")] = "",
    output: Annotated[
        Path, typer.Option("-o", "--output", help="A .wav, .flac, .mp3 or .ogg file.")
    ] = Path("say.wav"),
    profile: ProfileName = "cpu",
    setting: Setting = None,
) -> None:
    """Speak a text into a file, exactly as an episode would."""
    apply_settings(os.environ)
    from flows.preview import say as work

    options: dict[str, object] = {**set_options(setting)}
    if voice:
        options["voice.voice"] = voice
    _told(output, work(text, profile, options, output))


def storyboard(
    script: Script,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="By default SCRIPT.storyboard.png.")
    ] = None,
    profile: ProfileName = "cpu",
    setting: Setting = None,
) -> None:
    """Draw what will be said, played and shown, without making any of it."""
    apply_settings(os.environ)
    from flows.preview import storyboard as work

    target = output or script.with_suffix(".storyboard.png")
    order = _order(script, None, None, None)
    _told(target, work(order, profile, {**set_options(setting)}, target), "about ")


def watch(
    script: Script,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="By default SCRIPT.preview.mp4.")
    ] = None,
    seconds: Seconds = 0.0,
    chapter: Chapter = 0,
    audio_only: AudioOnly = False,
    profile: ProfileName = "cpu",
    lexicon: Lexicon = None,
    music_file: MusicFile = None,
    avatar_image: Portrait = None,
    setting: Setting = None,
) -> None:
    """Preview a script each time it is saved, until Ctrl-C; only what changed is made again."""
    target = output or _beside(script, audio_only=audio_only)
    order, part = _order(script, lexicon, music_file, avatar_image), _part(seconds, chapter)
    options = set_options(setting)
    watched = [path for path in (script, lexicon, music_file, avatar_image) if path is not None]
    if profile.endswith(".toml"):
        watched.append(Path(profile))

    def again() -> None:
        try:
            _preview(order, profile, options, part, target, audio_only=audio_only)
        except StudioError as error:
            console.print(f"[bold red]error[/] {escape(str(error))}", highlight=False)

    console.print("watching; Ctrl-C stops", style="dim")
    try:
        follow(watched, again)
    except KeyboardInterrupt:
        console.print("stopped")


def follow(
    paths: list[Path],
    changed: Callable[[], None],
    going_on: Callable[[], bool] = lambda: True,
    poll_s: float = _POLL_S,
) -> None:
    """Call `changed` now and whenever one of the files has, once its size and time stand still.

    A file that is missing for a moment (editors write beside and rename) is waited for.
    """
    seen: list[tuple[int, int] | None] | None = None
    while going_on():
        state = [_stamp(path) for path in paths]
        if state != seen and None not in state:
            time.sleep(poll_s / 4)
            if [_stamp(path) for path in paths] != state:
                continue
            seen = state
            changed()
        elif seen is None:
            seen = state
            changed()  # a file that is not there is said, and waited for
        time.sleep(poll_s)


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_mtime_ns, found.st_size


def _preview(
    order: Order,
    profile: str,
    options: dict[str, str],
    part: Part,
    target: Path,
    *,
    audio_only: bool,
) -> None:
    from flows.preview import preview as work

    began = time.monotonic()
    length_s = work(order, profile, {**options}, part, target, audio_only=audio_only)
    _told(target, length_s)
    console.print(f"made in {time.monotonic() - began:.1f} s", style="dim")


def _part(seconds: float, chapter: int) -> Part:
    apply_settings(os.environ)
    from flows.preview import Part

    return Part(seconds=0.0 if chapter else seconds, chapter=chapter)


def _order(
    script: Path, lexicon: Path | None, music_file: Path | None, portrait: Path | None
) -> Order:
    apply_settings(os.environ)
    from tasks.script import Order

    return Order(
        script=str(script),
        lexicon=str(lexicon or ""),
        music=str(music_file or ""),
        portrait=str(portrait or ""),
    )


def _beside(script: Path, *, audio_only: bool) -> Path:
    return script.with_suffix(".preview.flac" if audio_only else ".preview.mp4")


def _told(target: Path, length_s: float, about: str = "") -> None:
    console.print(f"{about}{length_s:.1f} s", highlight=False)
    console.print(escape(str(target)), style="bold green", soft_wrap=True)


def add_to(app: typer.Typer) -> None:
    """Add the commands to the `studio` command."""
    for command in (preview, say, storyboard, watch):
        app.command()(command)
