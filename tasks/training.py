"""Configure, train and diagnose as stages of a run: lent a card, measured, published."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from prefect import task
from prefect.artifacts import (
    acreate_image_artifact,
    acreate_markdown_artifact,
    acreate_table_artifact,
)
from prefect.cache_policies import NO_CACHE

from models.corpus import open_store
from models.training.configure import Configuration, Row, configure, names
from models.training.gone_settings import GONE
from models.training.remedy import Diagnosis
from studio.corpus.settings import changed
from studio.gpu.report_rows import escape_markdown, use_rows
from studio.training import Effort, TrainingResult, TrainSpec
from tasks.run import Run
from tasks.stage import stage
from tasks.training_diagnosis import diagnose_course
from tasks.training_fit import fit
from tasks.training_words import diagnosis_markdown, diagnosis_rows, result_rows, row_cells

REPORT = "report.json"


def training_spec(options: Mapping[str, object]) -> TrainSpec:
    """The defaults with `options` (dotted keys, `fit.num_steps`) over them."""
    return changed(TrainSpec(), options)


def settings_report(settings: Mapping[str, str]) -> tuple[Row, ...]:
    """Apply settings to this process and say what became of them."""
    return configure(settings, os.environ).rows


def setting_names() -> tuple[tuple[str, str], ...]:
    """Every setting there is, and for one that is gone what to use in its place."""
    told = []
    for name in names():
        gone = GONE.get(name)
        told.append((name, "" if gone is None else f"gone; {gone.successor or 'nothing needed'}"))
    return tuple(told)


@stage("configure", tags=("cpu",), made_by=(), remembered=False)
def configure_process(settings: dict[str, str], *, run: Run) -> Configuration:
    """Apply the training settings before TensorFlow's first op, and read them back."""
    run.report("configure", 0, 1)
    made = configure(settings, os.environ)
    run.report("configure", 1, 1)
    return made


@stage("train", tags=("gpu",), made_by=(), after=("configure",), remembered=False)
def train(
    store: str, spec: TrainSpec, configured: Configuration, resume: bool, *, run: Run
) -> TrainingResult:
    """Fit the text-to-mel model to a store, from its last checkpoint on."""
    with _cards(run, "train", configured, spec.memory_gib):
        return fit(
            open_store(store),
            spec,
            configured,
            run.out_dir,
            resume=resume,
            report=lambda done, total: run.report("train", done, total),
        )


@stage("diagnose", tags=("gpu",), made_by=(), after=("configure",), remembered=False)
def diagnose(
    store: str, spec: TrainSpec, configured: Configuration, effort: Effort, *, run: Run
) -> tuple[Diagnosis, dict[str, Any]]:
    """Say whether the training loop waits for its input, why, and what changing it gains."""
    run.report("diagnose", 0, 1)
    with _cards(run, "diagnose", configured, spec.memory_gib):
        found = diagnose_course(
            open_store(store),
            spec,
            configured,
            run.out_dir,
            effort=effort,
            alive=lambda: run.report("diagnose", 0, 1),
        )
    run.report("diagnose", 1, 1)
    return found


@contextmanager
def _cards(run: Run, name: str, configured: Configuration, need_gib: float) -> Iterator[None]:
    """A lease on each card that holds a replica; nothing where the model is on the CPU."""
    ledger = run.machine.ledger if run.machine is not None else None
    gpus = [int(device.rpartition(":")[2]) for device in configured.devices if ":GPU:" in device]
    visible = _visible(configured.rows)
    with ExitStack() as stack:
        for index in gpus:
            if ledger is None:
                break
            card = visible[index] if index < len(visible) else index
            lease = stack.enter_context(ledger.lend(stage=name, need_gib=need_gib, card=card))
            running = run.running()
            if running is not None:
                running.holds(lease)
        yield


def _visible(rows: Sequence[Row]) -> list[int]:
    """The cards behind TensorFlow's GPU 0, 1, ... when it was shown only some of them."""
    told = next((row.effective for row in rows if row.name == "devices.visible_gpus"), "")
    return [int(index) for index in told.split(",") if index]


@task(name="report training", task_run_name="report training", tags=["cpu"], cache_policy=NO_CACHE)
async def report_training(
    configured: Configuration,
    result: TrainingResult | None,
    diagnosis: tuple[Diagnosis, dict[str, Any]] | None,
    run: Run,
) -> Path:
    """Write `report.json` and publish settings, losses, pictures, verdict and stages."""
    uses = run.meter.uses() if run.meter else ()
    await acreate_table_artifact(
        key="stages", table=use_rows(uses), description="What each stage took"
    )
    if configured.rows:
        await acreate_table_artifact(
            key="training-settings",
            table=[row_cells(row) for row in configured.rows],
            description="Requested, in force, and why they differ",
        )
    if result is not None:
        await acreate_table_artifact(
            key="training", table=result_rows(result), description="What training came to"
        )
        for name, words in (("losses", "Loss over steps"), ("mel", "Said by model and recording")):
            await _picture(Path(result.folder) / f"{name}.png", f"training-{name}", words)
    if diagnosis is not None:
        await acreate_markdown_artifact(key="diagnosis", markdown=diagnosis_markdown(*diagnosis))
        await acreate_table_artifact(
            key="diagnosis-figures", table=diagnosis_rows(*diagnosis), description="As measured"
        )
    told = {
        "settings": [asdict(row) for row in configured.rows],
        "devices": configured.devices,
        "training": asdict(result) if result is not None else None,
        "diagnosis": _told(diagnosis),
        "stages": [asdict(use) for use in uses],
    }
    path = run.out_dir / REPORT
    part = path.with_suffix(".part")
    path.parent.mkdir(parents=True, exist_ok=True)
    part.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    part.replace(path)
    return path


def _told(diagnosis: tuple[Diagnosis, dict[str, Any]] | None) -> dict[str, Any] | None:
    if diagnosis is None:
        return None
    found, counters = diagnosis
    return {**asdict(found), "counters": counters, "exit_code": found.measured.verdict.exit_code}


async def _picture(path: Path, key: str, words: str) -> None:
    data = base64.b64encode(path.read_bytes()).decode()
    await acreate_image_artifact(
        image_url=f"data:image/png;base64,{data}", key=key, description=escape_markdown(words)
    )
