"""A tied process ends with its parent, whatever ends the parent and however it resists."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[2]

TIED = """
import signal, subprocess, sys, time
if sys.argv[1] == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
time.sleep(600)
"""

PARENT = """
import subprocess, sys, time
from studio.tether import command
line = command(0.5, "tied", sys.argv[1:2])
child = subprocess.Popen(line, start_new_session=True, stdout=subprocess.PIPE, text=True)
print(child.pid, child.stdout.readline().strip(), flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("kind", ["mild", "stubborn"])
def test_it_ends_with_a_parent_that_is_killed(tmp_path: Path, kind: str) -> None:
    (tmp_path / "tied.py").write_text(TIED)
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, kind],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    tied, grandchild = (psutil.Process(int(pid)) for pid in parent.stdout.readline().split())
    try:
        assert tied.is_running()
        assert tied.environ()["PYTHONPATH"].startswith(str(tmp_path))
        parent.kill()
        parent.wait()
        # A group that resists goes as a whole; who ends by himself looks after his own.
        expected = [tied, grandchild] if kind == "stubborn" else [tied]
        _, alive = psutil.wait_procs(expected, timeout=60)
        assert alive == []
    finally:
        parent.stdout.close()
        if grandchild.is_running():
            grandchild.kill()


def test_a_run_by_hand_is_not_tied_and_a_workers_is(monkeypatch: pytest.MonkeyPatch) -> None:
    words = (
        "import os, threading; from tasks.notify import tie; tie(None, None, None); "
        "tie(None, None, None); print([t.name for t in threading.enumerate()].count('tether'))"
    )

    def tethers() -> str:
        return subprocess.run(
            [sys.executable, "-c", words], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.strip()

    monkeypatch.delenv("PREFECT__FLOW_RUN_ID", raising=False)
    assert tethers() == "0"
    monkeypatch.setenv("PREFECT__FLOW_RUN_ID", "00000000-0000-0000-0000-000000000000")
    assert tethers() == "1"
