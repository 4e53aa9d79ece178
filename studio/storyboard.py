"""What will be said, played and shown, and when, reckoned from the script alone."""

from __future__ import annotations

from dataclasses import dataclass

from studio.specs import MixSpec, VoiceSpec
from studio.timeline import chapters, lay_out, line_seconds, place_music
from studio.types import SAMPLE_RATE, Blob, Script, SpeechTrack, SpokenLine

_NOTHING = Blob(sha256="", suffix=".flac", num_bytes=0)
"""Stands for sound that is not spoken yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """Something that lasts: a line, a piece of music, a chapter. Times in seconds."""

    label: str
    start_s: float
    end_s: float
    who: str = ""
    level_db: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """A script's storyboard. `lines` are what is said, `music` what is played (its level relative
    to the bed), `chapters` what is shown as heading.
    """

    title: str
    duration_s: float
    speakers: tuple[str, ...]
    lines: tuple[Strip, ...]
    music: tuple[Strip, ...]
    chapters: tuple[Strip, ...]
    warnings: tuple[str, ...]


def board_of(script: Script, voice: VoiceSpec, mix: MixSpec) -> Board:
    """Lay a script out with the lengths that its lines are expected to have."""
    speech = _reckoned(script, voice, mix)
    rate = SAMPLE_RATE
    lines = tuple(
        Strip(
            label=line.text,
            start_s=start / rate,
            end_s=(start + line.num_samples) / rate,
            who=line.speaker,
        )
        for line, start in zip(speech.lines, speech.starts, strict=True)
    )
    prompts = {cue.index: cue.file or cue.prompt for cue in script.cues}
    music = tuple(
        Strip(
            label=prompts[placed.cue],
            start_s=placed.start / rate,
            end_s=(placed.start + placed.num_samples) / rate,
            level_db=placed.gain_db,
        )
        for placed in place_music(script, speech, mix)
    )
    marks = tuple(
        Strip(
            label=chapter.title,
            start_s=chapter.start / rate,
            end_s=(chapter.start + chapter.num_samples) / rate,
        )
        for chapter in chapters(script, speech)
    )
    return Board(
        title=script.title,
        duration_s=speech.num_samples / rate,
        speakers=script.speakers,
        lines=lines,
        music=music,
        chapters=marks,
        warnings=script.warnings,
    )


def _reckoned(script: Script, voice: VoiceSpec, mix: MixSpec) -> SpeechTrack:
    lengths = [
        max(1, round(line_seconds(segment.text, voice.rate_wpm) * SAMPLE_RATE))
        for segment in script.segments
    ]
    starts, num_samples = lay_out(script, lengths, voice, mix)
    lines = tuple(
        SpokenLine(
            index=segment.index,
            speaker=segment.speaker,
            text=segment.text,
            engine="",
            voice="",
            audio=_NOTHING,
            num_samples=count,
            words=(),
            phonemes=(),
        )
        for segment, count in zip(script.segments, lengths, strict=True)
    )
    return SpeechTrack(sample_rate=SAMPLE_RATE, num_samples=num_samples, lines=lines, starts=starts)
