"""The SadTalker engine with networks of the published sizes, the recipe's weights and small frames.

128 px is a quarter of the published frame's work through the same code.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from models.avatar import LineSound  # noqa: E402
from models.avatar.gfpgan.enhance import TEMPLATE, Enhancer, similarity, warp  # noqa: E402
from models.avatar.placement import Placement  # noqa: E402
from models.avatar.sadtalker.networks import Networks, load_networks  # noqa: E402
from models.avatar.sadtalker.subject import Subject, study  # noqa: E402
from models.avatar.sadtalker.talker import Talker  # noqa: E402
from studio.errors import EngineUnavailable, NoFaceError  # noqa: E402
from studio.specs import SadTalkerSpec  # noqa: E402
from studio.types import SAMPLE_RATE  # noqa: E402
from tests.models.avatar import parity_adapter as adapter  # noqa: E402
from tests.models.avatar import weight_recipe as recipe  # noqa: E402
from tests.models.avatar.test_sadtalker_parity import published  # noqa: E402

pytestmark = pytest.mark.slow

CPU = Placement(device=torch.device("cpu"), dtype=torch.float32)
REFERENCE = np.load(Path(__file__).parent / "reference" / "functions.npz")
MARKS = REFERENCE["lm68_face01"] * 120 + (80, 48)


def network(name: str) -> Any:
    return recipe.filled(adapter.build(name), name, published(name))


@functools.cache
def networks(mapping: str = "mapping_full", restorer: bool = False) -> Networks:
    return Networks(
        reconstruction=network("face_3drecon"),
        audio2exp=network("audio2exp"),
        audio2pose=network("audio2pose"),
        mapping=network(mapping),
        keypoints=network("kp_extractor"),
        renderer=network("generator"),
        restorer=network("gfpgan") if restorer else None,
    ).settle(CPU)


@pytest.fixture(scope="module")
def portrait() -> NDArray[np.uint8]:
    rough = np.random.default_rng(1).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    return np.ascontiguousarray(np.kron(rough, np.ones((20, 20, 1), np.uint8)))


def spec(**changes: Any) -> SadTalkerSpec:
    return SadTalkerSpec(**changes).model_copy(update={"size_px": 128})


def subject(portrait: NDArray[np.uint8], acting: SadTalkerSpec) -> Subject:
    mapping = "mapping_full" if acting.frame == "full" else "mapping"
    return study(networks(mapping), portrait, acting, MARKS)


def talker(portrait: NDArray[np.uint8], acting: SadTalkerSpec, **options: Any) -> Talker:
    mapping = "mapping_full" if acting.frame == "full" else "mapping"
    seen = subject(portrait, acting)
    return Talker(networks(mapping), seen, acting, CPU, **options)


def line(frames: int, fps: int = 25, seed: int = 1, loud: float = 0.3) -> LineSound:
    time = np.arange(round(frames / fps * SAMPLE_RATE)) / SAMPLE_RATE
    samples = loud * np.sin(2 * np.pi * (150 + 900 * time) * time)
    return LineSound(
        samples=samples.astype(np.float32),
        phonemes=(),
        words=(),
        num_frames=frames,
        fps=fps,
        seed=seed,
    )


def filmed(actor: Talker, sound: LineSound) -> NDArray[np.uint8]:
    return np.concatenate(list(actor.film(sound)))


def test_frames_cover_the_line_and_only_the_square_moves(portrait: NDArray[np.uint8]) -> None:
    actor = talker(portrait, spec())
    frames = filmed(actor, line(3, fps=30))
    assert frames.shape == (3, 240, 320, 3)
    assert actor.size_px == (320, 240)
    left, top, right, bottom = subject(portrait, spec()).box
    changed = (frames != portrait).any(axis=(0, 3))
    assert changed[top + 15 : bottom - 15, left + 15 : right - 15].mean() > 0.9
    changed[top:bottom, left:right] = False
    assert not changed.any()


def test_crop_and_resize_give_back_the_shape(portrait: NDArray[np.uint8]) -> None:
    crop = talker(portrait, spec(frame="crop"))
    left, top, right, bottom = subject(portrait, spec(frame="crop")).box
    assert crop.size_px == (128, round(128 * (bottom - top) / (right - left) / 2) * 2)
    resize = talker(portrait, spec(frame="resize"))
    assert resize.size_px == (128, 96)
    assert filmed(resize, line(1)).shape == (1, 96, 128, 3)
    wide = subject(portrait, spec(frame="crop", wide=True)).box
    assert wide[2] - wide[0] > right - left


def test_acting_follows_its_options(portrait: NDArray[np.uint8]) -> None:
    sound = line(90)
    free = talker(portrait, spec()).act(sound)
    rest = subject(portrait, spec()).coefficients
    assert free.shape == (90, 73)
    assert np.array_equal(free[0, 64:70], rest[64:70])
    assert np.allclose(free[-1, 64:70], rest[64:70], atol=1e-6)  # the next line begins here
    assert np.abs(free[40, 64:70] - rest[64:70]).max() > 0.01
    assert np.array_equal(free[:, 70:], np.repeat(rest[None, 70:], 90, axis=0))

    still = talker(portrait, spec(still=True)).act(sound)
    assert np.array_equal(still[:, 64:70], np.repeat(rest[None, 64:70], 90, axis=0))
    assert np.array_equal(still[:, :64], free[:, :64])

    doubled = talker(portrait, spec(expression_scale=2.0)).act(sound)
    assert np.allclose(doubled[:, :64], 2 * free[:, :64])
    half = talker(portrait, spec(), motion_scale=0.5).act(sound)
    assert np.allclose(half[:, 64:70] - rest[64:70], (free[:, 64:70] - rest[64:70]) / 2, atol=1e-5)
    styled = talker(portrait, spec(pose_style=7)).act(sound)
    assert not np.allclose(styled[:, 64:70], free[:, 64:70])
    staring = talker(portrait, spec(blink=False)).act(sound)
    blinked = np.abs(staring[:, :64] - free[:, :64]).max(axis=1) > 1e-6
    assert 0 < blinked.sum() <= 45
    again, other = (
        talker(portrait, spec()).act(sound),
        talker(portrait, spec()).act(line(90, seed=2)),
    )
    assert np.array_equal(again, free)
    assert not np.allclose(other[:, 64:70], free[:, 64:70])


def test_a_reference_films_head_is_followed_and_repeated(portrait: NDArray[np.uint8]) -> None:
    rest = subject(portrait, spec()).coefficients[64:70]
    poses = np.random.default_rng(5).normal(0, 0.2, (10, 6)).astype(np.float32)
    acted = talker(portrait, spec(), poses=poses).act(line(60))[:, 64:70] - rest
    assert np.allclose(acted[20:30], poses - poses[0], atol=1e-5)
    assert np.allclose(acted[30:40], acted[20:30], atol=1e-5)


def test_silence_keeps_the_expression_still(portrait: NDArray[np.uint8]) -> None:
    acted = talker(portrait, spec(blink=False)).act(line(60, loud=0.0))
    assert np.abs(acted[:, :64] - acted[0, :64]).max() < 1e-5


def test_a_directed_head_turns(portrait: NDArray[np.uint8]) -> None:
    free = filmed(talker(portrait, spec(still=True)), line(2)).astype(int)
    turned = filmed(talker(portrait, spec(still=True, yaw_deg=(-60.0, 60.0))), line(2)).astype(int)
    assert np.abs(turned - free).mean() > 1.0


def test_batches_and_rates_do_not_show(portrait: NDArray[np.uint8]) -> None:
    one = filmed(talker(portrait, spec(still=True), batch=1), line(2)).astype(int)
    two = filmed(talker(portrait, spec(still=True), batch=2), line(2)).astype(int)
    assert np.abs(one - two).mean() < 0.05


def test_missing_networks_and_faces_are_named(tmp_path: Path, portrait: NDArray[np.uint8]) -> None:
    with pytest.raises(EngineUnavailable, match="no face detector"):
        study(networks(), portrait, spec())
    with pytest.raises(EngineUnavailable, match=r"SadTalker_V0\.0\.2_256\.safetensors"):
        load_networks(tmp_path, 256, full=True, detect=True, enhance=False)
    with pytest.raises(NoFaceError, match="outside the picture"):
        study(networks(), portrait, spec(), MARKS + 4000)


def test_similarity_recovers_a_motion() -> None:
    torch.manual_seed(0)
    points, angle = torch.randn(1, 15, 2).double(), torch.tensor(0.3).double()
    turn = 1.4 * torch.tensor([[angle.cos(), -angle.sin()], [angle.sin(), angle.cos()]])
    moved = points @ turn.T + torch.tensor([0.2, -0.1])
    found = similarity(points, moved)[0]
    assert torch.allclose(found[:2, :2], turn.double(), atol=1e-6)
    assert torch.allclose(found[:2, 2], torch.tensor([0.2, -0.1]).double(), atol=1e-6)


class Inverter(nn.Module):
    """Stands where GFPGAN stands: what it touched is its negative, so that its place can be
    measured.
    """

    def __init__(self) -> None:
        super().__init__()
        self.one = torch.nn.Parameter(torch.ones(()))

    def forward(self, x: Any) -> Any:
        return -x * self.one


def test_enhancement_stays_on_the_face_and_follows_it() -> None:
    points = (
        TEMPLATE / 512 * 128 + 32.0
    )  # a face of half the frame's width, in its middle: 64 + 64 px
    enhancer = Enhancer(Inverter(), points, 256)
    frames = torch.full((2, 3, 256, 256), 0.2)
    source = torch.rand(1, 15, 3) - 0.5
    driving = torch.cat((source, source + torch.tensor([0.25, 0.0, 0.0])))
    with torch.inference_mode():
        large = enhancer(frames, source, driving)
    assert large.shape == (2, 3, 512, 512)
    touched = large[:, 0] > 0.5
    rows, columns = torch.nonzero(touched[0], as_tuple=True)
    assert (int(rows.min()), int(rows.max())) == pytest.approx((64 + 20, 320 - 20), abs=12)
    _, moved = torch.nonzero(touched[1], as_tuple=True)
    assert float(moved.double().mean() - columns.double().mean()) == pytest.approx(64, abs=2)
    assert large[0, 0, 500, 500] == pytest.approx(0.2, abs=1e-3)
    unmoved = warp(frames[:1], torch.eye(3)[None], 256)
    assert torch.allclose(unmoved, frames[:1], atol=1e-5)


def test_gfpgan_is_part_of_the_film(portrait: NDArray[np.uint8]) -> None:
    acting = spec(enhancer="gfpgan", frame="crop", still=True)
    nets = networks("mapping", restorer=True)
    actor = Talker(nets, study(nets, portrait, acting, MARKS), acting, CPU)
    assert actor.size_px[0] == 512
    plain = talker(portrait, spec(frame="crop", still=True))
    sharp = filmed(actor, line(1))
    assert sharp.shape == (1, actor.size_px[1], 512, 3)
    assert plain.size_px[0] == 128
