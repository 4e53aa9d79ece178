"""Episode after episode in one process: what is taken is given back.

`make soak` makes 100; every one is new, so that nothing is answered from the store.
"""

from __future__ import annotations

import asyncio
import gc
import os
import shutil
import statistics
import threading
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from flows.episode import make_episode
from studio.types import Episode

pytestmark = [pytest.mark.xdist_group("prefect"), pytest.mark.slow]

EPISODES = int(os.environ.get("STUDIO_SOAK_EPISODES", "100"))

GROWTH_MIB = 24.0
"""What the later half may hold more than the earlier one, in the median: the noise of an allocator
that keeps freed pages. A frame at 480p15 kept from each second of each episode would be 60 MiB."""


@dataclass(frozen=True, slots=True)
class Held:
    """What the process holds after an episode."""

    memory_mib: float
    files: int
    threads: int
    children: int


def _held() -> Held:
    gc.collect()
    me = psutil.Process()
    return Held(
        memory_mib=me.memory_full_info().uss / 2**20,
        files=me.num_fds(),
        threads=threading.active_count(),
        children=len(me.children(recursive=True)),
    )


@pytest.mark.timeout(3600)
def test_a_hundred_episodes_leave_memory_and_handles_as_they_were(
    prefect_server: None, tmp_path: Path
) -> None:
    held: list[Held] = []
    for number in range(EPISODES):
        script = tmp_path / f"episode {number}.txt"
        words = f"This is episode number {number}, and it is short."
        script.write_text(f"[MUSIC: calm piano {number}]\n\nANN: {words}\n", encoding="utf-8")
        out = tmp_path / "out"
        made: Episode = asyncio.run(
            make_episode(script=str(script), profile="draft", out_dir=str(out))
        )
        assert all(check.passed for check in made.checks)
        shutil.rmtree(out)
        held.append(_held())
        print(f"{number + 1} episodes: {held[-1]}", flush=True)
    # The first episodes load what later ones use: fonts, the voice, the encoder's tables.
    settled = held[len(held) // 10 :]
    early, late = settled[: len(settled) // 2], settled[len(settled) // 2 :]
    grown = statistics.median(h.memory_mib for h in late) - statistics.median(
        h.memory_mib for h in early
    )
    assert grown < GROWTH_MIB
    assert max(h.files for h in late) <= max(h.files for h in early)
    assert max(h.threads for h in late) <= max(h.threads for h in early)
    assert max(h.children for h in late) <= max(h.children for h in early)
