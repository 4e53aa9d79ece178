"""What would make a compute-bound step quicker: tried on the step itself, never guessed at.

A change is tried first where that is cheap, or worked out from times that are known; this is its
prediction. What promises enough is compiled for the shape that most time goes to and measured
there, in pairs of blocks against the step as it is. Most changes do not pay on most machines: that
is an answer too, and is given with its figures.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.training.remedy import WORTH, Change
from models.training.verdict import MIN_PAIRS, interval

Stepper = Callable[[], Any]
"""One step on a held batch, run to its end on the device."""

_LEAST_S = 0.05
"""A block of steps lasts at least so long: a clock and a scheduler count as nothing beside it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A step as it is and as it would be; `clips` is how many times as many clips it then takes."""

    before: Stepper
    after: Stepper
    clips: float = 1.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Trial:
    """A change to try. `predict` gives its gain before it is measured, `open_pair` compiles what is
    to be measured; `compile_s` is what each may take. A `reason` not to try it ends the matter.
    """

    setting: str
    value: int | str
    why: str
    predict: Callable[[], float]
    open_pair: Callable[[], Pair]
    compile_s: float
    reason: str = ""


def try_changes(
    trials: Sequence[Trial], *, budget_s: float, report: Callable[[], None] = lambda: None
) -> tuple[Change, ...]:
    """Each trial's outcome, in the order in which they were given.

    A gain is clips per second after over before. What is not measured has None for it and says why:
    it promises less than `WORTH`, it cannot be tried here, or the budget is spent.
    """
    until = time.monotonic() + budget_s
    found = []
    for trial in trials:
        report()
        change = Change(setting=trial.setting, value=trial.value, why=trial.why)
        found.append(_tried(trial, change, until))
    return tuple(found)


def best_of(found: Sequence[Change]) -> Change | None:
    """The change that gained most when it was measured; None when none was worth it."""
    paying = [change for change in found if (change.measured_gain or 0.0) >= WORTH]
    return max(paying, key=lambda change: change.measured_gain or 0.0, default=None)


def _tried(trial: Trial, change: Change, until: float) -> Change:
    if trial.reason:
        return change.but(trial.reason)
    if time.monotonic() + trial.compile_s > until:
        return change.but("the budget ends before it is compiled")
    predicted = trial.predict()
    change = change.promising(predicted)
    if predicted < WORTH:
        return change.but("promises nothing")
    if time.monotonic() + trial.compile_s > until:
        return change.but("the budget ends before it is compiled")
    return change.gaining(gain(trial.open_pair(), until=until))


def gain(pair: Pair, *, until: float, num_pairs: int = 8) -> float:
    """Clips per second after the change over those before, from blocks that take turns; at least
    `MIN_PAIRS` pairs of them, `num_pairs` where the time (of `time.monotonic`) allows.
    """
    pair.before()
    pair.after()  # compiles
    ratios: list[float] = []
    while len(ratios) < num_pairs and (len(ratios) < MIN_PAIRS or time.monotonic() < until):
        before_s, after_s = _block(pair.before), _block(pair.after)
        ratios.append(pair.clips * before_s / after_s)
    return interval(np.array(ratios))[0]


def _block(step: Stepper) -> float:
    """Seconds a step, over as many as fill a block."""
    begin, count = time.perf_counter(), 0
    while True:
        step()
        count += 1
        took = time.perf_counter() - begin
        if took >= _LEAST_S:
            return took / count


def doubling_gain(short: tuple[int, float], long: tuple[int, float]) -> float:
    """What twice the rows in a batch should gain, from (frames, seconds) of a short and a long one.

    A step is taken to cost `a + b * frames`: `a` is paid once a step, whatever its rows, so twice
    the rows pay it once for twice the clips. The gain is that of the long shape; times that do not
    rise with the frames promise nothing that could be told from noise.
    """
    (few, short_s), (many, long_s) = short, long
    if many <= few or long_s <= short_s:
        return 1.0
    slope = (long_s - short_s) / (many - few)
    fixed = min(max(0.0, long_s - slope * many), long_s)
    return 2.0 * long_s / (2.0 * long_s - fixed)


def seconds_of(step: Stepper, *, blocks: int = 3) -> float:
    """The median time of a step that is compiled."""
    step()
    return float(np.median([_block(step) for _ in range(blocks)]))
