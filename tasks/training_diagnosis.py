"""Diagnose the training loop as it is: the real model, the real store, the real reader, in a time
that is set beforehand.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from models.corpus import Corpus, backend_for, corpus_shapes, start
from models.corpus.buckets import bucket_of
from models.training.configure import Configuration
from models.training.diagnose import Loop
from models.training.remedy import Diagnosis, Opened, Reading, diagnose
from models.training.step_change import best_of, try_changes
from studio.training import Effort, TrainSpec
from tasks.training_checkpoint import load
from tasks.training_course import Course, batches_of, begin_course, warm_course
from tasks.training_trials import step_trials

_COMPILING = 0.4
"""Of the budget, for compiling the step's shapes; where that is not enough for all of them, some of
them stand for the rest.
"""

_MEASURING = 0.5
"""Of what is left after that, for the loop; the rest is for what might make its step quicker."""


def diagnose_course(
    corpus: Corpus,
    spec: TrainSpec,
    configured: Configuration,
    folder: Path,
    *,
    effort: Effort,
    alive: Callable[[], None] = lambda: None,
) -> tuple[Diagnosis, dict[str, Any]]:
    """Measure the loop of a store and a spec, from the folder's checkpoint if there is one.

    `effort.budget_s` holds for everything from the first compilation on; one compilation, or the
    least number of blocks, may go beyond it. `alive` is called before each fetch and may raise to
    end the measurement. Nothing that the measurement trains is kept.

    Returns the diagnosis and the counters around it: shapes and retraces, the part of the clips
    that was measured, the backend, the replicas.
    """
    until = time.monotonic() + effort.budget_s
    course = begin_course(corpus, spec, configured, load(folder, spec))
    whole = course.training
    count = _compile(course, effort.budget_s * _COMPILING)
    batch, before = course.spec.batch, len(course.trainer.traced)

    def open_loop(reading: Reading) -> Opened:
        changed = batch.model_copy(update=asdict(reading))
        iterator = iter(batches_of(course, configured, changed))
        return Opened(loop=_loop(course, iterator, reading, alive), iterator=iterator)

    found = diagnose(
        open_loop,
        Reading(parallel_calls=batch.parallel_calls, prefetch=batch.prefetch),
        cores=len(os.sched_getaffinity(0)),
        effort=replace(effort, budget_s=_left(until) * _MEASURING),
        seed=spec.fit.seed,
    )
    retraces = len(course.trainer.traced) - before
    if found.measured.verdict.bound == "compute-bound":
        trials = step_trials(course, configured)
        tried = try_changes(trials, budget_s=_left(until), report=alive)
        found = replace(found, tried=tried, change=best_of(tried))
    counters = {
        "shapes": before,
        "shapes_of_the_store": count,
        "clips_measured": len(course.training),
        "clips": len(whole),
        "retraces": retraces,
        "backend": backend_for(course.training, batch),
        "replicas": course.trainer.replicas,
        "batch_size": batch.batch_size,
    }
    return found, counters


def _left(until: float) -> float:
    return max(0.0, until - time.monotonic())


def _compile(course: Course, budget_s: float) -> int:
    """Compile the step for every shape if the budget holds that; otherwise for some, the course
    then being of the clips in them. Returns how many shapes there are in all.

    The middle shape comes first; what it takes says how many more there is time for. Those are at
    even distances, so that the mean step is about that of the whole store.
    """
    lengths = (course.training.num_frames, course.training.num_tokens)
    shapes = corpus_shapes(*lengths, course.spec.batch)
    where = bucket_of(course.training.num_frames, tuple(shape.frames for shape in shapes))
    begin = time.monotonic()
    warm_course(course, [shapes[len(shapes) // 2]])
    took = time.monotonic() - begin
    affordable = min(len(shapes), int(budget_s / took))
    if affordable >= len(shapes):
        warm_course(course, [shape for shape in shapes if shape != shapes[len(shapes) // 2]])
        return len(shapes)
    wanted = _spread(len(shapes), max(1, affordable))
    _narrow(course, np.flatnonzero(np.isin(where, wanted)), len(wanted))
    lengths = (course.training.num_frames, course.training.num_tokens)
    traced = {shape[1] for shape in course.trainer.traced}
    left = corpus_shapes(*lengths, course.spec.batch)
    warm_course(course, [shape for shape in left if shape.frames not in traced])
    return len(shapes)


def _spread(count: int, wanted: int) -> list[int]:
    """`wanted` of the numbers below `count`, at even distances around the middle."""
    return [int((index + 0.5) * count / wanted) for index in range(wanted)]


def _narrow(course: Course, clips: np.ndarray[tuple[int], np.dtype[np.int64]], shapes: int) -> None:
    """Let the course be of these clips alone, in so many shapes, from the start of an epoch."""
    course.spec = course.spec.model_copy(
        update={"batch": course.spec.batch.model_copy(update={"num_buckets": shapes})}
    )
    course.training = course.training.view(clips, "diagnosis")
    course.cursor = start(course.training, course.spec.batch)


def _loop(course: Course, iterator: Any, reading: Reading, alive: Callable[[], None]) -> Loop:
    world = course.trainer.replicas

    def fetch() -> Sequence[dict[str, Any]]:
        alive()
        return [next(iterator) for _ in range(world)]

    ready = reading.prefetch + reading.parallel_calls
    return Loop(
        fetch=fetch,
        step=course.trainer.step,
        wait=_until_done,
        buffered=-(-ready // world),
    )


def _until_done(found: dict[str, Any]) -> None:
    """Block until the device has the loss: a step returns before it is done."""
    float(found["total"])
