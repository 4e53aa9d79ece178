"""Reading one card. Every sensor is optional by itself: unsupported, refused or lost, it reads
`None` and nothing else.

A sensor that the card or the driver will never have (not supported, no permission, unknown
function) is asked once and then left alone; a hiccup is `None` for that reading; a card that fell
off the bus is `None` from then on.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from studio.gpu.cards import Card
from studio.gpu.trace import CardReading

MIB = 1024**2

_SLOW_EVERY_NS = 1_000_000_000
"""PCIe counters are read once a second: each call of nvmlDeviceGetPcieThroughput sleeps 20 ms in
the driver.
"""

_GPM_LEAST_NS = 90_000_000
"""Two GPM samples closer than this have counted too little to divide; the last figures stand a
little longer.
"""

_THROTTLE_BITS = {
    0x04: "power cap",
    0x08: "hardware slowdown",
    0x20: "heat (software)",
    0x40: "heat (hardware)",
    0x80: "power brake",
}
"""Bits of nvmlClocksEventReasons that hold clocks down against the work's wish; idle and user
limits are no complaint.
"""


@dataclass(frozen=True, slots=True)
class ProcessShare:
    """What NVML says one process did on the card lately, in percent of time."""

    sm_pct: float
    encoder_pct: float
    decoder_pct: float


class CardSensor:
    """Reads one card again and again. Not for several threads at once; `close` frees the GPM
    samples.

    `processes_visible` is False where NVML's process numbers mean nothing (a container's own PID
    namespace): figures per process are then `None`, because counting a stranger's memory as
    nobody's would be a lie.
    """

    def __init__(
        self,
        nvml: Any,
        card: Card,
        *,
        processes_visible: bool = True,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._nvml, self.card, self._clock_ns = nvml, card, clock_ns
        self._processes_visible = processes_visible
        self._absent: set[str] = set()
        self._last_slow_ns: int | None = None
        self._pcie: tuple[float | None, float | None] = (None, None)
        self._last_process_us = 0
        self._gpm = _open_gpm(nvml, card)
        self.lost = False
        self.why_absent: dict[str, str] = {}

    def read(
        self, ours: Collection[int], *, slow: bool
    ) -> tuple[CardReading, dict[int, ProcessShare] | None]:
        """One reading, and what each process did (`None`: NVML cannot say).

        Args:
            ours: process ids whose memory counts as ours.
            slow: whether calls that take tens of milliseconds may be made now.
        """
        nvml = self._nvml
        utilisation = self._ask("utilisation", nvml.nvmlDeviceGetUtilizationRates)
        encoder = self._ask("encoder", nvml.nvmlDeviceGetEncoderUtilization)
        decoder = self._ask("decoder", nvml.nvmlDeviceGetDecoderUtilization)
        memory = self._ask("memory", nvml.nvmlDeviceGetMemoryInfo)
        power = self._ask("power", nvml.nvmlDeviceGetPowerUsage)
        reasons = self._ask("throttle", _event_reasons(nvml))
        mine, others = self._memory_by_owner(ours)
        deep = self._deep()
        tx, rx = deep.pop("tx", None), deep.pop("rx", None)
        if tx is None and rx is None:
            tx, rx = self._slow_pcie(slow)
        reading = CardReading(
            card=self.card.index,
            gpu_util_pct=None if utilisation is None else float(utilisation.gpu),
            mem_util_pct=None if utilisation is None else float(utilisation.memory),
            encoder_util_pct=None if encoder is None else float(encoder[0]),
            decoder_util_pct=None if decoder is None else float(decoder[0]),
            memory_used_mib=None if memory is None else memory.used / MIB,
            memory_ours_mib=mine,
            memory_others_mib=others,
            power_w=None if power is None else power / 1000.0,
            energy_mj=self._ask("energy", nvml.nvmlDeviceGetTotalEnergyConsumption),
            sm_clock_mhz=self._ask("SM clock", nvml.nvmlDeviceGetClockInfo, nvml.NVML_CLOCK_SM),
            mem_clock_mhz=self._ask(
                "memory clock", nvml.nvmlDeviceGetClockInfo, nvml.NVML_CLOCK_MEM
            ),
            temperature_c=self._ask(
                "temperature", nvml.nvmlDeviceGetTemperature, nvml.NVML_TEMPERATURE_GPU
            ),
            throttle=None if reasons is None else _throttle_names(reasons),
            pcie_tx_mib_s=tx,
            pcie_rx_mib_s=rx,
            **deep,
        )
        return reading, self._process_shares()

    def close(self) -> None:
        """Free what GPM allocated; a lost card refuses, which is no news by then."""
        if self._gpm is not None:
            self._gpm.free()
            self._gpm = None

    def _ask(self, sensor: str, function: Any, *arguments: Any) -> Any:
        if self.lost or sensor in self._absent or function is None:
            return None
        nvml = self._nvml
        try:
            return function(self.card.handle, *arguments)
        except nvml.NVMLError as error:
            never = (
                nvml.NVML_ERROR_NOT_SUPPORTED,
                nvml.NVML_ERROR_NO_PERMISSION,
                nvml.NVML_ERROR_FUNCTION_NOT_FOUND,
            )
            if error.value in never:
                self._absent.add(sensor)
                self.why_absent[sensor] = str(error)
            elif error.value in (nvml.NVML_ERROR_GPU_IS_LOST, nvml.NVML_ERROR_RESET_REQUIRED):
                self.lost = True
                self.why_absent["card"] = str(error)
            return None

    def _memory_by_owner(self, ours: Collection[int]) -> tuple[float | None, float | None]:
        """Memory of our processes and of others, in MiB. A process may be listed for compute and
        for graphics.
        """
        if not self._processes_visible:
            return None, None
        compute = self._ask("compute processes", self._nvml.nvmlDeviceGetComputeRunningProcesses)
        graphics = self._ask("graphics processes", self._nvml.nvmlDeviceGetGraphicsRunningProcesses)
        if compute is None and graphics is None:
            return None, None
        used: dict[int, int] = {}
        for process in (*(compute or ()), *(graphics or ())):
            if process.usedGpuMemory is None:
                return None, None
            used[process.pid] = max(used.get(process.pid, 0), process.usedGpuMemory)
        mine = sum(size for pid, size in used.items() if pid in ours)
        return mine / MIB, (sum(used.values()) - mine) / MIB

    def _process_shares(self) -> dict[int, ProcessShare] | None:
        if not self._processes_visible or self.lost or "process utilisation" in self._absent:
            return None
        nvml = self._nvml
        try:
            samples = nvml.nvmlDeviceGetProcessUtilization(self.card.handle, self._last_process_us)
        except nvml.NVMLError as error:
            if error.value in (nvml.NVML_ERROR_NOT_FOUND, nvml.NVML_SUCCESS):
                # NVML's ways to say that no process did anything since the last question.
                return {}
            if error.value in (nvml.NVML_ERROR_NOT_SUPPORTED, nvml.NVML_ERROR_NO_PERMISSION):
                self._absent.add("process utilisation")
                self.why_absent["process utilisation"] = str(error)
            return None
        newest: dict[int, Any] = {}
        for sample in samples:
            self._last_process_us = max(self._last_process_us, sample.timeStamp)
            if sample.pid and sample.timeStamp >= getattr(newest.get(sample.pid), "timeStamp", 0):
                newest[sample.pid] = sample
        return {
            pid: ProcessShare(float(item.smUtil), float(item.encUtil), float(item.decUtil))
            for pid, item in newest.items()
            if max(item.smUtil, item.encUtil, item.decUtil) <= 100
        }

    def _slow_pcie(self, slow: bool) -> tuple[float | None, float | None]:
        now = self._clock_ns()
        due = self._last_slow_ns is None or now - self._last_slow_ns >= _SLOW_EVERY_NS
        if slow and due:
            self._last_slow_ns = now
            nvml = self._nvml
            tx = self._ask("PCIe", nvml.nvmlDeviceGetPcieThroughput, nvml.NVML_PCIE_UTIL_TX_BYTES)
            rx = self._ask("PCIe", nvml.nvmlDeviceGetPcieThroughput, nvml.NVML_PCIE_UTIL_RX_BYTES)
            # NVML counts in KB/s
            self._pcie = (None if tx is None else tx / 1024, None if rx is None else rx / 1024)
        return (None, None) if self.lost else self._pcie

    def _deep(self) -> dict[str, float | None]:
        if self._gpm is None or self.lost:
            return {}
        return dict(self._gpm.read(self._clock_ns()))


class _Gpm:
    """GPU performance monitoring of Hopper and newer: two samples of counters give figures over the
    time between.
    """

    def __init__(self, nvml: Any, handle: Any) -> None:
        self._nvml, self._handle = nvml, handle
        self._older, self._newer = nvml.nvmlGpmSampleAlloc(), nvml.nvmlGpmSampleAlloc()
        self._ids = {
            "sm_active_pct": nvml.NVML_GPM_METRIC_SM_UTIL,
            "sm_occupancy_pct": nvml.NVML_GPM_METRIC_SM_OCCUPANCY,
            "tensor_active_pct": nvml.NVML_GPM_METRIC_ANY_TENSOR_UTIL,
            "dram_active_pct": nvml.NVML_GPM_METRIC_DRAM_BW_UTIL,
            "tx": nvml.NVML_GPM_METRIC_PCIE_TX_PER_SEC,
            "rx": nvml.NVML_GPM_METRIC_PCIE_RX_PER_SEC,
        }
        self._taken_ns: int | None = None
        self._last: dict[str, float | None] = {}

    def read(self, now_ns: int) -> dict[str, float | None]:
        if self._taken_ns is not None and now_ns - self._taken_ns < _GPM_LEAST_NS:
            return self._last
        nvml = self._nvml
        try:
            nvml.nvmlGpmSampleGet(self._handle, self._newer)
            if self._taken_ns is not None:
                self._last = self._figures()
        except nvml.NVMLError:
            self._last = {}
        self._taken_ns = now_ns
        self._older, self._newer = self._newer, self._older
        return self._last

    def _figures(self) -> dict[str, float | None]:
        request = self._nvml.c_nvmlGpmMetricsGet_t()
        request.version = self._nvml.NVML_GPM_METRICS_GET_VERSION
        request.numMetrics = len(self._ids)
        request.sample1, request.sample2 = self._older, self._newer
        for slot, metric in enumerate(self._ids.values()):
            request.metrics[slot].metricId = metric
        self._nvml.nvmlGpmMetricsGet(request)
        figures: dict[str, float | None] = {}
        for slot, name in enumerate(self._ids):
            answer = request.metrics[slot]
            fine = answer.nvmlReturn == 0 and math.isfinite(answer.value)
            figures[name] = float(answer.value) if fine else None
        return figures

    def free(self) -> None:
        for sample in (self._older, self._newer):
            try:
                self._nvml.nvmlGpmSampleFree(sample)
            except self._nvml.NVMLError:
                return


def _open_gpm(nvml: Any, card: Card) -> _Gpm | None:
    """GPM where the card has it. A MIG slice needs another call with other rights: left out."""
    if card.mig:
        return None
    try:
        if not nvml.nvmlGpmQueryDeviceSupport(card.handle).isSupportedDevice:
            return None
        return _Gpm(nvml, card.handle)
    except nvml.NVMLError:
        return None


def _event_reasons(nvml: Any) -> Any:
    """The call by its name of today, or the one of drivers before 535."""
    newer = getattr(nvml, "nvmlDeviceGetCurrentClocksEventReasons", None)
    return newer or getattr(nvml, "nvmlDeviceGetCurrentClocksThrottleReasons", None)


def _throttle_names(bits: int) -> tuple[str, ...]:
    return tuple(name for bit, name in _THROTTLE_BITS.items() if bits & bit)
