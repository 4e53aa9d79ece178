from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from models.voice import LineSpec
from models.voice.espeak_ng import utter
from models.voice.reference import read_reference
from studio.errors import MediaError

TEXT = "This is how I speak, and it takes a while to say it all, does it not? I think it does."


def _write(path: Path, samples: np.ndarray, rate: int = 22_050) -> Path:
    soundfile.write(path, samples, rate)
    return path


def _speech() -> np.ndarray:
    return utter(LineSpec(text=TEXT, voice="alto")).samples


def test_clean_speech_is_accepted(tmp_path: Path) -> None:
    speech = _speech()
    reference = read_reference(_write(tmp_path / "voice.wav", speech))
    assert reference.samples.dtype == np.float32
    assert len(reference.samples) / reference.sample_rate == pytest.approx(
        len(speech) / 22_050, abs=0.1
    )


def test_unusable_recordings_say_what_is_wrong(tmp_path: Path) -> None:
    speech, random = _speech(), np.random.default_rng(1)
    time = np.arange(6 * 22_050) / 22_050
    for name, samples, fault in [
        ("short", speech[:30_000], "too short"),
        ("long", np.tile(speech, 40), "too long"),
        ("clipped", np.clip(speech * 30, -1, 1), "clipped"),
        ("quiet", speech * 0.002, "level"),
        ("noise", random.normal(0, 0.1, len(speech)), "speech"),
        ("tone", 0.3 * np.sin(2 * np.pi * 220 * time), "speech"),
        (
            "drums",
            random.normal(0, 0.3, len(time)) * (np.sin(2 * np.pi * 2 * time) > 0.8),
            "speech",
        ),
    ]:
        with pytest.raises(MediaError, match=fault) as caught:
            read_reference(_write(tmp_path / f"{name}.wav", samples))
        assert f"{name}.wav" in caught.value.where
    with pytest.raises(MediaError, match="no such file"):
        read_reference(tmp_path / "missing.wav")
