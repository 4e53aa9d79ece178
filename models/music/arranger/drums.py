"""Drum patterns on a grid of sixteenths, with ghost notes, variation and small fills."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from models.music.arranger.notes import Note

KICK, SNARE, BRUSH, RIM, HAT, OPEN_HAT, SHAKER, TOM, CLAP, RIDE, CRASH = range(11)


@dataclass(frozen=True, slots=True, kw_only=True)
class Groove:
    """One character per sixteenth: "." silence, "1" to "9" a velocity in tenths, "?" a ghost note
    now and then.
    """

    lines: tuple[tuple[int, str], ...]
    fill: tuple[tuple[int, str], ...]


GROOVES: Mapping[str, Groove] = {
    "pop": Groove(
        lines=((KICK, "8.....?.7.4....."), (SNARE, "....7..?....7..."), (HAT, "5.3.5.3.5.3.5.3.")),
        fill=((SNARE, "....7..?....5.46"), (TOM, ".............4..")),
    ),
    "lofi": Groove(
        lines=((KICK, "8......4..7....."), (RIM, "....6.......6..?"), (HAT, "4.3.4.3?4.3.4.2.")),
        fill=((RIM, "....6.......6.34"), (OPEN_HAT, "..............3.")),
    ),
    "electronic": Groove(
        lines=((KICK, "7...7...7...7..."), (CLAP, "....5.......5..."), (HAT, "..6.?.6?..6.?.6.")),
        fill=((CLAP, "....5.......5.3."), (SHAKER, "2323232323232323")),
    ),
    "brush": Groove(
        lines=((KICK, "4.......3......."), (BRUSH, "4...5..?4...5..."), (RIDE, "5...5.3.5...5.3.")),
        fill=((BRUSH, "4...5..?4.3.5.4."),),
    ),
    "shaker": Groove(
        lines=((KICK, "5.......4......."), (SHAKER, "5?3.4?3.5?3.4?3."), (RIM, "....3.......3...")),
        fill=((SHAKER, "5.3.4.3.5.343434"),),
    ),
    "cinematic": Groove(
        lines=(
            (KICK, "8..............."), (TOM, "7.....5.....4.5."), (SHAKER, "..2...2...2...2."),
        ),
        fill=((TOM, "7.....5.5.5.5656"),),
    ),
}  # fmt: skip


def bar(kit: str, beats: int, energy: float, fill: bool, rng: np.random.Generator) -> list[Note]:
    """One bar of the kit. Hats thin out when the energy is low; `fill` closes a phrase."""
    groove = GROOVES[kit]
    replaced = dict(groove.fill) if fill else {}
    lines = {drum: replaced.pop(drum, line) for drum, line in groove.lines} | replaced
    level = 0.72 + 0.4 * energy
    notes: list[Note] = []
    for drum, line in lines.items():
        for step, mark in enumerate(line[: 4 * beats]):
            velocity = _velocity(mark, rng) * level
            if drum in {HAT, SHAKER} and step % 4 == 2 and energy < 0.25 and not fill:
                velocity *= 0.5
            if velocity > 0.0:
                notes.append(
                    Note(beat=step / 4, length=0.25, midi=drum, velocity=min(1.0, velocity))
                )
    return notes


def _velocity(mark: str, rng: np.random.Generator) -> float:
    if mark == ".":
        return 0.0
    if mark == "?":
        return 0.22 if rng.random() < 0.3 else 0.0
    return int(mark) / 10 * float(rng.uniform(0.9, 1.08))
