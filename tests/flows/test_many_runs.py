"""Many runs at once against one server: nothing is lost, on SQLite and on PostgreSQL.

`STUDIO_RUNS` is how many processes there are at once.
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.flows.household import ROOT, Served, free_port, served

RUNS = int(os.environ.get("STUDIO_RUNS", "3"))
HOUSE = {
    # SQLite's refusals are hidden unless they are asked for.
    "PREFECT_SERVER_LOG_RETRYABLE_ERRORS": "true",
    "OMP_NUM_THREADS": "1",
}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600 + 300 * RUNS)]


def _scripts(place: Path) -> list[Path]:
    scripts = []
    for number in range(RUNS):
        script = place / f"talk-{number}.txt"
        script.write_text(
            f"# Talk {number}\n\nANNA: This is talk number {number}, which is a short one.\n\n"
            f"BEN: And it says what the {RUNS - 1} others do not say.\n"
        )
        scripts.append(script)
    return scripts


def _create_all(house: Served, place: Path) -> None:
    """`studio create` for each script, all at once, each in a process of its own."""
    began = time.monotonic()
    processes = []
    for script in _scripts(place):
        command = [sys.executable, "-m", "flows.cli", "create", str(script), "--quality", "480p"]
        command += ["--profile", "draft", "--no-progress", "--out-dir", str(place / "out")]
        log = (place / f"{script.stem}.log").open("wb")
        processes.append(
            (
                script,
                Path(log.name),
                subprocess.Popen(
                    command, cwd=ROOT, env=house.environ, stdout=log, stderr=subprocess.STDOUT
                ),
            )
        )
    for script, said, process in processes:
        assert process.wait(timeout=300 * RUNS + 300) == 0, said.read_text()
        folder = place / "out" / script.stem
        assert (folder / f"{script.stem}.mp4").stat().st_size > 10_000
        title = json.loads((folder / "manifest.json").read_text())["title"]
        assert title == f"Talk {script.stem[-1:]}"
    print(f"{RUNS} runs at once: {time.monotonic() - began:.0f} s wall", flush=True)


def _assert_nothing_is_lost(house: Served) -> None:
    """Every run and every task of it stands in the database as completed, sooner or later."""
    deadline = time.monotonic() + 120
    while True:
        runs = house.find("flow_runs", flow_runs={"state": {"type": {"any_": ["COMPLETED"]}}})
        tasks = house.find("task_runs", task_runs={"state": {"type": {"any_": ["COMPLETED"]}}})
        names = [one["name"] for one in tasks]
        stages = ("parse", "speech", "music", "mix", "avatar", "encode", "package", "report")
        counts = {stage: names.count(stage) for stage in stages}
        if len(runs) == RUNS and set(counts.values()) == {RUNS}:
            break
        assert time.monotonic() < deadline, (len(runs), counts)
        time.sleep(1)
    assert {run["name"] for run in runs} == {f"talk-{number}" for number in range(RUNS)}
    artifacts = house.find("artifacts", limit=200)
    assert {one["flow_run_id"] for one in artifacts} == {run["id"] for run in runs}


def test_runs_at_once_against_one_sqlite_server_lose_nothing(tmp_path: Path) -> None:
    with served(tmp_path, "--no-worker", more=HOUSE) as house:
        _create_all(house, tmp_path)
        _assert_nothing_is_lost(house)
        said = house.log.read_text()
    print(f"'database is locked' {said.count('database is locked')} times in the server's log")
    for number in range(RUNS):
        assert "locked" not in (tmp_path / f"talk-{number}.log").read_text()


def _postgres() -> str:
    """The folder of PostgreSQL's programs; skips where there is none."""
    found = shutil.which("initdb") or next(
        (str(p) for p in sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)), ""
    )
    if not found:
        pytest.skip("no PostgreSQL here (Debian: apt-get install postgresql)")
    return str(Path(found).resolve().parent)


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[str]:
    """A PostgreSQL of its own, with an empty database; its address as Prefect takes it."""
    programs = _postgres()
    data, port = tmp_path / "pg", free_port()
    # PostgreSQL refuses to be root.
    user: dict[str, object] = {}
    if os.geteuid() == 0:
        try:
            pwd.getpwnam("postgres")
        except KeyError:
            pytest.skip("root may not start PostgreSQL, and there is no user `postgres`")
        user = {"user": "postgres", "group": "postgres", "extra_groups": []}
        data = Path(f"/tmp/studio-pg-{port}")  # noqa: S108 - root's folders hide pytest's
    data.mkdir(mode=0o700)
    shutil.chown(data, *(("postgres", "postgres") if user else (os.geteuid(), os.getegid())))
    environ = {"PATH": f"{programs}:/usr/bin:/bin", "LC_ALL": "C.UTF-8"}

    def run(*command: str) -> None:
        subprocess.run(
            [f"{programs}/{command[0]}", *command[1:]],
            check=True,
            cwd="/",
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            **user,  # type: ignore[call-overload]
        )

    run("initdb", "-D", str(data), "-U", "prefect", "-A", "trust", "-E", "UTF8", "--no-sync")
    where = f"-c listen_addresses=127.0.0.1 -p {port} -c unix_socket_directories={data}"
    run("pg_ctl", "-D", str(data), "-w", "-l", str(data / "log"), "-o", where, "start")
    try:
        run("createdb", "-h", "127.0.0.1", "-p", str(port), "-U", "prefect", "prefect")
        yield f"postgresql+asyncpg://prefect@127.0.0.1:{port}/prefect"
    finally:
        run("pg_ctl", "-D", str(data), "-m", "immediate", "stop")
        shutil.rmtree(data, ignore_errors=True)


def test_workers_and_runs_at_once_against_one_postgres_server_lose_nothing(
    tmp_path: Path, postgres: str
) -> None:
    more = HOUSE | {"PREFECT_API_DATABASE_CONNECTION_URL": postgres}
    with served(tmp_path, more=more) as house:
        assert not list((tmp_path / "prefect").glob("prefect.db*")), "SQLite was used"
        _create_all(house, tmp_path)
        _assert_nothing_is_lost(house)
        script = _scripts(tmp_path)[0]
        ask = {"script": script, "profile": "draft", "out_dir": tmp_path / "out"}
        asked = [house.start_run("episode/default", **ask, name=f"w{n}") for n in range(2)]
        for run in asked:
            assert house.await_state(run, "COMPLETED", "FAILED", "CRASHED") == "COMPLETED"
        # The schedule's runs are made there as well.
        nights = house.find("flow_runs", flow_runs={"state": {"type": {"any_": ["SCHEDULED"]}}})
        assert nights
        server = httpx.get(f"{house.url}/admin/version").json()
        said = house.log.read_text()
    assert server
    assert "locked" not in said
    assert "Traceback" not in said
