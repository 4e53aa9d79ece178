"""Titles, covers and chapters inside sound files: ID3v2 in MP3, MPEG-4 items in M4A.

ID3v2.4 with a table of contents as in "ID3v2 Chapter Frame Addendum" 1.0: one ordered, top-level
CTOC that names every CHAP in order. MPEG-4 chapters are written with the file itself; here they
only get their title and cover.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mutagen
import mutagen.id3
import mutagen.mp4

from studio.types import SAMPLE_RATE, Chapter

# mutagen has no types.
_id3: Any = mutagen.id3
_mp4: Any = mutagen.mp4

MAX_CHAPTERS = 255
"""A table of contents counts its entries in one byte."""

_UTF8 = 3
_NO_OFFSET = 0xFFFFFFFF
"""ID3's numbers for UTF-8 text and for "use the times, not the bytes"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tags:
    """What a player shows. `cover_jpeg` is a JPEG file's bytes, empty for none."""

    title: str
    artist: str
    show_name: str
    language: str = ""
    cover_jpeg: bytes = b""


def write_id3(path: Path, tags: Tags, chapters: Sequence[Chapter]) -> None:
    """Replace an MP3's tags. Chapters beyond `MAX_CHAPTERS` are joined to the last one."""
    frames = _id3.ID3()
    frames.add(_id3.TIT2(encoding=_UTF8, text=tags.title))
    frames.add(_id3.TPE1(encoding=_UTF8, text=tags.artist or tags.show_name))
    frames.add(_id3.TALB(encoding=_UTF8, text=tags.show_name))
    frames.add(_id3.TCON(encoding=_UTF8, text="Podcast"))
    if tags.cover_jpeg:
        frames.add(
            _id3.APIC(
                encoding=_UTF8,
                mime="image/jpeg",
                type=_id3.PictureType.COVER_FRONT,
                desc="Cover",
                data=tags.cover_jpeg,
            )
        )
    code = _iso639_2(tags.language)
    if code:
        frames.add(_id3.TLAN(encoding=_UTF8, text=code))
    kept = capped(chapters)
    for index, chapter in enumerate(kept):
        frames.add(
            _id3.CHAP(
                element_id=f"chp{index}",
                start_time=_ms(chapter.start),
                end_time=_ms(chapter.start + chapter.num_samples),
                start_offset=_NO_OFFSET,
                end_offset=_NO_OFFSET,
                sub_frames=[_id3.TIT2(encoding=_UTF8, text=chapter.title)],
            )
        )
    if kept:
        frames.add(
            _id3.CTOC(
                element_id="toc",
                flags=_id3.CTOCFlags.TOP_LEVEL | _id3.CTOCFlags.ORDERED,
                child_element_ids=[f"chp{index}" for index in range(len(kept))],
                sub_frames=[_id3.TIT2(encoding=_UTF8, text=tags.title)],
            )
        )
    with _plain_errors():
        frames.save(path, v1=0, v2_version=4)


def write_mpeg4_tags(path: Path, tags: Tags) -> None:
    """Set an M4A's or MP4's title, artist, album, genre and cover; its media stays untouched."""
    file = _mp4.MP4(path)
    file["\xa9nam"] = [tags.title]
    file["\xa9ART"] = [tags.artist or tags.show_name]
    file["\xa9alb"] = [tags.show_name]
    file["\xa9gen"] = ["Podcast"]
    if tags.cover_jpeg:
        file["covr"] = [_mp4.MP4Cover(tags.cover_jpeg, imageformat=_mp4.MP4Cover.FORMAT_JPEG)]
    with _plain_errors():
        file.save()


@contextlib.contextmanager
def _plain_errors() -> Iterator[None]:
    """Mutagen wraps what the operating system says (a full disk) in an error of its own."""
    try:
        yield
    except mutagen.MutagenError as error:
        told = error.args[0] if error.args else None
        if isinstance(told, OSError):
            raise told from error
        raise


def capped(chapters: Sequence[Chapter]) -> tuple[Chapter, ...]:
    """At most `MAX_CHAPTERS`: the last one takes in the time of those that are left out."""
    if len(chapters) <= MAX_CHAPTERS:
        return tuple(chapters)
    last, end = chapters[MAX_CHAPTERS - 1], chapters[-1].start + chapters[-1].num_samples
    joined = Chapter(title=last.title, start=last.start, num_samples=end - last.start)
    return (*chapters[: MAX_CHAPTERS - 1], joined)


def _ms(sample: int) -> int:
    return round(sample * 1000 / SAMPLE_RATE)


_ISO_639_2 = {
    "ar": "ara", "cs": "ces", "da": "dan", "de": "deu", "el": "ell", "en": "eng", "es": "spa",
    "fi": "fin", "fr": "fra", "he": "heb", "hi": "hin", "hu": "hun", "it": "ita", "ja": "jpn",
    "ko": "kor", "nl": "nld", "no": "nor", "pl": "pol", "pt": "por", "ro": "ron", "ru": "rus",
    "sv": "swe", "tr": "tur", "uk": "ukr", "zh": "zho",
}  # fmt: skip


def _iso639_2(language: str) -> str:
    """ID3's three letters of a language tag such as `en-GB`; empty when unknown."""
    return _ISO_639_2.get(language.lower().replace("_", "-").split("-")[0], "")
