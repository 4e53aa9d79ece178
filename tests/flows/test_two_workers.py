"""Two workers on two "machines" share a batch; one is killed. Nothing is made twice or lost.

A machine here is a worker process with a store and a Prefect home of its own. All they share is the
server and the shared store.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from flows.server import server_environment
from tasks.batch import read_report
from tasks.delivery import MANIFEST

ROOT = Path(__file__).parents[2]
EPISODES = 4
STAGES = ("avatar", "encode", "mix", "music", "speech")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]


class Machines:
    """A server, and machines that know it."""

    def __init__(self, place: Path) -> None:
        self.place = place
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        self.url = f"http://127.0.0.1:{port}/api"
        self._started: list[subprocess.Popen[bytes]] = []
        where = ["--host", "127.0.0.1", "--port", str(port), "--no-ui"]
        server = self.start("server", "prefect", "server", "start", *where)
        deadline = time.monotonic() + 180
        while True:
            try:
                if httpx.get(f"{self.url}/health").status_code == 200:
                    break
            except httpx.TransportError:
                assert server.poll() is None, "the server died at its start"
            assert time.monotonic() < deadline, "the server did not answer"
            time.sleep(0.3)

    def environ(self, name: str) -> dict[str, str]:
        home = self.place / name
        environ = server_environment(home)
        return environ | {
            "PREFECT_API_URL": self.url,
            "PREFECT_HOME": str(home / "prefect"),
            "PREFECT_RESULTS_LOCAL_STORAGE_PATH": str(home / "store" / "results"),
            "PREFECT_LOGGING_LEVEL": "INFO",
            "PREFECT_LOGGING_ROOT_LEVEL": "INFO",
            "STUDIO_HOME": str(home / "store"),
            "STUDIO_REMOTE": f"file://{self.place}/nas",
        }

    def start(self, name: str, *line: str) -> subprocess.Popen[bytes]:
        (self.place / name / "prefect").mkdir(parents=True, exist_ok=True)
        with (self.place / name / "said.txt").open("ab") as said:
            process = subprocess.Popen(
                [sys.executable, "-m", *line],
                cwd=ROOT,
                env=self.environ(name),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._started.append(process)
        return process

    def worker(self, name: str, *more: str) -> subprocess.Popen[bytes]:
        where = ["--pool", "cpu", "--name", name, "--limit", "1", *more]
        return self.start(name, "prefect", "worker", "start", *where)

    def said(self, name: str) -> str:
        return (self.place / name / "said.txt").read_text(errors="replace")

    def made(self, *names: str) -> Counter[tuple[str, str]]:
        """How often each stage was made, by its name and key, over these machines."""
        text = "\n".join(self.said(name) for name in names)
        return Counter(re.findall(r"made (\w+) ([0-9a-f]{64})", text))

    def end(self) -> None:
        for process in reversed(self._started):
            _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """As a power cut does: the whole tree, at once, without a word."""
    try:
        tree = [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]
    except psutil.NoSuchProcess:
        return
    for one in tree:
        try:
            one.send_signal(signal.SIGKILL)
        except psutil.NoSuchProcess:
            continue
    process.wait()


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Machines]:
    machines = Machines(tmp_path)
    try:
        registered = machines.start("desk", "flows.registration", str(ROOT))
        assert registered.wait(timeout=300) == 0, machines.said("desk")
        yield machines
    finally:
        machines.end()


def _scripts(place: Path) -> Path:
    folder = place / "scripts"
    folder.mkdir()
    for number in range(EPISODES):
        text = f"# Episode {number}\n\n[MUSIC: calm piano]\n\nThis is episode number {number}.\n"
        (folder / f"talk-{number}.txt").write_text(text)
    return folder


def test_two_workers_share_a_batch_and_one_dies(machines: Machines, tmp_path: Path) -> None:
    scripts = _scripts(tmp_path)
    out_dir = tmp_path / "out"
    asked = [str(scripts), "--profile", "draft", "--out-dir", str(out_dir), "--no-progress"]
    workers = {name: machines.worker(name) for name in ("one", "two")}
    order = machines.start("desk", "flows.cli", "batch", *asked, "--on-workers")

    # Killed in mid-batch: it has made something, and is at work.
    deadline = time.monotonic() + 400
    while not machines.made("one"):
        assert order.poll() is None, machines.said("desk")
        assert time.monotonic() < deadline, machines.said("one")
        time.sleep(0.1)
    before = machines.made("one")
    _kill(workers["one"])

    assert order.wait(timeout=900) == 0, machines.said("desk")
    results, figures, _ = read_report(out_dir)
    assert (figures.made, figures.failed) == (EPISODES, 0)
    for result in results:
        folder = Path(result.folder)
        manifest = json.loads((folder / MANIFEST).read_text())
        assert manifest["title"].startswith("Episode ")
        assert any(entry["name"].endswith(".mp4") for entry in manifest["files"])

    # What the dead one had finished was not made again, and nothing was made twice.
    made = machines.made("one", "two", "desk")
    assert set(made.values()) == {1}
    assert before
    by_stage = Counter(stage for stage, _ in made)
    # The last words of the dead one may be lost with it, never those of the others.
    assert all(EPISODES - 1 <= by_stage[stage] <= EPISODES for stage in STAGES), by_stage
    assert set(machines.made("two")) - set(before)
    assert machines.made("desk") == Counter()

    # Once more, from a machine that has nothing: all is answered, and delivered to its folder.
    there = tmp_path / "elsewhere"
    again = ["batch", str(scripts), "--profile", "draft", "--out-dir", str(there), "--no-progress"]
    assert machines.start("third", "flows.cli", *again).wait(timeout=400) == 0
    assert machines.made("third") == Counter()
    for result in read_report(there)[0]:
        folder = Path(result.folder)
        wanted = json.loads((out_dir / folder.name / MANIFEST).read_text())
        assert json.loads((folder / MANIFEST).read_text())["files"] == wanted["files"]
    assert not [p for p in (tmp_path / "nas").rglob("*.part") if p.is_file()]
    assert os.listdir(tmp_path / "nas" / "claims") == []  # noqa: PTH208 - names only


def test_a_queue_is_served_by_its_own_workers_only(machines: Machines, tmp_path: Path) -> None:
    scripts = _scripts(tmp_path)
    for path in sorted(scripts.iterdir())[1:]:
        path.unlink()
    out_dir = tmp_path / "out"
    asked = [str(scripts), "--profile", "draft", "--out-dir", str(out_dir), "--no-progress"]
    line = ["batch", *asked, "--audio-only", "--on-workers", "--queue", "large-cards"]
    machines.worker("small", "--work-queue", "small-cards")
    order = machines.start("desk", "flows.cli", *line)
    time.sleep(25)
    assert order.poll() is None, machines.said("desk")
    assert machines.made("small") == Counter()
    machines.worker("large", "--work-queue", "large-cards")
    assert order.wait(timeout=400) == 0, machines.said("desk")
    assert machines.made("small") == Counter()
    assert {stage for stage, _ in machines.made("large")} >= {"speech", "mix"}
    (result,) = read_report(out_dir)[0]
    assert (Path(result.folder) / MANIFEST).is_file()
