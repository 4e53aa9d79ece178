"""What parts write and instruments play."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """One note of a bar. `beat` counts quarters from the bar's first beat, `length` is in quarters
    too.

    `velocity` runs from 0 to 1. `pan` is -1 (left) to 1 (right), relative to its part's place.
    `midi` is a MIDI note number or, in the drum part, an index of `percussion.DRUMS`.
    """

    beat: float
    length: float
    midi: int
    velocity: float
    pan: float = 0.0


def rolled(
    pitches: tuple[int, ...], beat: float, length: float, velocity: float, spread: float
) -> list[Note]:
    """A chord from its lowest note up, `spread` beats between the notes, the top one a little
    louder.
    """
    last = len(pitches) - 1
    return [
        Note(
            beat=beat + i * spread,
            length=length,
            midi=pitch,
            velocity=velocity * (1.0 if i == last else 0.88),
        )
        for i, pitch in enumerate(pitches)
    ]
