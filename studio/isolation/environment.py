"""Builds an engine's own environment: whole and tried, or not there."""

from __future__ import annotations

import collections
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from studio.errors import EngineUnavailable

STAMP = "studio-locks.sha256"
"""Beside the environment's `pyvenv.cfg`: the hash of the lock files that it was built from."""

_KEPT_LINES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Install:
    """One lock file. `with_dependencies` is off where a package's own metadata is out of date."""

    lock: Path
    with_dependencies: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What an environment holds, and code that must run in it before it counts as built."""

    name: str
    installs: tuple[Install, ...]
    trial: str = ""


def is_built(recipe: Recipe, home: Path) -> bool:
    """Whether the environment is there and was built from these very lock files."""
    stamp = home / STAMP
    return stamp.is_file() and stamp.read_text(encoding="ascii") == _hash(recipe)


def build_environment(recipe: Recipe, home: Path, report: Callable[[str], None]) -> Path:
    """Build the environment at `home`; returns its interpreter.

    It is built beside and renamed in, so a build that fails or is stopped leaves what was there. uv
    does the work where it is on the PATH, else venv and pip. `report` gets a line for each step.

    Raises `EngineUnavailable` with the installer's last words.
    """
    home.parent.mkdir(parents=True, exist_ok=True)
    with _alone(home):
        if is_built(recipe, home):
            return _python(home)
        for stale in home.parent.glob(f".{home.name}-*"):
            shutil.rmtree(stale, ignore_errors=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{home.name}-", dir=home.parent))
        try:
            for command in _commands(recipe, draft):
                _run(recipe.name, command, report)
            # Programs in bin/ name the folder that they were installed in, which is now renamed;
            # the interpreter finds its packages by its own place, and nothing else is used.
            (draft / STAMP).write_text(_hash(recipe), encoding="ascii")
            shutil.rmtree(home, ignore_errors=True)
            draft.replace(home)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return _python(home)


def _commands(recipe: Recipe, home: Path) -> Iterator[list[str]]:
    python, uv = str(_python(home)), shutil.which("uv")
    if uv:
        yield [uv, "venv", "--allow-existing", "--python", sys.executable, str(home)]
        install = [uv, "pip", "install", "--compile-bytecode", "--python", python]
    else:
        yield [sys.executable, "-m", "venv", str(home)]
        install = [python, "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
        install += ["--progress-bar", "off"]
    for part in recipe.installs:
        yield [*install, *(() if part.with_dependencies else ("--no-deps",)), "-r", str(part.lock)]
    if recipe.trial:
        yield [python, "-c", recipe.trial]


def _run(name: str, command: Sequence[str], report: Callable[[str], None]) -> None:
    """Run a step, telling its lines. Raises `EngineUnavailable` when it fails."""
    # Variables that steer this environment's Python must not steer the other one's.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    last: collections.deque[str] = collections.deque(maxlen=_KEPT_LINES)
    process = subprocess.Popen(  # noqa: S603 - a list, of our own making
        list(command),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        text=True,
        errors="replace",
    )
    try:
        for line in process.stdout or ():
            said = line.strip()
            if said:
                last.append(said)
                report(said)
        status = process.wait()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    if status:
        faults = [line for line in last if line.upper().startswith("ERROR")] or list(last)[-2:]
        raise EngineUnavailable(
            f"environment {name}",
            f"cannot be built: {' / '.join(faults) or f'status {status}'}",
            "Check the network and the disk's room, then install again",
        )


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """One build of an environment at a time; a second one waits and finds it built."""
    with (home.parent / f".{home.name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _hash(recipe: Recipe) -> str:
    digest = hashlib.sha256()
    for part in recipe.installs:
        digest.update(f"{part.with_dependencies}:".encode() + part.lock.read_bytes())
    return digest.hexdigest()


def _python(home: Path) -> Path:
    return home / "bin" / "python"
