"""The one table of what is measured: name, unit, source, meaning. Reports, docs and sensors use
these names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Metric:
    """A figure of a reading. `name` is the field of `Sample` or `CardReading` that carries it."""

    name: str
    scope: Literal["host", "card"]
    unit: str
    source: str
    meaning: str


METRICS: tuple[Metric, ...] = (
    Metric(
        "cpu_cores",
        "host",
        "cores",
        "getrusage, /proc/PID/stat (or psutil)",
        "CPU time of this process and its children per second of wall time",
    ),
    Metric(
        "busiest_thread_pct",
        "host",
        "%",
        "per-thread CPU clock",
        "CPU time of the busiest single thread; near 100 the work cannot use more cores",
    ),
    Metric(
        "rss_mib",
        "host",
        "MiB",
        "/proc/PID/stat (or psutil)",
        "resident memory of the process tree; pages shared by two processes count twice",
    ),
    Metric(
        "read_mib",
        "host",
        "MiB",
        "/proc/PID/io read_bytes",
        "bytes fetched from storage in the interval; what the page cache served is not counted",
    ),
    Metric(
        "write_mib",
        "host",
        "MiB",
        "/proc/PID/io write_bytes",
        "bytes handed to storage in the interval",
    ),
    Metric(
        "io_stall_pct",
        "host",
        "%",
        "/proc/pressure/io, some",
        "share of time in which at least one task of the host waited for storage",
    ),
    Metric(
        "cpu_stall_pct",
        "host",
        "%",
        "/proc/pressure/cpu, some",
        "share of time in which at least one task of the host waited for a core",
    ),
    Metric(
        "gpu_util_pct",
        "card",
        "%",
        "nvmlDeviceGetUtilizationRates.gpu",
        "share of time in which a kernel was running; one small kernel is enough for 100",
    ),
    Metric(
        "mem_util_pct",
        "card",
        "%",
        "nvmlDeviceGetUtilizationRates.memory",
        "share of time in which device memory was read or written; not how full it is",
    ),
    Metric(
        "encoder_util_pct",
        "card",
        "%",
        "nvmlDeviceGetEncoderUtilization",
        "share of time in which NVENC worked",
    ),
    Metric(
        "decoder_util_pct",
        "card",
        "%",
        "nvmlDeviceGetDecoderUtilization",
        "share of time in which NVDEC worked",
    ),
    Metric(
        "memory_used_mib",
        "card",
        "MiB",
        "nvmlDeviceGetMemoryInfo.used",
        "device memory in use by everybody",
    ),
    Metric(
        "memory_ours_mib",
        "card",
        "MiB",
        "nvmlDeviceGetComputeRunningProcesses",
        "device memory of this process and its children; n/a inside a container's PID namespace",
    ),
    Metric(
        "memory_others_mib",
        "card",
        "MiB",
        "nvmlDeviceGetComputeRunningProcesses",
        "device memory of every other process that NVML lists",
    ),
    Metric("power_w", "card", "W", "nvmlDeviceGetPowerUsage", "board power at this moment"),
    Metric(
        "energy_mj",
        "card",
        "mJ",
        "nvmlDeviceGetTotalEnergyConsumption",
        "board energy since the driver was loaded; without it, power is integrated over time",
    ),
    Metric(
        "sm_clock_mhz", "card", "MHz", "nvmlDeviceGetClockInfo(SM)", "clock of the multiprocessors"
    ),
    Metric("mem_clock_mhz", "card", "MHz", "nvmlDeviceGetClockInfo(MEM)", "clock of device memory"),
    Metric(
        "temperature_c", "card", "°C", "nvmlDeviceGetTemperature(GPU)", "temperature of the die"
    ),
    Metric(
        "throttle",
        "card",
        "names",
        "nvmlDeviceGetCurrentClocksEventReasons",
        "why clocks are held down: power cap, heat, power brake; idle and user limits are left out",
    ),
    Metric(
        "pcie_tx_mib_s",
        "card",
        "MiB/s",
        "GPM, else nvmlDeviceGetPcieThroughput(TX)",
        "card to host; without GPM read once a second, because that call takes 20 ms",
    ),
    Metric(
        "pcie_rx_mib_s",
        "card",
        "MiB/s",
        "GPM, else nvmlDeviceGetPcieThroughput(RX)",
        "host to card; without GPM read once a second, because that call takes 20 ms",
    ),
    Metric(
        "sm_active_pct",
        "card",
        "%",
        "GPM SM_UTIL (Hopper and newer)",
        "share of multiprocessors that had work, averaged over time: what utilisation hides",
    ),
    Metric(
        "sm_occupancy_pct",
        "card",
        "%",
        "GPM SM_OCCUPANCY (Hopper and newer)",
        "resident warps against the most that fit",
    ),
    Metric(
        "tensor_active_pct",
        "card",
        "%",
        "GPM ANY_TENSOR_UTIL (Hopper and newer)",
        "share of time in which tensor cores worked",
    ),
    Metric(
        "dram_active_pct",
        "card",
        "%",
        "GPM DRAM_BW_UTIL (Hopper and newer)",
        "device memory bandwidth against its theoretical maximum",
    ),
)
"""Every figure of a reading, in the order in which reports show them."""
