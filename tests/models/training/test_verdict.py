from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.training.verdict import EXIT_CODES, MIN_PAIRS, judge
from studio.errors import SettingError


def _pairs(ratio: float, noise: float, count: int, seed: int) -> tuple[list[float], list[float]]:
    """Pairs whose common load varies threefold and whose own noise is lognormal."""
    rng = np.random.default_rng(seed)
    load = rng.uniform(1.0, 3.0, count)
    held = 0.02 * load * np.exp(rng.normal(0.0, noise, count))
    loop = 0.02 * ratio * load * np.exp(rng.normal(0.0, noise, count))
    return loop.tolist(), held.tolist()


@pytest.mark.parametrize(
    ("ratio", "expected"), [(1.0, "compute-bound"), (1.03, "compute-bound"), (1.4, "input-bound")]
)
def test_a_clear_ratio_is_named_although_the_load_of_the_machine_varies_threefold(
    ratio: float, expected: str
) -> None:
    for seed in range(10):
        assert judge(*_pairs(ratio, 0.03, 15, seed)).bound == expected


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    covered = 0
    for seed in range(200):
        verdict = judge(*_pairs(1.3, 0.1, 16, seed))
        covered += verdict.low <= 1.3 <= verdict.high
    assert 170 <= covered <= 199


def test_noise_around_the_limit_is_inconclusive_and_not_guessed() -> None:
    bounds = [judge(*_pairs(1.10, 0.15, 10, seed)).bound for seed in range(40)]
    assert bounds.count("inconclusive") >= 30


def test_a_ceiling_decides_where_the_ratio_is_noisy_but_only_for_compute_bound() -> None:
    loop, held = _pairs(1.05, 0.12, 8, 3)
    assert judge(loop, held).bound == "inconclusive"
    waits = [time * 0.01 for time in loop]
    decided = judge(loop, held, input_s=waits)
    assert decided.bound == "compute-bound"
    assert decided.ceiling == pytest.approx(1.0 / 0.99)
    # Much waiting proves nothing by itself: a device may have been busy meanwhile.
    assert judge(loop, held, input_s=[time * 0.5 for time in loop]).bound == "inconclusive"
    assert judge(loop, held, input_s=[time * 1.5 for time in loop]).ceiling == math.inf


def test_evidence_that_contradicts_itself_decides_nothing() -> None:
    loop, held = _pairs(1.5, 0.02, 8, 3)
    assert judge(loop, held, input_s=[time * 0.4 for time in loop]).bound == "input-bound"
    assert judge(loop, held, input_s=[time * 0.01 for time in loop]).bound == "inconclusive"


def test_waiting_that_other_programs_may_have_caused_is_no_evidence() -> None:
    loop, held = _pairs(1.5, 0.02, 8, 3)
    waits = [time * 0.3 for time in loop]
    assert judge(loop, held, input_s=waits).bound == "input-bound"
    caused = [time * 0.25 for time in loop]
    assert judge(loop, held, input_s=waits, crowd_s=caused).bound == "inconclusive"
    little = [time * 0.05 for time in loop]
    assert judge(loop, held, input_s=waits, crowd_s=little).bound == "input-bound"


def test_too_few_pairs_decide_nothing_however_clear_they_are() -> None:
    few = judge([2.0] * 4, [1.0] * 4, input_s=[1.0] * 4)
    assert few.bound == "inconclusive"
    assert few.headroom == pytest.approx(2.0)
    assert judge([2.0] * 5, [1.0] * 5, input_s=[1.0] * 5).bound == "input-bound"


def test_one_stolen_block_does_not_decide() -> None:
    loop, held = _pairs(1.0, 0.02, 11, 5)
    loop[4] *= 20.0
    assert judge(loop, held).headroom == pytest.approx(1.0, abs=0.03)


@given(st.floats(0.01, 100.0), st.integers(MIN_PAIRS, 30), st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_a_faster_machine_gives_the_same_verdict(speed: float, count: int, seed: int) -> None:
    loop, held = _pairs(1.2, 0.1, count, seed)
    one = judge(loop, held)
    other = judge([t * speed for t in loop], [t * speed for t in held])
    assert other.headroom == pytest.approx(one.headroom)
    assert other.low <= other.headroom <= other.high
    assert other.step_s == pytest.approx(one.step_s * speed)


def test_exit_codes_differ_and_only_compute_bound_passes() -> None:
    assert EXIT_CODES["compute-bound"] == 0
    assert len(set(EXIT_CODES.values())) == 3
    assert not {1, 2, 3, 4, 130} & set(EXIT_CODES.values())
    assert judge([2.0] * 6, [1.0] * 6).exit_code == EXIT_CODES["input-bound"]


@pytest.mark.parametrize(
    ("loop", "held"),
    [
        ([1.0], [1.0]),
        ([1.0] * 6, [1.0] * 5),
        ([1.0] * 6, [0.0] * 6),
        ([0.0] * 6, [1.0] * 6),
    ],
)
def test_what_cannot_be_judged_is_refused(loop: list[float], held: list[float]) -> None:
    with pytest.raises(SettingError):
        judge(loop, held)
