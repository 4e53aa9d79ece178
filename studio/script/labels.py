"""Who speaks, and which bare lines are headings: `ALICE: …`, `**Alice:**`, `HOST (warm):`, `Intro
Music`.
 A label in capitals is a speaker wherever it stands. A label in mixed case ("Alice: …") looks
like any sentence with a colon ("Remember: …"), so it is a speaker only when the script says so:
in bold, with a tone in brackets, as a role (Host, Guest, Speaker 2, …), declared in the header,
written in capitals elsewhere, or because the lines of the whole script are plainly a dialogue
(`find_cast`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

_I: Final = re.IGNORECASE
_MAX_LABEL_WORDS: Final = 4
_WORD: Final = r"[^\s:：\[\]()<>*\"“”„«»!?]{1,40}"
_NAME: Final = rf"(?P<name>{_WORD}(?:[ ]{_WORD}){{0,3}})"
_TONE: Final = r"(?:[ ]{0,4}\((?P<tone>[^()]{0,200})\))?"
_LABEL: Final = re.compile(
    rf"{_NAME}{_TONE}[ ]?[:：](?!//|(?<=[0-9][:：])[0-9])[ ]?(?P<rest>.*)", re.DOTALL
)
_BOLD_LABEL: Final = re.compile(
    rf"(?P<mark>\*\*|__)[ ]?{_NAME}{_TONE}[ ]?"
    r"(?:[:：][ ]?(?P=mark)|(?P=mark)[ ]?[:：])[ ]?(?P<rest>.*)",
    re.DOTALL,
)
_ROLE: Final = re.compile(
    r"(?:host|co-?host|guest|narrator|speaker|interviewer|interviewee|moderator|announcer|"
    r"presenter|person|expert)(?:[ ]?(?:[0-9]{1,3}|[A-Z]))?",
    _I,
)
_SECTION: Final = re.compile(
    r"(?:(?:cold )?open(?:ing)?|intro(?:duction)?|outro|narration|body|interlude|transition|"
    r"main(?: (?:content|segment|part))?|break|closing|conclusion|teaser|hook|recap|summary|"
    r"credits|call to action|sign-?off|q ?& ?a|interview|"
    r"(?:intro|outro|opening|closing|theme|end|transition|background)[ ]music|"
    r"(?:main |closing |opening )?(?:theme|remarks|thoughts))[ ]?[:：]?",
    _I,
)
_NUMBERED: Final = re.compile(
    r"(?:part|chapter|section|segment|act|scene|episode)[ ]"
    r"(?:[0-9]{1,4}|[ivxlc]{1,6}|one|two|three|four|five|six|seven|eight|nine|ten)"
    r"(?:[ ]?[:：.—–-][ ]?(?P<title>[^.!?]{1,120}))?[ ]?",
    _I,
)
_SENTENCE_MARK: Final = re.compile(r"[.!?…。！？।؟][\"'”’»)\]]*$")
NOT_SPEAKERS: Final = re.compile(
    r"(?:music|sfx|fx|sound|sound effects?|ambien(?:ce|t)|stage directions?|direction|visuals?)", _I
)
"""Labels of directions: `SFX: door slams` is not somebody called SFX."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """`NAME (tone): rest`; `marked` when bold or a tone says that it cannot be an ordinary
    sentence.
    """

    name: str
    tone: str
    rest: str
    marked: bool

    @property
    def in_capitals(self) -> bool:
        """Whether it is written as a script writes speakers: with a capital and no small letter."""
        return self.name != self.name.lower() and self.name == self.name.upper()


def read_label(line: str) -> Label | None:
    """The label before a line's first colon, if what stands there can be a name at all."""
    match = _BOLD_LABEL.match(line)
    bold = match is not None
    if match is None:
        match = _LABEL.match(line)
    if match is None:
        return None
    name = match["name"].strip(" .-–—")
    letters = sum(character.isalpha() for character in name)
    if letters == 0 or letters * 2 < len(name.replace(" ", "")):
        return None
    tone = (match["tone"] or "").strip()
    return Label(name=name, tone=tone, rest=match["rest"].strip(), marked=bold or bool(tone))


def is_speaker(label: Label, cast: Collection[str]) -> bool:
    """Whether a label names a speaker; `cast` holds the casefolded names of `find_cast` and the
    header.
    """
    if NOT_SPEAKERS.fullmatch(label.name):
        return False
    if label.in_capitals or label.name.casefold() in cast or _ROLE.fullmatch(label.name):
        return True
    return label.marked and _like_a_name(label.name)


def _like_a_name(name: str) -> bool:
    """Each word begins with a capital or a letter of a script that has no capitals."""
    words = name.split()
    return len(words) <= _MAX_LABEL_WORDS and all(
        not word[0].islower() and (word[0].isalpha() or word[0].isdigit()) for word in words
    )


def find_cast(lines: Iterable[str], header_keys: Collection[str]) -> frozenset[str]:
    """Casefolded names of speakers written in mixed case, from the script as a whole.

    A name that is also written in capitals, in bold or with a tone is one. Otherwise the lines
    must be plainly a dialogue: two names or more, most of whose turns end like sentences, and
    that either come back or make up at least half of the script's lines.
    """
    counts: Counter[str] = Counter()
    formal: set[str] = set()
    num_lines = num_sentences = 0
    for line in lines:
        if not line or line.startswith(("#", "[", "(")):
            continue
        num_lines += 1
        label = read_label(line)
        if (
            label is None
            or label.name.casefold() in header_keys
            or NOT_SPEAKERS.fullmatch(label.name)
        ):
            continue
        if label.in_capitals or (label.marked and _like_a_name(label.name)):
            formal.add(label.name.casefold())
        elif _like_a_name(label.name):
            counts[label.name.casefold()] += 1
            num_sentences += not label.rest or bool(_SENTENCE_MARK.search(label.rest[-8:]))
    turns = sum(counts.values())
    if len(counts) >= 2 and num_sentences * 2 >= turns:
        if turns * 2 >= num_lines:
            return frozenset(formal | set(counts))
        formal |= {name for name, count in counts.items() if count > 1}
    return frozenset(formal)


def section_title(line: str) -> str | None:
    """The title of a bare section label (`Intro Music`, `Part 2: The idle half`), None for
    anything else.
    """
    if len(line) > 160 or not line or line[0].islower():
        return None
    if _SECTION.fullmatch(line):
        return line.rstrip(" :：")
    if _NUMBERED.fullmatch(line):
        return line.rstrip(" :：.-–—")
    return None
