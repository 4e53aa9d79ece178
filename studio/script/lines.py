"""The script line by line: what each line is, in the order in which it stands.
 The dialect is never decided for a file: each line is read on its own, knowing only who speaks
and whether the header is over. The result is a flat list of events from which
`studio.script.parse` makes segments and cues.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from studio.errors import ScriptError
from studio.script.cues import CueWords, read_cue
from studio.script.events import Aside, Asked, Event, Heading, ParagraphEnd, Said, Silence
from studio.script.header import (
    KEYS_FOLDED,
    HeaderLine,
    known_key,
    looks_like_setting,
    refuse_unknown_key,
)
from studio.script.inline import Token, scan
from studio.script.labels import (
    NOT_SPEAKERS,
    Label,
    find_cast,
    is_speaker,
    read_label,
    section_title,
)

MAX_PAUSE_S: Final = 60.0
"""A longer silence in a script is a slip of the pen: listeners would take the episode for broken.
"""

NARRATOR: Final = "NARRATOR"
"""Who speaks where no speaker is named."""

_HEADING: Final = re.compile(r"#{1,6}(?=[ \t]|$)")
_NOTES: Final = re.compile(
    r"(?:#{1,6}[ ]+)?[*_]{0,3}production notes?[*_]{0,3}[ ]?(?:[:：][*_]{0,3}(?P<rest>.*))?",
    re.IGNORECASE | re.DOTALL,
)
_RULE: Final = re.compile(r"(?:[-*_=~][ \t]?){3,}|(?:```|~~~)[ ]?\w{0,20}")
_LEAD: Final = re.compile(r"(?:(?:[-*•‣◦·][ \t]+)|>[ \t]?)+")
_LONE_LEAD: Final = re.compile(r"[-*•‣◦·>]+")
_BLANK_RUN: Final = re.compile(r"\s+")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadLines:
    """A script as events, its header lines, its `# ` title and its production notes."""

    events: tuple[Event, ...]
    header: tuple[HeaderLine, ...]
    title: str
    notes: str
    warnings: tuple[str, ...]


class _Reader:
    """Walks the lines; holds who speaks and what has been seen."""

    def __init__(self, lines: Sequence[str], name: str) -> None:
        self.name = name
        self.stripped = [line.strip() for line in lines]
        self.header: list[HeaderLine] = []
        self.title = ""
        self.notes: list[str] = []
        self.warnings: list[str] = []
        self.speaker, self.tone = NARRATOR, ""
        self.in_header, self.header_line_before = True, False
        self.seen_text = False
        self.opened: set[str] = set()
        self.spelling: dict[str, str] = {NARRATOR.casefold(): NARRATOR}
        self.cast = find_cast(map(_without_lead, self.stripped), KEYS_FOLDED) | self._declared()
        ends = [number for number, line in enumerate(self.stripped) if "-->" in line]
        self.last_comment_end = ends[-1] if ends else -1
        self.in_comment = False

    def _declared(self) -> frozenset[str]:
        """Casefolded speakers that the header gives a voice or an avatar."""
        names = set()
        for line in self.stripped[:200]:
            label = read_label(line)
            if label and label.name.casefold() in {"voice", "avatar"}:
                parts = re.split(r"[,;]", label.rest)
                names |= {
                    part.partition("=")[0].strip().casefold() for part in parts if "=" in part
                }
        return frozenset(names)

    def where(self, line_no: int) -> str:
        return f"{self.name}, line {line_no}"

    def read(self) -> Iterator[Event]:
        """Events of all lines up to the production notes."""
        for index, line in enumerate(self.stripped):
            notes = None if self.in_comment else _NOTES.fullmatch(line)
            if notes:
                rest = (notes["rest"] or "").strip()
                self.notes = [rest, *self.stripped[index + 1 :]]
                return
            yield from self._read_line(line, index)

    def _read_line(self, line: str, index: int) -> Iterator[Event]:
        line_no = index + 1
        if self.in_comment:
            inside, end, line = line.partition("-->")
            yield from self._aside(inside, line_no)
            if not end:
                return
            self.in_comment, line = False, line.strip()
        if line.count("<!--") > line.count("-->") and self.last_comment_end > index:
            line, _, inside = line.rpartition("<!--")
            yield from self._aside(inside, line_no)
            self.in_comment, line = True, line.rstrip()
        if not line or _RULE.fullmatch(line):
            self.header_line_before = False
            yield ParagraphEnd(line_no=line_no)
            return
        first, self.seen_text = not self.seen_text, True
        heading = _HEADING.match(line)
        if heading:
            yield from self._read_heading(
                line[heading.end() :].rstrip("# \t"), line_no, first=first
            )
            return
        yield from self._read_body(line, line_no)

    def _aside(self, text: str, line_no: int, *, own_line: bool = True) -> Iterator[Event]:
        if text.strip():
            yield Aside(line_no=line_no, text=" ".join(text.split()), own_line=own_line)

    def _read_heading(self, text: str, line_no: int, *, first: bool) -> Iterator[Event]:
        words: list[str] = []
        others: list[Token] = []
        for token in scan(text):
            bracket = f"[{token.text}]"
            if token.kind == "speech":
                words.append(token.text)
            elif token.kind == "direction" and bracket in text:
                # A title is read and never spoken: "Season 2 [live]" stays as it stands.
                words.append(bracket)
            else:
                words.append(" ")
                others.append(token)
        title = " ".join("".join(words).split())
        yield ParagraphEnd(line_no=line_no)
        if title and first:
            self.title = title
        elif title:
            yield Heading(line_no=line_no, title=title)
        for token in others:
            yield from self._read_token(token, line_no, own_line=True)

    def _read_body(self, line: str, line_no: int) -> Iterator[Event]:
        body = _without_lead(line)
        if not body:
            yield ParagraphEnd(line_no=line_no)
            return
        title = section_title(body)
        if title:
            yield ParagraphEnd(line_no=line_no)
            yield Heading(line_no=line_no, title=title)
            return
        label = read_label(body)
        if label and self._read_header_line(label, line_no):
            return
        self.header_line_before = False
        if label and NOT_SPEAKERS.fullmatch(label.name) and label.in_capitals:
            yield from self._read_unbracketed(label, line_no)
            return
        leading = False
        if label and is_speaker(label, self.cast):
            self.in_header = False
            self._speaks(label.name, label.tone)
            leading, body = True, label.rest
        bullet = body != line and not leading
        yield from self._read_words(body, line_no, leading=leading, bullet=bullet)

    def _read_header_line(self, label: Label, line_no: int) -> bool:
        """Take a header line, refuse an unknown one; False when the line is something else."""
        key = known_key(label.name)
        if not self.in_header:
            if key and not is_speaker(label, self.cast) and looks_like_setting(label):
                self.warnings.append(
                    f"line {line_no}: '{label.name}:' looks like a header line, but the "
                    "header ends with the first speech or cue; it is spoken"
                )
            return False
        if key:
            self.header.append(HeaderLine(key=key, value=label.rest, line_no=line_no))
            self.header_line_before = True
            return True
        if not NOT_SPEAKERS.fullmatch(label.name):
            refuse_unknown_key(
                label,
                self.where(line_no),
                speaker=label.marked or is_speaker(label, self.cast),
                under_header=self.header_line_before,
            )
        return False

    def _read_unbracketed(self, label: Label, line_no: int) -> Iterator[Event]:
        """`MUSIC: soft piano` or `SFX: door` without brackets: still a direction."""
        music = label.name.casefold() == "music"
        token = Token(kind="cue" if music else "direction", text=label.rest, labelled=music)
        yield from self._read_token(token, line_no, own_line=True)

    def _speaks(self, name: str, tone: str) -> None:
        self.speaker = self.spelling.setdefault(name.casefold(), name)
        self.tone = tone

    def _read_words(
        self, body: str, line_no: int, *, leading: bool, bullet: bool
    ) -> Iterator[Event]:
        new_line = True
        for token in scan(body, opened=self.opened, leading=leading):
            if token.kind == "speech":
                self.in_header = False
                yield Said(
                    line_no=line_no,
                    speaker=self.speaker,
                    tone=self.tone,
                    text=_BLANK_RUN.sub(" ", token.text),
                    new_line=new_line,
                    bullet=bullet and new_line,
                )
                new_line = False
            else:
                yield from self._read_token(token, line_no, own_line=new_line)

    def _read_token(self, token: Token, line_no: int, *, own_line: bool) -> Iterator[Event]:
        if token.unclosed:
            shown = token.text if len(token.text) <= 40 else token.text[:39] + "…"
            self.warnings.append(
                f"line {line_no}: the bracket before '{shown}' is not closed; it ends with its line"
            )
        match token.kind:
            case "cue":
                self.in_header = False
                yield Asked(line_no=line_no, words=self._cue(token, line_no), own_line=own_line)
            case "pause":
                if token.seconds > MAX_PAUSE_S:
                    found = f"a pause of {token.seconds:g} s (the longest is {MAX_PAUSE_S:g} s)"
                    raise ScriptError(self.where(line_no), found, "Shorten it")
                yield Silence(line_no=line_no, seconds=token.seconds)
            case "open":
                self.in_header = False
                self.opened.add(token.text.casefold())
                self._speaks(token.text, "")
            case "close":
                self._speaks(NARRATOR, "")
            case "direction" | "speech":
                yield from self._aside(token.text, line_no, own_line=own_line)

    def _cue(self, token: Token, line_no: int) -> CueWords:
        try:
            return read_cue(token.text)
        except ValueError as error:
            remedy = "Write what to play ([MUSIC: soft piano]) or what to do ([MUSIC: fade out])"
            raise ScriptError(self.where(line_no), str(error), remedy) from error


def read_lines(lines: Sequence[str], name: str) -> ReadLines:
    """Read every line of a script.

    Raises:
        ScriptError: an empty cue, a pause over `MAX_PAUSE_S`, an unknown header key.
    """
    reader = _Reader(lines, name)
    events = tuple(reader.read())
    return ReadLines(
        events=events,
        header=tuple(reader.header),
        title=reader.title,
        notes="\n".join(reader.notes).strip(),
        warnings=tuple(reader.warnings),
    )


def _without_lead(line: str) -> str:
    """A line without its bullets and quotation marks of Markdown."""
    lead = _LEAD.match(line)
    rest = line[lead.end() :] if lead else line
    return "" if _LONE_LEAD.fullmatch(rest) else rest
