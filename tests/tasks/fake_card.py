"""A card that is only imagined, and engines that need more of it than there is.

The hardware is replaced, nothing of ours: the ledger, the pool, the ladder and the stages are real.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from models.music import CueSpec, Piece
from models.needs import music_need_gib
from studio.engines import EnginePool
from studio.gpu.cards import Survey, load_nvml, survey
from studio.gpu.ledger import Ledger
from studio.memory_ladder import Rung
from studio.specs import DeviceSpec, MusicSpec
from studio.types import SAMPLE_RATE, EngineInfo
from tasks.machine import Machine
from tests.studio.gpu.fake_nvml import FakeCard, FakeNvml

GIB = 2**30


class OutOfMemoryError(RuntimeError):
    """Named and worded as torch's."""


def machine_with(folder: Path, *gib: float, reserve_gib: float = 0.0) -> Machine:
    """A machine with imagined cards of these sizes; none is fine."""
    cards = [FakeCard(uuid=f"GPU-{n}", total=int(size * GIB)) for n, size in enumerate(gib)]
    nvml = FakeNvml(*cards) if cards else load_nvml()
    found = survey(nvml, {}) if cards else Survey(why="no card")
    ledger = Ledger(folder, found.cards, reserve_gib=reserve_gib) if cards else None
    return Machine(nvml=nvml, found=found, ledger=ledger, pool=EnginePool(ledger))


class GreedyComposer:
    """Takes no memory, but fails as a real one does when it would need more than there is."""

    def __init__(self, spec: MusicSpec, device: DeviceSpec, free_gib: float) -> None:
        self.spec, self.device, self._free_gib = spec, device, free_gib
        self.info = EngineInfo(
            name="musicgen_hf",
            code_licence="-",
            weights_licence="-",
            commercial=True,
            memory_gib=0.0,
            rate=SAMPLE_RATE,
            identity=device.dtype,
        )

    def compose(self, cues: Sequence[CueSpec]) -> Iterator[Piece]:
        rung = Rung(
            device="cuda" if self.device.device == "cuda" else "cpu",
            dtype=self.device.dtype,
            batch=self.spec.batch,
            offload=self.device.offload,
        )
        need_gib = music_need_gib("musicgen_hf", self.spec, rung)
        if need_gib > self._free_gib:
            raise OutOfMemoryError(f"CUDA out of memory. Tried to allocate {need_gib:.2f} GiB")
        for cue in cues:
            yield Piece(hop_samples=4800, chunks=(np.full((4800, 2), 0.1 * cue.seed, np.float32),))


class GreedyDoor:
    """Stands where `open_composer` is; remembers what was opened, and how often closed."""

    def __init__(self, free_gib: float) -> None:
        self.free_gib = free_gib
        self.opened: list[GreedyComposer] = []
        self.closed = 0

    @contextmanager
    def __call__(self, _engine: str, spec: MusicSpec, device: DeviceSpec) -> Iterator[object]:
        composer = GreedyComposer(spec, device, self.free_gib)
        self.opened.append(composer)
        yield composer
        self.closed += 1
