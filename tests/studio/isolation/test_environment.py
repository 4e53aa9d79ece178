"""Environments: built from a lock file of local packages, whole or not there."""

from __future__ import annotations

import subprocess
import zipfile
from pathlib import Path

import pytest

from studio.errors import EngineUnavailable
from studio.isolation.environment import Install, Recipe, build_environment, is_built

pytestmark = pytest.mark.slow  # a real venv takes seconds


def _wheel(folder: Path, requires: str) -> Path:
    """A package of one module, as pip installs it."""
    path = folder / "tinyengine-1.0-py3-none-any.whl"
    metadata = "Metadata-Version: 2.1\nName: tinyengine\nVersion: 1.0\n"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("tinyengine.py", "ANSWER = 42\n")
        info = "tinyengine-1.0.dist-info"
        wheel.writestr(f"{info}/METADATA", f"{metadata}Requires-Dist: {requires}\n")
        tags = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        wheel.writestr(f"{info}/WHEEL", tags)
        wheel.writestr(f"{info}/RECORD", "")
    return path


def _recipe(folder: Path, trial: str = "import tinyengine") -> Recipe:
    """Its metadata asks for what nobody has, so it installs without dependencies only."""
    lock = folder / "lock.txt"
    lock.write_text(f"{_wheel(folder, 'no-such-package-anywhere==9')}\n", encoding="utf-8")
    return Recipe(name="tiny", installs=(Install(lock=lock, with_dependencies=False),), trial=trial)


def test_an_environment_is_built_once_and_again_when_its_lock_changes(tmp_path: Path) -> None:
    recipe, home = _recipe(tmp_path), tmp_path / "engines" / "tiny"
    said: list[str] = []
    python = build_environment(recipe, home, said.append)
    code = "import tinyengine; print(tinyengine.ANSWER)"
    run = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "42\n"
    assert any("tinyengine" in line for line in said)
    assert is_built(recipe, home)
    steps = len(said)
    build_environment(recipe, home, said.append)
    assert len(said) == steps
    recipe.installs[0].lock.write_text("# nothing\n", encoding="utf-8")
    assert not is_built(recipe, home)


def test_a_failed_build_leaves_what_was_there_and_nothing_else(tmp_path: Path) -> None:
    home = tmp_path / "engines" / "tiny"
    home.mkdir(parents=True)
    (home / "kept").touch()
    with pytest.raises(EngineUnavailable, match=r"cannot be built: .*not_there_at_all"):
        build_environment(_recipe(tmp_path, "import not_there_at_all"), home, lambda _: None)
    assert sorted(p.name for p in home.parent.iterdir()) == [".tiny.lock", "tiny"]
    assert (home / "kept").exists()
