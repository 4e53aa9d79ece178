"""The grammar of a music cue's words: prompt, level, fades, hold, action, file.
 A cue is a list of clauses parted by commas, semicolons, arrows and dashes. What is understood (a
level, a fade, a time, an action) is taken out; what is left, in its order, is the prompt from
which music is composed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, Literal

from studio.script.durations import DURATION, seconds
from studio.types import CueAction

STEP_DB: Final = 4.0
"""What "up", "down", "swell" or "under" mean without a figure: a clear but unobtrusive change of
level.
"""

LEVEL_RANGE_DB: Final = (-60.0, 24.0)
"""Levels outside are taken for a slip of the pen (the range of `studio.specs.Decibel`)."""

_I: Final = re.IGNORECASE
_MUSIC_NOUN: Final = r"(?:music|underscore|jingle|sting|stinger|soundtrack|bed|theme)"
_NAMES_MUSIC: Final = re.compile(
    rf"(?:[^\W_][\w'’&+/-]*[ ]){{0,4}}(?:{_MUSIC_NOUN})(?![\w'’-])(?:[ ](?:song|tune))?", _I
)
_NOT_A_CUE: Final = re.compile(
    r"\b(?:to|over|about|with|of|like|against|hears?|listens?|laughs?|laughing|sound|sfx)\b", _I
)
_GOES_ON: Final = re.compile(r"\b(?:continues?|keeps|carries on|still)\b", _I)
_STARTS_AS_MUSIC: Final = re.compile(
    r"(?:fad(?:e|es|ing)[ -]?(?:in|up|out|away|down)|underlay|cross-?fades?|segue)(?![\w-])", _I
)
_LABEL: Final = re.compile(rf"(?:[\w'’-]+[ ]){{0,3}}{_MUSIC_NOUN}\s*[:：]\s*", _I)
_FILE: Final = re.compile(
    r"""\bfile\s*=\s*(?:"(?P<double>[^"]*)"|'(?P<single>[^']*)'"""
    r"""|(?P<whole>.*?\.(?:mp3|wav|flac|m4a|ogg|opus|aac|aiff?|mp4))(?=\s*(?:[,;→]|->|$))"""
    r"""|(?P<bare>[^,;→]*))""",
    _I,
)
_ARROW: Final = re.compile(r"\s*(?:→|⇒|->|=>)\s*|\s+(?:—|–|--|-)\s+|\s*—\s*")
_MINUS: Final = re.compile(r"[−–](?=\s?[0-9])")
_CLAUSE: Final = re.compile(r"(?<![0-9]),|,(?![0-9])|[;|]")
_LEVEL: Final = re.compile(
    r"(?:\b(?P<verb>at|by|to|up|down|lower(?:ed)?|raised?|ducke?d?)\s+(?:by\s+|to\s+)?)?"
    r"(?P<sign>[+-]?)\s?(?P<number>[0-9]{1,4}(?:[.,][0-9]{1,3})?)\s?dB(?![A-Za-z])"
    r"(?:\s+(?P<side>over|above|below|under|relative to|re)\s+(?:the\s+)?"
    r"(?P<reference>bed|music|speech|voices?|vocals?|dialogue|narration|narrator)(?!\w))?",
    _I,
)
_FADE_OUT: Final = re.compile(
    r"\bfad(?:e|es|ed|ing)[ -]?(?:out|away|down and out|to (?:silence|nothing))(?!\w)", _I
)
_FADE_IN: Final = re.compile(
    r"\b(?:fad(?:e|es|ed|ing)[ -]?(?:in|up)|(?:cross-?fades?|segues?)(?: (?:in)?to)?)(?!\w)", _I
)
_TIMED: Final = re.compile(
    rf"(?:\b(?:over|for|in|of|across|within)\s+)?(?:the\s+)?({DURATION})", _I
)
_HOLD: Final = re.compile(
    r"(?:\b(?:underlay|under|hold|holds|lasts?|lasting|plays?|playing|runs?)\s+)?"
    rf"\bfor\s+({DURATION})"
    rf"|\b(?:underlay|holds?|lasts?|lasting|plays?)\s+({DURATION})"
    rf"|^({DURATION})(?:\s+(?:long|of)\b|$)",
    _I,
)
_UNDERLAY: Final = re.compile(r"^(?:underlay|hold)(?:s|\s+for)?$", _I)
_STOP: Final = re.compile(
    rf"(?:the )?(?:{_MUSIC_NOUN} )?(?:hard )?"
    r"(?:stop|stops|end|ends|cut|cuts|cuts? out|out|off|none|silence)"
    r"(?: clean(?:ly)?| cold| here| now)?",
    _I,
)
_UP: Final = r"up|swells?|rises?|raised?|builds?|grows?|louder|returns?"
_DOWN: Final = (
    r"down|under|lowers?|lowered|softer|quieter|softens?|ducks?|dips?|drops?|recedes?|"
    r"fades? (?:down|under|back)"
)
_CHANGE: Final = re.compile(
    rf"(?:the )?(?:{_MUSIC_NOUN} )?(?:gets? |goes )?(?:(?P<up>{_UP})|(?P<down>{_DOWN}))"
    r"(?: (?:slightly|gently|slowly|a little|a bit|again|under.*|for .*|beneath .*|"
    r"music|the music))?",
    _I,
)
_VERB_TAIL: Final = re.compile(
    r"\s+(?:begins?|starts?|plays?|enters?|kicks? in|comes? (?:in|up)|resumes?)$", _I
)
_SPACE: Final = re.compile(r"\s+")


@dataclass(frozen=True, slots=True, kw_only=True)
class CueWords:
    """What a cue's words say; the fields are those of `studio.types.MusicCue`."""

    prompt: str = ""
    action: CueAction = "play"
    gain_db: float | None = None
    gain_from: Literal["speech", "bed"] = "bed"
    fade_in_s: float | None = None
    fade_out_s: float | None = None
    hold_s: float | None = None
    file: str | None = None


@dataclass(slots=True)
class _Reading:
    """What has been understood so far, clause by clause."""

    gain_db: float | None = None
    gain_from: Literal["speech", "bed"] = "bed"
    fade_in_s: float | None = None
    fade_out_s: float | None = None
    hold_s: float | None = None
    fades_in: bool = False
    fades_out: bool = False
    waiting: Literal["", "in", "out", "hold"] = ""
    action: CueAction = "play"
    words: list[str] = field(default_factory=list)


def is_music(direction: str) -> bool:
    """Whether bracketed text of the production dialect is about music: `Intro music: …`, `Fade up
    strings`, `Music out`.
    """
    text = _SPACE.sub(" ", direction.strip())
    if _GOES_ON.search(text[:200]):
        return False
    if _STARTS_AS_MUSIC.match(text):
        return not re.match(r"fade\S* (?:to black|in from black|to white)", text, _I)
    named = _NAMES_MUSIC.match(text)
    return named is not None and not _NOT_A_CUE.search(named[0])


def read_cue(words: str) -> CueWords:
    """Understand a cue's words (what stands between `[MUSIC:` and `]`, or a production bracket's
    text).

    Raises:
        ValueError: nothing is said, a file without a name, or a level outside `LEVEL_RANGE_DB`.
    """
    text = _SPACE.sub(" ", words.strip())
    if not any(character.isalnum() for character in text):
        raise ValueError("an empty music cue")
    text, file = _take_file(text)
    text = _MINUS.sub("-", text)
    label = _LABEL.match(text)
    if label:
        text = text[label.end() :]
    reading = _Reading()
    clauses = [clause.strip(" .") for clause in _CLAUSE.split(_ARROW.sub(" , ", text))]
    for position, clause in enumerate(filter(None, clauses)):
        _read_clause(clause, first=position == 0, reading=reading)
    prompt = ", ".join(reading.words)
    fallback = label[0].rstrip(" :：").lower() if label else ""
    return _conclude(reading, prompt or fallback, said=bool(prompt), file=file)


def _take_file(text: str) -> tuple[str, str | None]:
    named = _FILE.search(text)
    if named is None:
        return text, None
    file = next(value for value in named.groups() if value is not None)
    if not file.strip():
        raise ValueError("a cue with 'file=' but no file name")
    return text[: named.start()] + text[named.end() :], file.strip()


def _read_clause(clause: str, *, first: bool, reading: _Reading) -> None:
    rest = _take_level(clause, reading)
    whole = rest.strip(" .!")
    if first and _STOP.fullmatch(whole):
        reading.action = "stop"
        return
    change = _CHANGE.fullmatch(whole) if first or reading.gain_db is not None else None
    if first and change:
        reading.action = "level"
        if reading.gain_db is None:
            reading.gain_db = STEP_DB if change["up"] else -STEP_DB
        return
    rest = _take_fades(rest, first=first, reading=reading)
    rest = _take_hold(rest, reading)
    rest = _SPACE.sub(" ", _VERB_TAIL.sub("", rest.strip(" ."))).strip(" .:")
    if any(character.isalnum() for character in rest):
        reading.words.append(rest)


def _take_level(clause: str, reading: _Reading) -> str:
    level = _LEVEL.search(clause)
    if level is None:
        return clause
    value = float(level["number"].replace(",", "."))
    verb, side = (level["verb"] or "").lower(), (level["side"] or "").lower()
    if level["sign"] == "-" or (
        not level["sign"] and (side in {"below", "under"} or verb in _LOWER)
    ):
        value = -value
    low, high = LEVEL_RANGE_DB
    if not low <= value <= high:
        raise ValueError(f"a level of {value:g} dB (from {low:g} to {high:g} is possible)")
    named = (level["reference"] or "").lower()
    if named:
        reading.gain_from = "bed" if named in {"bed", "music"} else "speech"
    else:
        moves = level["sign"] == "+" or verb in _MOVES
        reading.gain_from = "bed" if moves else "speech"
    reading.gain_db = value
    return clause[: level.start()] + " " + clause[level.end() :]


_LOWER: Final = frozenset({"down", "lower", "lowered", "duck", "ducked"})
_MOVES: Final = _LOWER | {"up", "by", "raise", "raised"}


def _take_fades(clause: str, *, first: bool, reading: _Reading) -> str:
    for pattern, side in ((_FADE_OUT, "out"), (_FADE_IN, "in")):
        fade = pattern.search(clause)
        if fade is None:
            continue
        before, after = clause[: fade.start()], clause[fade.end() :]
        timed = _TIMED.search(after)
        length = None
        if timed:
            length = seconds(timed[1])
            after = after[: timed.start()] + " " + after[timed.end() :]
        else:
            led = re.search(rf"({DURATION})[ -]*$", before, _I)
            if led:
                length, before = seconds(led[1]), before[: led.start()]
        if side == "out":
            reading.fades_out, reading.fade_out_s = True, length
            if first:
                reading.action = "fade_out"
            reading.waiting = "out" if length is None else ""
        else:
            reading.fades_in, reading.fade_in_s = True, length
            reading.waiting = "in" if length is None else ""
        clause = before + " " + after
    return clause


def _take_hold(clause: str, reading: _Reading) -> str:
    text = clause.strip(" .")
    if _UNDERLAY.fullmatch(text):
        reading.waiting = "hold"
        return ""
    held = _HOLD.search(text)
    if held is None:
        if text:
            reading.waiting = ""
        return text
    length = seconds(next(value for value in held.groups() if value))
    if held[0] == text and reading.waiting in {"in", "out"}:
        if reading.waiting == "in":
            reading.fade_in_s = length
        else:
            reading.fade_out_s = length
    elif reading.action == "fade_out":
        reading.fade_out_s = length
    else:
        reading.hold_s = length
    reading.waiting = ""
    return text[: held.start()] + " " + text[held.end() :]


def _conclude(reading: _Reading, prompt: str, *, said: bool, file: str | None) -> CueWords:
    """Decide the action: words (or a file) left over mean new music, none mean a change to what
    plays.
    """
    bare_music = re.fullmatch(rf"(?:the )?{_MUSIC_NOUN}", prompt, _I) is not None
    action = reading.action
    if file is not None:
        action = "play"
    elif action == "play" and (not said or bare_music) and reading.hold_s is None:
        if reading.fades_out:
            action = "fade_out"
        elif reading.gain_db is not None:
            action = "level"
    if action != "play" or bare_music:
        prompt = ""
    return CueWords(
        prompt=prompt,
        action=action,
        gain_db=reading.gain_db if action in {"play", "level"} else None,
        gain_from=reading.gain_from,
        fade_in_s=reading.fade_in_s,
        fade_out_s=reading.fade_out_s,
        hold_s=reading.hold_s if action == "play" else None,
        file=file,
    )
