"""The machine as all runs of a process share it: the cards, the ledger, the engines kept warm.

There is one per way of counting cards; it outlives a run, so that the next episode of a batch finds
its engines loaded. Nothing is loaded before a stage asks.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from studio.engines import EngineKey, EnginePool
from studio.gpu.cards import Survey, load_nvml, survey
from studio.gpu.device_setup import SettingRow, set_up_device
from studio.gpu.lease import Holding
from studio.gpu.ledger import Ledger, host_folder
from studio.memory_ladder import Rung
from studio.specs import DeviceSpec, GpuSpec


@dataclass(slots=True, eq=False)
class Machine:
    """Cards, ledger and pool. Without cards `ledger` is `None`; the pool keeps CPU engines warm."""

    nvml: Any
    found: Survey
    ledger: Ledger | None
    pool: EnginePool
    refused: dict[EngineKey, dict[Rung, str]] = field(default_factory=dict)
    """Ways to run an engine of this kind and need that ran out of memory here: not tried again."""
    _set_up: dict[DeviceSpec, tuple[SettingRow, ...]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def set_up(self, device: DeviceSpec) -> tuple[SettingRow, ...]:
        """Apply the profile's device settings, once, before the first operation of torch."""
        with self._lock:
            if device not in self._set_up:
                self._set_up[device] = set_up_device(device, self.found.cards, os.environ)
            return self._set_up[device]

    def settings(self, device: DeviceSpec) -> tuple[SettingRow, ...]:
        """What became of the device settings; empty when no neural engine has run."""
        with self._lock:
            return self._set_up.get(device, ())

    def holdings(self) -> tuple[Holding, ...]:
        """Who holds, or waits for, what on this host."""
        return self.ledger.holdings() if self.ledger is not None else ()

    def room_gib(self, card: int | None = None) -> float | None:
        """The most that a card (none named: any card) can ever lend; `None` where there is none."""
        capacity = self.ledger.capacity_gib() if self.ledger is not None else {}
        return capacity.get(card) if card is not None else max(capacity.values(), default=None)

    def encodes(self) -> bool:
        """Whether any card has encoder sessions to lend."""
        return any(card.nvenc_sessions for card in self.found.cards)


def make_machine(nvml: Any, gpu: GpuSpec, environ: MutableMapping[str, str]) -> Machine:
    """Survey the cards and open their ledger; `machine_for` is what stages use."""
    found = survey(nvml, environ, nvenc_sessions=gpu.nvenc_sessions, memory_gib=gpu.memory_gib)
    ledger = None
    if found.cards:
        folder: Path = host_folder(environ)
        ledger = Ledger(folder, found.cards, reserve_gib=gpu.reserve_gib)
    return Machine(nvml=nvml, found=found, ledger=ledger, pool=EnginePool(ledger))


_machines: dict[tuple[object, ...], Machine] = {}
_machines_lock = threading.Lock()


def machine_for(gpu: GpuSpec) -> Machine:
    """The machine of this process as this profile counts it."""
    key = (
        gpu.memory_gib,
        gpu.reserve_gib,
        gpu.nvenc_sessions,
        os.environ.get("CUDA_VISIBLE_DEVICES"),
        host_folder(os.environ),
    )
    with _machines_lock:
        if key not in _machines:
            if not _machines:
                atexit.register(close_engines)
            _machines[key] = make_machine(load_nvml(), gpu, os.environ)
        return _machines[key]


def close_engines() -> None:
    """Unload every warm engine of this process and give its memory back."""
    with _machines_lock:
        machines = list(_machines.values())
        _machines.clear()
    for machine in machines:
        machine.pool.close()
