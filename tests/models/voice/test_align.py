from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from models.voice import LineSpec, Utterance
from models.voice.align import align
from models.voice.espeak_ng import utter
from models.voice.warp import warp
from studio.errors import SpeechError

TEXT = "It cost $2.5 million in 1995, and why moving mouths are hard, Dr. Smith knew."
OTHER = "The quick brown fox jumps over the lazy dog and runs into the forest at night."


def _spoken(voice: str, rate: int, text: str = TEXT) -> Utterance:
    return utter(LineSpec(text=text, voice=voice, rate_wpm=rate))


def test_onsets_are_found_in_other_voices_at_other_rates() -> None:
    errors: list[float] = []
    for voice, rate in (("bass", 140), ("soprano", 150), ("m1", 240), ("contralto", 115)):
        real = _spoken(voice, rate)
        found = align(LineSpec(text=TEXT), real.samples, real.sample_rate)
        assert [word.text for word in found.words] == TEXT.split()
        pairs = list(zip(found.words, real.words, strict=True))
        mine = [p.start for p in found.phonemes if p.symbol]
        true = [p.start for p in real.phonemes if p.symbol]
        differences = [a.start - b.start for a, b in pairs]
        differences += [a - b for a, b in zip(mine, true, strict=True)]
        errors += [abs(difference) / real.sample_rate for difference in differences]
    assert np.median(errors) < 0.008
    assert np.percentile(errors, 95) < 0.030


def test_times_tile_the_speech_whatever_surrounds_it() -> None:
    real = _spoken("alto", 165)
    silence = np.zeros(real.sample_rate, np.float32)
    padded = np.concatenate([silence, real.samples, silence])
    found = align(LineSpec(text=TEXT), padded, real.sample_rate)
    stops = [p.start + p.num_samples for p in found.phonemes]
    assert found.phonemes[0].start == 0
    assert [p.start for p in found.phonemes[1:]] == stops[:-1]
    assert stops[-1] == len(padded)
    assert found.words[0].start == pytest.approx(real.sample_rate, abs=0.05 * real.sample_rate)
    ends = [word.start + word.num_samples for word in found.words]
    assert all(end <= word.start for end, word in zip(ends, found.words[1:], strict=False))


def test_cost_strain_and_tempo_tell_right_from_wrong() -> None:
    real = _spoken("soprano", 150)
    line = LineSpec(text=TEXT)
    right = align(line, real.samples, real.sample_rate)
    wrong = align(LineSpec(text=OTHER), real.samples, real.sample_rate)
    assert right.cost < 2.8 < 3.5 < wrong.cost
    assert right.strain < 0.03
    length = len(real.samples)
    a, b = int(length * 0.4), int(length * 0.6)
    skipped = np.concatenate([real.samples[:a], real.samples[b:]])
    repeated = np.concatenate([real.samples[:b], real.samples[a:]])
    for bad in (skipped, repeated, real.samples[:b]):
        assert align(line, bad, real.sample_rate).strain > 0.06
    assert align(line, skipped, real.sample_rate).tempo > 1.15 * right.tempo


def test_one_short_word_can_be_aligned_and_silence_cannot() -> None:
    real = _spoken("alto", 220, "No.")
    found = align(LineSpec(text="No."), real.samples, real.sample_rate)
    assert found.words[0].num_samples > 0.5 * real.words[0].num_samples
    for silence in (np.zeros(9000, np.float32), np.zeros(0, np.float32)):
        with pytest.raises(SpeechError, match="silent"):
            align(LineSpec(text="No."), silence, 22_050)


@given(
    hnp.arrays(
        np.float32, st.tuples(st.integers(1, 12), st.just(2)), elements=st.floats(-4, 4, width=32)
    ),
    hnp.arrays(
        np.float32, st.tuples(st.integers(1, 12), st.just(2)), elements=st.floats(-4, 4, width=32)
    ),
    st.integers(0, 30),
)
def test_paths_are_monotone_complete_and_as_cheap_as_the_textbook(
    first: np.ndarray, second: np.ndarray, reach: int
) -> None:
    n, m = len(first), len(second)
    ends = np.array([[0, 0], [n - 1, m - 1]])
    path, _ = warp(first, second, ends, 4 * (n + m))
    steps = np.diff(path, axis=0)
    assert path[0].tolist() == [0, 0]
    assert path[-1].tolist() == [n - 1, m - 1]
    assert all(tuple(step) in {(1, 1), (1, 0), (0, 1)} for step in steps.tolist())
    assert _total(path, first, second) == pytest.approx(
        _textbook(first, second), rel=1e-3, abs=1e-2
    )
    banded, _ = warp(first, second, ends, reach)
    assert banded[-1].tolist() == [n - 1, m - 1]
    assert _total(banded, first, second) >= _total(path, first, second) - 1e-2


def _total(path: np.ndarray, first: np.ndarray, second: np.ndarray) -> float:
    distances = np.linalg.norm(first[path[:, 0]] - second[path[:, 1]], axis=1)
    return float(distances.sum() + 0.15 * (np.diff(path, axis=0).sum(axis=1) == 1).sum())


def _textbook(first: np.ndarray, second: np.ndarray) -> float:
    cost = np.full((len(first) + 1, len(second) + 1), np.inf)
    for i, a in enumerate(first):
        for j, b in enumerate(second):
            distance = float(np.linalg.norm(a - b))
            before = (
                0.0
                if i == j == 0
                else min(cost[i, j], cost[i, j + 1] + 0.15, cost[i + 1, j] + 0.15)
            )
            cost[i + 1, j + 1] = before + distance
    return float(cost[-1, -1])
