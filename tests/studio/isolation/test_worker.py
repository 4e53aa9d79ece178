"""An engine in another process: warm, exact, and no trouble when it dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from studio.errors import EngineUnavailable
from studio.isolation.host import EngineFault, Worker

TARGET = f"{Path(__file__).with_name('tiny_engine.py')}:Tiny"
ROOT = Path(__file__).parents[3]


def worker(**arguments: object) -> Worker:
    return Worker("tiny", Path(sys.executable), TARGET, arguments, remedy="Mend it", start_s=30)


@pytest.fixture(scope="module")
def warm() -> Iterator[Worker]:
    with worker(start=10) as made:
        yield made


def test_arrays_travel_exactly_and_the_engine_stays_warm(warm: Worker) -> None:
    sound = np.random.default_rng(0).standard_normal((4_801, 2)).astype(np.float32)
    first, (doubled,) = warm.call("scale", sound, gain=2.0)
    second, (empty,) = warm.call("scale", np.zeros((0, 2), np.float32), gain=2.0)
    np.testing.assert_array_equal(doubled, 2 * sound)
    assert empty.shape == (0, 2)
    assert (second["calls"], second["pid"]) == (first["calls"] + 1, first["pid"])


def test_an_exception_there_is_a_fault_here_and_no_more(warm: Worker) -> None:
    with pytest.raises(EngineFault, match="no such voice") as caught:
        warm.call("refuse")
    assert caught.value.kind == "KeyError"
    warm.call("scale", np.zeros(1, np.float32), gain=1.0)


def test_a_worker_that_dies_is_started_once_more(tmp_path: Path) -> None:
    with worker(start=5) as made:
        result, _ = made.call("crash", flag=str(tmp_path / "crashed"))
        assert result == {"calls": 5}
        with pytest.raises(EngineUnavailable, match=r"SIGSEGV.*the last straw.*Mend it"):
            made.call("always_crash")


def test_a_worker_that_hangs_is_killed() -> None:
    with worker() as made:
        process = made._process
        assert process is not None
        with pytest.raises(EngineUnavailable, match=r"no answer within 0\.3 s"):
            made.call("sleep", limit_s=0.3)
        assert process.poll() is not None


def test_what_cannot_start_says_why() -> None:
    with pytest.raises(EngineUnavailable, match="ImportError: no such weights"):
        worker(fail=True).__enter__()
    with pytest.raises(EngineUnavailable, match="no interpreter"):
        Worker("tiny", Path("/no/python"), TARGET, {}, remedy="Install it").__enter__()


def test_no_worker_outlives_its_host() -> None:
    code = (
        "import sys; from pathlib import Path; from studio.isolation.host import Worker\n"
        f"w = Worker('t', Path(sys.executable), {TARGET!r}, {{}}, remedy='-').__enter__()\n"
        "print(w._process.pid, flush=True); w.call('sleep')"
    )
    host = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert host.stdout is not None
    child = int(host.stdout.readline())
    host.send_signal(signal.SIGKILL)
    host.wait()
    deadline = time.monotonic() + 10
    while psutil.pid_exists(child) and time.monotonic() < deadline:
        if psutil.Process(child).status() == psutil.STATUS_ZOMBIE:
            break
        time.sleep(0.1)
    assert not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE
