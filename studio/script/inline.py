"""What stands inside a line: speech, brackets, stage words, speaker tags, markup.
 `scan` walks a line once, from left to right; every branch either consumes what it looks at or
looks at a bounded window, so the time is linear in the line's length whatever it holds.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final, Literal

from studio.script.cues import is_music
from studio.script.durations import DURATION, seconds

BEAT_S: Final = 0.5
"""A beat, in seconds; also a pause for which no length is given."""

_I: Final = re.IGNORECASE
_WINDOW: Final = 200
"""Longest parenthesis or tag, in characters, that can be a direction."""

_CLOSERS: Final = {"[": "]", "【": "】", "［": "］"}
_ROUND: Final = {"(": ")", "（": "）"}
_STOP: Final = re.compile(r"[\[【［(（<*_`]")
_MUSIC: Final = re.compile(r"\s*music\s*[:：]", _I)
_PAUSE: Final = re.compile(
    rf"\s*(?:(?:(?:a )?(?:(?P<size>long|short|brief|dramatic|slight) )?"
    r"(?:pause|pausa|silence|beat|停顿)"
    rf"(?:\s*(?:for|of|[:,—–-])?\s*(?P<after>{DURATION}))?)"
    rf"|(?P<before>{DURATION})\s*(?:of )?(?:pause|silence|beat))[.\s]*",
    _I,
)
_BEATS: Final = re.compile(r"\s*(?P<count>two|three|2|3)\s+beats[.\s]*", _I)
_SIZES: Final = {"long": 1.5, "dramatic": 1.5, "short": 0.3, "brief": 0.3, "slight": 0.3}
_STAGE_WORD: Final = re.compile(
    r"\s*(?:(?:soft|quiet|light|loud|nervous|gentle|both|audience|all)(?:ly)? )?"
    r"(?:laughs?|laughing|laughter|chuckl(?:es?|ing)|giggl(?:es?|ing)|sigh(?:s|ing)?|gasp(?:s|ing)?|"
    r"whisper(?:s|ing|ed)?|cough(?:s|ing)?|sniff(?:s|ing)?|smil(?:es?|ing)|shrugs?|nods?|grins?|"
    r"clears (?:his |her |their )?throat|applause|clapping|crosstalk|off[ -]mic|inaudible|"
    r"sfx\b.*|sound effects?\b.*|stage direction\b.*)"
    r"(?: softly| quietly| nervously| together)?[.!\s]*",
    _I,
)
_NOTHING_MORE: Final = re.compile(r"[\s.]*\Z")
_MUSIC_MOVES: Final = re.compile(
    r"\b(?:fad(?:es?|ing)|starts?|begins?|stops?|ends?|swells?|cuts?|up|down|out|in|under)\b", _I
)
_LINK: Final = re.compile(r"\[([^\[\]]{1,300})\]\((?:https?://|mailto:)[^\s()]{1,2000}\)")
_PERSON_TAG: Final = re.compile(
    r"<(?P<end>/?)(?P<name>(?:person|speaker|host|guest|narrator)[ _-]?[0-9]{0,3})\s*>", _I
)
_TAG: Final = re.compile(r"<(?P<end>/?)(?P<name>[A-Z][\w.-]{0,30}(?: [\w.-]{1,30})?)\s*>")
_COMMENT: Final = "<!--"
_BREAK_TAG: Final = re.compile(
    r"<break(?:\s+(?:time\s*=\s*[\"']?(?P<time>[0-9]{1,5}(?:\.[0-9]{1,3})?\s?m?s)[\"']?|strength\s*=\s*[\"']?\w{1,12}[\"']?))?\s*/?>",
    _I,
)
_EMPHASIS: Final = re.compile(
    r"(?P<mark>\*{1,3}|_{1,3}|`)(?P<inside>[^\s*_`](?:[^*_`]{0,400}[^\s*_`])?)(?P=mark)(?!\w)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A piece of a line: `speech`, a `cue`'s words, a `pause`, a `direction`, or a speaker's tag
    (`open`, `close`).
    """

    kind: Literal["speech", "cue", "pause", "direction", "open", "close"]
    text: str
    seconds: float = 0.0
    unclosed: bool = False
    labelled: bool = False
    """Whether a cue was written as `[MUSIC: …]`, so that it must say something."""


def scan(line: str, *, opened: Collection[str] = (), leading: bool = False) -> Iterator[Token]:
    """The tokens of a line, in order.

    Args:
        line: one line, without its label.
        opened: casefolded names of speaker tags seen so far, whose closing tags are tags as well.
        leading: a parenthesis at the very start is a direction (it follows a speaker's label).
    """
    speech: list[str] = []
    position, at_start = 0, True
    while position < len(line):
        mark = _STOP.search(line, position)
        if mark is None:
            speech.append(line[position:])
            break
        speech.append(line[position : mark.start()])
        at = mark.start()
        at_start = at_start and not speech[-1].strip()
        found = _read_mark(line, at, opened=opened, at_start=at_start, leading=leading)
        if isinstance(found, str):
            at_start = False
            speech.append(found)
            position = at + len(found)
        elif found[0] is None:
            at_start = False
            speech.append(found[2])
            position = found[1]
        else:
            yield from _flush(speech)
            yield found[0]
            position = found[1]
            leading = leading and found[0].kind in {"direction", "pause"} and at_start
    yield from _flush(speech)


def _flush(speech: list[str]) -> Iterator[Token]:
    text = "".join(speech)
    speech.clear()
    if text.strip():
        yield Token(kind="speech", text=text)


_Found = str | tuple[Token | None, int, str]
"""A literal to speak, or (token or None, where to go on, text to speak instead)."""


def _read_mark(
    line: str, at: int, *, opened: Collection[str], at_start: bool, leading: bool
) -> _Found:
    character = line[at]
    if character in _CLOSERS:
        return _read_bracket(line, at)
    if character in _ROUND:
        return _read_round(line, at, at_start=at_start, leading=leading)
    if character == "<":
        return _read_tag(line, at, opened=opened, at_start=at_start)
    return _read_emphasis(line, at)


def _read_bracket(line: str, at: int) -> _Found:
    link = _LINK.match(line, at)
    if link:
        return None, link.end(), link[1]
    opening, closing = line[at], _CLOSERS[line[at]]
    depth, end = 0, at
    while end < len(line):
        depth += (line[end] == opening) - (line[end] == closing)
        end += 1
        if depth == 0:
            break
    unclosed = depth > 0
    inside = line[at + 1 : end if unclosed else end - 1]
    return _classify(inside, unclosed=unclosed), end, ""


def _read_round(line: str, at: int, *, at_start: bool, leading: bool) -> _Found:
    end = line.find(_ROUND[line[at]], at + 1, at + _WINDOW)
    if end < 0:
        return line[at]
    inside = line[at + 1 : end]
    whole_line = at_start and _NOTHING_MORE.match(line, end + 1) is not None
    token = _classify(inside, unclosed=False)
    plain = inside.strip()
    aside = whole_line and not plain.endswith((".", "!", "?", "…", "。")) and bool(plain)
    if token.kind == "pause" or token.labelled or _STAGE_WORD.fullmatch(inside):
        return token, end + 1, ""
    if token.kind == "cue" and _MUSIC_MOVES.search(inside):
        return token, end + 1, ""
    if aside or (leading and at_start and plain):
        return token, end + 1, ""
    return line[at]


def _classify(inside: str, *, unclosed: bool) -> Token:
    """A bracket's text as a cue, a pause or a direction."""
    music = _MUSIC.match(inside)
    if music:
        words = inside[music.end() :].strip()
        return Token(kind="cue", text=words, unclosed=unclosed, labelled=True)
    text = " ".join(inside.split())
    length = pause_s(text)
    if length is not None:
        return Token(kind="pause", text=text, seconds=length, unclosed=unclosed)
    kind: Literal["cue", "direction"] = "cue" if is_music(text) else "direction"
    return Token(kind=kind, text=text, unclosed=unclosed)


def pause_s(text: str) -> float | None:
    """Seconds that `pause 0.5s`, `beat`, `long pause` or `2 seconds of silence` ask for; None for
    other text.
    """
    if len(text) > _WINDOW:
        return None
    beats = _BEATS.fullmatch(text)
    if beats:
        return BEAT_S * (2 if beats["count"].lower() in {"two", "2"} else 3)
    pause = _PAUSE.fullmatch(text)
    if pause is None:
        return None
    given = pause["after"] or pause["before"]
    if given:
        return seconds(given)
    return _SIZES.get((pause["size"] or "").lower(), BEAT_S)


def _read_tag(line: str, at: int, *, opened: Collection[str], at_start: bool) -> _Found:
    if line.startswith(_COMMENT, at):
        end = line.find("-->", at)
        inside = line[at + 4 : end if end >= 0 else len(line)].strip()
        token = Token(kind="direction", text=" ".join(inside.split()), unclosed=end < 0)
        return token, end + 3 if end >= 0 else len(line), ""
    pause = _BREAK_TAG.match(line, at, at + _WINDOW)
    if pause:
        length = seconds(pause["time"]) if pause["time"] else BEAT_S
        return Token(kind="pause", text=pause[0], seconds=length), pause.end(), ""
    tag = _PERSON_TAG.match(line, at, at + _WINDOW)
    if tag is None:
        tag = _TAG.match(line, at, at + _WINDOW)
        known = tag is not None and tag["name"].casefold() in opened
        if tag is None or not (known or (at_start and not tag["end"])):
            return "<"
    kind: Literal["open", "close"] = "close" if tag["end"] else "open"
    return Token(kind=kind, text=tag["name"].strip()), tag.end(), ""


def _read_emphasis(line: str, at: int) -> _Found:
    """`**bold**`, `*italic*`, `_italic_` and `` `code` `` are spoken without their marks;
    `*laughs*` is a direction.
    """
    before = line[at - 1] if at else " "
    emphasis = _EMPHASIS.match(line, at) if not (before.isalnum() or before in "*_`") else None
    if emphasis is None:
        return line[at]
    inside = emphasis["inside"]
    if _STAGE_WORD.fullmatch(inside):
        return Token(kind="direction", text=inside), emphasis.end(), ""
    if _STOP.search(inside):  # brackets inside emphasis are read in their turn
        return line[at]
    return None, emphasis.end(), inside
