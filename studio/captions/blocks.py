"""Where a caption ends and where its line breaks: the cheapest of all ways, by dynamic programming.

Costs are in "characters of imbalance": a break at the end of a sentence costs nothing, one between
an article and its noun as much as a very lopsided pair of lines.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

from studio.captions.atoms import Atom, text_of
from studio.captions.rules import LONGEST, MAX_COLUMNS, MAX_CPS, MAX_LINES, SHORTEST
from studio.types import SAMPLE_RATE


def _words(*lines: str) -> frozenset[str]:
    return frozenset(" ".join(lines).split())


_BLOCK_COST: Final = 14.0
"""Of one more caption: fewer, fuller captions are read with fewer jumps of the eye."""

_SHORT_COST: Final = 30.0
_FAST_COST: Final = 3.0
"""For each character a second above the limit."""

_SENTENCE: Final = frozenset(".!?…。！？।؟۔॥")
_CLAUSE: Final = frozenset(",;:，、；：،—–-)]»”")
_CLOSERS: Final = "\"'”’»)]}」』）】*_"
_BEFORE: Final = _words(
    "and or but nor so yet because although though while when where which who whose that if",
    "unless until since than as after before with without from into onto about against between",
    "through for of in on at by to und oder aber weil dass wenn als mit ohne von zu für auf",
    "y o pero porque que cuando si con sin de para por en et ou mais parce qui quand avec sans",
)
"""Words before which a sentence breathes."""

_CLINGING: Final = _words(
    "a an the my your his her its our their this these those no some any every each of in on",
    "at by to for with from and or but not is are was were be very more most dr. mr. mrs. ms.",
    "prof. der die das den dem des ein eine einen einem einer und oder el la los las un una",
    "unos unas y o le les des du de",
)
"""Words that must not be torn from the word after them."""


def break_cost(before: Atom, after: Atom) -> float:
    """The cost of a break between two atoms, from 0 (sentence end) to 20 (article and noun)."""
    if before.text.casefold() in _CLINGING:
        return 20.0
    bare = before.text.rstrip(_CLOSERS)
    last = bare[-1:] or before.text[-1:]
    if last in _SENTENCE:
        return 0.0
    if last in _CLAUSE or before.text[-1:] in _CLAUSE:
        return 3.0
    if after.text.casefold() in _BEFORE:
        return 6.0
    return 11.0


def split_blocks(atoms: Sequence[Atom]) -> list[tuple[int, int]]:
    """Half-open ranges of atoms, one for each caption; linear in the number of atoms."""
    count = len(atoms)
    best = [0.0] + [float("inf")] * count
    come_from = [0] * (count + 1)
    breaks = [break_cost(before, after) for before, after in pairwise(atoms)] + [0.0]
    for first in range(count):
        for last, length in _filling(atoms, first):
            cost = best[first] + breaks[last - 1] + _block_cost(atoms, first, last, length)
            if cost < best[last]:
                best[last], come_from[last] = cost, first
    ranges = []
    last = count
    while last > 0:
        ranges.append((come_from[last], last))
        last = come_from[last]
    return ranges[::-1]


def _filling(atoms: Sequence[Atom], first: int) -> Iterator[tuple[int, int]]:
    """Ends of all blocks from `first` on that fit two lines and the longest time, with their
    length in columns; the first line is filled greedily. One atom alone always fits.
    """
    lines, width, length = 1, 0, -1
    for last in range(first + 1, len(atoms) + 1):
        atom = atoms[last - 1]
        wanted = width + atom.width + (1 if atom.spaced and width else 0)
        if wanted > MAX_COLUMNS:
            lines += 1
            wanted = atom.width
        too_long = atom.end - atoms[first].start > LONGEST
        if last > first + 1 and (lines > MAX_LINES or too_long):
            return
        width = wanted
        length += atom.width + 1
        yield last, length


def fits(atoms: Sequence[Atom]) -> bool:
    """Whether atoms fit two lines and the longest time."""
    return any(last == len(atoms) for last, _ in _filling(atoms, 0))


def _block_cost(atoms: Sequence[Atom], first: int, last: int, length: int) -> float:
    until = atoms[last].start if last < len(atoms) else atoms[last - 1].end + SAMPLE_RATE // 2
    room = max(1, until - atoms[first].start)
    cost = _BLOCK_COST + (_SHORT_COST if room < SHORTEST else 0.0)
    return cost + _FAST_COST * max(0.0, length * SAMPLE_RATE / room - MAX_CPS)


def break_lines(atoms: Sequence[Atom]) -> tuple[str, ...]:
    """One line if it fits, else two of similar length, broken where the sentence breathes."""
    widths = [atom.width + (1 if atom.spaced and index else 0) for index, atom in enumerate(atoms)]
    total = sum(widths)
    if total <= MAX_COLUMNS:
        return (text_of(atoms),)
    cheapest, at = float("inf"), 0
    upper = widths[0]
    for index in range(1, len(atoms)):
        lower = total - upper - (1 if atoms[index].spaced else 0)
        if upper <= MAX_COLUMNS and lower <= MAX_COLUMNS:
            cost = abs(upper - lower) * 0.5 + break_cost(atoms[index - 1], atoms[index])
            cost += 1.0 if upper > lower else 0.0  # of two equals the heavier one goes below
            if cost < cheapest:
                cheapest, at = cost, index
        upper += widths[index]
    return text_of(atoms[:at]), text_of(atoms[at:])
