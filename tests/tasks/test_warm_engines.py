"""Real engines of tiny size through the pool: loaded once however many episodes use them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from studio.gpu.meter import Meter
from studio.specs import DeviceSpec, MixSpec, MusicSpec, VoiceSpec
from studio.store import Store
from tasks.machine import Machine
from tasks.music import score
from tasks.run import Run
from tasks.script import Order, rehearse
from tests.tasks.fake_card import GreedyDoor, machine_with

CPU = DeviceSpec(device="cpu", threads=1)


@pytest.mark.slow
def test_the_second_episode_loads_no_music_engine(dialogue: Path, run: Run, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from models.music.musicgen_weights import require_packages
    from tests.models.music.tiny_musicgen import save_tiny_musicgen

    require_packages()
    weights = str(save_tiny_musicgen(tmp_path / "musicgen"))
    spec = MusicSpec(engine=("musicgen_hf",), weights_dir=weights, max_generated_s=1.0)
    machine = machine_with(tmp_path / "ledger")
    with machine.pool, Meter() as meter:
        for number in (1, 2):
            # Another store and another seed: nothing is remembered, everything is made.
            store = Store(tmp_path / f"store-{number}")
            told = replace(run, store=store, machine=machine, meter=meter, device=CPU)
            heard = rehearse.fn(Order(script=str(dialogue)), run=told)
            assert score.fn(heard, VoiceSpec(), spec, MixSpec(), number, run=told).pieces
        assert sum(machine.pool.loads.values()) == 1
    first, second = (span for span in meter.trace().spans if span.stage == "music")
    assert [phase.kind for phase in first.phases] == ["load"]
    assert second.phases == ()


@pytest.mark.parametrize(("free_gib", "kept"), [(64.0, 2), (1.0, 1)])
def test_an_idle_engine_leaves_when_host_memory_is_short(
    dialogue: Path,
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    free_gib: float,
    kept: int,
) -> None:
    door = GreedyDoor(64.0)
    monkeypatch.setattr("tasks.music.open_composer", door)
    monkeypatch.setattr(
        "studio.engines.psutil.virtual_memory",
        lambda: SimpleNamespace(available=free_gib * 2**30),
    )
    machine: Machine = machine_with(tmp_path / "ledger")
    told = replace(run, machine=machine, device=CPU)
    heard = rehearse.fn(Order(script=str(dialogue)), run=told)
    with machine.pool:
        for model in ("small", "medium"):
            spec = MusicSpec.model_validate({"engine": ["musicgen_hf"], "model": model})
            score.fn(heard, VoiceSpec(), spec, MixSpec(), 7, run=told)
        assert len(door.opened) - door.closed == kept
