"""The accompaniment: chords in patterns, pads, bass lines. Each function writes one part of one
bar.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from models.music.arranger.harmony import Chord
from models.music.arranger.notes import Note, rolled

Pattern = Callable[[Chord, int, float, np.random.Generator], list[Note]]
"""(chord, beats in the bar, density, rng) -> notes."""

BASS_LOW, BASS_HIGH = 33, 47
"""Roots of bass lines lie from A1 (55 Hz: what small speakers still hint at) to B2."""


def comp(
    pattern: str, chord: Chord, beats: int, density: float, rng: np.random.Generator
) -> list[Note]:
    """The chord instrument's bar in one of `PATTERNS`."""
    return PATTERNS[pattern](chord, beats, density, rng)


def pad(chord: Chord, beats: int) -> list[Note]:
    """The chord held over the whole bar; its ends overlap the neighbours' so that chords flow into
    each other.
    """
    width = max(1, len(chord.voicing) - 1)
    return [
        Note(
            beat=0.0,
            length=beats + 0.15,
            midi=pitch,
            velocity=0.5,
            pan=-0.5 + i / width,
        )
        for i, pitch in enumerate(chord.voicing)
    ]


def bass(
    line: str, chord: Chord, following: Chord, beats: int, rng: np.random.Generator
) -> list[Note]:
    """A bass line of `BASS_LINES` on `chord`; "walking" leads into the `following` one."""
    root = bass_note(chord.root)
    fifth = root + 7 if root + 7 <= BASS_HIGH + 3 else root - 5
    if line == "walking":
        return _walking(chord, root, bass_note(following.root), beats, rng)
    hits = BASS_LINES[line](beats, bool(rng.random() < 0.35))
    return [
        Note(beat=beat, length=length, midi=fifth if on_fifth else root, velocity=velocity)
        for beat, length, on_fifth, velocity in hits
    ]


def bass_note(pitch_class: int) -> int:
    """The pitch class in the octave of the bass."""
    return BASS_LOW + (pitch_class - BASS_LOW) % 12


Hit = tuple[float, float, bool, float]
"""(beat, length, whether on the fifth, velocity)."""


def _long(beats: int, varied: bool) -> list[Hit]:
    if varied:
        half = beats / 2
        return [(0.0, half, False, 0.6), (half, half, True, 0.48)]
    return [(0.0, float(beats), False, 0.6)]


def _root_fifth(beats: int, varied: bool) -> list[Hit]:
    if beats == 3:
        return [(0.0, 2.8, False, 0.66)]
    hits = [(0.0, 1.7, False, 0.66), (2.0, 1.6, True, 0.56)]
    return [*hits, (3.5, 0.5, False, 0.42)] if varied else hits


def _eighths(beats: int, varied: bool) -> list[Hit]:
    hits = [(i / 2, 0.42, False, 0.64 if i % 2 == 0 else 0.5) for i in range(2 * beats)]
    if varied:
        beat, length, _, velocity = hits[-1]
        hits[-1] = (beat, length, True, velocity)
    return hits


def _syncopated(beats: int, varied: bool) -> list[Hit]:
    hits = [(0.0, 0.7, False, 0.68), (0.75, 0.6, False, 0.5), (1.5, 0.9, False, 0.58)]
    if beats == 4:
        hits += [(2.5, 0.4, True, 0.48), (3.0 if varied else 3.25, 0.6, False, 0.54)]
    return hits


def _lazy(beats: int, varied: bool) -> list[Hit]:
    hits = [(0.0, 1.3, False, 0.66), (1.5, 0.9, False, 0.5)]
    if beats == 4:
        hits.append((2.75, 1.0, True, 0.5) if varied else (3.0, 0.9, False, 0.5))
    return hits


BASS_LINES: Mapping[str, Callable[[int, bool], list[Hit]]] = {
    "long": _long,
    "root_fifth": _root_fifth,
    "eighths": _eighths,
    "syncopated": _syncopated,
    "lazy": _lazy,
}


def _walking(
    chord: Chord, root: int, target: int, beats: int, rng: np.random.Generator
) -> list[Note]:
    """A note on every beat: root, chord tones, and on the last beat a step above or below the next
    root.
    """
    inside = [p for p in range(root - 5, root + 10) if p % 12 in {t % 12 for t in chord.tones}]
    notes = [root]
    while len(notes) < beats - 1:
        near = sorted(inside, key=lambda p: (abs(p - notes[-1]), p))
        steps = [p for p in near if p != notes[-1]][:3]
        notes.append(int(steps[int(rng.integers(len(steps)))]))
    above = [p for p in (target + 1, target + 2) if p - notes[-1] <= 7]
    below = [target - 1, target - 2]
    approach = [*(above or below), *below]
    notes.append(int(approach[int(rng.integers(len(approach)))]))
    return [
        Note(beat=float(i), length=0.92, midi=p, velocity=0.62 if i == 0 else 0.54)
        for i, p in enumerate(notes)
    ]


def _sparse(chord: Chord, beats: int, density: float, rng: np.random.Generator) -> list[Note]:
    """Two to four notes of the chord, far apart, one of them an octave up."""
    slots = [0.0, 1.5, 2.5, 3.0][: 2 + round(2 * density)]
    order = rng.permutation(len(chord.voicing))
    notes = []
    for i, beat in enumerate(slot for slot in slots if slot < beats):
        pitch = chord.voicing[int(order[i % len(order)])]
        lift = 12 if i == 1 and pitch < 68 else 0
        notes.append(
            Note(beat=beat, length=3.0, midi=pitch + lift, velocity=0.5 if i == 0 else 0.4)
        )
    return notes


def _broken(chord: Chord, beats: int, density: float, rng: np.random.Generator) -> list[Note]:
    """Eighths up and down the chord over its bass: the left hand of a song at the piano."""
    shape = (0, 1, 2, 1) if rng.random() < 0.6 else (0, 2, 1, 2)
    bottom = chord.root % 12 + 48
    notes = [Note(beat=0.0, length=float(beats), midi=bottom, velocity=0.5)]
    for i in range(2 * beats):
        if i % 2 and rng.random() > 0.45 + 0.55 * density:
            continue
        pitch = chord.voicing[shape[i % 4] % len(chord.voicing)]
        accent = 0.52 if i == 0 else 0.44 if i % 4 == 0 else 0.37
        notes.append(Note(beat=i / 2, length=1.3, midi=pitch, velocity=accent))
    return notes


def _arpeggio(chord: Chord, beats: int, density: float, rng: np.random.Generator) -> list[Note]:
    """The chord climbs over an octave and falls again, in eighths."""
    ladder = (*chord.voicing, *(p + 12 for p in chord.voicing[:2]))
    climb = [*range(len(ladder)), *range(len(ladder) - 2, 0, -1)]
    start = 0 if rng.random() < 0.8 else 1
    step = 1 if density > 0.35 else 2
    return [
        Note(
            beat=i / 2,
            length=1.6,
            midi=ladder[climb[(start + i) % len(climb)]],
            velocity=0.5 if i == 0 else 0.4,
            pan=0.3 * (1 if i % 2 else -1),
        )
        for i in range(0, 2 * beats, step)
    ]


def _picking(chord: Chord, beats: int, density: float, rng: np.random.Generator) -> list[Note]:
    """Travis picking: the thumb alternates root and fifth on the beats, fingers answer on the
    eighths between.
    """
    thumb = (chord.root % 12 + 48, chord.voicing[min(1, len(chord.voicing) - 1)])
    top = chord.voicing[-1]
    inner = chord.voicing[-2]
    notes = []
    for beat in range(beats):
        strong = beat % 2 == 0
        notes.append(
            Note(
                beat=float(beat),
                length=1.8,
                midi=thumb[0 if strong else 1],
                velocity=0.5 if strong else 0.4,
            )
        )
        if beat == 0 and rng.random() < 0.6:
            notes.append(Note(beat=0.02, length=1.8, midi=top, velocity=0.46))
        if rng.random() < 0.5 + 0.5 * density:
            pitch = inner if (beat + (rng.random() < 0.25)) % 2 == 0 else top
            notes.append(Note(beat=beat + 0.5, length=1.6, midi=pitch, velocity=0.4))
    return notes


def _blocks(chord: Chord, beats: int, density: float, rng: np.random.Generator) -> list[Note]:
    """Slightly rolled chords on the first beat and, when busier, in the middle of the bar."""
    notes = rolled(chord.voicing, 0.0, beats * 0.95, 0.48, 0.03)
    if density > 0.5 and beats == 4:
        notes = rolled(chord.voicing, 0.0, 1.9, 0.48, 0.03)
        notes += rolled(chord.voicing, 2.0, 1.9, 0.4, 0.03)
    return notes


def _laid_back(chord: Chord, beats: int, density: float, rng: np.random.Generator) -> list[Note]:
    """A chord on one and its answer after the second beat, a single note at the end: lo-fi keys."""
    notes = rolled(chord.voicing, 0.0, 1.35, 0.5, 0.02)
    notes += rolled(chord.voicing[1:], 1.5, 1.2 if rng.random() < 0.5 else 0.6, 0.4, 0.02)
    if beats == 4 and rng.random() < 0.35 + 0.5 * density:
        notes += rolled(chord.voicing[1:], 3.0 if rng.random() < 0.5 else 2.5, 0.8, 0.34, 0.02)
    return notes


def _pulse(chord: Chord, beats: int, density: float, rng: np.random.Generator) -> list[Note]:
    """The upper chord repeated in eighths, accents on the beats."""
    upper = chord.voicing[-2:] if density < 0.6 else chord.voicing[-3:]
    return [
        Note(
            beat=i / 2,
            length=0.4,
            midi=pitch,
            velocity=(0.5 if i % 2 == 0 else 0.38) * (1.1 if i == 0 else 1.0),
            pan=0.25 * (1 if i % 2 else -1),
        )
        for i in range(2 * beats)
        for pitch in upper
    ]


def _offbeat(chord: Chord, beats: int, density: float, rng: np.random.Generator) -> list[Note]:
    """Short chords between the beats, the root on the first."""
    notes = [Note(beat=0.0, length=0.8, midi=chord.root % 12 + 48, velocity=0.5)]
    for beat in range(beats):
        if beat and rng.random() > 0.55 + 0.45 * density:
            continue
        notes += rolled(chord.voicing, beat + 0.5, 0.35, 0.46, 0.0)
    return notes


def _sixteenths(chord: Chord, beats: int, density: float, rng: np.random.Generator) -> list[Note]:
    """A sequencer: sixteenths through the chord and its octave, every fourth one accented."""
    ladder = (*chord.voicing, chord.voicing[0] + 12)
    shape = (0, 2, 1, 3, 2, 1, 3, 2) if rng.random() < 0.7 else (0, 1, 2, 3, 1, 2, 3, 2)
    notes = []
    for i in range(4 * beats):
        if i % 4 and rng.random() > 0.5 + 0.5 * density:
            continue
        notes.append(
            Note(
                beat=i / 4,
                length=0.3,
                midi=ladder[shape[i % 8] % len(ladder)],
                velocity=0.5 if i % 4 == 0 else 0.36,
                pan=0.4 * (1 if i % 2 else -1),
            )
        )
    return notes


def _ostinato(chord: Chord, beats: int, density: float, rng: np.random.Generator) -> list[Note]:
    """Short strings: eighths on two notes of the chord, with a turn to the note beside on the last
    beat.
    """
    low, high = chord.voicing[0], chord.voicing[1]
    notes = []
    for i in range(2 * beats):
        pitch = low if i % 4 < 2 or density < 0.4 else high
        accent = 0.58 if i % 4 == 0 else 0.42
        notes.append(Note(beat=i / 2, length=0.42, midi=pitch, velocity=accent, pan=-0.2))
        if i % 4 == 0:
            notes.append(
                Note(beat=i / 2, length=0.42, midi=chord.voicing[-1], velocity=0.4, pan=0.3)
            )
    return notes


def _comping(chord: Chord, beats: int, density: float, rng: np.random.Generator) -> list[Note]:
    """Jazz piano: rootless chords at places that change from bar to bar."""
    places = ((0.0, 1.5), (0.5, 2.5), (1.5,), (1.5, 3.5), (0.0, 2.5))
    chosen = places[int(rng.integers(len(places)))]
    upper = chord.voicing[1:] if len(chord.voicing) > 3 else chord.voicing
    return [
        note
        for beat in chosen
        if beat < beats
        for note in rolled(upper, beat, 0.9 if beat % 1 else 0.6, 0.46, 0.01)
    ]


PATTERNS: Mapping[str, Pattern] = {
    "sparse": _sparse,
    "broken": _broken,
    "arpeggio": _arpeggio,
    "picking": _picking,
    "blocks": _blocks,
    "laid_back": _laid_back,
    "pulse": _pulse,
    "offbeat": _offbeat,
    "sixteenths": _sixteenths,
    "ostinato": _ostinato,
    "comping": _comping,
}
