"""A whole episode by the flow, on a machine with one imagined card."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from flows.episode import make_episode
from flows.tables import print_summary
from studio.specs import GpuSpec
from studio.types import Episode
from tasks.machine import Machine, close_engines, machine_for
from tests.studio.gpu.fake_nvml import GIB, FakeCard, FakeNvml

SCRIPT = """\
Title: {title}
{header}

{cues}
BOB: Good night, Alice.
[MUSIC: stop]
"""

CUES = 4


@dataclass(frozen=True)
class Theatre:
    """Where episodes are made: a folder, and the machine as the flow sees it."""

    folder: Path
    machine: Machine

    def make(self, name: str, options: dict[str, Any], header: str = "") -> Episode:
        """An episode whose music no other has."""
        cues = "\n".join(f"[MUSIC: {name} piece {n}]\nALICE: Line {n}." for n in range(CUES))
        path = self.folder / f"{name}.txt"
        path.write_text(SCRIPT.format(title=name, header=header, cues=cues), encoding="utf-8")
        episode: Episode = asyncio.run(
            make_episode(
                script=str(path),
                profile="draft",
                out_dir=str(self.folder / "out"),
                options={"picture.fps": 12, **options},
            )
        )
        return episode


@contextmanager
def theatre(folder: Path, size_gib: float, monkeypatch: pytest.MonkeyPatch) -> Iterator[Theatre]:
    """A machine with one card of this size, a store and a ledger of its own."""
    nvml = FakeNvml(FakeCard(total=round(size_gib * GIB), nvenc=False))
    monkeypatch.setattr("tasks.machine.load_nvml", lambda: nvml)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder / "run"))
    monkeypatch.setenv("STUDIO_HOME", str(folder / "store"))
    close_engines()
    try:
        yield Theatre(folder, machine_for(GpuSpec()))
    finally:
        close_engines()


def summary(episode: Episode) -> str:
    """What `studio create` prints at the end, unwrapped."""
    said = io.StringIO()
    print_summary(episode, Console(file=said, width=4000))
    return said.getvalue()
