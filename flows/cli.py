"""The `studio` command.

Exit codes: 0 done · 1 a fault of the studio itself · 2 bad input (script, option, file, place) · 3
this machine cannot do what was asked · 4 the episode did not pass the release gate · 130
interrupted.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from flows import batch_cli, corpus_cli, edit_cli, engines_cli, gpu_cli, publish_cli, training_cli
from flows.server import apply_settings
from studio.errors import StudioError
from studio.store import Store, studio_home

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    help="A script goes in, a finished video podcast comes out.",
    epilog="Exit codes: 0 done, 1 fault, 2 bad input, 3 cannot run here, 4 unfit, 130 stopped.",
)
console = Console()
errors = Console(stderr=True)

_EXAMPLES = """
[b]Examples[/b]

  studio create examples/why-gpus-idle.txt
  studio create talk.md --aspect 9:16 --visualizer circular -o talk.mp4
  studio create talk.md --audio-only --music-file theme.mp3 --music-offset 12
  studio create talk.md --set mix.bed_db=-18 --set voice.rate_wpm=150
"""

InfoText = Annotated[str, typer.Option()]


@app.command(epilog=_EXAMPLES)
def create(
    script: Annotated[Path, typer.Argument(help="The script, a .txt or .md file.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help="Put a copy of the video (.mp4) or sound (.mp3, .m4a) here."
        ),
    ] = None,
    out_dir: Annotated[Path, typer.Option(help="Where the episode's folder is made.")] = Path(
        "out"
    ),
    profile: Annotated[str, typer.Option(help="A profile's name or your own .toml file.")] = "cpu",
    quality: Annotated[str | None, typer.Option(help="480p, 720p, 1080p, 1440p or 2160p.")] = None,
    aspect: Annotated[str | None, typer.Option(help="16:9, 9:16 or 1:1.")] = None,
    fps: Annotated[int | None, typer.Option(help="Frames per second, 1 to 120.")] = None,
    avatar: Annotated[
        bool | None, typer.Option("--avatar/--no-avatar", help="With or without a presenter.")
    ] = None,
    avatar_image: Annotated[
        Path | None, typer.Option(help="A portrait that speaks in place of the drawn host.")
    ] = None,
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
    skip_music: Annotated[bool, typer.Option("--skip-music", help="No music at all.")] = False,
    music_file: Annotated[
        Path | None, typer.Option(help="A recording in place of the composed music.")
    ] = None,
    music_offset: Annotated[
        float | None, typer.Option(help="Seconds into the recording at which it starts.")
    ] = None,
    audio_only: Annotated[
        bool, typer.Option("--audio-only", help="Only MP3 and M4A, no video.")
    ] = False,
    tts_engine: Annotated[
        str | None, typer.Option(help="Who speaks: espeak_ng, coqui_tts, gtts_cloud, tone.")
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(help="A folder with checkpoints: each goes to the engine that reads it."),
    ] = None,
    lexicon: Annotated[
        Path | None, typer.Option(help="Pronunciations, one 'word = respelling' a line.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Another seed: other music, other moves.")
    ] = None,
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
    """Make the episode of a script."""
    options: dict[str, object] = {
        key: value
        for key, value in {
            "picture.quality": quality,
            "picture.aspect": aspect,
            "picture.fps": fps,
            "picture.visualizer.style": visualizer,
            "picture.background": str(background.resolve()) if background else None,
            "picture.captions.burn": captions,
            "avatar.enabled": avatar,
            "music.file_offset_s": music_offset,
            "voice.engine": tts_engine,
            "seed": seed,
        }.items()
        if value is not None
    }
    if visualize is not None and not (visualize and visualizer):
        options["picture.visualizer"] = {} if visualize else "none"
    if visualizer is not None:
        options["picture.visualizer.style"] = options.pop("picture.visualizer.style")
    for flag, key in (
        (strict, "strict"),
        (commercial, "commercial"),
        (audio_only, "package.audio_only"),
    ):
        if flag:
            options[key] = True
    if skip_music:
        options["music.enabled"] = False
    if weights is not None:
        options = {**engines_cli.weights_options(weights, profile), **options}
    for pair in setting or ():
        key, equals, value = pair.partition("=")
        if not equals:
            raise typer.BadParameter(f"{pair!r} is not KEY=VALUE", param_hint="--set")
        options[key.strip()] = value.strip()

    if not verbose:
        # Off the console only: the log still reaches the server and its UI.
        os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    apply_settings(os.environ)
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
    produce(order, output, console, live=progress and console.is_terminal)


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
) -> None:
    """Delete the least recently used media from the store, down to a size. Nothing else deletes."""
    root = studio_home(os.environ)
    count, freed = Store(root).collect(round(max_gib * 2**30))
    console.print(f"{count} files, {freed / 2**20:.1f} MiB freed from {root}")


@app.command()
def serve(
    port: Annotated[int, typer.Option(help="On the loopback interface only.")] = 4200,
) -> None:
    """Start a Prefect server that stays, with our settings, and print its address."""
    from flows.server import run_server

    run_server(studio_home(os.environ), port)


publish_cli.add_to(app)
batch_cli.add_to(app)
edit_cli.add_to(app)
gpu_cli.add_to(app)
app.add_typer(engines_cli.app, name="engines")
app.add_typer(corpus_cli.app, name="corpus")
training_cli.add_to(app)


def main() -> None:
    """Run the command; an error a user can cause is one line and its exit code."""
    try:
        app()
    except StudioError as error:
        errors.print(f"[bold red]error[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
