"""How torch is set up on this machine before its first operation, and what became of each wish.

The profile asks (`studio.specs.DeviceSpec`); the driver, the card and the build of torch decide.
Every wish has a row: requested, effective, and why where the two differ. TF32 needs compute
capability 8.0 (Ampere); the allocator reads its settings once, when CUDA starts.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from studio.gpu.cards import Card
from studio.specs import DeviceSpec

ALLOCATOR_VARIABLES = ("PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF")
"""The older name first; torch 2.9 and newer read both."""

_TF32_ARCH, _BF16_ARCH = (8, 0), (8, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingRow:
    """One wish of the profile. `why` is empty where it is met as it stands."""

    setting: str
    requested: str
    effective: str
    why: str = ""

    @property
    def ignored(self) -> bool:
        """Whether something else is in effect than was asked for."""
        return self.requested not in ("auto", self.effective)


def effective_device(spec: DeviceSpec, cards: Sequence[Card]) -> tuple[DeviceSpec, str]:
    """What `device = "auto"` means here, and why it is the CPU where it is; loads torch only where
    there is a card.

    On a CPU that was not asked for by name half precision becomes fp32: torch emulates it there.
    """
    if spec.device != "auto":
        return spec, ""
    why = _why_no_cuda(cards)
    if not why:
        return spec.model_copy(update={"device": "cuda"}), ""
    return spec.model_copy(update={"device": "cpu", "dtype": "fp32", "offload": False}), why


def set_up_device(
    spec: DeviceSpec, cards: Sequence[Card], environ: MutableMapping[str, str]
) -> tuple[SettingRow, ...]:
    """Apply the profile's wishes to this process. Call it before the first operation of torch.

    Without torch, or on the CPU, the settings of a card are reported as ignored.
    """
    allocator = _allocate(spec, environ)
    settled, why = effective_device(spec, cards)
    on_card = settled.device == "cuda" and importlib.util.find_spec("torch") is not None
    off = why or ("the engines run on the CPU" if settled.device == "cpu" else "no torch")
    rows = [
        SettingRow(setting="device", requested=spec.device, effective=settled.device, why=why),
        SettingRow(
            setting="dtype",
            requested=spec.dtype,
            effective=settled.dtype,
            why="" if spec.dtype == settled.dtype else f"half precision is for cards: {why}",
        ),
    ]
    if on_card:
        rows += _tell_torch(spec, cards)
    else:
        rows += [
            SettingRow(setting=name, requested=str(wish), effective="no effect", why=off)
            for name, wish in (("tf32", spec.tf32), ("cudnn_benchmark", spec.cudnn_benchmark))
            if wish
        ]
    if allocator is not None:
        rows.append(allocator if on_card else _without_effect(allocator, off))
    rows += _of_engines(spec, settled)
    return tuple(rows)


@contextmanager
def on_card(device: str) -> Iterator[None]:
    """Make a card such as "cuda:1" the calling thread's current one, where torch is loaded.

    Engines ask for "cuda", which is the thread's current card; a warm engine is used by threads
    other than the one that loaded it.
    """
    kind, _, number = device.partition(":")
    torch: Any = sys.modules.get("torch")
    if kind != "cuda" or not number or torch is None or not torch.cuda.is_available():
        yield
        return
    with torch.cuda.device(int(number)):
        yield


def _why_no_cuda(cards: Sequence[Card]) -> str:
    if not cards:
        return "there is no NVIDIA card that may be used"
    if importlib.util.find_spec("torch") is None:
        return "torch is not installed"
    import torch

    if torch.cuda.is_available():
        return ""
    return "this build of torch has no CUDA" if torch.version.cuda is None else "torch sees no card"


def _allocate(spec: DeviceSpec, environ: MutableMapping[str, str]) -> SettingRow | None:
    """Set the allocator's variable: first, because asking torch for its cards may start CUDA."""
    if not spec.allocator:
        return None
    known = next((environ[name] for name in ALLOCATOR_VARIABLES if environ.get(name)), "")
    if known and known != spec.allocator:
        why = "the environment says so, and wins"
        return _allocator_row(spec, known, why)
    torch: Any = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized() and not known:
        return _allocator_row(spec, "as it started", "CUDA was started before: set the variable")
    for name in ALLOCATOR_VARIABLES:
        environ[name] = spec.allocator
    return _allocator_row(spec, spec.allocator)


def _allocator_row(spec: DeviceSpec, effective: str, why: str = "") -> SettingRow:
    return SettingRow(setting="allocator", requested=spec.allocator, effective=effective, why=why)


def _without_effect(row: SettingRow, why: str) -> SettingRow:
    return SettingRow(setting=row.setting, requested=row.requested, effective="no effect", why=why)


def _tell_torch(spec: DeviceSpec, cards: Sequence[Card]) -> Iterator[SettingRow]:
    import torch

    torch.set_float32_matmul_precision("high" if spec.tf32 else "highest")
    torch.backends.cudnn.allow_tf32 = spec.tf32
    torch.backends.cudnn.benchmark = spec.cudnn_benchmark
    used = [card for card in cards if spec.card in (None, card.index)]
    old = [card for card in used if card.arch is not None and card.arch < _TF32_ARCH]
    why = f"compute capability 8.0 is needed: {_names(old)}" if old and spec.tf32 else ""
    effective = "no effect" if why and len(old) == len(used) else str(spec.tf32)
    yield SettingRow(setting="tf32", requested=str(spec.tf32), effective=effective, why=why)
    yield SettingRow(
        setting="cudnn_benchmark",
        requested=str(spec.cudnn_benchmark),
        effective=str(torch.backends.cudnn.benchmark),
    )
    if spec.dtype == "bf16":
        emulated = [card for card in used if card.arch is not None and card.arch < _BF16_ARCH]
        if emulated:
            why = f"emulated, slower than fp16, on {_names(emulated)}"
            yield SettingRow(setting="bf16", requested="bf16", effective="emulated", why=why)


def _of_engines(spec: DeviceSpec, settled: DeviceSpec) -> Iterator[SettingRow]:
    """What each engine does itself at its opening."""
    if spec.compile:
        missing = _missing_compiler(settled)
        yield SettingRow(
            setting="compile",
            requested="True",
            effective="engines refuse" if missing else "True",
            why=missing or "VITS, XTTS, MusicGen (transformers), Wav2Lip, SadTalker; no other",
        )
    if spec.threads:
        yield SettingRow(
            setting="threads", requested=str(spec.threads), effective=str(spec.threads)
        )
    if spec.offload:
        works = settled.device == "cuda"
        yield SettingRow(
            setting="offload",
            requested="True",
            effective="True" if works else "no effect",
            why="MusicGen (transformers) only" if works else "the engines run on the CPU",
        )


def _missing_compiler(settled: DeviceSpec) -> str:
    """torch.compile writes Triton for a card and C++ for a CPU."""
    if importlib.util.find_spec("torch") is None:
        return "torch is not installed"
    if settled.device == "cuda":
        return "" if importlib.util.find_spec("triton") else "triton is not installed"
    compilers = (os.environ.get("CXX", ""), "g++", "clang++")
    return "" if any(name and shutil.which(name) for name in compilers) else "no C++ compiler"


def _names(cards: Sequence[Card]) -> str:
    return ", ".join(f"card {card.index} ({card.name})" for card in cards)
