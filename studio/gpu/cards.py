"""Which cards there are, which of them this process may use, and what each can do.

NVML counts cards in PCI order and knows nothing of `CUDA_VISIBLE_DEVICES`; CUDA obeys it. The
survey follows CUDA's rules, so that a card's `index` here is the `cuda:<index>` of torch and
TensorFlow. NVML is passed in as a module-like object: `load_nvml()` gives the real one. Nothing
here raises for a machine without a driver: the survey says why.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

GIB = 1024**3


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A card (or a MIG slice of one) as CUDA numbers it.

    `uuid` is the same in every process of the host, `index` is not: ledgers count by `uuid`.
    `nvenc_sessions` is 0 where there is no encoder (MIG slices, A100, H100). `arch` is the compute
    capability, `None` when the driver does not say.
    """

    index: int
    uuid: str
    name: str
    memory_gib: float
    arch: tuple[int, int] | None = None
    nvenc_sessions: int = 0
    mig: bool = False
    handle: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """The cards that may be used; `why` explains an empty or doubtful list in one sentence."""

    cards: tuple[Card, ...] = ()
    driver: str | None = None
    cuda: str | None = None
    why: str = ""


def load_nvml() -> Any:
    """The real NVML binding (`nvidia-ml-py`). Importing it loads no driver."""
    import pynvml

    return pynvml


def survey(
    nvml: Any,
    environ: Mapping[str, str],
    *,
    nvenc_sessions: int = 3,
    memory_gib: float | None = None,
) -> Survey:
    """Find the cards that CUDA would show, in CUDA's order.

    Args:
        nvml: `load_nvml()` or an object with the same functions. It stays initialised: the handles
            need it.
        environ: the environment to obey; `CUDA_VISIBLE_DEVICES` and `CUDA_DEVICE_ORDER` are read.
        nvenc_sessions: encoder sessions to count per card that has an encoder.
        memory_gib: count this much memory per card instead of what the driver reports.
    """
    try:
        nvml.nvmlInit()
        count = nvml.nvmlDeviceGetCount()
    except nvml.NVMLError as error:
        return Survey(why=_no_driver(nvml, error))
    driver = _ask(nvml, nvml.nvmlSystemGetDriverVersion)
    version = _ask(nvml, nvml.nvmlSystemGetCudaDriverVersion)
    cuda = None if version is None else f"{version // 1000}.{version % 1000 // 10}"
    if count == 0:
        return Survey(
            driver=driver, cuda=cuda, why="the NVIDIA driver is loaded but reports no card"
        )
    devices = [_devices_of(nvml, position) for position in range(count)]
    chosen, why = _visible(devices, environ)
    cards = tuple(
        _card(nvml, index, device, nvenc_sessions=nvenc_sessions, memory_gib=memory_gib)
        for index, device in enumerate(chosen)
    )
    names = {card.name for card in cards}
    order = environ.get("CUDA_DEVICE_ORDER", "FASTEST_FIRST")
    if not why and len(names) > 1 and order != "PCI_BUS_ID":
        why = "the cards differ and CUDA orders them by speed: set CUDA_DEVICE_ORDER=PCI_BUS_ID"
    return Survey(cards=cards, driver=driver, cuda=cuda, why=why)


@dataclass(frozen=True, slots=True)
class _Device:
    """One thing that CUDA can show: a whole card, or one MIG slice."""

    handle: Any
    uuid: str
    mig: bool


def _no_driver(nvml: Any, error: Any) -> str:
    reasons = {
        nvml.NVML_ERROR_LIBRARY_NOT_FOUND: "no NVIDIA driver: libnvidia-ml was not found",
        nvml.NVML_ERROR_DRIVER_NOT_LOADED: "the NVIDIA driver is installed but not loaded",
        nvml.NVML_ERROR_NO_PERMISSION: "no permission to ask the NVIDIA driver",
        nvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH: (
            "the NVIDIA library and kernel module differ in version: restart the machine"
        ),
    }
    return reasons.get(error.value, f"the NVIDIA driver does not answer ({error})")


def _ask(nvml: Any, function: Any, *arguments: Any) -> Any:
    """The answer, or `None` where NVML refuses. Text comes as bytes from old bindings."""
    try:
        answer = function(*arguments)
    except nvml.NVMLError:
        return None
    return answer.decode() if isinstance(answer, bytes) else answer


def _devices_of(nvml: Any, position: int) -> list[_Device]:
    """The card at an NVML position: itself, or its MIG slices when it is cut into some."""
    handle = _ask(nvml, nvml.nvmlDeviceGetHandleByIndex, position)
    if handle is None:
        return []
    mode = _ask(nvml, nvml.nvmlDeviceGetMigMode, handle)
    if mode is None or mode[0] != nvml.NVML_DEVICE_MIG_ENABLE:
        uuid = _ask(nvml, nvml.nvmlDeviceGetUUID, handle) or f"NVML-{position}"
        return [_Device(handle, uuid, mig=False)]
    slices = []
    for number in range(_ask(nvml, nvml.nvmlDeviceGetMaxMigDeviceCount, handle) or 0):
        part = _ask(nvml, nvml.nvmlDeviceGetMigDeviceHandleByIndex, handle, number)
        if part is not None:
            uuid = _ask(nvml, nvml.nvmlDeviceGetUUID, part) or f"NVML-{position}-{number}"
            slices.append(_Device(part, uuid, mig=True))
    return slices


def _visible(devices: list[list[_Device]], environ: Mapping[str, str]) -> tuple[list[_Device], str]:
    """Apply `CUDA_VISIBLE_DEVICES`: CUDA stops at the first entry it does not know, and refuses one
    named twice.

    One process can use one MIG slice at most, so the first one stands for its card unless another
    is named.
    """
    wanted = environ.get("CUDA_VISIBLE_DEVICES")
    if wanted is None:
        return [parts[0] for parts in devices if parts], ""
    chosen: list[_Device] = []
    for entry in (text.strip() for text in wanted.split(",")):
        device = _named(devices, entry)
        if device is None:
            why = f"CUDA_VISIBLE_DEVICES={wanted!r} hides "
            return chosen, why + ("every card" if not chosen else f"all cards from {entry!r} on")
        if device in chosen:
            return [], f"CUDA_VISIBLE_DEVICES={wanted!r} names a card twice, so CUDA shows none"
        chosen.append(device)
    return chosen, ""


def _named(devices: list[list[_Device]], entry: str) -> _Device | None:
    if re.fullmatch(r"\d+", entry):
        position = int(entry)
        parts = devices[position] if position < len(devices) else []
        return parts[0] if parts else None
    if not entry.startswith(("GPU-", "MIG-")):
        return None
    matches = [part for parts in devices for part in parts if part.uuid.startswith(entry)]
    return matches[0] if len(matches) == 1 else None


def _card(
    nvml: Any, index: int, device: _Device, *, nvenc_sessions: int, memory_gib: float | None
) -> Card:
    memory = _ask(nvml, nvml.nvmlDeviceGetMemoryInfo, device.handle)
    total = memory.total / GIB if memory is not None else 0.0
    capability = _ask(nvml, nvml.nvmlDeviceGetCudaComputeCapability, device.handle)
    encoder = None
    if not device.mig:
        encoder = _ask(
            nvml, nvml.nvmlDeviceGetEncoderCapacity, device.handle, nvml.NVML_ENCODER_QUERY_H264
        )
    return Card(
        index=index,
        uuid=device.uuid,
        name=_ask(nvml, nvml.nvmlDeviceGetName, device.handle) or "NVIDIA card",
        memory_gib=total if memory_gib is None else memory_gib,
        arch=None if capability is None else (capability[0], capability[1]),
        nvenc_sessions=0 if encoder is None else nvenc_sessions,
        mig=device.mig,
        handle=device.handle,
    )
