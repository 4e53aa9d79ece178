"""The Wav2Lip engine at its published size with the recipe's weights."""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch")

from models.avatar import Actor, LineSound, Role, open_actor  # noqa: E402
from models.avatar.audio_features import mel, wav2lip_windows  # noqa: E402
from models.avatar.face.boxes import Detection  # noqa: E402
from models.avatar.face.s3fd import S3FD  # noqa: E402
from models.avatar.folding import fold  # noqa: E402
from models.avatar.paste import Paste, feather  # noqa: E402
from models.avatar.placement import Placement, place, surfacing, to_host  # noqa: E402
from models.avatar.wav2lip.film_faces import face_box  # noqa: E402
from models.avatar.wav2lip.lipsync import (  # noqa: E402
    LipSync,
    completed,
    first_shown_row,
    mouth_mask,
    net_faces,
)
from models.avatar.wav2lip.net import FACE_PX, Wav2Lip  # noqa: E402
from models.avatar.wav2lip.portrait_decoder import PortraitDecoder  # noqa: E402
from studio.errors import AvatarError, EngineUnavailable, NoFaceError, SettingError  # noqa: E402
from studio.specs import AvatarSpec, DeviceSpec  # noqa: E402
from studio.types import SAMPLE_RATE  # noqa: E402
from tests.models.avatar import weight_recipe as recipe  # noqa: E402

REFERENCE = Path(__file__).parent / "reference" / "functions.npz"
FACE = Detection(box=(60.0, 30.0, 150.0, 140.0), score=0.9)
CPU = Placement(device=torch.device("cpu"), dtype=torch.float32)


@functools.cache
def published() -> Wav2Lip:
    net = Wav2Lip()
    keys = {k: list(v.shape) for k, v in net.state_dict().items()}
    recipe.filled(net, "wav2lip", keys)
    return net


def network() -> Wav2Lip:
    return copy.deepcopy(published())


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


def filmed(engine: Actor, sound: LineSound) -> NDArray[np.uint8]:
    return np.concatenate(list(engine.film(sound)))


def test_constant_decoder_is_the_network(folded: Wav2Lip, portrait: NDArray[np.uint8]) -> None:
    whole, faces = network(), net_faces([portrait[30:150, 60:150]], CPU.device)
    windows = wav2lip_windows(mel(chirp(0.5)[::3]), range(2, 4), 25)
    stages = folded.face_stages(faces)
    with torch.inference_mode():
        direct = whole(windows, faces.expand(2, -1, -1, -1))
        for first_row in (0, 17, 39, 95):
            once = PortraitDecoder(folded, stages, first_row)(windows)
            again = whole(windows, faces.expand(2, -1, -1, -1), first_row)
            assert once.shape == again.shape == (2, 3, FACE_PX - first_row, FACE_PX)
            assert (direct[:, :, first_row:] - once).abs().max() < 2e-5
            assert (direct[:, :, first_row:] - again).abs().max() < 2e-5


@pytest.mark.parametrize("height", [48, 95, 96, 97, 400, 1081])
def test_rows_that_are_not_decoded_would_not_show(height: int) -> None:
    portrait = np.random.default_rng(height).integers(0, 256, (height, 64, 3), dtype=np.uint8)
    paste = Paste(portrait, (0, 0, 64, height), mouth_mask(height, 64), CPU.device)
    faces, first_row = torch.rand(1, 3, FACE_PX, FACE_PX), first_shown_row(height)
    assert 30 < first_row < 40
    assert torch.equal(paste(faces), paste(completed(faces[:, :, first_row:])))
    shown = completed(faces[:, :, first_row + 3 :])
    assert not torch.equal(paste(faces), paste(shown))


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
    silent = filmed(engine, line(np.zeros(SAMPLE_RATE // 2, np.float32), 5))
    assert (silent == silent[0]).all()
    breath = 2e-4 * np.random.default_rng(2).standard_normal(SAMPLE_RATE)
    spoken = np.concatenate((chirp(0.5), breath.astype(np.float32)))
    frames = filmed(engine, line(spoken, 24))
    assert (frames[18:] == frames[18]).all()
    assert np.abs(frames[18].astype(int) - silent[0]).max() <= 1


def test_half_precision_is_close(folded: Wav2Lip, portrait: NDArray[np.uint8]) -> None:
    half = Placement(device=torch.device("cpu"), dtype=torch.bfloat16)
    sound = line(chirp(0.2), 3)
    exact = filmed(LipSync(folded, portrait, FACE, CPU), sound).astype(float)
    rough = filmed(LipSync(copy.deepcopy(folded), portrait, FACE, half), sound)
    assert (exact != rough).any()
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


def test_large_pictures_come_in_smaller_batches(
    folded: Wav2Lip, portrait: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    free = SimpleNamespace(available=100 << 20)  # of which a batch may take half
    monkeypatch.setattr("psutil.virtual_memory", lambda: free)
    sound = line(chirp(0.1), 2)
    small = [len(chunk) for chunk in LipSync(folded, portrait, FACE, CPU).film(sound)]
    wide = np.tile(portrait, (10, 10, 1))  # 2 x 15.6 MB a frame
    large = [len(chunk) for chunk in LipSync(folded, wide, FACE, CPU).film(sound)]
    assert (small, large) == ([2], [1, 1])


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


def checkpoint(directory: Path) -> None:
    state = {f"module.{k}": v for k, v in network().state_dict().items()}
    torch.save({"state_dict": state, "global_step": 1}, directory / "wav2lip.pth")


@pytest.mark.slow
def test_the_door_reads_the_published_form(tmp_path: Path, portrait: NDArray[np.uint8]) -> None:
    checkpoint(tmp_path)
    marks = np.load(REFERENCE)["lm68_face01"] * 90 + 60
    role = Role(portrait=portrait, spec=AvatarSpec(weights_dir=str(tmp_path)), marks=marks)
    with open_actor("wav2lip", role, DeviceSpec(device="cpu")) as actor:
        assert actor.size_px == (260, 200)
        assert not actor.info.commercial
        frames = np.concatenate(list(actor.film(line(chirp(0.1), 2))))
    assert frames.shape == (2, 200, 260, 3)
    with (
        pytest.raises(EngineUnavailable, match=r"s3fd\.pth"),
        open_actor("wav2lip", replace(role, marks=None), DeviceSpec(device="cpu")),
    ):
        pass


@pytest.mark.parametrize("engine", ["wav2lip", "sadtalker"])
def test_the_door_refuses_before_any_work(engine: Any, portrait: NDArray[np.uint8]) -> None:
    role = Role(portrait=portrait, spec=AvatarSpec())
    for changed, said in ((role, "not set"), (replace(role, commercial=True), "non-commercial")):
        with (
            pytest.raises(EngineUnavailable, match=said),
            open_actor(engine, changed, DeviceSpec()),
        ):
            pass


@pytest.mark.slow
def test_a_picture_without_a_face_is_refused(tmp_path: Path) -> None:
    checkpoint(tmp_path)
    detector = S3FD()
    for name, parameter in detector.named_parameters():
        if name.endswith("conf.bias"):
            parameter.data[:-1] = 50.0  # sees background everywhere
    torch.save(detector.state_dict(), tmp_path / "s3fd.pth")
    blank = np.full((128, 128, 3), 127, np.uint8)
    role = Role(portrait=blank, spec=AvatarSpec(weights_dir=str(tmp_path)))
    with (
        pytest.raises(NoFaceError, match="no face found"),
        open_actor("wav2lip", role, DeviceSpec(device="cpu")),
    ):
        pass
