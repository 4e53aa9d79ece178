"""The piece on paper: every bar's notes for every part, from the intent and a seed.

A bar depends on the seed and its number alone, so bars may be written in any order, and a piece may
be as long as an episode without anything being kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from models.music.arranger import drums, form, harmony, melody, parts
from models.music.arranger.harmony import Chord
from models.music.arranger.notes import Note, rolled
from models.music.arranger.words import PLAYABLE, Intent

Bar = Mapping[str, list[Note]]
"""Notes per part: "lead", "comp", "pad", "bass", "kit"."""

CADENCE_BEATS = 2
"""How long the penultimate chord of an ending lasts."""

_CHORDS, _MOTIF, _TUNE, _BAR, _COLOUR, _SECOND = range(6)
"""What a stream of random numbers is for, so that streams never coincide."""


class Score:
    """A piece: `bar(k)` for any k, `ending()` and `gesture()` to close it."""

    def __init__(self, intent: Intent, seed: int, *, opens_full: bool) -> None:
        self.intent = intent
        self._seed = seed
        self._opens_full = opens_full
        self._phrases: dict[tuple[str, int], tuple[Chord, ...]] = {}

    def bar(self, index: int) -> Bar:
        """The notes of bar `index` (from 0)."""
        phrase_index, place = divmod(index, form.PHRASE_BARS)
        phrase = form.phrase(phrase_index, opens_full=self._opens_full)
        chords = self._chords(phrase.section, phrase.cycle)
        chord, following = chords[place], chords[(place + 1) % len(chords)]
        want = self.intent
        rng = self._rng(_BAR, index)
        energy = min(1.0, max(0.0, want.energy + phrase.energy))
        written: dict[str, list[Note]] = {}
        playing = self._playing(phrase, place)
        if "comp" in playing:
            pattern = self._pattern(phrase)
            written["comp"] = parts.comp(pattern, chord, want.beats, want.density, rng)
        if "pad" in playing:
            written["pad"] = parts.pad(chord, want.beats)
        if "bass" in playing:
            written["bass"] = parts.bass(want.bass_line, chord, following, want.beats, rng)
        if "lead" in playing:
            written["lead"] = self._tune(phrase_index, phrase, chords)[place]
        if "kit" in playing:
            fill = place == form.PHRASE_BARS - 1
            written["kit"] = drums.bar(want.kit, want.beats, energy, fill, rng)
            opens = place == 0 and phrase.energy > 0.0 and want.energy > 0.55
            if opens:
                written["kit"].append(_hit(drums.CRASH, 0.0, 0.4))
        louder = 1.0 + 0.25 * phrase.energy
        return {
            part: [replace(n, velocity=min(1.0, n.velocity * louder)) for n in notes]
            for part, notes in written.items()
        }

    def full_bars(self) -> tuple[int, ...]:
        """Four consecutive bars in which every part plays: what the balance and the level are set
        by.
        """
        index = next(
            i for i in range(16) if form.phrase(i, opens_full=self._opens_full).parts == form.ALL
        )
        start = index * form.PHRASE_BARS
        return tuple(range(start, start + form.PHRASE_BARS))

    def ending(self) -> tuple[Bar, float]:
        """The cadence and the final chord, and the beat on which the final chord falls.

        The last chord comes a little late, as a player would let it. Its notes are as long as a
        bar; the renderer lets them ring.
        """
        want = self.intent
        before, final = self._cadence()
        late = CADENCE_BEATS * 1.05
        bar = self._final(final, late)
        half = CADENCE_BEATS
        bar["pad"] = [
            *(replace(n, length=half + 0.2) for n in parts.pad(before, want.beats)),
            *bar["pad"],
        ]
        bar["comp"] = [*rolled(before.voicing, 0.0, half * 0.95, 0.46, 0.04), *bar["comp"]]
        bar["bass"] = [
            Note(beat=0.0, length=half * 0.9, midi=parts.bass_note(before.root), velocity=0.6),
            *bar["bass"],
        ]
        tune = melody.motif(want.density, want.beats, self._rng(_MOTIF, 0))
        line = melody.phrase(
            tune, (before,) * 4, want.root, want.mode, want.beats, self._rng(_TUNE, 0)
        )[0]
        bar["lead"] = [*(n for n in line if n.beat + n.length <= half), *bar["lead"]]
        return self._present(bar), late

    def gesture(self) -> tuple[Bar, float]:
        """A sting: a quick run up the final chord, and the chord. Also gives the beat on which the
        chord falls.
        """
        want = self.intent
        _, final = self._cadence()
        step = 0.25 if want.bpm < 125 else 0.5
        ladder = [*final.voicing, final.voicing[0] + 12]
        run = [
            Note(beat=i * step, length=1.5, midi=pitch, velocity=0.62 + 0.06 * i)
            for i, pitch in enumerate(ladder[:3])
        ]
        landing = len(run) * step
        bar = self._final(final, landing)
        player = "comp" if want.comp else "lead" if want.lead else "pad"
        bar[player] = [*run, *bar[player]]
        return self._present(bar), landing

    def _final(self, final: Chord, beat: float) -> dict[str, list[Note]]:
        want = self.intent
        length = 4.0 * want.beats  # longer than any ending: the chunk ends it
        top = _octave_of((want.root + 7) % 12 if want.minor else want.root, 72)
        bar: dict[str, list[Note]] = {
            "comp": [
                Note(beat=beat, length=length, midi=final.root + 48, velocity=0.5),
                *rolled(final.voicing, beat, length, 0.52, 0.07),
            ],
            "pad": [replace(n, beat=beat, length=length) for n in parts.pad(final, want.beats)],
            "bass": [
                Note(beat=beat, length=length, midi=parts.bass_note(final.root), velocity=0.64)
            ],
            "lead": [Note(beat=beat + 0.3, length=length, midi=top, velocity=0.5)],
            "kit": [_hit(drums.KICK, beat, 0.7), _hit(drums.CRASH, beat, 0.3 + 0.3 * want.energy)],
        }
        return bar

    def _present(self, bar: Mapping[str, list[Note]]) -> Bar:
        """Only the parts that this piece has."""
        return {part: notes for part, notes in bar.items() if getattr(self.intent, part)}

    def _cadence(self) -> tuple[Chord, Chord]:
        want = self.intent
        return harmony.cadence(want.root, want.mode, want.mood, want.richness >= 1.0)

    def _playing(self, phrase: form.Phrase, place: int) -> frozenset[str]:
        """The parts of the phrase that the piece has; an introduction gains its bass after two
        bars.

        Nobody is left alone with nothing: a piece without chords or pads lets its tune or bass play
        from the start.
        """
        has = frozenset(p for p in form.ALL if getattr(self.intent, p))
        playing = phrase.parts & has
        if "kit" not in phrase.parts and phrase.tune < 0 and place >= 2:
            playing |= has & {"bass"}
        return playing or has

    def _pattern(self, phrase: form.Phrase) -> str:
        """The chord instrument's own pattern, and in B phrases of every other round another one
        that suits it, so that an hour does not tire.
        """
        own, suits = self.intent.pattern, PLAYABLE[self.intent.comp]
        if phrase.section == "B" and phrase.cycle % 2 == 1:
            return suits[(suits.index(own) + 1) % len(suits)]
        return own

    def _chords(self, section: str, cycle: int) -> tuple[Chord, ...]:
        """The four chords of a section; B phrases find other chords in every round."""
        key = (section, cycle if section == "B" else 0)
        if key not in self._phrases:
            want = self.intent
            first, _ = harmony.progressions(want.mode, want.mood, self._rng(_CHORDS, 0))
            _, second = harmony.progressions(want.mode, want.mood, self._rng(_CHORDS, cycle))
            degrees = first if section == "A" else second
            colour = self._rng(_COLOUR, key[1] * 2 + (section == "B"))
            extras = [min(2, int(want.richness + colour.uniform(0.0, 1.0))) for _ in degrees]
            self._phrases[key] = harmony.voicings(degrees, want.root, want.mode, extras)
        return self._phrases[key]

    def _tune(
        self, phrase_index: int, phrase: form.Phrase, chords: tuple[Chord, ...]
    ) -> tuple[list[Note], ...]:
        """Four bars of melody. A phrases share a motif, B phrases another; the variation is the
        phrase's own.
        """
        want = self.intent
        idea = melody.motif(
            want.density + 0.1 * (want.role == "feature"),
            want.beats,
            self._rng(_MOTIF, phrase.cycle * 2 + (phrase.section == "B")),
        )
        rng = self._rng(_TUNE, phrase_index)
        bars = melody.phrase(idea, chords, want.root, want.mode, want.beats, rng)
        # Under a voice the second and fourth bars are left to the voice now and then.
        rests = want.role == "bed" and want.density < 0.7
        return tuple(
            [] if rests and place in {1, 3} and rng.random() < 0.35 else list(notes)
            for place, notes in enumerate(bars)
        )

    def _rng(self, purpose: int, index: int) -> np.random.Generator:
        return np.random.default_rng([self._seed, purpose, index])


def _hit(drum: int, beat: float, velocity: float) -> Note:
    return Note(beat=beat, length=0.25, midi=drum, velocity=velocity)


def _octave_of(pitch_class: int, near: int) -> int:
    """The note of a pitch class nearest to `near`."""
    return near + (pitch_class - near + 6) % 12 - 6
