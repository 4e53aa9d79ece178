"""From notes to sound: timing, touch, places on the stage, and the balance between the parts."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from models.music.arranger import drums, instruments, percussion
from models.music.arranger.notes import Note
from models.music.arranger.words import Intent
from studio.types import SAMPLE_RATE

Sound = NDArray[np.float32]

LATENCY_S = 0.012
"""Every bar starts this late, so that a player who is early still lies within the bar's chunk."""

TIMING_S = {"lead": 0.007, "comp": 0.006, "pad": 0.01, "bass": 0.004, "kit": 0.0022}
"""Standard deviation of a player's timing; beyond `LATENCY_S` it is cut."""

PLACES = {"lead": 0.16, "comp": -0.2, "pad": 0.0, "bass": 0.0, "kit": 0.0}
SENDS = {"lead": 1.0, "comp": 0.8, "pad": 0.7, "bass": 0.08, "kit": 0.35}
"""How much of each part goes into the reverberation."""

ECHO_GENRES = frozenset({"ambient", "electronic", "lofi"})
ECHOES = ((0.75, 0.26, -0.6), (1.5, 0.11, 0.6))
"""(beats later, gain, pan): the dotted-eighth echo of the lead in spacious genres."""

CACHE_BYTES = 64 * 2**20
"""Rendered notes kept for reuse. A phrase needs 20 to 40 MB of them."""

RING_S = 0.9
"""How long a note may ring beyond its bar."""


class Players:
    """Renders bars of one piece, part by part. Keeps the notes that it has rendered."""

    def __init__(self, intent: Intent, hop_samples: int) -> None:
        self._intent = intent
        self._beat_s = hop_samples / SAMPLE_RATE / intent.beats
        self._notes: OrderedDict[tuple[str, int, int, int], Sound] = OrderedDict()
        self._bytes = 0
        self._strokes: dict[tuple[int, int], Sound] = {}

    def play(
        self,
        bar: Mapping[str, list[Note]],
        num_samples: int,
        until_s: float,
        rng: np.random.Generator,
    ) -> dict[str, Sound]:
        """Every part of a bar as stereo sound of `num_samples`; no note is held beyond `until_s`.

        `rng` draws timing and touch.
        """
        return {
            part: self._part(part, notes, num_samples, until_s, rng) for part, notes in bar.items()
        }

    def _part(
        self,
        part: str,
        notes: list[Note],
        num_samples: int,
        until_s: float,
        rng: np.random.Generator,
    ) -> Sound:
        bus = np.zeros((num_samples, 2), np.float32)
        spread = TIMING_S[part]
        for note in notes:
            late = float(np.clip(rng.normal(0.0, spread), -LATENCY_S, LATENCY_S))
            velocity = note.velocity * float(rng.uniform(0.94, 1.06))
            start_s = max(0.0, self._seconds(note.beat) + LATENCY_S + late)
            start = round(start_s * SAMPLE_RATE)
            if part == "kit":
                sound = self._stroke(note.midi, int(rng.integers(percussion.VARIANTS)))
                _add(bus, sound, start, velocity**1.5, 0.0)
                continue
            held = min(note.length * self._beat_s, max(0.1, until_s - start_s))
            sound = self._note(part, note.midi, held, velocity)
            pan = PLACES[part] + 0.5 * note.pan
            level = (velocity / 0.5) ** 1.3
            _add(bus, sound, start, level, pan)
            if part == "lead" and self._intent.genre in ECHO_GENRES:
                for beats, gain, side in ECHOES:
                    at = start + round(beats * self._beat_s * SAMPLE_RATE)
                    _add(bus, sound, at, level * gain, side)
        return bus

    def _seconds(self, beat: float) -> float:
        """When a beat falls, the second eighths delayed by the swing."""
        whole, part = divmod(beat, 1.0)
        swing = self._intent.swing
        warped = part * swing * 2 if part < 0.5 else swing + (part - 0.5) * (1 - swing) * 2
        return (whole + warped) * self._beat_s

    def _note(self, part: str, midi: int, held_s: float, velocity: float) -> Sound:
        """A note from the cache: its length rounded up to sixths of a second, its force to
        quarters.
        """
        timbre = str(getattr(self._intent, part))
        force = min(4, max(1, round(velocity * 4 + 3 * (self._intent.brightness - 0.45))))
        key = (timbre, midi, int(np.ceil(held_s * 6)), force)
        if key in self._notes:
            self._notes.move_to_end(key)
            return self._notes[key]
        sound = instruments.note(timbre, midi, key[2] / 6, force / 4)
        self._notes[key] = sound
        self._bytes += sound.nbytes
        while self._bytes > CACHE_BYTES:
            self._bytes -= self._notes.popitem(last=False)[1].nbytes
        return sound

    def _stroke(self, drum: int, variant: int) -> Sound:
        key = (drum, variant if drum != drums.CRASH else 0)
        if key not in self._strokes:
            self._strokes[key] = percussion.stroke(*key)
        return self._strokes[key]


def _add(bus: Sound, sound: Sound, start: int, level: float, pan: float) -> None:
    """Adds `sound` to the bus from `start` on, panned by equal power."""
    count = min(len(sound), len(bus) - start)
    if count <= 0:
        return
    angle = (min(1.0, max(-1.0, pan)) + 1) * np.pi / 4
    sides = np.array([np.cos(angle), np.sin(angle)], np.float32) * np.float32(level * 2**0.5)
    bus[start : start + count] += sound[:count] * sides
