"""The edit loop: a small quick picture of a part, a text spoken, without a server in between.

The stages are those of the episode, called one after another; what they remember line by line and
cue by cue the episode finds again.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from profiles import Profile, load_profile, settle
from studio.excerpt import chapter_lines, excerpt, first_seconds
from studio.script import parse_script
from studio.types import Assets, Header, Rehearsal
from tasks.avatar import animate
from tasks.episode import encode, mix_sound
from tasks.music import score
from tasks.run import Run, open_run
from tasks.script import Order, rehearse, without_music
from tasks.sketch import deliver_copy, deliver_speech, draw_storyboard
from tasks.speech import speak

QUICK: Mapping[str, object] = {
    "picture.quality": "480p",
    "picture.fps": 15,
    "encode.encoder": ("pyav:libx264",),
    "encode.preset": "ultrafast",
    "encode.crf": 28.0,
}
"""What a preview changes of its profile: the size and the time of the picture, not its words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What of a script is wanted: about the first `seconds` (0: all), or one `chapter` (from 1)."""

    seconds: float = 0.0
    chapter: int = 0


def preview(
    order: Order,
    profile: str,
    options: Mapping[str, object],
    part: Part,
    output: Path,
    *,
    audio_only: bool = False,
) -> float:
    """Make a small quick video (or a FLAC, when only heard) of a part; returns its length in
    seconds.

    Options win over what a preview changes. Raises what the stages of an episode raise.
    """
    wanted = settle(load_profile(profile), Header(), {**QUICK, **options})
    order = Order(
        script=order.script,
        lexicon=order.lexicon,
        music=order.music,
        portrait=order.portrait,
        background=wanted.picture.background,
    )
    with _opened(wanted) as run:
        heard = rehearse.fn(order, run=run)
        told = settle(wanted, heard.script.header, {**QUICK, **options})
        heard = _part(heard, part, told)
        if not told.music.enabled:
            heard = without_music(heard)
        picture = told.picture.model_copy(update={"background": ""})
        speech = speak.fn(heard, told.voice, told.mix, told.seed, run=run)
        music = score.fn(heard, told.voice, told.music, told.mix, told.seed, run=run)
        mix = mix_sound.fn(heard, speech, music, told.mix, run=run)
        if audio_only:
            deliver_copy(run.store, mix.audio, output)
        else:
            seen = animate.fn(heard, speech, told.avatar, picture, told.seed, run=run)
            video = encode.fn(
                heard, speech, mix, seen, picture, told.avatar, told.mix, told.encode, told.seed,
                run=run,
            )  # fmt: skip
            deliver_copy(run.store, video.video, output)
    return mix.num_samples / mix.sample_rate


def say(text: str, profile: str, options: Mapping[str, object], output: Path) -> float:
    """Speak a text into a sound file, as an episode would; returns its length in seconds.

    The suffix of `output` says which kind: .wav, .flac, .mp3 or .ogg.
    """
    told = settle(load_profile(profile), Header(), options)
    with _opened(told) as run:
        heard = Rehearsal(script=parse_script(text, "the text"), assets=Assets())
        speech = speak.fn(without_music(heard), told.voice, told.mix, told.seed, run=run)
        return deliver_speech(run.store, speech, output)


def storyboard(order: Order, profile: str, options: Mapping[str, object], output: Path) -> float:
    """Draw what will be said, played and shown, from the script alone; returns the length in
    seconds that the episode is expected to have.
    """
    wanted = settle(load_profile(profile), Header(), options)
    with _opened(wanted) as run:
        heard = rehearse.fn(order, run=run)
        told = settle(wanted, heard.script.header, options)
        if not told.music.enabled:
            heard = without_music(heard)
        return draw_storyboard(heard.script, told.voice, told.mix, told.picture, output)


def _opened(told: Profile) -> AbstractContextManager[Run]:
    return open_run(
        ".", device=told.device, gpu=told.gpu, strict=told.strict, commercial=told.commercial
    )


def _part(heard: Rehearsal, part: Part, told: Profile) -> Rehearsal:
    if part.chapter:
        return excerpt(heard, *chapter_lines(heard.script, part.chapter))
    if part.seconds:
        return excerpt(heard, *first_seconds(heard.script, part.seconds, told.voice.rate_wpm))
    return heard
