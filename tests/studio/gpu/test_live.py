"""The terminal's pictures of the cards and the ledger."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys

import pytest
from rich.console import Console, RenderableType

from studio.gpu.cards import Survey, load_nvml, survey
from studio.gpu.lease import Holding
from studio.gpu.live import cards_table, ledger_table, watch
from tests.studio.gpu.fake_nvml import GIB, FakeCard, FakeNvml


def printed(picture: RenderableType) -> str:
    console = Console(width=140, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    console.print(picture)
    return console.export_text()


def test_the_watch_follows_the_card_and_the_ledger() -> None:
    card = FakeCard(gpu=12, reasons=0x04)
    fake = FakeNvml(card)
    held = [
        Holding(stage="avatar[x]", pid=7, card=0, card_uuid="u", gib=8.0, nvenc=0, seconds=3.0),
        Holding(stage="music", pid=8, card=None, card_uuid=None, gib=9.0, nvenc=0, seconds=1.0),
    ]
    pictures = watch(fake, survey(fake, {}), lambda: held, sleep=lambda _: None)
    first = printed(next(pictures))
    card.gpu = 87
    second = printed(next(pictures))
    assert " 12 " in first
    assert " 87 " in second
    assert "power cap" in second
    assert "avatar[x]" in second
    assert "waiting" in second
    assert "n/a" in second
    pictures.close()  # type: ignore[attr-defined]


def test_memory_of_programs_that_borrowed_nothing_stands_apart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("studio.gpu.live.processes_visible", lambda: True)
    child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(60)"])
    try:
        mine, strangers = os.getpid(), 1
        shares = [(mine, 5 * GIB), (child.pid, 2 * GIB), (strangers, 3 * GIB)]
        fake = FakeNvml(FakeCard(used=11 * GIB, processes=[(pid, size) for pid, size in shares]))
        held = [
            Holding(stage="music", pid=mine, card=0, card_uuid="u", gib=8.0, nvenc=0, seconds=3.0)
        ]
        (picture,) = itertools.islice(watch(fake, survey(fake, {}), lambda: held), 1)
    finally:
        child.kill()
        child.wait()
    text = printed(picture)
    assert "others GiB" in text
    assert "11.0 of 24.0" in text
    assert " 3.0 " in text


def test_without_a_card_the_reason_is_shown() -> None:
    fake = FakeNvml(init_error=load_nvml().NVML_ERROR_LIBRARY_NOT_FOUND)
    (picture,) = itertools.islice(watch(fake, survey(fake, {}), list, sleep=lambda _: None), 1)
    assert "no NVIDIA driver" in printed(picture)
    assert "nobody waits" in printed(ledger_table([]))
    assert "No card" in printed(cards_table(Survey(why="none"), []))
