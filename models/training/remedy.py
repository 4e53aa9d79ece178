"""From a verdict to a change of the reading settings, its gain predicted and then measured.

The prediction is the usual one of a two-stage pipeline: with a buffer between them, input and step
overlap and the slower one sets the pace; without, their times add up.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from models.training.diagnose import Loop, Measurement, measure
from models.training.slow_stage import Stage, slowest, stages
from studio.training import Effort

WORTH = 1.05
"""A smaller predicted gain is not proposed: it would drown in the interval of its measurement."""

_PARALLEL = re.compile(r"(Parallel)?Map(AndBatch)?(V2)?$")
"""Stages that `parallel_calls` speeds up; a flat map plans and does not."""

_FIRST = 0.6
"""Of the time, for the loop as it is: its verdict decides, the second only confirms."""

_BUFFER = 2
"""Batches between input and step: one being used, one being made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How a pipeline reads: calls of its reading stage at once, and batches that may lie ready."""

    parallel_calls: int
    prefetch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change to make: `setting` becomes `value`. `predicted_gain` is the loop's time before over
    its time after, `measured_gain` what measuring said; each is None where it was not worked out,
    and `unmeasured` then says why.
    """

    setting: str
    value: int | str
    why: str
    predicted_gain: float | None = None
    measured_gain: float | None = None
    unmeasured: str = ""

    def promising(self, predicted: float) -> Change:
        """With its prediction."""
        return replace(self, predicted_gain=predicted)

    def gaining(self, measured: float) -> Change:
        """With what it gained."""
        return replace(self, measured_gain=measured)

    def but(self, reason: str) -> Change:
        """Not measured, and why."""
        return replace(self, unmeasured=reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """A measurement, the pipeline's stages, what to change, and the measurement after it.

    `change` is the one that pays: of the reading settings for an input-bound loop (`after` is the
    loop with it), of the step for a compute-bound one. `tried` are all changes of the step that
    were looked at.
    """

    reading: Reading
    measured: Measurement
    stages: tuple[Stage, ...]
    slowest: Stage | None
    change: Change | None
    after: Measurement | None
    tried: tuple[Change, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class Opened:
    """A loop with the iterator of its pipeline; None for input that is not a `tf.data.Dataset`."""

    loop: Loop
    iterator: Any


def diagnose(
    open_loop: Callable[[Reading], Opened],
    reading: Reading,
    *,
    cores: int,
    effort: Effort,
    seed: int = 0,
) -> Diagnosis:
    """Measure a loop; where its input holds it up, change its reading and measure again.

    Args:
        open_loop: the loop with given reading settings, its shapes traced.
        reading: the settings in force.
        cores: processors that this process may use; calls in parallel beyond them gain nothing.
        effort: for both measurements together.
        seed: of the bootstrap.
    """
    begin = time.monotonic()
    opened = open_loop(reading)
    first = replace(effort, budget_s=effort.budget_s * _FIRST)
    measured = measure(opened.loop, first, seed=seed)
    found = stages(opened.iterator) if opened.iterator is not None else ()
    change = propose(measured, found, reading, cores=cores)
    after = None
    if change is not None:
        changed = replace(reading, **{change.setting: int(change.value)})
        left = replace(effort, budget_s=effort.budget_s - (time.monotonic() - begin))
        after = measure(open_loop(changed).loop, left, seed=seed)
        # Headroom against the same step, not loop times: the machine's load is in both.
        change = change.gaining(measured.verdict.headroom / after.verdict.headroom)
    return Diagnosis(
        reading=reading,
        measured=measured,
        stages=found,
        slowest=slowest(found),
        change=change,
        after=after,
    )


def propose(
    measured: Measurement, found: tuple[Stage, ...], reading: Reading, *, cores: int
) -> Change | None:
    """The one change of the reading settings that promises most; None when none is worth it."""
    verdict = measured.verdict
    if verdict.bound != "input-bound":
        return None
    loop_s, step_s = verdict.headroom * verdict.step_s, verdict.step_s
    overlapped = reading.prefetch > 0 or reading.parallel_calls > 1
    input_s = loop_s if overlapped else loop_s - step_s
    changes = []
    if not overlapped:
        changes.append(
            Change(
                setting="prefetch",
                value=_BUFFER,
                why="nothing lies between input and step: their times add up",
                predicted_gain=loop_s / max(step_s, input_s),
            )
        )
    if cores > reading.parallel_calls:
        share = sum(stage.share for stage in found if _PARALLEL.match(stage.name))
        faster = input_s * (1.0 - share + share * reading.parallel_calls / cores)
        # Parallel calls keep their results ready, so they overlap with the step of themselves.
        changes.append(
            Change(
                setting="parallel_calls",
                value=cores,
                why=f"{share:.0%} of the input's time is in a stage that can run in parallel",
                predicted_gain=loop_s / max(step_s, faster),
            )
        )
    best = max(changes, key=lambda change: change.predicted_gain or 0.0, default=None)
    return best if best is not None and (best.predicted_gain or 0.0) >= WORTH else None
