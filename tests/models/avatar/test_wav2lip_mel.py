"""The mel spectrogram and the windows that look into it, against the originals' and against
themselves.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from models.avatar import audio_features as features  # noqa: E402

REFERENCE = np.load(Path(__file__).parent / "reference" / "functions.npz")


def test_mel_is_the_originals() -> None:
    assert np.abs(features.mel_basis() - REFERENCE["mel_basis"]).max() < 1e-7
    assert np.abs(features.mel(REFERENCE["wav"]).T.numpy() - REFERENCE["mel"]).max() < 5e-5


def test_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = features.mel(REFERENCE["wav"])
    monkeypatch.setattr(features, "_BLOCK", 31)
    assert torch.allclose(features.mel(REFERENCE["wav"]), whole, atol=1e-6)


@pytest.mark.parametrize("fps", ["24", "25", "29.97", "30"])
def test_wav2lip_windows_start_where_the_original_starts(fps: str) -> None:
    columns = REFERENCE["mel"].shape[1]
    starts = REFERENCE[f"w2l_starts_{fps}"]
    ramp = torch.arange(float(columns))[:, None].expand(-1, 80)
    found = features.wav2lip_windows(ramp, range(len(starts)), float(fps))
    assert found[:, 0, 0, 0].tolist() == starts.tolist()


def test_sadtalker_windows_are_the_originals() -> None:
    assert np.array_equal(features.sadtalker_index(135, range(42)), REFERENCE["sad_idx"])


@settings(max_examples=40, deadline=None)
@given(
    columns=st.integers(1, 300), frames=st.integers(1, 80), fps=st.sampled_from((24, 25, 30, 60))
)
def test_every_frame_has_its_window(columns: int, frames: int, fps: int) -> None:
    spectrogram = torch.arange(float(columns))[:, None].expand(-1, 80)
    lips = features.wav2lip_windows(spectrogram, range(frames), fps)
    assert lips.shape == (frames, 1, 80, 16)
    starts = lips[:, 0, 0, 0]
    assert torch.all(starts.diff() >= 0)
    if columns >= 16:
        for i in range(frames):
            assert starts[i] == min(int(i * 80 / fps), columns - 16)
    talk = features.sadtalker_windows(spectrogram, range(frames))
    assert talk.shape == (frames, 1, 80, 16)
    halves = [features.sadtalker_windows(spectrogram, part) for part in (range(7), range(7, 20))]
    whole = features.sadtalker_windows(spectrogram, range(20))
    assert torch.equal(torch.cat(halves), whole)


def test_pauses_are_silenced_and_speech_is_not() -> None:
    rng = np.random.default_rng(0)
    time = np.arange(3 * features.SPEECH_RATE) / features.SPEECH_RATE
    voice = 0.3 * np.sin(2 * np.pi * 180 * time) * ((time < 1) | (time > 2))
    breath = 2e-4 * rng.standard_normal(len(time))  # -74 dBFS
    columns = features.mel((voice + breath).astype(np.float32))
    hushed = features.hush(columns)
    assert columns[90:150].max() > -4
    assert hushed[90:150].max() == -4
    assert torch.equal(hushed[:80], columns[:80])
    assert torch.equal(hushed[160:], columns[160:])


def test_a_plosives_closure_is_no_pause() -> None:
    columns = torch.full((100, 80), 1.0)
    columns[40:50] = -3.9
    assert torch.equal(features.hush(columns), columns)


def test_silence_is_silence() -> None:
    columns = features.mel(np.zeros(1600, np.float32))
    assert columns.shape == (9, 80)
    assert torch.equal(features.hush(columns), torch.full((9, 80), -4.0))
