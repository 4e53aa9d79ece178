"""NVML in the place of the driver: cards whose figures a test sets, and which can fail as real ones
do.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from studio.gpu.cards import load_nvml

pynvml = load_nvml()
GIB = 1024**3


@dataclass
class FakeCard:
    """One card; `refuses` maps a function's name to the NVML error it raises."""

    name: str = "Imaginary 24"
    uuid: str = "GPU-aaaa"
    total: int = 24 * GIB
    used: int = 2 * GIB
    gpu: int = 50
    memory: int = 10
    encoder: int = 0
    decoder: int = 0
    power_mw: int = 100_000
    energy_mj: int | None = None
    reasons: int = 0
    arch: tuple[int, int] = (8, 9)
    nvenc: bool = True
    processes: list[tuple[int, int | None]] = field(default_factory=list)
    shares: list[tuple[int, int, int, int]] | None = None
    gpm: dict[int, float] | None = None
    slices: list[FakeCard] = field(default_factory=list)
    refuses: dict[str, int] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)


class FakeNvml:
    """Only what the product calls; constants and error classes are the binding's own."""

    def __init__(self, *cards: FakeCard, init_error: int | None = None) -> None:
        self.cards, self.init_error = list(cards), init_error
        self.time_us = 0

    def __getattr__(self, name: str) -> Any:
        if name.startswith(("NVML_", "NVMLError", "c_nvml")):
            return getattr(pynvml, name)
        if name.startswith("nvmlDevice"):
            return self._device_call(name)
        raise AttributeError(name)

    def nvmlInit(self) -> None:
        if self.init_error is not None:
            raise pynvml.NVMLError(self.init_error)

    def nvmlDeviceGetCount(self) -> int:
        return len(self.cards)

    def nvmlSystemGetDriverVersion(self) -> str:
        return "570.1"

    def nvmlSystemGetCudaDriverVersion(self) -> int:
        return 12080

    def nvmlDeviceGetHandleByIndex(self, index: int) -> FakeCard:
        return self.cards[index]

    def nvmlDeviceGetMigDeviceHandleByIndex(self, card: FakeCard, index: int) -> FakeCard:
        if index >= len(card.slices):
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
        return card.slices[index]

    def _device_call(self, name: str) -> Any:
        def call(card: FakeCard, *arguments: Any) -> Any:
            card.calls[name] = card.calls.get(name, 0) + 1
            code = card.refuses.get(name, card.refuses.get("*"))
            if code is not None:
                raise pynvml.NVMLError(code)
            return self._answer(name.removeprefix("nvmlDeviceGet"), card, arguments)

        return call

    def _answer(self, what: str, card: FakeCard, arguments: tuple[Any, ...]) -> Any:
        answers: dict[str, Any] = {
            "UUID": card.uuid,
            "Name": card.name,
            "MigMode": (1, 1) if card.slices else (0, 0),
            "MaxMigDeviceCount": 7,
            "MemoryInfo": SimpleNamespace(
                total=card.total, used=card.used, free=card.total - card.used
            ),
            "CudaComputeCapability": card.arch,
            "UtilizationRates": SimpleNamespace(gpu=card.gpu, memory=card.memory),
            "EncoderUtilization": [card.encoder, 167_000],
            "DecoderUtilization": [card.decoder, 167_000],
            "PowerUsage": card.power_mw,
            "ClockInfo": 1980,
            "Temperature": 55,
            "CurrentClocksEventReasons": card.reasons,
            "PcieThroughput": 2048,
            "GraphicsRunningProcesses": [],
            "ComputeRunningProcesses": [
                SimpleNamespace(pid=pid, usedGpuMemory=size) for pid, size in card.processes
            ],
        }
        if what == "EncoderCapacity":
            return self._or_refuse(100 if card.nvenc else None)
        if what == "TotalEnergyConsumption":
            return self._or_refuse(card.energy_mj)
        if what == "ProcessUtilization":
            return self._process_samples(card)
        return answers[what]

    def _or_refuse(self, value: Any) -> Any:
        if value is None:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return value

    def _process_samples(self, card: FakeCard) -> list[Any]:
        if card.shares is None:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        if not card.shares:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
        self.time_us += 1000
        return [
            SimpleNamespace(
                pid=p, smUtil=sm, memUtil=0, encUtil=enc, decUtil=dec, timeStamp=self.time_us
            )
            for p, sm, enc, dec in card.shares
        ]

    def nvmlGpmQueryDeviceSupport(self, card: FakeCard) -> Any:
        return SimpleNamespace(isSupportedDevice=int(card.gpm is not None))

    def nvmlGpmSampleAlloc(self) -> Any:
        return pynvml.c_nvmlGpmSample_t()

    def nvmlGpmSampleFree(self, sample: Any) -> None:
        return None

    def nvmlGpmSampleGet(self, card: FakeCard, sample: Any) -> Any:
        self._gpm_card = card
        return sample

    def nvmlGpmMetricsGet(self, request: Any) -> Any:
        figures = self._gpm_card.gpm or {}
        for slot in range(request.numMetrics):
            metric = request.metrics[slot]
            known = metric.metricId in figures
            metric.nvmlReturn = 0 if known else pynvml.NVML_ERROR_NOT_SUPPORTED
            metric.value = figures.get(metric.metricId, float("nan"))
        return request
