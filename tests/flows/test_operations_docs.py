"""The commands of docs/operations.md are typed as they stand there, in the order they stand in."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner

from flows.cli import app
from flows.server import answers
from tests.flows.household import ROOT, environment, free_port

PAGE = ROOT / "docs" / "operations.md"
STAYS = ("make serve", "studio serve", "prefect worker start")
"""Commands that go on until they are stopped."""


def commands(page: str) -> list[str]:
    """Every line of the page's `sh` blocks, without its remark."""
    blocks = re.findall(r"^```sh\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    lines = [line.split("  #")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line]


def test_every_studio_command_of_the_page_knows_its_options() -> None:
    page = PAGE.read_text()
    told = re.findall(r"^(?:[A-Z_]+=\S+ )?studio (.+?)(?:  #.*)?$", page, re.MULTILINE)
    told += re.findall(r"`studio ([a-z]+(?: --[^`]*)?)`", page)
    assert {line.split()[0] for line in told} >= {"serve", "batch", "gc"}
    for line in told:
        name, *rest = shlex.split(line)
        said = CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "300", "NO_COLOR": "1"})
        assert said.exit_code == 0, line
        for option in (word for word in rest if word.startswith("--")):
            assert option in said.output, f"studio {line}"


def test_the_page_says_all_that_is_registered() -> None:
    page = PAGE.read_text()
    deployed = (ROOT / "prefect.yaml").read_text()
    pools = set(re.findall(r"work_pool: \{name: (\S+)\}", deployed))
    assert all(f"`{pool}`" in page for pool in pools)
    assert "`episode/default`" in page
    assert "`nightly-batch/nightly`" in page


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder like the project's: its deployments, one of its scripts."""
    for name in ("prefect.yaml", "automations.yaml", "Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "examples").mkdir()
    shutil.copy(ROOT / "examples" / "draft.txt", tmp_path / "examples")
    # `make install` finds its work done.
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "bin").symlink_to(ROOT / ".venv" / "bin")
    return tmp_path


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[bytes]]]:
    """What the page starts and leaves running; all of it ends."""
    processes: list[subprocess.Popen[bytes]] = []
    yield processes
    everyone = [c for p in processes for c in psutil.Process(p.pid).children(recursive=True)]
    for process in reversed(processes):
        process.terminate()
    for process in processes:
        process.wait(timeout=120)
    for one in everyone:
        if one.is_running():
            one.terminate()
    _, alive = psutil.wait_procs(everyone, timeout=60)
    assert alive == []


@pytest.mark.slow
@pytest.mark.skipif(not (ROOT / ".venv/bin/studio").exists(), reason="`make install` was not run")
@pytest.mark.timeout(1800)
def test_the_page_works_as_it_is_typed(
    project: Path, started: list[subprocess.Popen[bytes]]
) -> None:
    ports = {"make serve": free_port(), "studio serve": free_port()}
    typed = commands(PAGE.read_text())
    assert len(typed) >= 10
    environ = environment(project / "home")
    environ["PYTHONPATH"] = str(ROOT)
    environ["STUDIO_HOME"] = str(project / "home" / "store")
    for line in typed:
        if line.startswith("export "):
            name, value = line.removeprefix("export ").split("=", 1)
            environ[name] = value.replace("4200", str(ports["make serve"]))
        elif line.startswith(STAYS):
            log = (project / f"log-{len(started)}.txt").open("wb")
            started.append(
                subprocess.Popen(
                    ["/bin/sh", "-c", f"exec {_on_port(line, ports)}"],
                    cwd=project,
                    # A second server on this machine has a database of its own.
                    env=environ | ({"PREFECT_HOME": str(project / "other")} if started else {}),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
            )
            if "serve" in line:
                _await_serve(Path(log.name), started[-1])
        else:
            done = subprocess.run(
                ["/bin/sh", "-c", line],
                cwd=project,
                env=environ,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                timeout=900,
            )
            # The pool is there: the page's first command made it.
            known = "work-pool create" in line and "already exists" in done.stdout + done.stderr
            assert done.returncode == 0 or known, f"{line}\n{done.stdout}{done.stderr}"
    assert (project / "out" / "draft" / "draft.mp4").stat().st_size > 10_000
    assert (project / "site" / "feed.xml").is_file()
    assert answers(environ["PREFECT_API_URL"])


def _on_port(line: str, ports: dict[str, int]) -> str:
    if line.startswith("make serve"):
        return f"{line} SERVE='--port {ports['make serve']}'"
    if line.startswith("studio serve"):
        return f"{line} --port {ports['studio serve']}"
    return line


def _await_serve(log: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 300
    while "Workers here" not in log.read_text():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.2)
