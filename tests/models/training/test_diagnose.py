"""Loops whose truth is known: the verdict, the slow stage by name, the change and its gain."""

from __future__ import annotations

import time
from typing import Any

import pytest

pytest.importorskip("tensorflow")

from models.training.diagnose import Loop, measure, padding_of, transfer_of
from models.training.remedy import Opened, Reading, diagnose
from models.training.slow_stage import slowest, stages
from studio.training import Effort

pytestmark = pytest.mark.slow


def _open(step_ms: float, input_ms: float, calls: int = 1) -> Opened:
    import tensorflow as tf

    def read(index: Any) -> Any:
        time.sleep(input_ms / 1000.0)
        return index

    def stage(index: Any) -> Any:
        done = tf.numpy_function(read, [index], tf.int64)
        done.set_shape([])
        return done

    options = tf.data.Options()
    options.threading.private_threadpool_size = 8
    data = tf.data.Dataset.range(10**9).map(stage, num_parallel_calls=calls if calls > 1 else None)
    iterator = iter(data.prefetch(2).with_options(options))
    loop = Loop(
        fetch=lambda: [{"index": next(iterator)}],
        step=lambda parts: time.sleep(step_ms / 1000.0),
        wait=lambda result: None,
        buffered=2 + calls,
    )
    return Opened(loop=loop, iterator=iterator)


@pytest.mark.parametrize(
    ("step_ms", "input_ms", "calls", "expected", "headroom"),
    [
        (40.0, 5.0, 1, "compute-bound", 1.0),
        (40.0, 60.0, 4, "compute-bound", 1.0),
        (15.0, 60.0, 1, "input-bound", 4.0),
        (15.0, 90.0, 2, "input-bound", 3.0),
    ],
)
def test_the_verdict_is_that_of_the_construction(
    step_ms: float, input_ms: float, calls: int, expected: str, headroom: float
) -> None:
    opened = _open(step_ms, input_ms, calls)
    verdict = measure(opened.loop, Effort(pairs=7, block_s=0.25, budget_s=20.0)).verdict
    # On a machine under load an interval may touch the limit; the opposite answer is never right.
    assert verdict.bound in (expected, "inconclusive")
    assert verdict.headroom == pytest.approx(headroom, rel=0.25)
    named = slowest(stages(opened.iterator))
    assert named is not None
    assert named.name == ("ParallelMapV2" if calls > 1 else "Map")


def test_the_proposed_change_gains_about_what_it_promised() -> None:
    found = diagnose(
        lambda reading: _open(15.0, 60.0, reading.parallel_calls),
        Reading(parallel_calls=1, prefetch=2),
        cores=3,
        effort=Effort(pairs=6, block_s=0.25, budget_s=40.0),
    )
    assert found.change is not None
    assert found.change.setting == "parallel_calls"
    assert found.change.measured_gain == pytest.approx(found.change.predicted_gain, rel=0.25)
    assert found.after is not None
    assert found.after.verdict.headroom < found.measured.verdict.headroom


def test_padding_and_transfer_are_counted_from_the_batches() -> None:
    import tensorflow as tf

    batch = {
        "mel": tf.zeros([2, 10, 4], tf.float16),
        "num_frames": tf.constant([10, 5], tf.int32),
    }
    assert padding_of([[batch]]) == pytest.approx(0.25)
    assert transfer_of([[batch, batch]]) == 2 * (2 * 10 * 4 * 2 + 2 * 4)
    assert padding_of([[{"index": tf.constant(1)}]]) is None


def test_a_pipeline_without_a_model_says_so() -> None:
    import tensorflow as tf

    options = tf.data.Options()
    options.autotune.enabled = False
    iterator = iter(tf.data.Dataset.range(10).with_options(options))
    next(iterator)
    with pytest.raises(ValueError, match="autotune"):
        stages(iterator)
