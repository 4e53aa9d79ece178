"""The Wav2Lip engine at its published size with the recipe's weights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch")

from models.avatar import LineSound  # noqa: E402
from models.avatar.audio_features import mel, wav2lip_windows  # noqa: E402
from models.avatar.face.boxes import Detection  # noqa: E402
from models.avatar.folding import fold  # noqa: E402
from models.avatar.paste import Paste, feather  # noqa: E402
from models.avatar.placement import Placement, place, surfacing, to_host  # noqa: E402
from models.avatar.wav2lip.lipsync import LipSync, face_box, net_faces  # noqa: E402
from models.avatar.wav2lip.net import Wav2Lip  # noqa: E402
from models.avatar.wav2lip.portrait_decoder import PortraitDecoder  # noqa: E402
from studio.errors import AvatarError, EngineUnavailable, SettingError  # noqa: E402
from studio.specs import DeviceSpec  # noqa: E402
from studio.types import SAMPLE_RATE  # noqa: E402
from tests.models.avatar import weight_recipe as recipe  # noqa: E402

FACE = Detection(box=(60.0, 30.0, 150.0, 140.0), score=0.9)
CPU = Placement(device=torch.device("cpu"), dtype=torch.float32)


def network() -> Wav2Lip:
    net = Wav2Lip()
    keys = {k: list(v.shape) for k, v in net.state_dict().items()}
    recipe.filled(net, "wav2lip", keys)
    return net


@pytest.fixture(scope="module")
def folded() -> Wav2Lip:
    return fold(network())


@pytest.fixture(scope="module")
def portrait() -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, (200, 260, 3), dtype=np.uint8)


def line(samples: NDArray[np.float32], frames: int, fps: int = 25) -> LineSound:
    return LineSound(samples=samples, phonemes=(), words=(), num_frames=frames, fps=fps, seed=1)


def chirp(seconds: float) -> NDArray[np.float32]:
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return np.asarray(0.3 * np.sin(2 * np.pi * (150 + 900 * time) * time), np.float32)


def filmed(engine: LipSync, sound: LineSound) -> NDArray[np.uint8]:
    return np.concatenate(list(engine.film(sound)))


def test_constant_decoder_is_the_network(folded: Wav2Lip, portrait: NDArray[np.uint8]) -> None:
    whole, faces = network(), net_faces([portrait[30:150, 60:150]], CPU.device)
    windows = wav2lip_windows(mel(chirp(0.5)[::3]), range(3), 25)
    with torch.inference_mode():
        direct = whole(windows, faces.expand(3, -1, -1, -1))
        once = PortraitDecoder(folded, folded.face_stages(faces))(windows)
    assert (direct - once).abs().max() < 2e-5


def test_frames_are_asked_for_and_do_not_depend_on_the_batch(
    folded: Wav2Lip, portrait: NDArray[np.uint8]
) -> None:
    sound = line(chirp(0.4), 7, fps=30)
    one = filmed(LipSync(folded, portrait, FACE, CPU, batch=1), sound)
    many = filmed(LipSync(folded, portrait, FACE, CPU, batch=5), sound)
    assert one.shape == (7, 200, 260, 3)
    assert np.abs(one.astype(int) - many).max() <= 1
    assert np.abs(one[1:].astype(int) - one[:-1]).max() >= 2


def test_only_the_lower_face_changes(folded: Wav2Lip, portrait: NDArray[np.uint8]) -> None:
    (frame,) = filmed(LipSync(folded, portrait, FACE, CPU), line(chirp(0.2), 1))
    left, top, right, bottom = face_box(FACE, 260, 200)
    changed = frame != portrait
    assert changed[top + 60 : bottom - 20, left + 20 : right - 20].mean() > 0.9
    changed[top:bottom, left:right] = False
    assert not changed.any()
    assert not (frame != portrait)[: top + 30].any()


def test_silence_and_breath_keep_the_mouth_still(
    folded: Wav2Lip, portrait: NDArray[np.uint8]
) -> None:
    engine = LipSync(folded, portrait, FACE, CPU)
    silent = filmed(engine, line(np.zeros(SAMPLE_RATE // 2, np.float32), 12))
    assert (silent == silent[0]).all()
    breath = 2e-4 * np.random.default_rng(2).standard_normal(SAMPLE_RATE)
    spoken = np.concatenate((chirp(0.5), breath.astype(np.float32)))
    frames = filmed(engine, line(spoken, 37))
    assert (frames[18:] == frames[18]).all()
    assert np.abs(frames[18].astype(int) - silent[0]).max() <= 1


def test_half_precision_is_close(portrait: NDArray[np.uint8]) -> None:
    half = Placement(device=torch.device("cpu"), dtype=torch.bfloat16)
    sound = line(chirp(0.2), 3)
    exact = filmed(LipSync(fold(network()), portrait, FACE, CPU), sound).astype(float)
    rough = filmed(LipSync(fold(network()), portrait, FACE, half), sound)
    noise = ((exact - rough) ** 2).mean()
    assert 10 * np.log10(255**2 / noise) > 45


def test_torchs_errors_surface_at_once() -> None:
    with pytest.raises(AvatarError, match=r"lips: The size of tensor"), surfacing("lips"):
        torch.zeros(2) + torch.zeros(3)
    with pytest.raises(AvatarError, match="out of GPU memory"), surfacing("lips"):
        raise torch.OutOfMemoryError("CUDA out of memory\nmore")


def test_placements_that_cannot_be_are_refused() -> None:
    with pytest.raises(SettingError, match="fp16"):
        place(DeviceSpec(device="cpu", dtype="fp16"))
    if not torch.cuda.is_available():
        with pytest.raises(EngineUnavailable, match="no CUDA card"):
            place(DeviceSpec(device="cuda"))
        assert place(DeviceSpec()).device.type == "cpu"


def test_batches_fit_the_memory() -> None:
    assert CPU.batch(16, 1 << 20) == 16
    assert CPU.batch(16, 1 << 60) == 1


def test_batches_arrive_in_order_and_one_at_a_time() -> None:
    made: list[int] = []

    def batches() -> Iterator[Any]:
        for i in range(4):
            made.append(i)
            yield torch.full((1, 2, 2, 3), i, dtype=torch.uint8)

    for i, frames in enumerate(to_host(batches())):
        assert frames.max() == i
        assert len(made) <= i + 2  # the next one is under way, no more


def test_paste_blends_by_its_mask() -> None:
    portrait = np.full((40, 50, 3), 100, np.uint8)
    mask = feather(20, 20, 0.25)
    frames = Paste(portrait, (40, 30, 60, 50), mask, CPU.device)(torch.ones(2, 3, 8, 8))
    assert frames.shape == (2, 40, 50, 3)
    expected = np.round(100 + 155 * mask[:10, :10].numpy())
    assert np.abs(frames[1, 30:, 40:, 0].numpy() - expected).max() <= 1
    assert (frames[:, :30] == 100).all()
    assert mask[10, 10] == 1
    assert mask.min() < 0.02
