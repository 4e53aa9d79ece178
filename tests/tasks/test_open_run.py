"""A run on this machine: measured, its figures served while it lasts, its machine shared."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from studio.errors import OutputError
from studio.gpu.excerpt import trace_of_run
from studio.specs import DeviceSpec, GpuSpec
from tasks.run import METER, RUNNING, open_meter, open_run
from tasks.stage import stage

DEVICE = DeviceSpec()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_figures_are_served_while_a_run_lasts_and_only_if_the_profile_says_so(
    tmp_path: Path, studio_home: Path
) -> None:
    port = _free_port()
    address = f"http://127.0.0.1:{port}/metrics"
    with open_run(str(tmp_path), device=DEVICE, gpu=GpuSpec(metrics_port=port)) as run:
        assert run.meter is not None
        with run.meter.stage("mix"), urllib.request.urlopen(address, timeout=10) as answer:
            text = answer.read().decode()
    assert 'podcast_studio_stage_wall_seconds_total{run="",stage="mix"}' in text
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(address, timeout=10)
    assert GpuSpec().metrics_port == 0
    assert GpuSpec().metrics_host == "127.0.0.1"


def test_a_port_that_is_taken_is_said_before_any_work(tmp_path: Path, studio_home: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        gpu = GpuSpec(metrics_port=taken.getsockname()[1])
        with (
            pytest.raises(OutputError, match="cannot listen"),
            open_run(str(tmp_path), device=DEVICE, gpu=gpu),
        ):
            pass


def test_runs_that_one_meter_watches_are_told_apart(tmp_path: Path, studio_home: Path) -> None:
    seen = []

    @stage("mix", tags=("cpu",), made_by=(), remembered=False)
    def work(*, run: object) -> None:
        """Do nothing."""
        seen.append(RUNNING.get())

    gpu = GpuSpec()
    with open_meter(gpu) as meter:
        token = METER.set(meter)
        try:
            machines = []
            for name in ("one", "two"):
                with open_run(str(tmp_path), name=name, device=DEVICE, gpu=gpu) as run:
                    assert run.meter is meter
                    machines.append(run.machine)
                    work.fn(run=run)
        finally:
            METER.reset(token)
        assert machines[0] is machines[1]
        assert [use.run for use in meter.uses("two") if use.run] == ["two"]
        assert [span.run for span in trace_of_run(meter.trace(), "one").spans] == ["one"]
    assert [running.run for running in seen if running is not None] == ["one", "two"]
    assert RUNNING.get() is None
