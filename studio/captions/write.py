"""Caption and chapter files: SubRip, WebVTT, transcript, Podcasting 2.0 chapters."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Final

from studio.types import SAMPLE_RATE, Caption, Chapter, Script, SpeechTrack

_WORD_JOINER: Final = "\u2060"
_SRT_MARKUP: Final = re.compile(r"<(?=[A-Za-z/!])|\{(?=[\\A-Za-z])")
_MARKDOWN: Final = re.compile(r"([\\`*_\[\]<>#|~])")


def to_srt(captions: Sequence[Caption]) -> str:
    """SubRip text, UTF-8, to be written without a byte-order mark.

    The format has no escapes. What players would take for markup is broken by an invisible word
    joiner, and an arrow that would look like a time line is written as one character.
    """
    blocks = []
    for number, caption in enumerate(captions, start=1):
        text = "\n".join(
            _SRT_MARKUP.sub(lambda mark: mark[0] + _WORD_JOINER, line.replace("-->", "→"))
            for line in caption.lines
        )
        start, end = _span(caption)
        blocks.append(f"{number}\n{_stamp(start, ',')} --> {_stamp(end, ',')}\n{text}\n")
    return "\n".join(blocks)


def to_vtt(captions: Sequence[Caption]) -> str:
    """WebVTT text with a voice span (`<v Speaker>`) in each cue; all text is escaped."""
    blocks = ["WEBVTT\n"]
    for number, caption in enumerate(captions, start=1):
        text = "\n".join(_escape(line) for line in caption.lines)
        speaker = _escape(" ".join(caption.speaker.split()))
        voiced = f"<v {speaker}>{text}</v>" if speaker else text
        start, end = _span(caption)
        blocks.append(f"{number}\n{_stamp(start, '.')} --> {_stamp(end, '.')}\n{voiced}\n")
    return "\n".join(blocks)


def to_transcript(
    script: Script, speech: SpeechTrack | None = None, *, markdown: bool = False
) -> str:
    """The episode to read: title, chapters, paragraphs, and who speaks where more than one does.

    Args:
        script: what was spoken.
        speech: when given, chapters carry the time at which they begin.
        markdown: headings, bold names and escapes of Markdown; plain text otherwise.
    """
    named = len(script.speakers) > 1
    titles = {mark.at: mark.title for mark in script.chapters}
    parts = [_heading(script.title, 1, markdown)]
    paragraph: list[str] = []
    speaker = ""

    def end_paragraph() -> None:
        if paragraph:
            text = " ".join(paragraph)
            parts.append(f"{_name(speaker, markdown)} {text}" if named else text)
            paragraph.clear()

    for segment in script.segments:
        title = titles.get(segment.index)
        if title is not None or segment.speaker != speaker:
            end_paragraph()
        if title is not None:
            when = f" ({_clock(speech.starts[segment.index])})" if speech is not None else ""
            parts.append(_heading(title + when, 2, markdown))
        speaker = segment.speaker
        paragraph.append(_escape_markdown(segment.text) if markdown else segment.text)
        if segment.ends_paragraph:
            end_paragraph()
    end_paragraph()
    return "\n\n".join(parts) + "\n"


def chapters_json(chapters: Sequence[Chapter], title: str = "") -> str:
    """Podcasting 2.0 chapters, version 1.2.0: times in seconds with millisecond precision."""
    document: dict[str, object] = {"version": "1.2.0"}
    if title:
        document["title"] = title
    document["chapters"] = [
        {
            "startTime": round(chapter.start / SAMPLE_RATE, 3),
            "endTime": round((chapter.start + chapter.num_samples) / SAMPLE_RATE, 3),
            "title": chapter.title,
        }
        for chapter in chapters
    ]
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


def _span(caption: Caption) -> tuple[int, int]:
    """Start and end in milliseconds; both rounded alike, so that order is kept."""
    end = caption.start + caption.num_samples
    return round(caption.start * 1000 / SAMPLE_RATE), round(end * 1000 / SAMPLE_RATE)


def _stamp(milliseconds: int, point: str) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{point}{rest:03d}"


def _clock(samples: int) -> str:
    seconds = samples // SAMPLE_RATE
    hours = f"{seconds // 3600}:" if seconds >= 3600 else ""
    return f"{hours}{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _heading(title: str, level: int, markdown: bool) -> str:
    if markdown:
        return "#" * level + " " + _escape_markdown(title)
    return title + "\n" + ("=" if level == 1 else "-") * len(title)


def _name(speaker: str, markdown: bool) -> str:
    return f"**{_escape_markdown(speaker)}:**" if markdown else f"{speaker}:"


def _escape_markdown(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", text)
