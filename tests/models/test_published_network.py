"""The real checkpoints from the real hubs, through the command that people use. Only where the
network is: `pytest -m network`.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = [pytest.mark.network, pytest.mark.slow, pytest.mark.timeout(3600)]

ROOT = Path(__file__).parents[2]
Python = Callable[..., subprocess.CompletedProcess[str]]

SPEAK = """
from models.voice import LineSpec, open_voice
from models.voice.take import check_take
from studio.specs import DeviceSpec, VoiceSpec

line = LineSpec(text="The river rose two metres in one night, and the bridge held.", voice="p226")
with open_voice("coqui_tts", VoiceSpec(), DeviceSpec(device="cpu")) as voice:
    assert len(set(voice.cast(["A", "B"], {}).values())) == 2
    (said,) = voice.say([line])
    take = check_take(voice, line, said, 3)
assert take.takes == 1, take.rejected
assert [word.text for word in said.words] == line.text.split()
assert voice.info.commercial
"""

PLAY = """
import numpy as np
from models.music import CueSpec, open_composer
from models.published import bytes_here, find
from studio.specs import DeviceSpec, MusicSpec
from studio.types import SAMPLE_RATE

# 0.59e9 weights in full precision.
assert bytes_here(find("musicgen-small")) > 2_000_000_000
cues = [CueSpec(prompt="calm piano", seconds=2.0, seed=n) for n in (1, 1, 2)]
with open_composer("musicgen_hf", MusicSpec(), DeviceSpec(device="cpu")) as composer:
    first, same, other = (next(iter(piece.chunks)) for piece in composer.compose(cues))
assert first.shape == (2 * SAMPLE_RATE, 2)
assert np.array_equal(first, same)
assert not np.array_equal(first, other)
"""


@pytest.fixture
def python(tmp_path: Path) -> Python:
    """Python with empty caches of its own: the libraries read where theirs are at import."""
    homes = {name: str(tmp_path / name) for name in ("STUDIO_HOME", "HF_HOME", "TTS_HOME")}

    def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            env={**os.environ, **homes, **environ},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def _fetched(python: Python, name: str, host: str) -> str:
    """Weights fetched by the command; what it said. Skips where `host` cannot be reached."""
    try:
        socket.create_connection((host, 443), timeout=10).close()
    except OSError as error:
        pytest.skip(f"{host} cannot be reached ({error})")
    command = ("-m", "flows.cli", "engines", "fetch", name)
    unasked = python(*command)
    assert unasked.returncode == 2
    done = python(*command, "--accept-licence")
    assert done.returncode == 0, done.stderr
    assert "here already" in python(*command).stdout
    return done.stdout


def test_the_default_voice_is_fetched_and_says_its_words(python: Python) -> None:
    pytest.importorskip("TTS")
    assert "apache" in _fetched(python, "coqui_tts", "github.com").casefold()
    spoken = python("-c", SPEAK)
    assert spoken.returncode == 0, spoken.stderr


def test_small_musicgen_is_fetched_and_plays_offline(python: Python) -> None:
    pytest.importorskip("transformers")
    assert "CC-BY-NC-4.0" in _fetched(python, "musicgen-small", "huggingface.co")
    played = python("-c", PLAY, HF_HUB_OFFLINE="1")
    assert played.returncode == 0, played.stderr
