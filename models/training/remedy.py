"""From a verdict to a change of the reading settings, its gain predicted and then measured.

The prediction is the usual one of a two-stage pipeline: with a buffer between them, input and step
overlap and the slower one sets the pace; without, their times add up.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from models.training.diagnose import Loop, Measurement, measure
from models.training.slow_stage import Stage, slowest, stages

WORTH = 1.05
"""A smaller predicted gain is not proposed: it would drown in the interval of its measurement."""

_PARALLEL = re.compile(r"(Parallel)?Map(AndBatch)?(V2)?$")
"""Stages that `parallel_calls` speeds up; a flat map plans and does not."""

_BUFFER = 2
"""Batches between input and step: one being used, one being made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How a pipeline reads: calls of its reading stage at once, and batches that may lie ready."""

    parallel_calls: int
    prefetch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change to make: `setting` becomes `value`. `predicted_gain` is loop time before over loop
    time after; `measured_gain` what re-measuring said, None where nothing was re-measured.
    """

    setting: str
    value: int
    why: str
    predicted_gain: float
    measured_gain: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """A measurement, the pipeline's stages, what to change, and the measurement after it."""

    reading: Reading
    measured: Measurement
    stages: tuple[Stage, ...]
    slowest: Stage | None
    change: Change | None
    after: Measurement | None


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
    pairs: int = 8,
    block_s: float = 0.4,
    seed: int = 0,
) -> Diagnosis:
    """Measure a loop; where its input holds it up, change its reading and measure again.

    Args:
        open_loop: the loop with given reading settings, its shapes traced.
        reading: the settings in force.
        cores: processors that this process may use; calls in parallel beyond them gain nothing.
        pairs: see `models.training.diagnose.measure`.
        block_s: likewise.
        seed: likewise.
    """
    opened = open_loop(reading)
    measured = measure(opened.loop, pairs=pairs, block_s=block_s, seed=seed)
    found = stages(opened.iterator) if opened.iterator is not None else ()
    change = propose(measured, found, reading, cores=cores)
    after = None
    if change is not None:
        changed = replace(reading, **{change.setting: change.value})
        after = measure(open_loop(changed).loop, pairs=pairs, block_s=block_s, seed=seed)
        # Headroom against the same step, not loop times: the machine's load is in both.
        gain = measured.verdict.headroom / after.verdict.headroom
        change = replace(change, measured_gain=gain)
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
    best = max(changes, key=lambda change: change.predicted_gain, default=None)
    return best if best is not None and best.predicted_gain >= WORTH else None
