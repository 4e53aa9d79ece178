"""`studio serve`: from nothing to episodes that a worker makes, and nothing left at its end."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from flows.pools import pools, pools_here
from flows.serve import Household, deployments_folder, serve
from profiles import load_profile
from studio.errors import ServerError, SettingError
from studio.gpu.cards import Card
from tests.flows.household import ROOT, Served, served

TEXT = "# Small\n\n[MUSIC: calm piano]\n\nANNA: Hello.\n\nBEN: {words}\n"


def _card(gib: float, nvenc: int = 3) -> Card:
    return Card(index=0, uuid=f"GPU-{gib}", name="card", memory_gib=gib, nvenc_sessions=nvenc)


def test_a_pool_is_a_class_of_machine_and_every_profile_for_cards_has_one() -> None:
    assert set(pools()) == {
        "cpu",
        "laptop-8gb",
        "workstation-24gb",
        "dual-24gb",
        "server-80gb",
        "h200",
    }
    assert all(load_profile(name).name == name for name in pools())
    assert pools_here(()) == ("cpu",)
    assert pools_here([_card(23.9)]) == ("cpu", "workstation-24gb")
    assert pools_here([_card(23.9), _card(23.7)]) == ("cpu", "dual-24gb")
    assert pools_here([_card(139.8, 0)]) == ("cpu", "h200")
    assert pools_here([_card(4.0)]) == ("cpu",)


def test_an_address_that_others_reach_needs_a_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PREFECT_SERVER_API_AUTH_STRING", raising=False)
    for host in ("0.0.0.0", "192.168.1.4", "studio.example", "::"):  # noqa: S104 - refused
        with pytest.raises(SettingError, match="without a password"):
            serve(Household(home=tmp_path, folder=ROOT, host=host), print)
    assert list(tmp_path.iterdir()) == []


def test_a_port_that_is_taken_is_said_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ServerError, match=f"127.0.0.1:{port}"):
            serve(Household(home=tmp_path, folder=ROOT, port=port), print)
    assert list(tmp_path.iterdir()) == []


def test_the_deployments_are_those_of_this_folder_or_the_studios_own(tmp_path: Path) -> None:
    assert deployments_folder(tmp_path) == ROOT
    (tmp_path / "prefect.yaml").write_text("deployments: []\n")
    assert deployments_folder(tmp_path) == tmp_path


def test_a_pool_that_is_none_is_refused() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "flows.cli", "serve", "--pool", "abacus"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "abacus" in done.stderr
    assert "workstation-24gb" in done.stderr


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    # A folder in which no project lies: what is relative is relative to it.
    place = tmp_path_factory.mktemp("served")
    folder = place / "podcasts"
    folder.mkdir()
    with served(place / "home" / "not" / "there", folder=folder) as house:
        yield house


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_one_command_brings_pools_deployments_schedule_and_watch_for_lost_runs(
    house: Served,
) -> None:
    assert {one["name"] for one in house.find("work_pools")} >= set(pools())
    deployed = house.find("deployments")
    assert {one["work_pool_name"] for one in deployed} == set(pools())
    assert [one["name"] for one in house.find("automations")] == ["lost-heartbeats"]
    assert "studio-mail-server" in {one["slug"] for one in house.find("block_types")}
    assert httpx.get(house.url.removesuffix("/api")).status_code == 200
    assert f"Prefect UI: {house.url.removesuffix('/api')}" in house.log.read_text()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_deployed_episode_is_made_by_the_worker(house: Served) -> None:
    script = house.folder / "small.txt"
    script.write_text(TEXT.format(words="It is made by a worker."))
    run = house.start_run("episode/default", script=script.name, profile="draft")
    assert house.await_state(run, "COMPLETED", "FAILED", "CRASHED") == "COMPLETED"
    made = house.folder / "out" / "small"
    assert (made / "small.mp4").stat().st_size > 10_000
    assert json.loads((made / "manifest.json").read_text())["title"] == "Small"
    said = house.log.read_text()
    assert "Task run 'encode' - Finished in state Completed()" in said
    assert "ERROR" not in said
    assert "Traceback" not in said


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_deployed_night_makes_the_episodes_of_a_folder_and_only_what_changed(
    house: Served,
) -> None:
    scripts = house.folder / "scripts"
    scripts.mkdir()
    for name in ("monday", "tuesday", "wednesday"):
        (scripts / f"{name}.txt").write_text(
            TEXT.format(words=f"This is what we say on {name}, and a little more.")
        )
    night = {"folder": "scripts", "profile": "draft", "out_dir": "night"}

    def made(**more: object) -> dict[str, list[str]]:
        run = house.start_run("nightly-batch/nightly", **night, **more)
        assert house.await_state(run, "COMPLETED", "FAILED", "CRASHED", "CANCELLED") == "COMPLETED"
        report = json.loads((house.folder / "night" / "batch-report.json").read_text())
        return {one["name"]: one["made"] for one in report["episodes"]}

    first = made(limit=2)
    assert set(first) == {"monday", "tuesday"}
    assert all("encode" in stages for stages in first.values())
    assert made(limit=2) == {"monday": [], "tuesday": []}
    anew = made(limit=1, only_changed="false")
    assert "encode" in anew["monday"]
    assert sorted(p.name for p in (house.folder / "night").iterdir() if p.is_dir()) == [
        "monday",
        "tuesday",
    ]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_schedule_that_is_paused_stays_paused_when_all_is_registered_again(
    house: Served,
) -> None:
    def schedule() -> dict[str, object]:
        (night,) = [one for one in house.find("deployments") if one["name"] == "nightly"]
        (one,) = night["schedules"]
        return {"id": one["id"], "active": one["active"], "cron": one["schedule"]["cron"]}

    before = schedule()
    assert before["active"] is True
    night = "nightly-batch/nightly"
    house.prefect("deployment", "schedule", "pause", night, str(before["id"]))
    house.prefect("deploy", "--all", "--prefect-file", str(ROOT / "prefect.yaml"))
    assert schedule()["active"] is False
    house.prefect("deployment", "schedule", "resume", night, str(schedule()["id"]))
    assert schedule()["active"] is True


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_worker_or_server_that_is_killed_comes_back_and_the_work_goes_on(house: Served) -> None:
    script = house.folder / "long.txt"
    words = " ".join(f"This is sentence number {n} of a long talk." for n in range(20))
    script.write_text(TEXT.format(words=words))
    ask = {"script": script.name, "profile": "draft"}
    house.start_run("episode/default", **ask)
    flow = house.member("prefect.engine")
    house.member("worker start").kill()
    _, alive = psutil.wait_procs([flow], timeout=30)
    assert alive == [], "a run outlived its worker"

    house.member("server start").kill()
    house.await_server()
    said = house.log.read_text()
    assert "the server ended" in said
    assert "the worker of cpu ended" in said
    again = house.start_run("episode/default", **ask)
    assert house.await_state(again, "COMPLETED", "FAILED", "CRASHED") == "COMPLETED"


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_it_takes_all_of_its_processes_with_it(tmp_path: Path, number: signal.Signals) -> None:
    script = tmp_path / "talk.txt"
    script.write_text(TEXT.format(words="One more sentence. " * 40))
    with served(tmp_path) as house:
        house.start_run("episode/default", script=script, profile="draft", out_dir=tmp_path)
        house.member("prefect.engine")
        everyone = house.tree()
        assert len(everyone) >= 3
        os.kill(house.process.pid, number)
        house.process.wait(timeout=120)
        _, alive = psutil.wait_procs(everyone, timeout=40)
        assert alive == []


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_without_a_worker_only_the_server_stays_and_a_password_is_asked_for(
    tmp_path: Path,
) -> None:
    password = {"PREFECT_SERVER_API_AUTH_STRING": "admin:a-long-password"}
    with served(tmp_path, "--no-worker", "--host", "0.0.0.0", more=password) as house:  # noqa: S104
        assert "Workers here: none" in house.log.read_text()
        assert all("worker" not in " ".join(one.cmdline()) for one in house.tree())
        url = f"{house.url}/work_pools/filter"
        assert httpx.post(url, json={}).status_code == 401
        found = httpx.post(url, json={}, auth=("admin", "a-long-password")).json()
        assert {one["name"] for one in found} >= set(pools())
        assert "a-long-password" not in house.log.read_text()
