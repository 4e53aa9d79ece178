"""A measured training run: settings first, then the model or the diagnosis, then the report."""

from __future__ import annotations

import asyncio
from typing import Any

from prefect import flow

from profiles import load_profile
from studio.training import Effort, TrainingResult
from tasks.notify import NOTIFIED
from tasks.run import open_run
from tasks.stage import at
from tasks.training import (
    configure_process,
    diagnose,
    report_training,
    train,
    training_spec,
)


@flow(name="train", persist_result=False, **NOTIFIED)
async def train_model(
    store: str = "corpus",
    out_dir: str = "out/training",
    options: dict[str, Any] | None = None,
    settings: dict[str, str] | None = None,
    profile: str = "cpu",
    resume: bool = True,
) -> TrainingResult:
    """Fit the text-to-mel model to a prepared store; checkpoints, losses and a sentence in
    `out_dir`.

    `options` are keys of the training spec in dotted form (`{"fit.num_steps": 5000}`), `settings`
    those of TensorFlow by name (`studio train --configure` lists them), applied before its first
    op. `profile` says how cards are lent and watched. A run goes on from the checkpoint in
    `out_dir` unless `resume` is off.
    """
    spec = training_spec(options or {})
    wanted = load_profile(profile)
    with open_run(out_dir, device=wanted.device, gpu=wanted.gpu) as run:
        made = at(run, configure_process).submit(settings or {}, run=run)
        configured = await asyncio.to_thread(made.result)
        trained = at(run, train).submit(store, spec, configured, resume, run=run)
        result: TrainingResult = await asyncio.to_thread(trained.result)
        await report_training(configured, result, None, run)
    return result


@flow(name="train-diagnose", persist_result=False, **NOTIFIED)
async def diagnose_training(
    store: str = "corpus",
    out_dir: str = "out/training",
    options: dict[str, Any] | None = None,
    settings: dict[str, str] | None = None,
    profile: str = "cpu",
    pairs: int = 8,
    block_s: float = 0.4,
    budget_s: float = 300.0,
) -> tuple[Any, dict[str, Any]]:
    """Measure whether the training loop waits for its input, what to change, and what that gains.

    `budget_s` holds for compiling and measuring together; where it does not suffice for all shapes
    of the store, some stand for the rest. Returns the diagnosis and its counters; nothing that is
    trained on the way is kept.
    """
    spec = training_spec(options or {})
    effort = Effort(pairs=pairs, block_s=block_s, budget_s=budget_s)
    wanted = load_profile(profile)
    with open_run(out_dir, device=wanted.device, gpu=wanted.gpu) as run:
        made = at(run, configure_process).submit(settings or {}, run=run)
        configured = await asyncio.to_thread(made.result)
        asked = at(run, diagnose).submit(store, spec, configured, effort, run=run)
        found: tuple[Any, dict[str, Any]] = await asyncio.to_thread(asked.result)
        await report_training(configured, None, found, run)
    return found
