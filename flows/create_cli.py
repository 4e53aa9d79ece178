"""`studio create`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from flows import options as told
from flows.engines_cli import weights_options

_EXAMPLES = """
[b]Examples[/b]

  studio create examples/why-gpus-idle.txt
  studio create talk.md --aspect 9:16 --visualizer circular -o talk.mp4
  studio create talk.md --audio-only --music-file theme.mp3 --music-offset 12
  studio create talk.md --set mix.bed_db=-18 --set voice.rate_wpm=150
"""


def create(
    script: Annotated[Path, typer.Argument(help="The script, a .txt or .md file.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help="Put a copy of the video (.mp4) or sound (.mp3, .m4a) here."
        ),
    ] = None,
    out_dir: told.OutDir = Path("out"),
    profile: told.ProfileName = "cpu",
    quality: told.Quality = None,
    aspect: told.Aspect = None,
    fps: Annotated[int | None, typer.Option(help="Frames per second, 1 to 120.")] = None,
    avatar: Annotated[
        bool | None, typer.Option("--avatar/--no-avatar", help="With or without a presenter.")
    ] = None,
    avatar_image: told.AvatarImage = None,
    visualize: Annotated[
        bool | None, typer.Option("--visualize/--no-visualize", help="Show the sound moving.")
    ] = None,
    visualizer: Annotated[
        str | None, typer.Option(help="waveform, bars, spectrum, circular or particles.")
    ] = None,
    background: Annotated[
        Path | None, typer.Option(help="A picture or a video behind everything.")
    ] = None,
    captions: Annotated[
        bool | None, typer.Option("--captions/--no-captions", help="Burn captions into the video.")
    ] = None,
    skip_music: told.SkipMusic = False,
    music_file: told.MusicFile = None,
    music_offset: Annotated[
        float | None, typer.Option(help="Seconds into the recording at which it starts.")
    ] = None,
    audio_only: told.AudioOnly = False,
    tts_engine: Annotated[
        str | None, typer.Option(help="Who speaks: espeak_ng, coqui_tts, gtts_cloud, tone.")
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(help="A folder with checkpoints: each goes to the engine that reads it."),
    ] = None,
    lexicon: told.Lexicon = None,
    seed: told.Seed = None,
    strict: told.Strict = False,
    commercial: told.Commercial = False,
    setting: told.Settings = None,
    progress: told.ShowProgress = True,
    verbose: told.Verbose = False,
) -> None:
    """Make the episode of a script."""
    options = told.given(
        picture__quality=quality,
        picture__aspect=aspect,
        picture__fps=fps,
        picture__visualizer=_visualizer(visualize, visualizer),
        picture__visualizer__style=visualizer,
        picture__background=str(background.resolve()) if background else None,
        picture__captions__burn=captions,
        avatar__enabled=avatar,
        music__enabled=False if skip_music else None,
        music__file_offset_s=music_offset,
        voice__engine=tts_engine,
        package__audio_only=audio_only or None,
        strict=strict or None,
        commercial=commercial or None,
        seed=seed,
    )
    if weights is not None:
        options = {**weights_options(weights, profile), **options}
    options |= told.set_options(setting)
    told.prepare(verbose=verbose)
    from flows.console import produce

    order = {
        "script": str(script),
        "profile": profile,
        "out_dir": str(out_dir),
        "options": options,
        "lexicon": str(lexicon or ""),
        "music_file": str(music_file or ""),
        "avatar_image": str(avatar_image or ""),
    }
    console = Console()
    produce(order, output, console, live=progress and console.is_terminal)


def _visualizer(visualize: bool | None, style: str | None) -> object:
    """`--no-visualize` switches it off, `--visualize` on; a style switches it on by itself."""
    if visualize is None or (visualize and style):
        return None
    return {} if visualize else "none"


def add_to(app: typer.Typer) -> None:
    """Add the command to the `studio` command."""
    app.command(epilog=_EXAMPLES)(create)
