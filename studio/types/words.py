"""What the script says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

SAMPLE_RATE = 48_000
"""The episode's clock in Hz: what the delivery codecs (AAC, MP3) and video players expect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One sentence that is spoken. `index` counts from 0 over the whole script."""

    index: int
    speaker: str
    text: str
    line_no: int
    direction: str = ""
    pause_after_s: float = 0.0
    ends_paragraph: bool = False


CueAction = Literal["play", "level", "fade_out", "stop"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MusicCue:
    """What the script asks of the music at the start of segment `at` (`at == len(segments)`: after
    the last one).

    `None` means "not said": the profile decides. `hold_s` is how long it sounds, its fades
    included, `file` a recording named in the script instead of words to compose from. Levels are dB
    relative to `gain_from`: the speech, or the profile's bed (`MixSpec.bed_db`);
    `studio.timeline.place_music` turns both into dB relative to the bed.
    """

    index: int
    at: int
    prompt: str
    line_no: int
    action: CueAction = "play"
    gain_db: float | None = None
    gain_from: Literal["speech", "bed"] = "bed"
    fade_in_s: float | None = None
    fade_out_s: float | None = None
    hold_s: float | None = None
    file: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChapterMark:
    """A chapter that begins with segment `at`."""

    at: int
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What the script's own header asks for; empty means "not said". Pairs are `(SPEAKER, value)`;
    `("", value)` is for all.
    """

    runtime_s: float | None = None
    tone: str = ""
    style: str = ""
    music: str = ""
    background: str = ""
    aspect: str = ""
    voices: tuple[tuple[str, str], ...] = ()
    avatars: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """A parsed script: what is said, what is played, where chapters begin. Directions are metadata,
    never speech.
    """

    title: str
    language: str
    header: Header
    segments: tuple[Segment, ...]
    cues: tuple[MusicCue, ...]
    chapters: tuple[ChapterMark, ...]
    notes: str = ""
    warnings: tuple[str, ...] = ()
    pause_before_s: float = 0.0

    @property
    def speakers(self) -> tuple[str, ...]:
        """Every speaker once, in order of appearance."""
        return tuple(dict.fromkeys(segment.speaker for segment in self.segments))
