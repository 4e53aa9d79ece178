"""From line events to segments, cues and chapters: where sentences begin, pauses fall and cues
stand.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from studio.script.events import Aside, Asked, Event, Heading, ParagraphEnd, Said, Silence
from studio.script.sentences import is_speakable, sentences
from studio.text_width import columns
from studio.types import ChapterMark, MusicCue, Segment

_WRAP_COLUMN: Final = 50
"""A line at least this wide without a sentence mark at its end was wrapped by an editor: its
sentence goes on.
"""

_ENDED: Final = re.compile(r"[.!?…‼⁇⁈⁉‽؟۔।॥։።፧។။。！？｡:：][\"'”’»)\]」』）*_]{0,6}$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembly:
    """What is spoken and played, ready to be a `Script`; cue prompts may still be empty."""

    segments: tuple[Segment, ...]
    cues: tuple[MusicCue, ...]
    chapters: tuple[ChapterMark, ...]
    pause_before_s: float
    warnings: tuple[str, ...]


@dataclass(slots=True)
class _Spoken:
    """A segment being made."""

    speaker: str
    text: str
    line_no: int
    directions: list[str]
    pause_after_s: float = 0.0
    ends_paragraph: bool = False


@dataclass(slots=True)
class _Run:
    """Text of one speaker that flows on without a break, with what stands inside it by offset."""

    speaker: str = ""
    tone: str = ""
    parts: list[str] = field(default_factory=list)
    length: int = 0
    last_line: str = ""
    lines: list[tuple[int, int]] = field(default_factory=list)
    cues: list[tuple[int, Asked]] = field(default_factory=list)
    directions: list[tuple[int, Aside]] = field(default_factory=list)


class _Assembler:
    def __init__(self, language: str) -> None:
        self.language = language
        self.spoken: list[_Spoken] = []
        self.cues: list[MusicCue] = []
        self.marks: list[ChapterMark] = []
        self.warnings: list[str] = []
        self.pause_before_s = 0.0
        self.run = _Run()

    def take(self, event: Event) -> None:
        match event:
            case Said():
                self._say(event)
            case Asked():
                if event.own_line:
                    self.flush()
                self.run.cues.append((self.run.length, event))
            case Silence():
                self.flush()
                if self.spoken:
                    self.spoken[-1].pause_after_s += event.seconds
                else:
                    self.pause_before_s += event.seconds
            case Aside():
                self.run.directions.append((self.run.length, event))
            case Heading() | ParagraphEnd():
                self.flush()
                if self.spoken:
                    self.spoken[-1].ends_paragraph = True
                if isinstance(event, Heading):
                    self._mark(event.title)

    def _mark(self, title: str) -> None:
        at = len(self.spoken)
        if self.marks and self.marks[-1].at == at:
            self.marks.pop()  # nothing was spoken under it
        self.marks.append(ChapterMark(at=at, title=title))

    def _say(self, said: Said) -> None:
        run = self.run
        same = run.speaker == said.speaker and run.tone == said.tone
        separator = " "
        if run.parts and (
            not same or said.bullet or (said.new_line and not _flows_on(run.last_line, said.text))
        ):
            self.flush()
            run = self.run
        if said.new_line and run.parts and _is_wide(run.parts[-1][-1:]) and _is_wide(said.text[:1]):
            separator = ""
        text = (separator if run.parts else "") + said.text.strip()
        run.speaker, run.tone = said.speaker, said.tone
        run.lines.append((run.length, said.line_no))
        run.parts.append(text)
        run.length += len(text)
        run.last_line = said.text.strip() if said.new_line else run.last_line + text[-80:]

    def flush(self) -> None:
        """End the run: its sentences become segments, its cues and directions find theirs."""
        run, self.run = self.run, _Run()
        text = "".join(run.parts)
        spans = sentences(text, self.language) if is_speakable(text) else []
        if text and not spans:
            shown = text if len(text) <= 20 else text[:19] + "…"
            self.warnings.append(f"line {run.lines[0][1]}: nothing in '{shown}' can be spoken")
        base = len(self.spoken)
        number = 0
        for start, end in spans:
            while number + 1 < len(run.lines) and run.lines[number + 1][0] <= start:
                number += 1
            directions = [run.tone] if run.tone else []
            self.spoken.append(
                _Spoken(run.speaker, text[start:end], run.lines[number][1], directions)
            )
        self._place_directions(run, spans, base)
        self._place_cues(run, spans, base)

    def _place_directions(self, run: _Run, spans: list[tuple[int, int]], base: int) -> None:
        number = 0
        for offset, aside in run.directions:
            while number < len(spans) and spans[number][1] <= offset:
                number += 1
            if number < len(spans):
                self.spoken[base + number].directions.append(aside.text)
            elif spans and not aside.own_line:  # at the end of its line: "I see (laughs)"
                self.spoken[-1].directions.append(aside.text)
            else:  # nothing follows in this run: it belongs to what is said next
                self.run.directions.append((0, aside))

    def _place_cues(self, run: _Run, spans: list[tuple[int, int]], base: int) -> None:
        number = 0
        for offset, asked in run.cues:
            while number < len(spans) and spans[number][0] < offset:
                number += 1
            words = asked.words
            self.cues.append(
                MusicCue(
                    index=len(self.cues),
                    at=base + number,
                    prompt=words.prompt,
                    line_no=asked.line_no,
                    action=words.action,
                    gain_db=words.gain_db,
                    gain_from=words.gain_from,
                    fade_in_s=words.fade_in_s,
                    fade_out_s=words.fade_out_s,
                    hold_s=words.hold_s,
                    file=words.file,
                )
            )

    def finish(self) -> Assembly:
        self.flush()
        if self.spoken:
            self.spoken[-1].directions += [aside.text for _, aside in self.run.directions]
            self.spoken[-1].ends_paragraph = True
        segments = tuple(
            Segment(
                index=index,
                speaker=spoken.speaker,
                text=spoken.text,
                line_no=spoken.line_no,
                direction="; ".join(spoken.directions),
                pause_after_s=spoken.pause_after_s,
                ends_paragraph=spoken.ends_paragraph,
            )
            for index, spoken in enumerate(self.spoken)
        )
        return Assembly(
            segments=segments,
            cues=tuple(self.cues),
            chapters=tuple(mark for mark in self.marks if mark.at < len(segments)),
            pause_before_s=self.pause_before_s,
            warnings=tuple(self.warnings),
        )


def assemble(events: Iterable[Event], language: str) -> Assembly:
    """Make segments, cues and chapters of a script's events; linear in their number and length."""
    assembler = _Assembler(language)
    for event in events:
        assembler.take(event)
    return assembler.finish()


def _flows_on(line: str, following: str) -> bool:
    """Whether a sentence goes on from one line to the next: wrapped by an editor, not ended by
    its author.
    """
    tail = line.rstrip()[-12:]
    if not tail or _ENDED.search(tail):
        return False
    return columns(line) >= _WRAP_COLUMN or following.lstrip()[:1].islower()


def _is_wide(character: str) -> bool:
    """Chinese and Japanese, written without spaces between words."""
    return bool(character) and (
        "\u3000" <= character <= "\u9fff" or "\uff00" <= character <= "\uff60"
    )
