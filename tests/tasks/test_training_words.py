from __future__ import annotations

from dataclasses import replace

import pytest

from models.training.diagnose import Measurement
from models.training.remedy import Change, Diagnosis, Reading
from models.training.slow_stage import Stage
from models.training.verdict import judge
from studio.errors import SettingError
from tasks.training import setting_names, training_spec
from tasks.training_words import advice, diagnosis_markdown, diagnosis_rows, sentence_of

STAGE = Stage(name="ParallelMapV2", busy_s=0.04, paced_s=0.02, share=0.9, parallelism=2, buffered=0)
COUNTERS = {"shapes": 8, "retraces": 0, "backend": "resident", "replicas": 1, "batch_size": 32}


def _measured(ratio: float) -> Measurement:
    verdict = judge([0.02 * ratio] * 8, [0.02] * 8)
    return Measurement(
        verdict=verdict, fetch_s=0.01, steps_per_block=9, padding=0.08, transfer_bytes=3 * 2**20
    )


def test_an_input_bound_loop_is_told_with_its_stage_and_what_the_change_gained() -> None:
    change = Change(
        setting="parallel_calls", value=4, why="90% of it", predicted_gain=2.0, measured_gain=1.8
    )
    found = Diagnosis(
        reading=Reading(parallel_calls=2, prefetch=2),
        measured=_measured(2.5),
        stages=(STAGE,),
        slowest=STAGE,
        change=change,
        after=_measured(1.0),
    )
    told = diagnosis_markdown(found, COUNTERS)
    assert "Input-bound" in told
    assert "2.50" in told
    assert "ParallelMapV2" in told
    assert "2.00 predicted, 1.80 measured" in told
    assert "Compute-bound" in told
    rows = {row["figure"]: row["value"] for row in diagnosis_rows(found, COUNTERS)}
    assert rows["verdict"] == "input-bound"
    assert rows["after: verdict"] == "compute-bound"
    assert rows["padding"] == "8.0%"
    assert rows["transfer"] == "3.00 MiB a step"
    retraced = diagnosis_markdown(replace(found, change=None), {**COUNTERS, "retraces": 3})
    assert "3 retraces" in retraced
    assert "No change" in retraced


def test_a_compute_bound_loop_is_told_what_was_tried_and_what_pays() -> None:
    xla = Change(setting="xla.step", value="false", why="it may", predicted_gain=0.8).but(
        "promises nothing"
    )
    rows = Change(
        setting="batch.batch_size", value=64, why="once", predicted_gain=1.4, measured_gain=1.3
    )
    found = Diagnosis(
        reading=Reading(parallel_calls=2, prefetch=2),
        measured=_measured(1.0),
        stages=(STAGE,),
        slowest=STAGE,
        change=rows,
        after=None,
        tried=(xla, rows),
    )
    first, second = advice(found)
    assert first == (
        "Change batch.batch_size to 64: once. Times as fast: 1.40 predicted, 1.30 measured."
    )
    assert second == (
        "Tried: xla.step to false: it may. Times as fast: 0.80 predicted; promises nothing."
    )
    nothing = advice(replace(found, change=None, tried=(xla,)))
    assert nothing[0].startswith("No change of the step that was tried gains")
    assert "1.30 measured" in diagnosis_markdown(found, COUNTERS)
    rows_of = {row["figure"]: row["value"] for row in diagnosis_rows(found, COUNTERS)}
    assert "0.80 predicted" in rows_of["tried xla.step"]


def test_each_verdict_has_its_sentence() -> None:
    assert sentence_of(_measured(1.0).verdict).startswith("Compute-bound")
    noisy = judge([0.01, 0.03, 0.01, 0.03, 0.02, 0.025], [0.02] * 6)
    assert sentence_of(noisy).startswith("Inconclusive: the headroom")
    assert "more time" in sentence_of(judge([9.0] * 3, [9.0] * 3))


def test_options_reach_the_spec_and_an_unknown_one_is_refused() -> None:
    spec = training_spec({"fit.num_steps": "50", "batch.batch_size": 4, "model.width": "32"})
    assert (spec.fit.num_steps, spec.batch.batch_size, spec.model.width) == (50, 4, 32)
    with pytest.raises(SettingError, match="num_steps"):
        training_spec({"fit.num_stepz": 1})


def test_the_list_of_settings_says_which_are_gone() -> None:
    told = dict(setting_names())
    assert told["threads.intra_op"] == ""
    assert "data.autotune.enabled" in told["data.optimization.autotune"]
