"""The house stands as it was drawn: imports go down, names do not clash, imports have no effect."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("flows", "tasks", "models", "profiles", "studio")
MAY_IMPORT = {
    "flows": {"flows", "tasks", "profiles", "studio"},
    "tasks": {"tasks", "models", "studio"},
    "models": {"models", "studio"},
    "profiles": {"profiles", "studio"},
    "studio": {"studio"},
}
FILES = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]
HEAVY = ("torch", "tensorflow", "transformers", "TTS", "pynvml")


def _imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add((node.module or "").split(".")[0])
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_down_only(path: Path) -> None:
    room = path.relative_to(ROOT).parts[0]
    assert _imported(path) & set(ROOMS) <= MAY_IMPORT[room]


@pytest.mark.parametrize("path", sorted((ROOT / "flows").glob("*.py")), ids=lambda p: p.name)
def test_flows_know_the_order_only(path: Path) -> None:
    assert not _imported(path) & {"numpy", "torch", "tensorflow", "av", "cv2", "models"}


def test_no_file_hides_a_room_or_names_nothing() -> None:
    vague = {"utils", "helpers", "common", "manager", "handler", "base"}
    for path in FILES:
        assert path.stem not in ROOMS, path
        assert path.stem not in vague, path


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_resolves_inside_this_checkout_and_imports_nothing_heavy(room: str) -> None:
    code = (
        f"import sys, {room}; print({room}.__file__);"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    where, heavy = run.stdout.splitlines()
    assert Path(where).is_relative_to(ROOT)
    assert heavy == "[]"
    assert run.stderr == ""


@pytest.mark.parametrize("flow", ["episode", "batch"])
def test_a_flow_needs_no_extra(flow: str) -> None:
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({HEAVY[:-1]!r}));"
        f"import flows.{flow}, flows.console, tasks.doctor"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr


def test_the_command_answers_without_loading_prefect() -> None:
    code = "import sys, flows.cli; print('prefect' in sys.modules, 'numpy' in sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "False False"


def test_importing_every_module_reads_no_environment() -> None:
    for path in FILES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in tree.body:
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.If)):
                continue
            names = {ast.unparse(n) for n in ast.walk(node) if isinstance(n, ast.Attribute)}
            assert not {"os.environ", "os.getenv"} & names, path
