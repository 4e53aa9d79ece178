"""Killed at any moment, a run leaves nothing half and nobody behind; the next one ends alike.

`STUDIO_KILLS` is how many kills there are (30 take half an hour), `STUDIO_KILL_SEED` which.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from studio.ffmpeg import find_ffmpeg
from tests.flows.household import ROOT, Served, served

KILLS = int(os.environ.get("STUDIO_KILLS", "5"))
SEED = int(os.environ.get("STUDIO_KILL_SEED", "7"))
TEXT = (
    "# Killed\n\n[MUSIC: calm piano]\n\nANNA: One sentence about tides.\n\n"
    "BEN: Another one, somewhat longer.\n"
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(200 + 400 * KILLS)]


@dataclass
class Place:
    """A house in which one script is made again and again, each time from an empty store."""

    house: Served
    root: Path
    deployment: str
    options: dict[str, str]

    @property
    def store(self) -> Path:
        return self.root / "store"

    @property
    def out(self) -> Path:
        return self.root / "out"

    def empty(self) -> None:
        for folder in (self.store, self.out):
            shutil.rmtree(folder, ignore_errors=True)

    def ask(self) -> str:
        """Ask the worker for a run; its id. A server that is on its way back is waited for."""
        wanted = {
            "script": str(self.root / "talk.txt"),
            "profile": "draft",
            "out_dir": str(self.out),
            "options": self.options,
        }
        url = f"{self.house.url}/deployments/{self.deployment}/create_flow_run"
        deadline = time.monotonic() + 180
        while True:
            try:
                answer = httpx.post(url, json={"parameters": wanted}, timeout=30)
                answer.raise_for_status()
                return str(answer.json()["id"])
            except httpx.HTTPError:
                assert time.monotonic() < deadline
                time.sleep(0.5)

    def create(self) -> subprocess.Popen[bytes]:
        """The same by hand, in a process of its own on the same server."""
        given = [f"--set={key}={value}" for key, value in self.options.items()]
        command = [sys.executable, "-m", "flows.cli", "create", str(self.root / "talk.txt")]
        return subprocess.Popen(
            [*command, "--profile=draft", "--no-progress", f"--out-dir={self.out}", *given],
            cwd=ROOT,
            env=self.house.environ,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def media(self) -> dict[str, str]:
        """What was delivered, by hash. The report holds times, and differs."""
        files = [p for p in (self.out / "talk").rglob("*") if p.is_file()]
        return {
            p.name: hashlib.sha256(p.read_bytes()).hexdigest()
            for p in files
            if p.name != "report.json"
        }

    def blobs(self) -> set[str]:
        return {p.name for p in self.store.glob("[0-9a-f][0-9a-f]/*")}

    def await_quiet(self) -> None:
        """Wait until no run and no encoder is at work any more."""
        deadline = time.monotonic() + 180
        while any(_is_run(one) for one in self.house.tree()):
            assert time.monotonic() < deadline, "a run does not end"
            time.sleep(0.2)


def _is_run(process: psutil.Process) -> bool:
    try:
        said = " ".join(process.cmdline())
    except psutil.Error:
        return False
    return "prefect.engine" in said or "_workspace_supervisor" in said


def _said(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    root = tmp_path_factory.mktemp("killed")
    (root / "talk.txt").write_text(TEXT)
    with served(root) as house:
        (deployment,) = [one["id"] for one in house.find("deployments") if one["name"] == "default"]
        options = {"picture.fps": "8"}
        if find_ffmpeg():
            options["encode.encoder"] = "ffmpeg:libx264"
        yield Place(house, root, deployment, options)


@pytest.fixture(scope="module")
def whole(place: Place) -> tuple[dict[str, str], set[str], float]:
    """What a run that nobody kills delivers and stores, and how long it takes."""
    place.house.await_state(place.ask(), "COMPLETED", limit_s=400)
    place.empty()
    began = time.monotonic()
    place.house.await_state(place.ask(), "COMPLETED", limit_s=400)
    took_s = time.monotonic() - began
    assert any(name.endswith(".mp4") for name in place.media())
    return place.media(), place.blobs(), took_s


def _victim(place: Place, target: str) -> psutil.Process | None:
    """The process to kill; None when it is not there at this moment."""
    words = {"run": "prefect.engine", "worker": "worker start", "server": "server start"}
    for one in place.house.tree():
        said = _said(one)
        if target == "encoder":
            if Path(said.split(" ")[0]).name.startswith("ffmpeg"):
                return one
        elif words[target] in said:
            return one
    return None


def _kill(place: Place, target: str, moments: random.Random, whole_s: float) -> bool:
    """Start a run, by the worker or by hand, and kill at a random moment. False: it was over."""
    if target == "by hand":
        process = place.create()
        time.sleep(moments.uniform(0.05, 1.0) * whole_s)
        others = psutil.Process(process.pid).children(recursive=True)
        alive = process.poll() is None
        process.kill()
        process.wait()
        _, left = psutil.wait_procs(others, timeout=60)
        assert left == []
        return alive
    run = place.ask()
    delay = moments.uniform(0.05, 1.0)
    if target == "encoder":
        deadline = time.monotonic() + 10 * whole_s
        while _victim(place, target) is None and place.house.state(run) != "COMPLETED":
            assert time.monotonic() < deadline
            time.sleep(0.02)
        time.sleep(delay * 0.5)
    else:
        time.sleep(delay * whole_s)
    victim = _victim(place, target)
    if victim is None:
        return False
    others = [] if target in {"server", "encoder"} else victim.children(recursive=True)
    victim.kill()
    _, left = psutil.wait_procs(others, timeout=60)
    assert left == [], "somebody outlived what was killed"
    return True


def test_killed_at_random_moments_the_next_run_ends_with_the_same_media(
    place: Place, whole: tuple[dict[str, str], set[str], float]
) -> None:
    wanted, blobs, whole_s = whole
    moments = random.Random(SEED)  # noqa: S311 - the same moments each time
    targets = ["run", "worker", "server", "by hand", *(["encoder"] if find_ffmpeg() else [])]
    tally: Counter[str] = Counter()
    for number in range(KILLS):
        target = targets[number % len(targets)]
        place.empty()
        tally[f"{target}: {'hit' if _kill(place, target, moments, whole_s) else 'over'}"] += 1
        if (place.out / "talk").exists():
            assert place.media() == wanted, "half a package stood in its place"
        place.await_quiet()
        tally["files kept"] += len(place.blobs())
        assert place.blobs() <= blobs
        run = place.ask()
        assert place.house.await_state(run, "COMPLETED", "FAILED", "CRASHED", limit_s=400) == (
            "COMPLETED"
        ), place.house.log.read_text()[-3000:]
        tally["stages answered from what was done"] += sum(
            task["state_name"] == "Cached"
            for task in place.house.find("task_runs", task_runs={"flow_run_id": {"any_": [run]}})
        )
        assert place.media() == wanted
        assert place.blobs() == blobs
        assert [p.name for p in place.out.iterdir()] == ["talk"], "half a file was left"
        assert list((place.store / "drafts").iterdir()) == []
        print(f"kill {number + 1} of {KILLS}: {dict(tally)}", flush=True)
    _assert_no_slot_is_held(place.house)


def _assert_no_slot_is_held(house: Served) -> None:
    """Prefect gives a dead run's slots back when its lease (at most 300 s) has run out."""
    deadline = time.monotonic() + 360
    while True:
        found = httpx.post(f"{house.url}/v2/concurrency_limits/filter", json={}, timeout=30).json()
        held = {one["name"]: one["active_slots"] for one in found if one["active_slots"]}
        if not held:
            return
        assert time.monotonic() < deadline, held
        time.sleep(1)


def test_a_lost_database_costs_no_work(tmp_path: Path) -> None:
    script = tmp_path / "talk.txt"
    script.write_text(TEXT)

    def made(house: Served, name: str) -> list[str]:
        """The stages that were answered from the store."""
        ask = {"script": script, "profile": "draft", "out_dir": tmp_path / "out", "name": name}
        run = house.start_run("episode/default", **ask)
        assert house.await_state(run, "COMPLETED", "FAILED", "CRASHED") == "COMPLETED"
        tasks = house.find("task_runs", task_runs={"flow_run_id": {"any_": [run]}})
        return sorted(one["name"] for one in tasks if one["state_name"] == "Cached")

    with served(tmp_path) as house:
        assert made(house, "talk") == []
    shutil.rmtree(tmp_path / "prefect")
    with served(tmp_path) as house:
        assert house.find("flow_runs", flow_runs={"state": {"type": {"any_": ["COMPLETED"]}}}) == []
        # Another name: the package is made again, of what is there.
        answered = made(house, "again")
    assert {"speech", "music", "mix", "avatar", "encode"} <= set(answered)
    one, other = (tmp_path / "out" / name for name in ("talk", "again"))
    assert (one / "talk.mp4").read_bytes() == (other / "again.mp4").read_bytes()


def _may_mount() -> bool:
    """Whether a file system may be mounted in a name space of our own."""
    trial = ["unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return (
        bool(shutil.which("unshare"))
        and not subprocess.run(trial, capture_output=True, check=False).returncode
    )


ON_A_SMALL_DISK = """
store=$1; room=$2; shift 2
mkdir -p "$store" && mount -t tmpfs -o "size=$room" tmpfs "$store" || exit 99
"$@"; echo "first=$?"
ls -A "$store/drafts" | sed s/^/left=/
mount -o remount,size=512m "$store" || exit 99
"$@"; echo "second=$?"
ls -A "$store/drafts" | sed s/^/left=/
"""


@pytest.mark.skipif(not _may_mount(), reason="no disk may be mounted here (unshare -rm)")
@pytest.mark.parametrize("room", ["200k", "1m"])
def test_a_full_disk_is_an_error_and_the_next_run_with_room_ends_alike(
    place: Place, whole: tuple[dict[str, str], set[str], float], room: str
) -> None:
    wanted, _, _ = whole
    shutil.rmtree(place.out, ignore_errors=True)
    given = ["--profile=draft", "--no-progress", f"--out-dir={place.out}"]
    given += [f"--set={key}={value}" for key, value in place.options.items()]
    create = [sys.executable, "-m", "flows.cli", "create", str(place.root / "talk.txt"), *given]
    small = place.root / "small"
    environ = place.house.environ
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", ON_A_SMALL_DISK, "sh", str(small), room, *create],
        cwd=ROOT,
        env=environ | {"STUDIO_HOME": str(small), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
        timeout=1200,
    )
    said = done.stdout + done.stderr
    assert "first=2" in done.stdout, said
    assert "second=0" in done.stdout, said
    assert "left=" not in done.stdout, said
    assert "no room left" in said or "No space left" in said
    assert "Traceback" not in said
    assert place.media() == wanted


def test_records_that_were_cut_short_are_made_again(
    place: Place, whole: tuple[dict[str, str], set[str], float]
) -> None:
    """What a power cut may leave: records and media of half their length."""
    wanted, blobs, _ = whole
    place.house.await_state(place.ask(), "COMPLETED", limit_s=400)
    cut = [*(place.store / "results").rglob("*"), *(place.store / "memory").glob("*.json")]
    cut += sorted(place.store.glob("[0-9a-f][0-9a-f]/*"))[::2]
    for file in cut:
        if file.is_file():
            with file.open("r+b") as stream:
                stream.truncate(file.stat().st_size // 2)
    shutil.rmtree(place.out)
    run = place.ask()
    assert place.house.await_state(run, "COMPLETED", "FAILED", "CRASHED") == "COMPLETED"
    assert place.media() == wanted
    assert place.blobs() == blobs
