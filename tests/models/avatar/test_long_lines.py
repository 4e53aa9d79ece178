"""A line of any length: what sees all of it costs a known few bytes a minute, the rest nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from models.avatar.audio_features import BANDS, HOP, SPEECH_RATE, mel  # noqa: E402
from models.avatar.sadtalker.audio2pose import LATENT, Audio2Pose  # noqa: E402
from models.avatar.speech_encoder import EMBEDDING  # noqa: E402
from tests.models.avatar.published_weights import state_of  # noqa: E402

MINUTES = 10

GROWTH = f"""
import numpy as np, torch
from models.avatar.audio_features import hush, mel, sadtalker_windows, wav2lip_windows
from models.avatar.sadtalker.motion import blink_ratio, savgol, windows

def mib(field):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(field)) / 1024

def see(samples):
    frames = len(samples) // 640
    heard = hush(mel(samples))
    for first in range(0, frames, 64):
        block = range(first, min(first + 64, frames))
        sadtalker_windows(heard, block)
        wav2lip_windows(heard, block, 25)
    coefficients = np.zeros((frames, 73), np.float32)
    coefficients[:, 0] = blink_ratio(frames, np.random.default_rng(1))
    coefficients[:, 64:70] = savgol(coefficients[:, 64:70])
    for first in range(0, frames, 16):
        windows(coefficients, np.arange(first, min(first + 16, frames)).astype(float))

torch.set_num_threads(1)
time = np.arange({MINUTES} * 960_000, dtype=np.float32)
samples = np.sin(time * 0.05, dtype=np.float32)
del time
see(samples[:960_000])
before = mib("VmRSS")
see(samples)
print(mib("VmHWM") - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_ten_minutes_cost_their_columns_and_coefficients_only() -> None:
    told = subprocess.run(
        [sys.executable, "-c", GROWTH],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=True,
    )
    columns_mib = MINUTES * 60 * (SPEECH_RATE / HOP) * BANDS * 4 / 2**20
    # Columns as heard and with their pauses silent, coefficients, and what the allocator keeps;
    # one more copy of the sound would be 37 MiB, and the columns in complex spectra 73 MiB.
    assert float(told.stdout) < 2 * columns_mib + 35


@pytest.mark.parametrize("num_samples", [0, 1, 199, 200, 4096 * 200 - 1, 4096 * 200 + 401])
def test_columns_do_not_depend_on_where_blocks_end(
    num_samples: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(num_samples)
    samples = (0.2 * rng.standard_normal(num_samples)).astype(np.float32)
    whole = mel(samples)
    assert whole.shape == (num_samples // HOP + 1, BANDS)
    monkeypatch.setattr("models.avatar.audio_features._BLOCK", 257)
    assert (mel(samples) - whole).abs().max() < 2e-5


def test_poses_do_not_depend_on_how_many_are_drawn_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    net = Audio2Pose()
    net.load_state_dict(state_of("audio2pose"), strict=False)
    net.eval()
    torch.manual_seed(1)
    frames = 32 * 5 + 8
    speech, pose = torch.randn(frames, EMBEDDING), torch.randn(6)
    latents = torch.randn(Audio2Pose.num_latents(frames), LATENT)
    with torch.inference_mode():
        together = net(speech, pose, latents, 3)
        monkeypatch.setattr("models.avatar.sadtalker.audio2pose._TOGETHER", 2)
        apart = net(speech, pose, latents, 3)
    assert together.shape == (frames, 6)
    assert (together - apart).abs().max() < 1e-4 * together.abs().max()
