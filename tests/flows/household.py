"""`studio serve` as a process, with a home and a port of its own."""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from flows.server import answers

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(place: Path) -> dict[str, str]:
    """A store and a Prefect of its own under `place`, and Prefect's log as users see it."""
    given = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}
    return {
        **given,
        "STUDIO_HOME": str(place / "store"),
        "PREFECT_HOME": str(place / "prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_PROFILES_PATH": str(place / "no-profiles.toml"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }


@dataclass
class Served:
    """A running `studio serve`; `log` holds all it and its workers said."""

    process: subprocess.Popen[bytes]
    url: str
    environ: dict[str, str]
    log: Path
    folder: Path

    def prefect(self, *arguments: str) -> str:
        """What a Prefect command prints, as a user types it: without questions."""
        done = subprocess.run(
            [sys.executable, "-P", "-m", "prefect", "--no-prompt", *arguments],
            cwd=self.folder,
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start_run(self, deployment: str, **parameters: object) -> str:
        """Ask for a run; its id."""
        given = [part for k, v in parameters.items() for part in ("-p", f"{k}={v}")]
        said = self.prefect("deployment", "run", deployment, *given)
        found = re.search(r"UUID: (\S+)", said)
        assert found, said
        return found[1]

    def state(self, run_id: str) -> str:
        """`RUNNING`, `COMPLETED`, ...; empty while the server is away."""
        try:
            return str(httpx.get(f"{self.url}/flow_runs/{run_id}").json().get("state_type", ""))
        except (httpx.HTTPError, ValueError):
            return ""

    def await_state(self, run_id: str, *wanted: str, limit_s: float = 300) -> str:
        """Wait until the run is in one of these states."""
        deadline = time.monotonic() + limit_s
        while (state := self.state(run_id)) not in wanted:
            assert time.monotonic() < deadline, f"{state}\n{self.log.read_text()[-3000:]}"
            time.sleep(0.2)
        return state

    def await_server(self, limit_s: float = 180) -> None:
        """Wait until the server answers again."""
        deadline = time.monotonic() + limit_s
        while not answers(self.url):
            assert time.monotonic() < deadline
            time.sleep(0.2)

    def find(self, path: str, **body: Any) -> list[dict[str, Any]]:
        """The answer of one of Prefect's filters."""
        found: list[dict[str, Any]] = httpx.post(f"{self.url}/{path}/filter", json=body).json()
        return found

    def tree(self) -> list[psutil.Process]:
        """Every process that belongs to it."""
        found: list[psutil.Process] = psutil.Process(self.process.pid).children(recursive=True)
        return found

    def member(self, word: str) -> psutil.Process:
        """The process whose command line says `word`, once it is there."""
        deadline = time.monotonic() + 60
        while True:
            for one in self.tree():
                try:
                    if word in " ".join(one.cmdline()):
                        return one
                except psutil.NoSuchProcess:
                    continue
            assert time.monotonic() < deadline, word
            time.sleep(0.1)


@contextmanager
def served(
    place: Path, *options: str, more: Mapping[str, str] | None = None, folder: Path = ROOT
) -> Iterator[Served]:
    """Start it and wait until it says that all is there; at the end nothing of it is left."""
    port = free_port()
    environ = environment(place) | dict(more or {})
    place.mkdir(parents=True, exist_ok=True)
    log = place / f"serve-{port}.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "flows.cli", "serve", "--port", str(port), *options],
            cwd=folder,
            env=environ | {"PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    url = f"http://127.0.0.1:{port}/api"
    house = Served(process, url, environ | {"PREFECT_API_URL": url}, log, folder)
    known: list[psutil.Process] = []
    try:
        deadline = time.monotonic() + 300
        while "Workers here" not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        yield house
    finally:
        if process.poll() is None:
            known = house.tree()
            process.terminate()
        process.wait(timeout=120)
        _, alive = psutil.wait_procs(known, timeout=30)
        assert alive == []
