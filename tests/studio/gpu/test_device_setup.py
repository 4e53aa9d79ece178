"""Every wish of the profile has a row: what was asked, what is, and why; also without a card."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from studio.gpu.cards import Card
from studio.gpu.device_setup import SettingRow, effective_device, on_card, set_up_device
from studio.specs import DeviceSpec

ADA = Card(index=0, uuid="a", name="RTX 4090", memory_gib=24.0, arch=(8, 9))
TURING = Card(index=1, uuid="b", name="RTX 2080", memory_gib=8.0, arch=(7, 5))


class FakeTorch(SimpleNamespace):
    """What of torch is asked and told, with a card that it sees: the driver is what is replaced."""

    def __init__(self, *, started: bool = False) -> None:
        self.current: list[int] = []
        self.precision = ""

        @contextmanager
        def device(index: int) -> Iterator[None]:
            self.current.append(index)
            yield
            self.current.pop()

        cuda = SimpleNamespace(
            is_available=lambda: True, is_initialized=lambda: started, device=device
        )
        backends = SimpleNamespace(cudnn=SimpleNamespace(allow_tf32=False, benchmark=False))
        super().__init__(
            cuda=cuda,
            backends=backends,
            version=SimpleNamespace(cuda="13.0"),
            set_float32_matmul_precision=lambda word: setattr(self, "precision", word),
            __spec__=SimpleNamespace(name="torch"),
        )


@pytest.fixture
def torch(monkeypatch: pytest.MonkeyPatch) -> FakeTorch:
    fake = FakeTorch()
    monkeypatch.setitem(sys.modules, "torch", fake)
    return fake


def _rows(spec: DeviceSpec, *cards: Card, environ: dict[str, str] | None = None) -> dict[str, Any]:
    rows = set_up_device(spec, cards, {} if environ is None else environ)
    assert len({row.setting for row in rows}) == len(rows)
    return {row.setting: row for row in rows}


def test_without_a_card_every_wish_for_one_is_reported_as_without_effect() -> None:
    spec = DeviceSpec(dtype="fp16", cudnn_benchmark=True, allocator="expandable_segments:True")
    rows = _rows(spec)
    assert rows["device"].effective == "cpu"
    assert rows["dtype"].effective == "fp32"
    for name in ("tf32", "cudnn_benchmark", "allocator"):
        assert rows[name].effective == "no effect"
        assert "no NVIDIA card" in rows[name].why
    assert effective_device(spec, ())[0].dtype == "fp32"
    assert effective_device(DeviceSpec(device="cpu", dtype="bf16"), ())[0].dtype == "bf16"


def test_with_a_card_the_settings_reach_torch(torch: FakeTorch) -> None:
    rows = _rows(DeviceSpec(tf32=True, cudnn_benchmark=True), ADA)
    assert rows["device"].effective == "cuda"
    assert not any(row.ignored for row in rows.values())
    assert torch.precision == "high"
    assert torch.backends.cudnn.allow_tf32
    assert torch.backends.cudnn.benchmark
    _rows(DeviceSpec(tf32=False), ADA)
    assert torch.precision == "highest"
    assert not torch.backends.cudnn.allow_tf32
    assert not torch.backends.cudnn.benchmark


def test_an_old_card_has_no_tf32_and_slow_bf16(torch: FakeTorch) -> None:
    rows = _rows(DeviceSpec(dtype="bf16"), TURING)
    assert rows["tf32"].effective == "no effect"
    assert "RTX 2080" in rows["tf32"].why
    assert rows["bf16"].effective == "emulated"
    mixed = _rows(DeviceSpec(), ADA, TURING)
    assert mixed["tf32"].effective == "True"
    assert "card 1" in mixed["tf32"].why
    assert "tf32" in _rows(DeviceSpec(card=0), ADA, TURING)
    assert not _rows(DeviceSpec(card=0), ADA, TURING)["tf32"].why


def test_the_allocator_is_set_before_cuda_starts_or_it_is_said_that_it_was_not(
    torch: FakeTorch, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = DeviceSpec(allocator="expandable_segments:True")
    environ: dict[str, str] = {}
    assert not _rows(spec, ADA, environ=environ)["allocator"].ignored
    assert environ["PYTORCH_CUDA_ALLOC_CONF"] == "expandable_segments:True"
    users = _rows(spec, ADA, environ={"PYTORCH_ALLOC_CONF": "backend:native"})["allocator"]
    assert (users.effective, users.ignored) == ("backend:native", True)
    monkeypatch.setitem(sys.modules, "torch", FakeTorch(started=True))
    late = _rows(spec, ADA)["allocator"]
    assert late.ignored
    assert "started before" in late.why


def test_compilation_needs_a_compiler(torch: FakeTorch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("studio.gpu.device_setup.shutil.which", lambda _: None)
    row = _rows(DeviceSpec(device="cpu", compile=True))["compile"]
    assert (row.effective, row.why) == ("engines refuse", "no C++ compiler")
    monkeypatch.setattr("studio.gpu.device_setup.shutil.which", lambda _: "/usr/bin/g++")
    assert not _rows(DeviceSpec(device="cpu", compile=True))["compile"].ignored


def test_a_thread_works_on_the_card_of_its_engine(torch: FakeTorch) -> None:
    for device in ("cpu", "cuda"):
        with on_card(device):
            assert torch.current == []
    with on_card("cuda:1"):
        assert torch.current == [1]
    assert torch.current == []


def test_auto_that_finds_a_card_is_no_wish_ignored() -> None:
    assert not SettingRow(setting="device", requested="auto", effective="cuda").ignored
    assert SettingRow(setting="tf32", requested="True", effective="no effect", why="x").ignored
