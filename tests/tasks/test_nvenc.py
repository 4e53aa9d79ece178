"""Encoder sessions are borrowed for an encode; only the card and its NVENC are imagined."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from studio.errors import EncodeError, EngineUnavailable
from studio.ffmpeg import Trial, parse_encoder
from studio.gpu.meter import Meter
from studio.sinks import Job, video_options
from studio.specs import DeviceSpec, EncodeSpec, GpuSpec
from studio.types import Fallback
from tasks.nvenc import open_encoder
from tasks.run import RUNNING, Run
from tasks.tag_limits import keep_limits, tags_for
from tests.tasks.fake_card import machine_with

NAMES = ("pyav:h264_nvenc", "pyav:libx264")


def works(names: Sequence[str]) -> tuple[Trial, tuple[Fallback, ...]]:
    """In the place of the trial frame: the first of the list encodes."""
    library, encoder = parse_encoder(names[0])
    return Trial(library=library, encoder=encoder, binary="", cause="works", said=""), ()


@pytest.fixture
def with_cards(tmp_path: Path, run: Run) -> Run:
    return replace(run, machine=machine_with(tmp_path / "ledger", 8.0, 24.0))


def test_a_session_is_held_on_the_card_with_most_room_as_long_as_it_encodes(
    with_cards: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.nvenc.choose_encoder", works)
    assert with_cards.machine is not None
    with open_encoder(NAMES, 1920, 1080, with_cards) as chosen:
        (held,) = with_cards.machine.holdings()
        assert (held.stage, held.nvenc, held.card) == ("encode", 1, 1)
        assert chosen.card == 1
    assert with_cards.machine.holdings() == ()


def test_a_session_that_the_trial_refuses_is_given_back_at_once(with_cards: Run) -> None:
    # No NVENC answers on the machine that runs the tests by default: the real trial falls through.
    assert with_cards.machine is not None
    with open_encoder(("pyav:h264_nvenc", "pyav:libx264"), 640, 360, with_cards) as chosen:
        if chosen.trial.encoder == "libx264":
            assert chosen.card is None
            assert chosen.steps[0].wanted == "pyav:h264_nvenc"
            assert with_cards.machine.holdings() == ()
    assert with_cards.machine.holdings() == ()


def test_without_cards_or_without_nvenc_in_the_list_nothing_is_borrowed(
    tmp_path: Path, run: Run, with_cards: Run
) -> None:
    for told in (run, replace(run, machine=machine_with(tmp_path / "none")), with_cards):
        with open_encoder(("pyav:libx264",), 640, 360, told) as chosen:
            assert chosen.card is None
            if told.machine is not None:
                assert told.machine.holdings() == ()


def test_the_fourth_encode_of_a_card_with_three_sessions_waits_and_says_so(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.nvenc.choose_encoder", works)
    machine = machine_with(tmp_path / "ledger", 24.0)
    assert machine.ledger is not None
    others = [machine.ledger.try_lend(stage="other", need_gib=1.0, nvenc=1) for _ in range(3)]
    encoded: list[float] = []

    def encode(meter: Meter) -> None:
        with meter.stage("encode") as running:
            RUNNING.set(running)
            with open_encoder(NAMES, 1920, 1080, replace(run, machine=machine, meter=meter)):
                encoded.append(time.monotonic())

    with Meter(machine.found.cards, nvml=machine.nvml) as meter:
        thread = threading.Thread(target=encode, args=(meter,))
        thread.start()
        while not machine.ledger.somebody_waits():
            time.sleep(0.01)
        assert not encoded
        time.sleep(0.2)
        for lease in others:
            assert lease
            lease.give_back()
        thread.join(10)
    (span,) = meter.trace().spans
    assert [phase.kind for phase in span.phases] == ["lease"]
    assert span.phases[0].end_s - span.phases[0].start_s > 0.15


def test_what_no_card_can_ever_lend_is_a_step_down_or_an_error(tmp_path: Path, run: Run) -> None:
    told = replace(run, machine=machine_with(tmp_path / "ledger", 8.0, reserve_gib=7.9))
    with open_encoder(NAMES, 1920, 1080, told) as chosen:
        assert chosen.trial.encoder == "libx264"
        assert "the largest card can lend" in chosen.steps[0].why
    with (
        pytest.raises((EngineUnavailable, EncodeError)),
        open_encoder(NAMES, 1920, 1080, replace(told, strict=True)),
    ):
        pass


def test_the_lent_card_is_the_one_that_encodes() -> None:
    job = Job(
        width=640, height=360, fps=30, num_frames=1, sound=Path("x"), title="", chapters=(), card=1
    )
    assert video_options("h264_nvenc", EncodeSpec(), job)["gpu"] == "1"
    assert "gpu" not in video_options("libx264", EncodeSpec(), job)
    assert "gpu" not in video_options("h264_nvenc", EncodeSpec(), replace(job, card=None))


def test_tags_say_what_a_stage_may_use_on_this_machine(run: Run, with_cards: Run) -> None:
    engines = ("coqui_tts", "espeak_ng")
    assert tags_for(run, engines) == ()
    assert tags_for(with_cards, engines) == ("gpu",)
    assert tags_for(with_cards, ("espeak_ng",)) == ()
    assert tags_for(with_cards, NAMES) == ("gpu:nvenc",)
    bound = replace(with_cards, device=DeviceSpec(device="cuda", card=1))
    assert tags_for(bound, engines) == ("gpu", "gpu:1")
    assert tags_for(replace(run, device=DeviceSpec(device="cpu")), engines) == ()


async def _limits(gpu: GpuSpec) -> tuple[dict[str, int], dict[str, int]]:
    from prefect.client.orchestration import get_client

    kept = await keep_limits(gpu)
    async with get_client() as client:
        found = await client.read_global_concurrency_limits(limit=100, offset=0)
    return kept, {one.name: one.limit for one in found if one.name.startswith("tag:gpu")}


def test_limits_are_kept_right_however_often_and_only_when_asked_for(prefect_server: None) -> None:
    import asyncio

    assert asyncio.run(_limits(GpuSpec())) == ({}, {})
    for wanted in (2, 2, 5):
        kept, found = asyncio.run(_limits(GpuSpec(gpu_tasks=wanted, nvenc_tasks=3)))
        assert kept == {"gpu": wanted, "gpu:nvenc": 3}
        assert found == {"tag:gpu": wanted, "tag:gpu:nvenc": 3}
    assert asyncio.run(_limits(GpuSpec()))[1] == {"tag:gpu": 5, "tag:gpu:nvenc": 3}
