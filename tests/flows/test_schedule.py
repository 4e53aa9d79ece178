"""A deployed cron schedule really creates runs.

With a FastAPI or SQLAlchemy that is too new, Prefect's server dies or its scheduler fails without a
word and the nightly batch never runs: only a real server and a real deployment show it.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from flows.pools import pools
from flows.server import server_environment

ROOT = Path(__file__).parents[2]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """A Prefect server with the house's settings and a database of its own."""
    port = _free_port()
    environ = server_environment(tmp_path)
    environ["PREFECT_HOME"] = str(tmp_path / "prefect")
    environ["PREFECT_API_URL"] = f"http://127.0.0.1:{port}/api"
    where = ["--host", "127.0.0.1", "--port", str(port), "--no-ui"]
    process = subprocess.Popen(
        [sys.executable, "-m", "flows.one_writer", "prefect", "server", "start", *where],
        cwd=ROOT,
        env=environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                if httpx.get(f"{environ['PREFECT_API_URL']}/health").status_code == 200:
                    break
            except httpx.TransportError:
                assert process.poll() is None, "the server died at its start"
            assert time.monotonic() < deadline, "the server did not answer"
            time.sleep(0.2)
        yield environ["PREFECT_API_URL"], environ
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def test_deploy_all_registers_every_deployment_and_the_nightly_runs_are_scheduled(
    server: tuple[str, dict[str, str]],
) -> None:
    url, environ = server
    for pool in pools():
        httpx.post(f"{url}/work_pools/", json={"name": pool, "type": "process"}).raise_for_status()
    done = subprocess.run(
        [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"],
        cwd=ROOT,
        env=environ,
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = httpx.post(f"{url}/deployments/filter", json={}).json()
    named = {(d["name"], d["work_pool_name"]) for d in found}
    assert {name for name, pool in named if pool == "cpu"} == {
        "corpus",
        "default",
        "nightly",
        "site",
        "training",
    }
    assert ("h200", "h200") in named
    assert {d["parameters"]["profile"] for d in found if d["name"] == "h200"} == {"h200"}
    (night,) = [d["parameters"] for d in found if d["name"] == "nightly"]
    assert {"folder", "profile", "limit", "only_changed"} <= set(night)
    assert all(":" not in d["entrypoint"] for d in found), "module entrypoints only"

    deadline = time.monotonic() + 60
    scheduled: list[dict[str, object]] = []
    while not scheduled and time.monotonic() < deadline:
        state = {"state": {"type": {"any_": ["SCHEDULED"]}}}
        scheduled = httpx.post(f"{url}/flow_runs/filter", json={"flow_runs": state}).json()
        time.sleep(0.5)
    nightly = next(d["id"] for d in found if d["name"] == "nightly")
    assert scheduled, "the scheduler made no runs"
    assert {run["deployment_id"] for run in scheduled} == {nightly}
