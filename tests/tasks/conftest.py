"""A run in a folder of its own, and scripts that are quick to produce."""

from __future__ import annotations

from pathlib import Path

import pytest

from studio.store import Store
from tasks.run import Desk, Run

DIALOGUE = """\
# Two voices

[MUSIC: calm piano]

ALICE: Hello there, Bob.
BOB: Good evening, Alice. How are you?

## The end

ALICE: Fine, thank you.
[MUSIC: fade out]
"""


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run that nobody watches."""
    return Run(store=Store(tmp_path / "store"), out_dir=tmp_path / "out", desk=Desk())


@pytest.fixture
def dialogue(tmp_path: Path) -> Path:
    """A short script with two speakers, music and two chapters."""
    path = tmp_path / "two voices.txt"
    path.write_text(DIALOGUE, encoding="utf-8")
    return path
