from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.corpus import Cursor, Stretch
from studio.errors import OutputError, StoreError
from studio.training import LossPoint, ModelSpec, TrainSpec
from tasks.training_checkpoint import CHECKPOINT, Checkpoint, load, save, write_losses

SPEC = TrainSpec()
MADE = Checkpoint(
    step=12,
    cursor=Cursor(
        store_sha256="a" * 64,
        order_sha256="b" * 64,
        epoch=3,
        done=(Stretch(world=2, batch_size=8, steps=5),),
    ),
    points=(LossPoint(step=10, training=0.5, validation=None),),
    state={"v0000": np.arange(6, dtype=np.float32).reshape(2, 3), "v0001": np.array(7, np.int64)},
)


def test_what_is_saved_is_loaded_with_its_place_in_the_data(tmp_path: Path) -> None:
    assert load(tmp_path, SPEC) is None
    save(tmp_path, SPEC, MADE)
    found = load(tmp_path, SPEC)
    assert found is not None
    assert (found.step, found.cursor, found.points) == (MADE.step, MADE.cursor, MADE.points)
    assert found.state.keys() == MADE.state.keys()
    for name, array in MADE.state.items():
        assert np.array_equal(found.state[name], array)
        assert found.state[name].dtype == array.dtype
    assert [path.name for path in tmp_path.iterdir()] == [CHECKPOINT]


def test_a_checkpoint_cut_short_or_of_another_model_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path, SPEC, MADE)
    with pytest.raises(StoreError, match="another model"):
        load(tmp_path, TrainSpec(model=ModelSpec(width=64)))
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(StoreError, match="cannot be read"):
        load(tmp_path, SPEC)


def test_a_draft_left_by_a_killed_run_does_not_count(tmp_path: Path) -> None:
    save(tmp_path, SPEC, MADE)
    (tmp_path / "checkpoint.part").write_bytes(b"half of it")
    found = load(tmp_path, SPEC)
    assert found is not None
    assert found.step == MADE.step


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="checkpoint"):
        save(tmp_path / "missing", SPEC, MADE)


def test_losses_are_a_line_each(tmp_path: Path) -> None:
    points = [*MADE.points, LossPoint(step=20, training=0.25, validation=0.3)]
    lines = write_losses(tmp_path, points).read_text(encoding="utf-8").splitlines()
    assert len(lines) == 2
    assert '"validation": null' in lines[0]
