"""Changes of a step on a clock that only the steps move: the gains are then known exactly."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.training import step_change
from models.training.step_change import Pair, Stepper, Trial, best_of, doubling_gain, try_changes


class Clock:
    """A clock in place of the machine's."""

    def __init__(self) -> None:
        self.now = 0.0
        self.steps = 0

    def perf_counter(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now

    def step(self, seconds: float) -> Stepper:
        def run() -> None:
            self.now += seconds
            self.steps += 1

        return run


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(step_change, "time", made)
    return made


def trial(
    clock: Clock,
    after_s: float,
    *,
    predict: Callable[[], float] = lambda: 2.0,
    clips: float = 1.0,
    compile_s: float = 1.0,
    reason: str = "",
) -> Trial:
    return Trial(
        setting="xla.step",
        value="false",
        why="because",
        predict=predict,
        open_pair=lambda: Pair(before=clock.step(0.2), after=clock.step(after_s), clips=clips),
        compile_s=compile_s,
        reason=reason,
    )


def test_what_gains_is_measured_and_the_best_of_it_proposed(clock: Clock) -> None:
    trials = [trial(clock, 0.1), trial(clock, 0.16), trial(clock, 0.3, clips=2.0)]
    found = try_changes(trials, budget_s=1000.0)
    gains = [change.measured_gain for change in found]
    assert gains == pytest.approx([2.0, 1.25, 4.0 / 3.0])
    assert all(change.predicted_gain == 2.0 and not change.unmeasured for change in found)
    assert best_of(found) is found[0]


def test_nothing_is_proposed_that_did_not_pay(clock: Clock) -> None:
    found = try_changes([trial(clock, 0.2), trial(clock, 0.4)], budget_s=1000.0)
    assert [change.measured_gain for change in found] == pytest.approx([1.0, 0.5])
    assert best_of(found) is None


def test_what_promises_nothing_is_not_compiled(clock: Clock) -> None:
    (found,) = try_changes([trial(clock, 0.1, predict=lambda: 1.02)], budget_s=1000.0)
    assert (found.predicted_gain, found.measured_gain) == (1.02, None)
    assert found.unmeasured == "promises nothing"
    assert clock.steps == 0


def test_a_budget_is_kept_and_said_to_be_spent(clock: Clock) -> None:
    trials = [trial(clock, 0.1, compile_s=5.0), trial(clock, 0.1, compile_s=5.0)]
    first, second = try_changes(trials, budget_s=5.5)
    assert first.measured_gain == pytest.approx(2.0)
    assert second.measured_gain is second.predicted_gain is None
    assert "budget" in second.unmeasured


def test_a_reason_not_to_try_is_passed_on(clock: Clock) -> None:
    (found,) = try_changes([trial(clock, 0.1, reason="no card")], budget_s=1000.0)
    assert found.unmeasured == "no card"
    assert found.predicted_gain is None


@given(st.floats(0.0, 10.0), st.floats(1e-4, 1.0), st.integers(1, 400), st.integers(1, 400))
def test_twice_the_rows_save_the_fixed_part_of_a_step(
    fixed: float, slope: float, few: int, more: int
) -> None:
    many = few + more
    found = doubling_gain((few, fixed + slope * few), (many, fixed + slope * many))
    once, twice = fixed + slope * many, fixed + 2.0 * slope * many
    assert found == pytest.approx(2.0 * once / twice, rel=1e-6)
    assert 1.0 <= found <= 2.0


def test_times_that_tell_nothing_promise_nothing() -> None:
    assert doubling_gain((100, 0.5), (100, 0.6)) == 1.0
    assert doubling_gain((100, 0.5), (200, 0.4)) == 1.0
    assert math.isclose(doubling_gain((100, 0.1), (200, 0.2)), 1.0)
