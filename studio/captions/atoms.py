"""Atoms: the smallest pieces of a line's text that a caption may be broken between, with their
times.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from studio.captions.rules import MAX_COLUMNS
from studio.text_width import columns
from studio.types import SpokenLine

_TOKEN: Final = re.compile(r"\S+")
_WIDE: Final = re.compile(
    "[\u2e80-\u303f\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff01-\uffee]"
)
_NOT_FIRST: Final = frozenset(
    "、。，．・：；？！…ー々ゝヽ」』）】〉》”’)]},.!?:;ぁぃぅぇぉっゃゅょァィゥェォッャュョ％"
)
"""Characters that must not begin a line (kinsoku shori, JIS X 4051)."""

_NOT_LAST: Final = frozenset("「『（【〈《“‘([{")
"""Characters that must not end a line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Atom:
    """A word, or a character of a script without spaces, spoken from `start` to `end` (samples of
    the timeline); `spaced` when it begins a word, so that white space stands before it.
    """

    text: str
    spaced: bool
    start: int
    end: int
    width: int


def atoms_of(line: SpokenLine, line_start: int) -> list[Atom]:
    """The atoms of a spoken line; their texts, joined, are its text without white space."""
    clock = _Clock(line)
    atoms = []
    for token in _TOKEN.finditer(line.text):
        for first, last in _split(token[0]):
            start, end = token.start() + first, token.start() + last
            atoms.append(
                Atom(
                    text=line.text[start:end],
                    spaced=first == 0,
                    start=line_start + clock.begins(start),
                    end=line_start + clock.ends(end),
                    width=columns(line.text[start:end]),
                )
            )
    return atoms


def _split(token: str) -> list[tuple[int, int]]:
    """Spans of a token: whole if it fits a line, between characters where its script allows."""
    if columns(token) <= MAX_COLUMNS and not _WIDE.search(token):
        return [(0, len(token))]
    breaks = [at for at in range(1, len(token)) if _may_break(token[at - 1], token[at])]
    spans = []
    for start, end in zip([0, *breaks], [*breaks, len(token)], strict=True):
        spans += _cut_to_lines(token, start, end)
    return spans


def _cut_to_lines(token: str, start: int, end: int) -> list[tuple[int, int]]:
    """Spans no wider than a line, cut between whole characters."""
    spans = []
    while columns(token[start : min(end, start + MAX_COLUMNS + 1)]) > MAX_COLUMNS:
        at = start + MAX_COLUMNS
        while columns(token[start:at]) > MAX_COLUMNS:
            at -= 1
        whole = at
        while whole > start + 1 and _clings(token[whole]):
            whole -= 1
        at = at if whole == start + 1 else whole
        spans.append((start, at))
        start = at
    spans.append((start, end))
    return spans


def _may_break(before: str, after: str) -> bool:
    if after in _NOT_FIRST or before in _NOT_LAST or _clings(after):
        return False
    return bool(_WIDE.match(before) or _WIDE.match(after))


def _clings(character: str) -> bool:
    """Combining marks, joiners and variation selectors belong to the character before them."""
    return unicodedata.category(character) in {"Mn", "Mc", "Me", "Cf"}


class _Clock:
    """Sample positions of the characters of a line, from the times of its words.

    Words are found in the text one after another; inside a word, and in text that no word covers,
    time runs evenly with the characters.
    """

    def __init__(self, line: SpokenLine) -> None:
        offsets, samples = [0], [0]
        cursor = 0
        for word in line.words:
            found = line.text.find(word.text, cursor) if word.text else -1
            if found < 0:
                continue
            begin = min(max(word.start, samples[-1]), line.num_samples)
            finish = min(max(word.start + word.num_samples, begin), line.num_samples)
            cursor = found + len(word.text)
            offsets += [found, cursor]
            samples += [begin, finish]
        offsets.append(len(line.text))
        samples.append(
            samples[-1] if len(samples) > 1 and cursor == len(line.text) else line.num_samples
        )
        self._offsets, self._samples = offsets, samples

    def begins(self, offset: int) -> int:
        """When the character at `offset` begins to sound."""
        return self._at(bisect_right(self._offsets, offset) - 1, offset)

    def ends(self, offset: int) -> int:
        """When the character before `offset` has sounded."""
        after = bisect_right(self._offsets, offset - 1)
        return self._at(after - 1, offset)

    def _at(self, anchor: int, offset: int) -> int:
        anchor = min(max(anchor, 0), len(self._offsets) - 2)
        first, last = self._offsets[anchor], self._offsets[anchor + 1]
        begin, finish = self._samples[anchor], self._samples[anchor + 1]
        if last <= first:
            return finish
        return begin + (finish - begin) * (min(offset, last) - first) // (last - first)


def text_of(atoms: Sequence[Atom]) -> str:
    """The text of successive atoms, with the white space between them."""
    return "".join(
        (" " if atom.spaced and index else "") + atom.text for index, atom in enumerate(atoms)
    )
