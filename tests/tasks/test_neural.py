"""Neural stages: borrowed memory, warm engines, steps down that are seen; the card is imagined."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from models.needs import avatar_need_gib, music_need_gib
from studio.errors import EngineUnavailable
from studio.gpu.meter import Meter
from studio.memory_ladder import Rung
from studio.specs import AvatarSpec, DeviceSpec, MixSpec, MusicSpec, VoiceSpec
from studio.store import Store
from studio.types import MusicTrack
from tasks.music import score
from tasks.neural import Post, first_that_serves
from tasks.run import Run
from tasks.script import Order, rehearse
from tasks.speech import speak
from tests.tasks.fake_card import GreedyDoor, OutOfMemoryError, machine_with

SCRIPT = "\n".join(f"[MUSIC: piece {n}]\nLine {n}.\n[MUSIC: stop]" for n in range(8))
CUDA = DeviceSpec(device="cuda")


def _script(tmp_path: Path) -> Path:
    path = tmp_path / "script.txt"
    path.write_text(SCRIPT, encoding="utf-8")
    return path


def _score(tmp_path: Path, run: Run, spec: MusicSpec) -> MusicTrack:
    heard = rehearse.fn(Order(script=str(_script(tmp_path))), run=run)
    return score.fn(heard, VoiceSpec(), spec, MixSpec(), 7, run=run)


@pytest.mark.parametrize(
    ("model", "card_gib", "free_gib", "used"),
    [
        # What the ledger can lend decides before anything is tried ...
        ("small", 141.0, 141.0, []),
        ("small", 24.0, 24.0, []),
        ("small", 8.0, 8.0, []),
        ("medium", 24.0, 24.0, []),
        ("medium", 16.0, 16.0, ["batch 4"]),
        ("medium", 8.0, 8.0, ["batch 4", "batch 2", "batch 1", "fp16, batch 1"]),
        ("large", 141.0, 141.0, []),
        ("large", 8.0, 8.0, ["batch 4", "batch 2", "batch 1", "fp16", "offloaded"]),
        ("large", 1.0, 1.0, ["batch 4", "batch 2", "batch 1", "fp16", "offloaded", "cpu, fp32"]),
        # ... and the card itself where somebody who is not in the ledger has taken of it.
        ("medium", 141.0, 10.5, ["batch 4", "batch 2", "batch 1"]),
    ],
)
def test_the_same_music_is_made_on_every_card_and_each_step_is_recorded(
    tmp_path: Path,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    model: str,
    card_gib: float,
    free_gib: float,
    used: list[str],
) -> None:
    door = GreedyDoor(free_gib)
    monkeypatch.setattr("tasks.music.open_composer", door)
    machine = machine_with(tmp_path / "ledger", card_gib)
    run = replace(run, machine=machine, device=CUDA)
    spec = MusicSpec.model_validate({"engine": ["musicgen_hf"], "model": model})
    with machine.pool:
        track = _score(tmp_path, run, spec)
        assert len(track.pieces) == 8
        assert len(track.fallbacks) == len(used)
        for step, words in zip(track.fallbacks, used, strict=True):
            assert words in step.used
            assert step.stage == "music"
            assert "GiB" in step.why
        tried = [
            (e.spec.batch, e.device.dtype, e.device.offload, e.device.device) for e in door.opened
        ]
        assert len(set(tried)) == len(tried)
    assert door.closed == len(door.opened)
    assert machine.holdings() == ()


def test_what_ran_out_of_memory_is_closed_at_once_and_never_tried_again(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    door = GreedyDoor(9.0)
    monkeypatch.setattr("tasks.music.open_composer", door)
    machine = machine_with(tmp_path / "ledger", 141.0)
    run = replace(run, machine=machine, device=CUDA)
    spec = MusicSpec(engine=("musicgen_hf",), model="medium")
    with machine.pool:
        first = _score(tmp_path, run, spec)
        assert door.closed == len(door.opened) - 1
        (held,) = machine.holdings()
        assert held.idle
        opened = len(door.opened)
        second = _score(tmp_path, replace(run, store=Store(tmp_path / "another")), spec)
        assert len(door.opened) == opened
    assert [step.used for step in second.fallbacks] == [step.used for step in first.fallbacks]
    assert "in an earlier use" in second.fallbacks[-1].why


def test_the_second_episode_finds_the_engine_loaded(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    door = GreedyDoor(24.0)
    monkeypatch.setattr("tasks.music.open_composer", door)
    machine = machine_with(tmp_path / "ledger", 24.0)
    spec = MusicSpec(engine=("musicgen_hf",))
    with machine.pool:
        for seed in (1, 2):
            heard = rehearse.fn(Order(script=str(_script(tmp_path))), run=run)
            told = replace(run, machine=machine, device=CUDA)
            score.fn(heard, VoiceSpec(), spec, MixSpec(), seed, run=told)
    assert len(door.opened) == 1


def test_a_strict_run_takes_no_step(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.music.open_composer", GreedyDoor(8.0))
    machine = machine_with(tmp_path / "ledger", 8.0)
    run = replace(run, machine=machine, device=CUDA, strict=True)
    with machine.pool, pytest.raises(EngineUnavailable, match="memory was not enough"):
        _score(tmp_path, run, MusicSpec(engine=("musicgen_hf", "hum"), model="large"))


def test_without_weights_the_declared_alternative_is_used_and_said(
    tmp_path: Path, run: Run
) -> None:
    machine = machine_with(tmp_path / "ledger")
    run = replace(run, machine=machine)
    heard = rehearse.fn(Order(script=str(_script(tmp_path))), run=run)
    nowhere = str(tmp_path / "no weights")
    voice = VoiceSpec(engine=("coqui_tts", "tone"), weights_dir=nowhere)
    with machine.pool, Meter() as meter:
        track = speak.fn(heard, voice, MixSpec(), 7, run=replace(run, meter=meter))
    (span,) = [span for span in meter.trace().spans if span.stage == "speech"]
    assert span.phases == ()
    (step,) = track.fallbacks
    assert (step.wanted, step.used) == ("coqui_tts", "tone")
    assert step.why
    assert {line.engine for line in track.lines} == {"tone"}


def test_weightless_engines_borrow_nothing(tmp_path: Path, run: Run) -> None:
    machine = machine_with(tmp_path / "ledger", 24.0)
    with machine.pool:
        _score(tmp_path, replace(run, machine=machine), MusicSpec(engine=("hum",)))
        assert machine.pool.loads == {}
        assert machine.holdings() == ()


def test_a_stage_that_waits_for_its_share_says_so(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.music.open_composer", GreedyDoor(24.0))
    machine = machine_with(tmp_path / "ledger", 24.0)
    assert machine.ledger is not None
    spec = MusicSpec(engine=("musicgen_hf",))
    with machine.pool, Meter(machine.found.cards, nvml=machine.nvml) as meter:
        told = replace(run, machine=machine, device=CUDA, meter=meter)
        lease = machine.ledger.lend(stage="training", need_gib=23.0)
        asked = time.monotonic()
        stage = threading.Thread(target=_score, args=(tmp_path, told, spec))
        stage.start()
        while not machine.ledger.somebody_waits():
            time.sleep(0.01)
        time.sleep(0.4)
        lease.give_back()
        stage.join()
        waited = time.monotonic() - asked
    (span,) = [s for s in meter.trace().spans if s.stage == "music"]
    waits = [phase for phase in span.phases if phase.kind == "lease"]
    assert 0.2 < sum(phase.end_s - phase.start_s for phase in waits) < waited
    assert [phase.kind for phase in span.phases].count("load") == 1
    assert span.holds[0].card == 0


def test_any_other_error_of_an_engine_is_no_reason_to_step_down(tmp_path: Path, run: Run) -> None:
    machine = machine_with(tmp_path / "ledger", 24.0)
    door = GreedyDoor(24.0)
    post = Post(
        name="musicgen_hf",
        family="music",
        spec=0,
        open_at=lambda device, batch: door("musicgen_hf", MusicSpec(batch=batch), device),
        neural=True,
    )

    def fail(_: object) -> None:
        raise KeyError("of the engine")

    with machine.pool, pytest.raises(KeyError):
        first_that_serves(replace(run, machine=machine, device=CUDA), "music", [post], fail)
    assert len(door.opened) == 1


def test_the_card_named_in_the_profile_is_the_one_that_is_used(tmp_path: Path, run: Run) -> None:
    machine = machine_with(tmp_path / "ledger", 24.0, 24.0)
    door = GreedyDoor(24.0)
    post = Post(
        name="musicgen_hf",
        family="music",
        spec=0,
        open_at=lambda device, batch: door("musicgen_hf", MusicSpec(batch=batch), device),
        neural=True,
        need_gib=lambda rung: 2.0,
    )
    cards = []
    with machine.pool:
        for device in (CUDA, CUDA.model_copy(update={"card": 1})):
            told = replace(run, machine=machine, device=device)
            cards.append(
                first_that_serves(told, "music", [post], lambda e: door.opened[-1].device.card)[0]
            )
    assert cards == [0, 1]


def test_needs_fall_with_every_step() -> None:
    music, avatar = MusicSpec(model="large"), AvatarSpec()
    ways = [
        Rung(device="cuda", dtype="fp32", batch=8),
        Rung(device="cuda", dtype="fp32", batch=4),
        Rung(device="cuda", dtype="fp16", batch=4),
        Rung(device="cuda", dtype="fp16", batch=4, offload=True),
        Rung(device="cpu", dtype="fp32", batch=8),
    ]
    needs = [music_need_gib("musicgen_hf", music, way) for way in ways]
    assert needs == sorted(needs, reverse=True)
    assert len(set(needs)) == len(needs)
    assert needs[-1] == 0.0
    for engine in ("wav2lip", "sadtalker"):
        filmed = [avatar_need_gib(engine, avatar, way) for way in ways[:3]]
        assert filmed == sorted(filmed, reverse=True)
        assert len(set(filmed)) == 3
    assert avatar_need_gib("viseme", avatar, ways[0]) == 0.0


def test_the_imagined_error_is_one_that_the_ladder_knows() -> None:
    from studio.memory_ladder import is_out_of_memory

    assert is_out_of_memory(OutOfMemoryError("CUDA out of memory"))
