"""Harmony, voice leading, parts and form, as notes."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.music.arranger import drums, form, harmony, melody, parts
from models.music.arranger.score import Score
from models.music.arranger.styles import MOODS
from models.music.arranger.words import read

MODES = sorted(harmony.SCALES)
SEEDS = st.integers(min_value=0, max_value=2**63)


@given(st.sampled_from(MODES), st.sampled_from(sorted(MOODS)), st.integers(0, 11), SEEDS)
def test_chords_belong_to_the_key(mode: str, mood: str, root: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    scale = {(root + step) % 12 for step in harmony.SCALES[mode]}
    for progression in harmony.progressions(mode, mood, rng):
        for chord in harmony.voicings(progression, root, mode, (0, 1, 2, 1)):
            assert {note % 12 for note in chord.voicing} == set(chord.tones) <= scale
            assert chord.voicing == tuple(sorted(set(chord.voicing)))
            assert 46 <= chord.voicing[0] <= chord.voicing[-1] <= 79


def test_no_progression_holds_a_diminished_triad() -> None:
    for name, progressions in harmony.PROGRESSIONS.items():
        mode = name.split(":")[0]
        for degree in itertools.chain(*progressions):
            root, third, fifth = harmony.tones(degree, 0, mode, 0)
            assert (fifth - root) % 12 == 7, (name, degree)
            assert (third - root) % 12 in {3, 4}


def test_voices_move_less_than_root_position_would() -> None:
    moved, unled = 0.0, 0.0
    for mode, root in itertools.product(MODES, range(12)):
        rng = np.random.default_rng(root)
        for progression in harmony.progressions(mode, "calm", rng):
            chords = harmony.voicings(progression, root, mode, (0,) * 4)
            for one, two in itertools.pairwise(chords):
                steps = [min(abs(a - b) for b in one.voicing) for a in two.voicing]
                assert max(steps) <= 5
                moved += sum(steps)
                blocks = [[60 + (c.root - 60) % 12 + k for k in (0, 4, 7)] for c in (one, two)]
                unled += sum(abs(a - b) for a, b in zip(*blocks, strict=True))
    assert moved < 0.35 * unled


@pytest.mark.parametrize("mode", MODES)
def test_the_cadence_comes_home(mode: str) -> None:
    for root, mood in itertools.product(range(12), ("calm", "happy")):
        before, final = harmony.cadence(root, mode, mood, rich=False)
        assert final.root == root
        assert before.root in {(root + 5) % 12, (root + 7) % 12}
        assert (final.tones[1] - root) % 12 == harmony.SCALES[mode][2]


@given(
    st.sampled_from(sorted(parts.PATTERNS)),
    st.sampled_from([3, 4]),
    st.floats(0.05, 1.0),
    SEEDS,
)
def test_patterns_stay_in_the_bar(pattern: str, beats: int, density: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    chord = harmony.voicings((0,), seed % 12, "ionian", (seed % 3,))[0]
    notes = parts.comp(pattern, chord, beats, density, rng)
    assert notes
    assert all(0 <= n.beat < beats and 0 < n.velocity <= 1 and n.length > 0 for n in notes)
    assert {n.midi % 12 for n in notes} <= set(chord.tones)


@pytest.mark.parametrize("line", [*parts.BASS_LINES, "walking"])
@pytest.mark.parametrize("beats", [3, 4])
def test_bass_lines_begin_on_the_root_and_stay_low(line: str, beats: int) -> None:
    chords = harmony.voicings((0, 4, 5, 3), 9, "ionian", (1,) * 4)
    for seed, (chord, after) in enumerate(itertools.pairwise(chords)):
        notes = parts.bass(line, chord, after, beats, np.random.default_rng(seed))
        assert notes[0].midi % 12 == chord.root
        assert all(26 <= n.midi <= 60 and n.beat < beats for n in notes)


@given(st.sampled_from(MODES), st.integers(0, 11), st.sampled_from([3, 4]), SEEDS)
def test_tunes_are_singable(mode: str, root: int, beats: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    chords = harmony.voicings(harmony.progressions(mode, "warm", rng)[0], root, mode, (0,) * 4)
    idea = melody.motif(0.5, beats, rng)
    bars = melody.phrase(idea, chords, root, mode, beats, rng)
    line = [note.midi for bar in bars for note in bar]
    assert all(melody.LOWEST <= p <= melody.HIGHEST for p in line)
    assert all(abs(a - b) <= 12 for a, b in itertools.pairwise(line))
    assert bars[3][-1].midi % 12 in chords[3].tones or len(bars[3]) == 0


@pytest.mark.parametrize("kit", sorted(drums.GROOVES))
def test_grooves_fill_a_bar_and_answer_energy(kit: str) -> None:
    for _, line in (*drums.GROOVES[kit].lines, *drums.GROOVES[kit].fill):
        assert len(line) == 16
    soft, loud = (
        sum(n.velocity for n in drums.bar(kit, 4, energy, False, np.random.default_rng(1)))
        for energy in (0.1, 0.9)
    )
    assert soft < loud
    plain, filled = (
        drums.bar(kit, 4, 0.5, fill, np.random.default_rng(1)) for fill in (False, True)
    )
    assert {(n.beat, n.midi) for n in plain} != {(n.beat, n.midi) for n in filled}


def test_a_bar_depends_on_its_number_alone() -> None:
    intent = read("lofi beat with rhodes", 4)
    forwards = Score(intent, 9, opens_full=False)
    backwards = Score(intent, 9, opens_full=False)
    there = [forwards.bar(k) for k in range(40)]
    back = [backwards.bar(k) for k in reversed(range(40))]
    assert there == back[::-1]


def test_the_form_builds_up_and_does_not_loop() -> None:
    score = Score(replace(read("happy pop with drums", 0), role="bed"), 3, opens_full=False)
    assert "kit" not in score.bar(0)
    assert "bass" not in score.bar(0)
    assert set(score.bar(score.full_bars()[0])) == form.ALL
    bars = [repr(sorted(score.bar(k).items())) for k in range(128)]
    assert len(set(bars)) > 120
    opening = Score(read("happy pop intro with drums", 0), 3, opens_full=True)
    assert set(opening.bar(0)) >= {"kit", "bass"}
