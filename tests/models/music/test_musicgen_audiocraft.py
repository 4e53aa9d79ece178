"""audiocraft in its own environment: the real package where it is, a clear word where not."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from models.music import PIECE_LUFS, CueSpec, open_composer
from models.music.arranger.room import loudness_lufs
from models.music.musicgen_audiocraft import AUDIOCRAFT, audiocraft_python, open_audiocraft
from studio.errors import EngineUnavailable
from studio.specs import DeviceSpec, MusicSpec
from studio.types import SAMPLE_RATE

PYTHON = Path(os.environ.get("STUDIO_AUDIOCRAFT_PYTHON", str(audiocraft_python())))
CPU = DeviceSpec(device="cpu", threads=1)


def test_without_its_environment_it_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STUDIO_HOME", str(tmp_path))
    with (
        pytest.raises(EngineUnavailable, match="no interpreter at") as caught,
        open_composer("musicgen_audiocraft", MusicSpec(), CPU),
    ):
        pass
    assert "studio engines install audiocraft" in caught.value.remedy
    assert all(part.lock.is_file() for part in AUDIOCRAFT.installs)


@pytest.mark.slow
@pytest.mark.skipif(not PYTHON.is_file(), reason="audiocraft's environment is not installed")
def test_the_real_package_generates_a_repeatable_batch() -> None:
    cues = [
        CueSpec(prompt="soft piano", seconds=1.0, seed=1),
        CueSpec(prompt="drums", seconds=2.0, seed=2),
    ]
    with open_audiocraft(MusicSpec(), CPU, source="debug", python=PYTHON) as composer:
        one, two = (
            [next(iter(piece.chunks)) for piece in composer.compose(cues)] for _ in range(2)
        )
        assert composer.info.rate == 32_000
    assert [len(sound) for sound in one] == [SAMPLE_RATE, 2 * SAMPLE_RATE]
    for first, second in zip(one, two, strict=True):
        np.testing.assert_array_equal(first, second)
        assert loudness_lufs(first) == pytest.approx(PIECE_LUFS, abs=1.0)
