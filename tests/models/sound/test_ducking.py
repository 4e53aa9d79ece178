"""Ducking: ahead of the voice, and every parameter is heard."""

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.sound.ducking import Ducker, DuckShape, merge_spans

SHAPE = DuckShape(depth_db=-9.0, attack=12_000, hold=16_800, release=38_400)
SPANS = [(96_000, 144_000), (200_000, 260_000)]
LENGTH = 400_000


def curve_db(shape: DuckShape, spans: list[tuple[int, int]] | None = None) -> Any:
    return 20 * np.log10(Ducker(SPANS if spans is None else spans, shape).gain(0, LENGTH))


def test_the_music_is_down_when_the_voice_begins_and_stays_for_the_hold() -> None:
    level = curve_db(SHAPE)
    assert level[: 96_000 - 12_000 - 48].max() == pytest.approx(0.0, abs=1e-4)
    for first, last in SPANS:
        np.testing.assert_allclose(level[first : last + SHAPE.hold], -9.0, atol=0.02)
    assert level[90_000] == pytest.approx(-4.5, abs=0.1)
    end = 260_000 + SHAPE.hold + SHAPE.release
    assert level[end - 5000] < -0.1
    np.testing.assert_allclose(level[end + 48 :], 0.0, atol=1e-4)


def test_a_short_pause_turns_round_without_a_step() -> None:
    level = curve_db(SHAPE)
    between = level[144_000:200_000]
    assert -9.0 < between.max() < -0.5
    assert np.abs(np.diff(level)).max() < 0.01


@pytest.mark.parametrize(
    ("field", "value"),
    [("depth_db", -4.0), ("attack", 30_000), ("hold", 2_000), ("release", 9_000)],
)
def test_every_parameter_changes_the_music(field: str, value: Any) -> None:
    other = curve_db(replace(SHAPE, **{field: value}))
    assert np.abs(other - curve_db(SHAPE)).max() > 1.0


def test_a_depth_of_zero_or_nobody_speaking_changes_nothing() -> None:
    assert (curve_db(replace(SHAPE, depth_db=0.0)) == 0.0).all()
    assert (curve_db(SHAPE, []) == 0.0).all()


@given(
    cuts=st.lists(st.integers(1, LENGTH - 1), max_size=6),
    ends=st.lists(st.tuples(st.integers(0, LENGTH), st.integers(0, 90_000)), max_size=8),
)
def test_the_curve_does_not_depend_on_the_blocks(
    cuts: list[int], ends: list[tuple[int, int]]
) -> None:
    ducker = Ducker([(start, start + length) for start, length in ends], SHAPE)
    edges = [0, *sorted(cuts), LENGTH]
    parts = [ducker.gain(a, b - a) for a, b in itertools.pairwise(edges)]
    whole = ducker.gain(0, LENGTH)
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=2e-4)
    assert whole.max() <= 1.0
    assert whole.min() >= 10 ** (-9.0 / 20) - 1e-6


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 60)), max_size=20))
def test_merged_spans_cover_the_same_samples(pairs: list[tuple[int, int]]) -> None:
    spans = [(start, start + length) for start, length in pairs]
    covered = {sample for start, end in spans for sample in range(start, end)}
    merged = merge_spans(spans)
    assert {sample for start, end in merged for sample in range(start, end)} == covered
    assert all(a[1] < b[0] for a, b in itertools.pairwise(merged))
