"""Chords: progressions per mood and mode, their voicing by the nearest inversion, cadences.

A chord is a tuple of pitch classes, root first; a voicing is an ascending tuple of MIDI note
numbers (60 is middle C).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

SCALES: Mapping[str, tuple[int, ...]] = {
    "ionian": (0, 2, 4, 5, 7, 9, 11),
    "lydian": (0, 2, 4, 6, 7, 9, 11),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "aeolian": (0, 2, 3, 5, 7, 8, 10),
    "harmonic_minor": (0, 2, 3, 5, 7, 8, 11),
}
"""Semitones above the root."""

PROGRESSIONS: Mapping[str, tuple[tuple[int, ...], ...]] = {
    # Degrees count from 0 (the tonic). Diminished chords are left out; they sound like mistakes in
    # a bed.
    "ionian:calm": ((0, 3, 0, 4), (0, 2, 3, 3), (0, 5, 3, 4), (3, 0, 3, 4), (0, 4, 5, 3)),
    "ionian:bright": ((0, 4, 5, 3), (0, 3, 4, 3), (0, 5, 1, 4), (3, 4, 0, 5), (0, 2, 3, 4)),
    "lydian:calm": ((0, 1, 0, 4), (0, 1, 4, 2), (0, 2, 1, 1), (0, 4, 1, 2)),
    "mixolydian:calm": ((0, 6, 3, 0), (0, 3, 6, 3), (0, 4, 6, 3), (0, 6, 0, 3)),
    "aeolian:calm": ((0, 5, 2, 6), (0, 3, 5, 4), (0, 5, 3, 4), (0, 2, 3, 5), (5, 6, 0, 0)),
    "aeolian:epic": ((0, 5, 2, 6), (0, 5, 6, 6), (5, 6, 0, 2), (0, 6, 5, 6)),
    "dorian:calm": ((0, 3, 0, 3), (0, 6, 3, 0), (0, 2, 3, 6), (0, 4, 3, 6)),
    "harmonic_minor:calm": ((0, 5, 3, 4), (0, 3, 0, 4), (0, 5, 0, 4), (0, 3, 5, 4)),
}
BRIGHT_MOODS = frozenset({"happy", "playful", "warm"})
EPIC_MOODS = frozenset({"epic", "serious"})

LOWEST, HIGHEST = 50, 77
"""The range of chords, D3 to F5: above the bass, below the melody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chord:
    """A chord as it is played: its root's pitch class, its pitch classes (root first) and its
    voicing.
    """

    root: int
    tones: tuple[int, ...]
    voicing: tuple[int, ...]


def progressions(mode: str, mood: str, rng: np.random.Generator) -> tuple[tuple[int, ...], ...]:
    """Two different progressions of four degrees each: one for the A phrases, one for the B
    phrases.
    """
    colour = "bright" if mood in BRIGHT_MOODS else "epic" if mood in EPIC_MOODS else "calm"
    choices = PROGRESSIONS.get(f"{mode}:{colour}") or PROGRESSIONS[f"{mode}:calm"]
    first, second = rng.choice(len(choices), size=2, replace=False)
    return choices[int(first)], choices[int(second)]


def tones(degree: int, root: int, mode: str, extra: int) -> tuple[int, ...]:
    """The triad on `degree`, with `extra` added notes: first the seventh or the second, then the
    other one.

    The seventh is left out where it would lie a semitone under the root of a tonic triad in a plain
    style; the ninth where it would be a semitone above the root.
    """
    scale = SCALES[mode]

    def pitch(step: int) -> int:
        return (root + scale[(degree + step) % 7]) % 12

    triad = [pitch(0), pitch(2), pitch(4)]
    ninth_is_whole = (pitch(1) - pitch(0)) % 12 == 2
    additions = [pitch(1)] if ninth_is_whole else []
    # A plain style adds the ninth first (open), a rich one the seventh.
    additions = [pitch(6), *additions] if extra >= 2 or not additions else [*additions, pitch(6)]
    return tuple(triad + additions[:extra])


def voicings(
    degrees: Sequence[int], root: int, mode: str, extras: Sequence[int]
) -> tuple[Chord, ...]:
    """The chords of a progression, each voiced as near as possible to the one before it."""
    previous: tuple[int, ...] | None = None
    chords: list[Chord] = []
    for degree, extra in zip(degrees, extras, strict=True):
        pitches = tones(degree, root, mode, extra)
        previous = nearest(pitches, previous)
        chords.append(Chord(root=pitches[0], tones=pitches, voicing=previous))
    return tuple(chords)


def nearest(pitches: Sequence[int], previous: tuple[int, ...] | None) -> tuple[int, ...]:
    """The inversion (close, or with its second voice from the top dropped) that moves least from
    `previous`.

    Movement is the sum over the new voices of the distance to the nearest old one, and back, so
    that voices may be added or left out; chords drift back to the middle of the range; clusters low
    down cost extra.
    """
    return min(_candidates(pitches), key=lambda notes: (_cost(notes, previous), notes))


def _candidates(pitches: Sequence[int]) -> list[tuple[int, ...]]:
    ordered = sorted(set(pitches))
    found: list[tuple[int, ...]] = []
    for start, octave in itertools.product(range(len(ordered)), range(4, 6)):
        rotated = ordered[start:] + [p + 12 for p in ordered[:start]]
        close = [octave * 12 + p for p in rotated]
        found.append(tuple(close))
        if len(close) >= 4:
            found.append(tuple(sorted([*close[:-2], close[-2] - 12, close[-1]])))
    inside = [notes for notes in found if notes[0] >= LOWEST - 2 and notes[-1] <= HIGHEST]
    return inside or found


def _cost(notes: tuple[int, ...], previous: tuple[int, ...] | None) -> float:
    centre = abs(sum(notes) / len(notes) - 63.5)
    mud = sum(2.0 for low, high in itertools.pairwise(notes) if high - low < 3 and low < 57)
    cluster = sum(1.5 for low, high in itertools.pairwise(notes) if high - low == 1)
    if previous is None:
        return centre + mud + cluster
    there = sum(min(abs(n - p) for p in previous) for n in notes)
    back = sum(min(abs(n - p) for n in notes) for p in previous)
    top = 0.5 * abs(notes[-1] - previous[-1])
    return there + back + top + 0.25 * centre + mud + cluster


def cadence(root: int, mode: str, mood: str, rich: bool) -> tuple[Chord, Chord]:
    """The two chords that close a piece: a penultimate that can follow any chord of the mode, and
    the tonic.

    Bright pieces close over the dominant with its fourth suspended (it contains both the
    subdominant and the dominant), sombre and floating ones by the plagal step from the subdominant.
    A minor piece closes in minor.
    """
    scale = SCALES[mode]
    plagal = mood in {"calm", "dreamy", "sad", "dark"} or mode in {"lydian", "mixolydian"}
    if plagal:
        fourth = (root + 5) % 12
        third = (root + (8 if scale[2] == 3 else 9)) % 12
        before: tuple[int, ...] = (fourth, third, root % 12, (root + 7) % 12)
    else:
        fifth = (root + 7) % 12
        before = (fifth, root % 12, (root + 2) % 12, (root + 5) % 12)
    third = (root + scale[2]) % 12
    final: tuple[int, ...] = (root % 12, third, (root + 7) % 12)
    if rich:
        final = (*final, (root + 2) % 12)
    first = nearest(before, None)
    last = nearest(final, first)
    return (
        Chord(root=before[0], tones=before, voicing=first),
        Chord(root=final[0], tones=final, voicing=last),
    )
