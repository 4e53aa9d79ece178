from __future__ import annotations

import pytest

from models.training.diagnose import Measurement
from models.training.remedy import Reading, propose
from models.training.slow_stage import Stage
from models.training.verdict import judge


def _measured(loop_ms: float, step_ms: float) -> Measurement:
    verdict = judge([loop_ms / 1000] * 6, [step_ms / 1000] * 6)
    return Measurement(
        verdict=verdict, fetch_s=0.0, steps_per_block=10, padding=None, transfer_bytes=None
    )


def _stages(share: float) -> tuple[Stage, ...]:
    rest = {"busy_s": 0.01, "paced_s": 0.01, "parallelism": 1, "buffered": 0}
    return (
        Stage(name="ParallelMapV2", share=share, **rest),  # type: ignore[arg-type]
        Stage(name="FlatMap", share=1.0 - share, **rest),  # type: ignore[arg-type]
    )


def test_a_loop_that_does_not_wait_is_left_alone() -> None:
    reading = Reading(parallel_calls=1, prefetch=2)
    assert propose(_measured(10.4, 10.0), _stages(1.0), reading, cores=8) is None


def test_more_calls_at_once_are_worth_the_share_that_runs_in_parallel() -> None:
    reading = Reading(parallel_calls=1, prefetch=2)
    change = propose(_measured(40.0, 10.0), _stages(1.0), reading, cores=2)
    assert change is not None
    assert (change.setting, change.value) == ("parallel_calls", 2)
    assert change.predicted_gain == pytest.approx(2.0)
    # Amdahl: half of the time stays.
    half = propose(_measured(40.0, 10.0), _stages(0.5), reading, cores=4)
    assert half is not None
    assert half.predicted_gain == pytest.approx(40.0 / (20.0 + 20.0 / 4))
    # The step itself is the floor.
    floor = propose(_measured(40.0, 30.0), _stages(1.0), reading, cores=16)
    assert floor is not None
    assert floor.predicted_gain == pytest.approx(40.0 / 30.0)


def test_without_a_buffer_input_and_step_are_to_overlap() -> None:
    reading = Reading(parallel_calls=1, prefetch=0)
    change = propose(_measured(30.0, 20.0), _stages(1.0), reading, cores=1)
    assert change is not None
    assert change.setting == "prefetch"
    assert change.predicted_gain == pytest.approx(1.5)


def test_nothing_is_promised_where_nothing_can_be_changed() -> None:
    reading = Reading(parallel_calls=4, prefetch=2)
    assert propose(_measured(40.0, 10.0), _stages(1.0), reading, cores=4) is None
    assert propose(_measured(40.0, 10.0), _stages(0.02), reading, cores=5) is None
