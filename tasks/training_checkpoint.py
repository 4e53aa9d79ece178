"""A training run on disk: weights, optimizer, place in the data and losses, in one file.

One file replaced whole: a killed run leaves the last checkpoint or the one before, never a mixture
of weights from one step with a place in the data from another.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.corpus import Cursor
from studio.errors import OutputError, StoreError
from studio.keys import fingerprint
from studio.training import LossPoint, TrainSpec

CHECKPOINT = "checkpoint.npz"

_ABOUT = "about"
_FORMAT = 1


@dataclass(frozen=True, kw_only=True, eq=False)
class Checkpoint:
    """Where a run stands: `step` steps are done, the next batch is at `cursor`."""

    step: int
    cursor: Cursor
    points: tuple[LossPoint, ...]
    state: dict[str, NDArray[np.generic]]


def save(folder: Path, spec: TrainSpec, made: Checkpoint) -> Path:
    """Write a checkpoint in place of the last one. Raises `OutputError` when it cannot be."""
    about = {
        "format": _FORMAT,
        "model": fingerprint(spec.model),
        "step": made.step,
        "cursor": made.cursor.to_json(),
        "points": [asdict(point) for point in made.points],
    }
    path = folder / CHECKPOINT
    part = path.with_suffix(".part")
    text = np.frombuffer(json.dumps(about).encode(), np.uint8)
    arrays: dict[str, Any] = {_ABOUT: text, **made.state}
    try:
        with part.open("wb") as file:
            np.savez(file, **arrays)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise OutputError(
            str(path), str(error), "Free some space or name another folder"
        ) from error
    return path


def load(folder: Path, spec: TrainSpec) -> Checkpoint | None:
    """The folder's checkpoint; None when there is none.

    Raises `StoreError` for one that cannot be read or that belongs to a model of another size.
    """
    path = folder / CHECKPOINT
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as arrays:
            state = {name: arrays[name] for name in arrays.files}
        about = json.loads(state.pop(_ABOUT).tobytes())
        points = tuple(LossPoint(**point) for point in about["points"])
        told, model, step, cursor = (about[k] for k in ("format", "model", "step", "cursor"))
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        remedy = "Remove it to begin anew"
        raise StoreError(str(path), f"cannot be read ({error})", remedy) from error
    if told != _FORMAT or model != fingerprint(spec.model):
        remedy = "Train with the same model, or into another folder"
        raise StoreError(str(path), "is of another model or version", remedy)
    return Checkpoint(step=int(step), cursor=Cursor.from_json(cursor), points=points, state=state)


def write_losses(folder: Path, points: Sequence[LossPoint]) -> Path:
    """`losses.jsonl`: a line for each point."""
    path = folder / "losses.jsonl"
    lines = [json.dumps(asdict(point)) + "\n" for point in points]
    part = path.with_suffix(".part")
    part.write_text("".join(lines), encoding="utf-8")
    part.replace(path)
    return path
