"""Diagnose the training loop as it is: the real model, the real store, the real reader."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from models.corpus import Corpus, backend_for
from models.training.configure import Configuration
from models.training.diagnose import Loop
from models.training.remedy import Diagnosis, Opened, Reading, diagnose
from studio.training import TrainSpec
from tasks.training_checkpoint import load
from tasks.training_fit import Course, batches_of, open_course


def diagnose_course(
    corpus: Corpus,
    spec: TrainSpec,
    configured: Configuration,
    folder: Path,
    *,
    pairs: int,
    block_s: float,
    alive: Callable[[], None] = lambda: None,
) -> tuple[Diagnosis, dict[str, Any]]:
    """Measure the loop of a store and a spec, from the folder's checkpoint if there is one.

    `alive` is called before each fetch and may raise to end the measurement.

    Nothing that the measurement trains is kept. Returns the diagnosis and the counters around it:
    traces and retraces, the backend, the replicas, the padding of the plan.
    """
    course = open_course(corpus, spec, configured, load(folder, spec))
    before = len(course.trainer.traced)
    batch = course.spec.batch

    def open_loop(reading: Reading) -> Opened:
        changed = batch.model_copy(update=asdict(reading))
        iterator = iter(batches_of(course, configured, changed))
        return Opened(loop=_loop(course, iterator, reading, alive), iterator=iterator)

    found = diagnose(
        open_loop,
        Reading(parallel_calls=batch.parallel_calls, prefetch=batch.prefetch),
        cores=len(os.sched_getaffinity(0)),
        pairs=pairs,
        block_s=block_s,
        seed=spec.fit.seed,
    )
    counters = {
        "shapes": before,
        "retraces": len(course.trainer.traced) - before,
        "backend": backend_for(course.training, batch),
        "replicas": course.trainer.replicas,
        "batch_size": batch.batch_size,
    }
    return found, counters


def _loop(course: Course, iterator: Any, reading: Reading, alive: Callable[[], None]) -> Loop:
    world = course.trainer.replicas

    def fetch() -> list[dict[str, Any]]:
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
