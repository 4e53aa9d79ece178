"""An episode as the feed and the pages see it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaFile:
    """A file of a published episode: its name in the episode's folder, and what it is."""

    name: str
    media_type: str
    num_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteChapter:
    """A chapter and when it begins, in seconds."""

    title: str
    start_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SpokenText:
    """A spoken line: who says what, from when to when, in seconds."""

    speaker: str
    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodePage:
    """An episode with all that its page and its item in the feed say.

    `slug` is its folder on the site. `mp3` and `m4a` are its sound, `mp4` its picture if it has
    one; `vtt`, `srt`, `transcript` and `chapters_file` accompany it.
    """

    slug: str
    guid: str
    title: str
    description: str
    published: datetime
    language: str
    duration_s: float
    mp3: MediaFile
    m4a: MediaFile
    mp4: MediaFile | None
    height_px: int
    vtt: MediaFile
    srt: MediaFile
    transcript: MediaFile
    chapters_file: MediaFile | None
    chapters: tuple[SiteChapter, ...]
    lines: tuple[SpokenText, ...]
    season: int | None = None
    episode: int | None = None
    explicit: bool = False

    @property
    def place(self) -> str:
        """Its folder on the site, ready for an address: `episodes/a%20b/`."""
        return f"episodes/{quote(self.slug)}/"

    @property
    def files(self) -> tuple[MediaFile, ...]:
        """Every file that is copied to the site."""
        found = (self.mp3, self.m4a, self.mp4, self.vtt, self.srt, self.transcript)
        return tuple(file for file in (*found, self.chapters_file) if file is not None)

    @property
    def speakers(self) -> tuple[str, ...]:
        """Everybody who speaks, in order of appearance."""
        return tuple(dict.fromkeys(line.speaker for line in self.lines))


def summary(lines: Sequence[SpokenText], limit: int = 280) -> str:
    """The first sentences of a transcript, as many as fit in `limit` characters; at least one."""
    text = ""
    for line in lines:
        longer = f"{text} {line.text}".strip()
        if text and len(longer) > limit:
            break
        text = longer
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def clock(seconds: float) -> str:
    """`1:02:03` or `2:03`."""
    whole = int(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
