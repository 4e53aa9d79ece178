"""Killed at any moment, a run leaves nothing half and nobody behind; the next one ends alike."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[2]
KILLS = 3
TEXT = (
    "# Killed\n\n[MUSIC: calm piano]\n\nANNA: One sentence.\n\nBEN: Another one, which is longer.\n"
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def _start(place: Path, script: Path) -> subprocess.Popen[bytes]:
    environ = {
        **os.environ,
        "STUDIO_HOME": str(place / "store"),
        "PREFECT_HOME": str(place / "prefect"),
        "PREFECT_RESULTS_LOCAL_STORAGE_PATH": str(place / "store" / "results"),
    }
    environ.pop("PREFECT_API_URL", None)
    command = [sys.executable, "-m", "flows.cli", "create", str(script), "--profile", "draft"]
    return subprocess.Popen(
        [*command, "--no-progress", "--out-dir", str(place / "out")],
        cwd=ROOT,
        env=environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _media(place: Path) -> dict[str, str]:
    files = [p for p in (place / "out" / "talk").rglob("*") if p.is_file()]
    return {
        p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in files if p.name != "report.json"
    }


def test_killed_at_random_moments_the_next_run_ends_with_the_same_files(tmp_path: Path) -> None:
    script = tmp_path / "talk.txt"
    script.write_text(TEXT)
    began = time.monotonic()
    assert _start(tmp_path / "whole", script).wait() == 0
    whole_s = time.monotonic() - began
    wanted = _media(tmp_path / "whole")
    assert any(name.endswith(".mp4") for name in wanted)

    moments = random.Random(7)  # noqa: S311 - the same moments each time
    place = tmp_path / "killed"
    left: list[psutil.Process] = []
    for _ in range(KILLS):
        process = _start(place, script)
        time.sleep(moments.uniform(0.1, 1.0) * whole_s)
        if process.poll() is None:
            left += psutil.Process(process.pid).children(recursive=True)
            process.kill()
        process.wait()
        out = place / "out"
        standing = [p for p in out.iterdir() if not p.name.startswith(".")] if out.exists() else []
        if standing:
            assert _media(place) == wanted
    _, alive = psutil.wait_procs(left, timeout=60)
    assert alive == []
    assert _start(place, script).wait() == 0
    assert _media(place) == wanted
