"""The shape of a piece: what each four-bar phrase is for and who plays in it."""

from __future__ import annotations

from dataclasses import dataclass

PHRASE_BARS = 4
SHORT_S = 24.0
"""A piece up to this long has no room for an introduction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrase:
    """Four bars. `section` picks the progression; `energy` is added to the piece's own; `cycle`
    counts the form's rounds.
    """

    section: str
    parts: frozenset[str]
    energy: float
    cycle: int
    tune: int


ALL = frozenset({"lead", "comp", "pad", "bass", "kit"})
BACKING = ALL - {"lead"}

_INTRO = ("A", frozenset({"comp", "pad"}), -0.15, False)
_ROUND = (
    ("A", BACKING, 0.0, False),
    ("A", ALL, 0.0, True),
    ("B", ALL, 0.08, True),
    ("A", BACKING, 0.0, False),
    ("A", ALL, 0.05, True),
    ("B", frozenset({"pad", "comp", "lead"}), -0.2, True),
    ("B", ALL, 0.1, True),
    ("A", BACKING - {"kit"}, -0.05, False),
)


def phrase(index: int, *, opens_full: bool) -> Phrase:
    """Phrase `index` (from 0) of a piece.

    A bed builds up: chords, then rhythm, then a tune that comes and goes and leaves most phrases to
    the voice. A piece that is heard by itself or is short (`opens_full`) begins with everybody.
    After eight phrases the form starts a new round with new motifs.
    """
    if index == 0 and not opens_full:
        section, parts, energy, tune = _INTRO
        return Phrase(section=section, parts=parts, energy=energy, cycle=0, tune=-1)
    place = index if opens_full else index - 1
    first = 1 if opens_full else 0
    cycle, step = divmod(place + first, len(_ROUND))
    section, parts, energy, tune = _ROUND[step]
    return Phrase(
        section=section, parts=parts, energy=energy, cycle=cycle, tune=step if tune else -1
    )
