"""A script's header: `Key: value` lines before the first speech or cue.
 The same place may hold dialogue (`ALICE: …`) and ordinary sentences with a colon. A line there
is taken for a header line with an *unknown* key, and refused, when it is no speaker
(`studio.script.labels`) and looks like a setting:

* its key is nearly a known one (`Titel:`, `Langauge:`), or * its key is one or two capitalised
  words and its value is short and does not end like a sentence (`Mood: warm`), or
* it stands directly under a header line (`Runtime: 3:00` / `Mood: Warm.`).

Anything else (`Remember: the card is not the bottleneck.`) is speech.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from studio.errors import ScriptError, SettingError, quoted
from studio.script.durations import runtime_s
from studio.script.labels import Label
from studio.types import Header

KEYS: Final = (
    "Title",
    "Runtime",
    "Tone",
    "Style",
    "Language",
    "Voice",
    "Music",
    "Avatar",
    "Background",
    "Aspect",
)
KEYS_FOLDED: Final = frozenset(key.casefold() for key in KEYS)
DEFAULT_LANGUAGE: Final = "en-us"
ASPECTS: Final = ("16:9", "9:16", "1:1")

_NEARLY: Final = 0.8
"""Similarity from which a key is a misspelling whatever its value (difflib: one of five letters
wrong).
"""

_MAX_VALUE: Final = 60
"""Characters up to which a value that does not end like a sentence is a setting's."""

_SENTENCE_MARK: Final = re.compile(r"[.!?…。！？।؟][\"'”’»)\]]*$")
_LANGUAGE_TAG: Final = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8}){0,3}")
_LANGUAGES: Final = {
    "arabic": "ar",
    "bengali": "bn",
    "brazilian portuguese": "pt-br",
    "british english": "en-gb",
    "american english": "en-us",
    "chinese": "cmn",
    "mandarin": "cmn",
    "czech": "cs",
    "danish": "da",
    "deutsch": "de",
    "dutch": "nl",
    "english": "en-us",
    "español": "es",
    "finnish": "fi",
    "français": "fr",
    "french": "fr",
    "german": "de",
    "greek": "el",
    "hebrew": "he",
    "hindi": "hi",
    "hungarian": "hu",
    "indonesian": "id",
    "italian": "it",
    "italiano": "it",
    "japanese": "ja",
    "korean": "ko",
    "norwegian": "nb",
    "persian": "fa",
    "polish": "pl",
    "portuguese": "pt",
    "português": "pt",
    "romanian": "ro",
    "russian": "ru",
    "spanish": "es",
    "swedish": "sv",
    "turkish": "tr",
    "ukrainian": "uk",
    "urdu": "ur",
    "vietnamese": "vi",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderLine:
    """One `Key: value` line of the header; `key` as in `KEYS`."""

    key: str
    value: str
    line_no: int


def known_key(name: str) -> str | None:
    """The header key that a label spells, in any case."""
    return next((key for key in KEYS if key.casefold() == name.casefold()), None)


def nearest_key(name: str) -> str | None:
    """The known key that a misspelt one most resembles."""
    close = difflib.get_close_matches(
        name.casefold()[:60], [key.casefold() for key in KEYS], 1, 0.5
    )
    return known_key(close[0]) if close else None


def looks_like_setting(label: Label) -> bool:
    """Whether what follows a label is short and does not end like a sentence."""
    sentence = _SENTENCE_MARK.search(label.rest[-8:]) is not None
    return 0 < len(label.rest) <= _MAX_VALUE and not sentence


def refuse_unknown_key(label: Label, where: str, *, speaker: bool, under_header: bool) -> None:
    """Raise for a line of the header zone that is a setting under a name that does not exist.

    Raises:
        ScriptError: names the nearest known key, or all of them.
    """
    ratio = max(
        difflib.SequenceMatcher(None, label.name.casefold()[:60], key.casefold()).ratio()
        for key in KEYS
    )
    short = looks_like_setting(label)
    words = label.name.split()
    key_like = len(words) <= 2 and label.name[0].isupper()
    if speaker:
        unknown = ratio >= _NEARLY and short
    else:
        unknown = ratio >= _NEARLY or (key_like and (short or (under_header and bool(label.rest))))
    if not unknown:
        return
    near = nearest_key(label.name)
    advice = f"Did you mean '{near}'? " if near else ""
    remedy = (
        f"{advice}Known keys: {', '.join(KEYS)}; a speaker is written in capitals "
        f"('{label.name.upper()}: ...')"
    )
    raise ScriptError(where, f"unknown header key '{label.name[:60]}'", remedy)


def read_header(lines: Iterable[HeaderLine], name: str) -> tuple[Header, str, str]:
    """Header values, the title ("" if none) and the language tag from header lines; a later line
    wins.

    Raises:
        SettingError: a value that its key cannot take.
    """
    said: dict[str, HeaderLine] = {}
    pairs: dict[str, list[tuple[str, str]]] = {"Voice": [], "Avatar": []}
    for line in lines:
        said[line.key] = line
        if line.key in pairs:
            pairs[line.key] += _read_pairs(line, f"{name}, line {line.line_no}")
    header = Header(
        runtime_s=_runtime(said.get("Runtime"), name),
        tone=_value(said, "Tone"),
        style=_value(said, "Style"),
        music=_value(said, "Music"),
        background=_value(said, "Background"),
        aspect=_aspect(said.get("Aspect"), name),
        voices=tuple(pairs["Voice"]),
        avatars=tuple(pairs["Avatar"]),
    )
    return header, _value(said, "Title"), _language(said.get("Language"), name)


def _value(said: dict[str, HeaderLine], key: str) -> str:
    return said[key].value if key in said else ""


def _runtime(line: HeaderLine | None, name: str) -> float | None:
    if line is None or not line.value:
        return None
    try:
        return runtime_s(line.value)
    except ValueError as error:
        where = f"{name}, line {line.line_no}"
        found = f"a runtime of {quoted(line.value)}"
        raise SettingError(where, found, "Write it as 3:00, 90 s or 3 minutes") from error


def _aspect(line: HeaderLine | None, name: str) -> str:
    if line is None or not line.value:
        return ""
    value = re.sub(r"\s*[:x×/]\s*", ":", line.value)
    if value not in ASPECTS:
        where = f"{name}, line {line.line_no}"
        found = f"an aspect of {quoted(line.value)}"
        raise SettingError(where, found, f"Choose {', '.join(ASPECTS)}")
    return value


def _language(line: HeaderLine | None, name: str) -> str:
    if line is None or not line.value:
        return DEFAULT_LANGUAGE
    value = line.value.strip()
    named = _LANGUAGES.get(value.casefold())
    if named is None and not _LANGUAGE_TAG.fullmatch(value):
        where = f"{name}, line {line.line_no}"
        found = f"a language of {quoted(value)}"
        raise SettingError(
            where, found, "Write a tag such as en-us, de or pt-br, or its English name"
        )
    return named or value.replace("_", "-").lower()


def _read_pairs(line: HeaderLine, where: str) -> list[tuple[str, str]]:
    """`ALICE=en-us+f4, BOB=coqui_tts:…` -> pairs; a value alone is for all speakers."""
    pairs = []
    for item in filter(None, (part.strip() for part in re.split(r"[,;]", line.value))):
        speaker, equals, value = item.partition("=")
        if not equals:
            speaker, value = "", item
        elif not speaker.strip() or not value.strip():
            found = f"{line.key}: {quoted(item)} lacks a speaker or a value"
            raise SettingError(where, found, f"Write '{line.key}: ALICE=..., BOB=...'")
        pairs.append((speaker.strip(), value.strip()))
    return pairs
