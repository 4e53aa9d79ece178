"""Tunes: a motif, its answer, and its variations over the chords.

A phrase is four bars in the oldest shape there is: motif, answer, motif again, close. The motif's
rhythm and contour return; its notes follow the chords (chord tones on strong beats, steps of the
scale between them).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.music.arranger.harmony import SCALES, Chord
from models.music.arranger.notes import Note

Rhythm = tuple[tuple[float, float], ...]
"""(beat, length) of each note in a bar."""

CALM_RHYTHMS: tuple[Rhythm, ...] = (
    ((0.0, 1.5), (1.5, 0.5), (2.0, 2.0)),
    ((0.0, 2.0), (2.0, 1.0), (3.0, 1.0)),
    ((1.0, 1.0), (2.0, 1.0), (3.0, 1.0)),
    ((0.0, 1.0), (1.0, 2.5)),
    ((0.5, 1.0), (1.5, 0.5), (2.0, 1.5)),
)
LIVELY_RHYTHMS: tuple[Rhythm, ...] = (
    ((0.0, 0.5), (0.5, 0.5), (1.0, 1.0), (2.0, 0.5), (2.5, 1.0)),
    ((0.0, 0.75), (0.75, 0.75), (1.5, 0.5), (2.0, 1.0), (3.0, 0.5), (3.5, 0.5)),
    ((0.5, 0.5), (1.0, 0.5), (1.5, 1.0), (2.5, 0.5), (3.0, 1.0)),
    ((0.0, 1.0), (1.0, 0.5), (1.5, 1.0), (2.5, 1.5)),
)
CLOSING: Rhythm = ((0.0, 1.0), (1.0, 2.5))
LOWEST, HIGHEST = 65, 84
"""The tune lies from F4 to C6: above the chords, below what tires the ear under a voice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Motif:
    """A rhythm and the steps (in notes of the scale) from each of its notes to the next."""

    rhythm: Rhythm
    answer: Rhythm
    steps: tuple[int, ...]
    answer_steps: tuple[int, ...]


def motif(density: float, beats: int, rng: np.random.Generator) -> Motif:
    """A seeded motif; above half density from the lively rhythms."""
    pool = LIVELY_RHYTHMS if density > 0.58 else CALM_RHYTHMS
    first, second = (pool[int(i)] for i in rng.choice(len(pool), size=2, replace=False))

    def clipped(rhythm: Rhythm) -> Rhythm:
        return tuple((b, min(n, beats - b)) for b, n in rhythm if b < beats)

    def contour(length: int) -> tuple[int, ...]:
        # Mostly steps, now and then a leap of a third or fourth.
        return tuple(int(s) for s in rng.choice([-2, -1, -1, 1, 1, 2, 3, 0], size=length))

    return Motif(
        rhythm=clipped(first),
        answer=clipped(second),
        steps=contour(len(first)),
        answer_steps=contour(len(second)),
    )


def phrase(
    idea: Motif,
    chords: Sequence[Chord],
    root: int,
    mode: str,
    beats: int,
    rng: np.random.Generator,
) -> tuple[tuple[Note, ...], ...]:
    """Four bars of tune over four chords. `rng` draws the variation: what is left out, where it
    starts.
    """
    scale = _scale(root, mode)
    current = _nearest_of(chords[0].tones, 72 + int(rng.integers(-3, 4)))
    bars: list[tuple[Note, ...]] = []
    for index, chord in enumerate(chords):
        rhythm, steps = (
            (idea.answer, idea.answer_steps) if index == 1 else (idea.rhythm, idea.steps)
        )
        if index == 3:
            rhythm, steps = tuple((b, n) for b, n in CLOSING if b < beats), (0, -1)
        notes: list[Note] = []
        for place, (beat, length) in enumerate(rhythm):
            strong = beat % 1 == 0 and beat % 2 == 0
            current = _move(current, steps[place % len(steps)], scale)
            if strong or length >= 1.5:
                current = _nearest_of(chord.tones, current)
            if place and not strong and rng.random() < 0.15:
                continue
            velocity = 0.6 if beat == 0 else 0.54 if strong else 0.48
            notes.append(Note(beat=beat, length=length * 0.96, midi=current, velocity=velocity))
        bars.append(tuple(notes))
    return tuple(bars)


def _scale(root: int, mode: str) -> tuple[int, ...]:
    """The mode's notes inside the tune's range, without its sixth degree in minor, which grates on
    many chords.
    """
    steps = SCALES[mode]
    kept = [s for i, s in enumerate(steps) if not (i == 5 and steps[2] == 3)]
    inside = {(root + s) % 12 for s in kept}
    return tuple(p for p in range(LOWEST, HIGHEST + 1) if p % 12 in inside)


def _move(note: int, steps: int, scale: Sequence[int]) -> int:
    """`note` moved by steps of the scale, turned back at the ends of the range."""
    index = min(range(len(scale)), key=lambda i: (abs(scale[i] - note), i))
    target = index + steps
    if not 0 <= target < len(scale):
        target = index - steps
    return scale[max(0, min(len(scale) - 1, target))]


def _nearest_of(tones: Sequence[int], note: int) -> int:
    """The chord tone (root, third or fifth) nearest to `note` within the range."""
    inside = [p for p in range(LOWEST, HIGHEST + 1) if p % 12 in {t % 12 for t in tones[:3]}]
    return min(inside, key=lambda p: (abs(p - note), p))
