"""Sentences: where one ends, in Latin and other scripts, and where an endless one may be cut.
 A full stop ends a sentence unless it belongs to an abbreviation, an initial, a number or a word
that goes on in small letters. The marks of scripts written without spaces (。！？) end one whatever
follows. One pass, linear time.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

MAX_SEGMENT: Final = 400
"""Characters of one segment: about half a minute of speech, what neural voices bear and what an
edit should redo.
"""


def _words(*lines: str) -> frozenset[str]:
    return frozenset(" ".join(lines).split())


_MARKS: Final = re.compile(
    "[.!?…‼⁇⁈⁉‽؟۔।॥։።፧។៕။།。！？｡．][.!?…‼⁇⁈⁉‽؟۔।॥։።፧។៕။།。！？｡．]*(?:[ \u00a0\u202f][!?])?"
)
_WIDE_MARKS: Final = frozenset("。！？｡")
_CLOSERS: Final = frozenset("\"'”’»›)]}」』】）〉》*_")
_OPENERS: Final = frozenset("\"'“‘„«‹([{「『【（〈《¿¡*_—–-")
_TITLES: Final = _words(
    "dr mr mrs ms prof st mt sen rep gov gen col capt lt sgt rev hon pres messrs mme mlle sr",
    "sra srta hr fr dra vs no nos fig figs eq eqs sec ch vol pp ed eds cf approx ca nr bzw",
    "z.b d.h u.a i.d.r e.g i.e viz al incl excl resp min max avg dept univ art abb tel pág",
    "núm ej p.ej aprox",
)
"""Abbreviations that a sentence never ends with."""

_MAY_END: Final = _words(
    "etc inc ltd co corp jr sr bros a.m p.m u.s u.k u.n e.u u.s.a ph.d m.d b.a m.a d.c usw",
    "usf ee.uu jan feb mar apr jun jul aug sep sept oct nov dec mon tue wed thu fri sat sun",
    "ave blvd rd",
)
"""Abbreviations that may end one: they do before a word that opens sentences."""

_STARTERS: Final = _words(
    "a an and as at but by for he her his how i if in it its no not now on or our she so that",
    "the their then there these they this those to was we what when where which who why will",
    "with yes you your der die das ein eine er sie es wir ich und aber in im el la los las un",
    "una y pero en le les une il elle nous et mais dans",
)
_CLAUSES: Final = (
    re.compile(r"[;:；：][\"'”’»)\]]*\s|[；：]"),
    re.compile(r"[,،、，—–][\"'”’»)\]]*\s|[、，،]|\s[—–-]\s"),
    re.compile(r"\s"),
)
_GERMANIC: Final = ("de", "da", "nb", "no", "fi", "cs", "hu", "et", "sk", "sl", "hr")
"""Languages that write ordinal numbers with a full stop ("am 3. Oktober")."""


def sentences(text: str, language: str = "en") -> list[tuple[int, int]]:
    """Half-open spans of the sentences of `text`, without the white space between them.

    Every character that is not white space lies in exactly one span; no span is empty or longer
    than `MAX_SEGMENT`, and each holds a letter or a digit if the text holds one at all.
    """
    spans: list[tuple[int, int]] = []
    start = 0
    for end in [*_sentence_ends(text, language), len(text)]:
        trimmed = _trim(text, start, end)
        if trimmed:
            spans.append(trimmed)
        start = end
    return [piece for span in _join_mute(text, spans) for piece in _cut(text, *span)]


def is_speakable(text: str) -> bool:
    """Whether a voice has anything to say: a letter or a digit of any script."""
    return any(character.isalnum() for character in text)


def _trim(text: str, start: int, end: int) -> tuple[int, int] | None:
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    return (start, end) if start < end else None


def _sentence_ends(text: str, language: str) -> list[int]:
    ends = []
    begin = 0
    for mark in _MARKS.finditer(text):
        end = mark.end()
        while end < len(text) and text[end] in _CLOSERS and end - mark.end() < 8:
            end += 1
        if mark[0][-1] in _WIDE_MARKS or _ends_here(text, mark, end, begin, language):
            begin = _after_symbols(text, end)
            ends.append(begin)
    return ends


def _after_symbols(text: str, end: int) -> int:
    """Where a sentence ends when an emoji is set behind its mark: "Great! 🎉"."""
    at = end
    while at < len(text) and text[at] == " ":
        at += 1
    first = at
    while at < len(text) and unicodedata.category(text[at]) in {"So", "Sk", "Mn", "Cf"}:
        at += 1
    return at if at > first and (at == len(text) or text[at].isspace()) else end


def _ends_here(text: str, mark: re.Match[str], end: int, begin: int, language: str) -> bool:
    """Whether the sentence that started at `begin` ends with this mark, whose closing quotes end
    at `end`.
    """
    if end < len(text) and not text[end].isspace():
        return False
    after = _next_word(text, end)
    if not after:
        return True
    if after[0].islower():
        return False
    if mark[0].strip() != ".":
        return True
    return not _is_abbreviation(text, mark.start(), after, begin, language)


def _next_word(text: str, at: int) -> str:
    """The next word (up to 40 characters) after white space and opening quotes; "" at the end."""
    limit = min(len(text), at + 60)
    while at < limit and (text[at].isspace() or text[at] in _OPENERS):
        at += 1
    word = at
    while word < min(len(text), at + 40) and not text[word].isspace():
        word += 1
    return text[at:word]


def _is_abbreviation(text: str, stop: int, after: str, begin: int, language: str) -> bool:
    start = stop
    while (
        start > max(begin, stop - 24)
        and not text[start - 1].isspace()
        and text[start - 1] not in _OPENERS
    ):
        start -= 1
    word = text[start:stop]
    folded = word.casefold()
    opens = after.strip("\"'“”‘’,.;:!?").casefold() in _STARTERS
    if folded in _TITLES:
        return folded not in {"no", "min", "max", "sec", "ed", "art", "al"} or after[0].isdigit()
    if folded in _MAY_END:
        return not opens and folded not in {"etc", "a.m", "p.m", "usw", "usf"}
    if len(word) == 1 and word.isalpha():
        begins = not text[begin:start].strip()  # "I. Newton", but "you and I. Newton"
        return (word != "I" or begins) and not opens
    if word.isdigit():
        lone = not text[begin:start].strip()  # "1. First": the number of a list's entry
        ordinal = len(word) <= 2 and language.partition("-")[0] in _GERMANIC and not opens
        return lone or ordinal
    return bool(re.fullmatch(r"(?:[^\W\d_]\.)+[^\W\d_]", word)) and not opens


def _join_mute(text: str, spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Join spans without a letter or digit ("...", an emoji) to a neighbour."""
    joined: list[tuple[int, int]] = []
    for start, end in spans:
        if joined and (not is_speakable(text[start:end]) or not _has_voice(text, joined[-1])):
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined


def _has_voice(text: str, span: tuple[int, int]) -> bool:
    return is_speakable(text[span[0] : span[1]])


def _cut(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """Cut a span into pieces of at most `MAX_SEGMENT`: at clauses, else at spaces, else between
    characters.
    """
    pieces: list[tuple[int, int]] = []
    while end - start > MAX_SEGMENT:
        at = _best_cut(text, start, end)
        trimmed = _trim(text, start, at)
        if trimmed:
            pieces.append(trimmed)
        start = at
        while start < end and text[start].isspace():
            start += 1
    if start < end:
        pieces.append((start, end))
    return _merge_mute_pieces(text, pieces)


def _best_cut(text: str, start: int, end: int) -> int:
    """The last clause boundary in the second half of the window, so that pieces stay of similar
    length.
    """
    limit = min(end, start + MAX_SEGMENT)
    even = min(limit, start + max(MAX_SEGMENT // 2, (end - start + 1) // 2))
    floor = start + MAX_SEGMENT // 3
    for pattern in _CLAUSES:
        cuts = [match.end() for match in pattern.finditer(text, floor, limit)]
        if cuts:
            return min(cuts, key=lambda cut: abs(cut - even))
    at = limit
    while at > floor + 1 and _joins(text, at):
        at -= 1
    return at


def _joins(text: str, at: int) -> bool:
    """Whether the characters on both sides of `at` make one: combining marks, joiners, variation
    selectors.
    """
    if at >= len(text):
        return False
    after, before = text[at], text[at - 1]
    return unicodedata.category(after) in {"Mn", "Mc", "Me", "Cf", "Sk"} or before == "\u200d"


def _merge_mute_pieces(text: str, pieces: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """A hard cut may leave a piece without a letter: it goes to its neighbour when both fit."""
    merged: list[tuple[int, int]] = []
    for start, end in pieces:
        fits = bool(merged) and end - merged[-1][0] <= MAX_SEGMENT
        if fits and not (_has_voice(text, (start, end)) and _has_voice(text, merged[-1])):
            merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    return merged
