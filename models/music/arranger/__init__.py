"""The arranger: composes and plays music from a cue's words, with no weights, in numpy.

words -> intent -> score -> players -> desk. Bars are rendered lazily as chunks with natural tails;
the piece closes with a cadence and a final chord that may follow any bar. The same words and seed
give the same samples.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from models.music.arranger import form, room
from models.music.arranger.players import RING_S, SENDS, Players
from models.music.arranger.score import CADENCE_BEATS, Score
from models.music.arranger.words import Intent, read, seed_of
from models.music.piece import PIECE_LUFS, CueSpec, Piece
from studio.types import SAMPLE_RATE, EngineInfo

Sound = NDArray[np.float32]

GESTURE_S = 4.5
"""Up to this long a cue is one gesture: a run and a chord."""

FITTED_S = 45.0
"""Up to this long the tempo is bent a little, so that whole bars and a ringing chord fill the cue.
"""

MOST_BEND = 0.14
"""How far a tempo may be bent: within what a word such as "slow" leaves open."""

FINAL_RING_S = 2.0
"""The least that the final chord rings."""

BALANCE_LU: Mapping[str, float] = {
    "lead": 0.5, "comp": 0.0, "pad": -5.0, "bass": -1.0, "kit": -2.5,
}  # fmt: skip
"""Loudness of the parts against the chord instrument's. Energy moves the drums by up to 4 LU, a bed
lowers the lead by 2.
"""

_TOUCH, _TOUCH_END = 101, 102


class Arranger:
    """The engine. `max_piece_s` bounds what is rendered; longer placements repeat whole bars."""

    info = EngineInfo(
        name="arranger",
        code_licence="Apache-2.0",
        weights_licence="none",
        commercial=True,
        memory_gib=0.2,
        rate=SAMPLE_RATE,
    )

    def __init__(self, *, max_piece_s: float = 3600.0) -> None:
        self._max_piece_s = max_piece_s

    def compose(self, cues: Sequence[CueSpec]) -> Iterator[Piece]:
        """One piece per cue; its bars are rendered as they are taken."""
        for cue in cues:
            yield _Rendition(cue, self._max_piece_s).piece()


def bent_tempo(intent: Intent, seconds: float) -> float:
    """The tempo at which whole bars, the cadence and a ring of `FINAL_RING_S` fill `seconds`, if it
    is near enough.
    """
    if intent.bpm_fixed or seconds > FITTED_S or seconds <= GESTURE_S:
        return intent.bpm
    room_s = seconds - FINAL_RING_S
    beats = room_s * intent.bpm / 60 - CADENCE_BEATS
    bars = max(1, round(beats / intent.beats))
    bpm = (bars * intent.beats + CADENCE_BEATS) * 60 / room_s
    return bpm if abs(bpm / intent.bpm - 1) <= MOST_BEND else intent.bpm


class _Rendition:
    """One piece being played."""

    def __init__(self, cue: CueSpec, max_piece_s: float) -> None:
        self._seed = seed_of(cue.prompt, cue.seed)
        intent = read(cue.prompt, cue.seed)
        self._short = cue.seconds <= GESTURE_S or (intent.role == "gesture" and cue.seconds <= 8.0)
        intent = replace(intent, bpm=bent_tempo(intent, cue.seconds))
        self._intent = intent
        self._seconds = cue.seconds
        opens_full = intent.role != "bed" or cue.seconds <= form.SHORT_S
        self._score = Score(intent, self._seed, opens_full=opens_full)
        self._hop = round(intent.beats * 60 / intent.bpm * SAMPLE_RATE)
        self._players = Players(intent, self._hop)
        chosen = room.ROOMS[intent.room]
        self._desk = room.Desk(
            chosen,
            bed=intent.role == "bed" and not self._short,
            brightness=intent.brightness,
        )
        self._tail = round(RING_S * SAMPLE_RATE) + chosen.num_samples
        wanted = math.ceil(min(cue.seconds, max_piece_s) * SAMPLE_RATE / self._hop)
        phrases = max(1, math.ceil(wanted / form.PHRASE_BARS))
        self._num_bars = phrases * form.PHRASE_BARS if wanted > 1 else 1
        self._gains: dict[str, float] = dict.fromkeys(form.ALL, 1.0)
        self._gain, self._usual_rms = 1.0, 0.0

    def piece(self) -> Piece:
        """Balanced, levelled, its bars still to be rendered."""
        self._balance()
        ending = self._ending()
        if self._short:
            ending = _levelled(ending, round(self._seconds * SAMPLE_RATE))
        return Piece(hop_samples=self._hop, chunks=self._bars(), ending=ending)

    def _bars(self) -> Iterator[Sound]:
        for index in range(self._num_bars):
            yield self._bar(index)

    def _bar(self, index: int) -> Sound:
        """One bar with its tail. Thin bars are lifted by a third of what they lack, so that a voice
        over them need not fight changes of level.
        """
        mixed = self._mix(self._dry_parts(index))
        rms = float(np.sqrt(np.mean(np.square(mixed[: self._hop]))))
        lift = (self._usual_rms / rms) ** 0.35 if rms > 1e-6 else 1.0
        level = self._gain * min(1.4, max(0.7, lift))
        return room.saturated(mixed * np.float32(level))

    def _dry_parts(self, index: int) -> dict[str, Sound]:
        rng = np.random.default_rng([self._seed, _TOUCH, index])
        until_s = self._hop / SAMPLE_RATE + RING_S
        return self._players.play(self._score.bar(index), self._hop + self._tail, until_s, rng)

    def _mix(self, parts: Mapping[str, Sound]) -> Sound:
        """The parts balanced, in their room, through the desk's tone."""
        length = len(next(iter(parts.values())))
        dry = np.zeros((length, 2), np.float32)
        send = np.zeros(length, np.float32)
        for part, sound in parts.items():
            scaled = sound * np.float32(self._gains[part])
            dry += scaled
            send += (scaled[:, 0] + scaled[:, 1]) * np.float32(SENDS[part] / 2**0.5)
        return self._desk.mix(dry, send)

    def _balance(self) -> None:
        """Sets each part's gain by its loudness over four full bars, then the piece's by the
        loudness of the mix.
        """
        probe = [self._dry_parts(index) for index in self._score.full_bars()]
        wanted = dict(BALANCE_LU)
        wanted["kit"] += 4.0 * (self._intent.energy - 0.5) * 2
        wanted["lead"] -= 2.0 if self._intent.role == "bed" else 0.0
        for part in form.ALL:
            heard = [bar[part] for bar in probe if part in bar]
            if heard:
                measured = room.loudness_lufs(np.concatenate([bar[: self._hop] for bar in heard]))
                self._gains[part] = 10 ** ((wanted[part] - 30.0 - measured) / 20)
        mixed = np.zeros((len(probe) * self._hop + self._tail, 2), np.float32)
        for place, bar in enumerate(probe):
            sound = self._mix(bar)
            mixed[place * self._hop : place * self._hop + len(sound)] += sound
        # The first bar lacks the tail of the one before it; it is left out of the measurement.
        whole = mixed[self._hop : len(probe) * self._hop]
        self._gain = 10 ** ((PIECE_LUFS - room.loudness_lufs(whole)) / 20)
        self._usual_rms = float(np.sqrt(np.mean(np.square(whole))))

    def _ending(self) -> Sound:
        """The close: cadence (or run) and the final chord, ringing for a bar longer than it must.

        A placement cuts up to one bar of the ring to end exactly where it must, so what is left is
        never less than `FINAL_RING_S`.
        """
        bar, landing = self._score.gesture() if self._short else self._score.ending()
        spare = round(3.0 * SAMPLE_RATE) if self._short else self._hop
        wanted = round(self._seconds * SAMPLE_RATE) if self._short else 0
        beat = self._hop / self._intent.beats
        at = round(landing * beat)
        length = max(at + round(FINAL_RING_S * SAMPLE_RATE), wanted) + spare
        rng = np.random.default_rng([self._seed, _TOUCH_END])
        mixed = self._mix(self._players.play(bar, length, length / SAMPLE_RATE, rng))
        t = np.maximum(0.0, np.arange(length) - at - 0.4 * SAMPLE_RATE) / (length - at)
        # Held instruments do not decay by themselves: the hand that closes the piece takes
        # everything out.
        closing = (np.cos(np.minimum(1.0, t) * np.pi / 2) ** 2).astype(np.float32)
        return room.saturated(mixed * closing[:, None] * np.float32(self._gain))


def _levelled(sound: Sound, num_heard: int) -> Sound:
    """`sound` at the common loudness of its first `num_heard` samples, its peaks bent."""
    gain = 10 ** ((PIECE_LUFS - room.loudness_lufs(sound[:num_heard])) / 20)
    return room.saturated(sound * np.float32(gain))
