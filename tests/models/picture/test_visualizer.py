from collections.abc import Callable
from typing import Literal, get_args

import numpy as np
import pytest
from numpy.typing import NDArray

from models.picture.hearing import Bands, Hearing, centre_sample
from models.picture.layout import lay_out
from models.picture.planes import Planes, Rect
from models.picture.visualizer import VisualizerLayer
from studio.specs import PictureSpec, VisualizerSpec
from studio.types import SAMPLE_RATE

StyleName = Literal["waveform", "bars", "spectrum", "circular", "particles"]
STYLES: tuple[StyleName, ...] = get_args(StyleName)
FPS = 25


def reader(sound: NDArray[np.float32]) -> Callable[[int], NDArray[np.float32]]:
    at = 0

    def read(count: int) -> NDArray[np.float32]:
        nonlocal at
        at += count
        return sound[at - count : at]

    return read


def voice(seconds: float = 1.0) -> NDArray[np.float32]:
    t = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    tone = sum(np.sin(2 * np.pi * 140 * k * t) / k for k in range(1, 30))
    return np.asarray(0.25 * tone * (0.6 + 0.4 * np.sin(2 * np.pi * 3 * t)), np.float32)


def drawn(spec: VisualizerSpec, sound: NDArray[np.float32], frames: int = 12) -> Planes:
    """The last of some frames on a grey ground, 640 x 360."""
    canvas = Planes.empty(640, 360)
    canvas.y.fill(60)
    layout = lay_out(PictureSpec(quality="480p", visualizer=spec), 0)
    assert layout.visualizer is not None
    wide = 200 if spec.style == "circular" else 600
    tall = 200 if spec.style == "circular" else 2 * round(spec.height_pct * 1.8)
    top = {"top": 10, "center": 90, "bottom": 150}[spec.position]
    box = Rect(20, top, wide, tall)
    layer = VisualizerLayer(spec, box, layout.unit, FPS, Hearing(reader(sound)))
    for frame in range(frames):
        layer.update(frame)
    layer.paint(canvas.part(box), box.inner)
    return canvas


def difference(first: Planes, second: Planes) -> float:
    """Pixels of luma or chroma that differ by more than rounding."""
    pairs = ((first.y, second.y), (first.u, second.u), (first.v, second.v))
    return max(float((np.abs(a.astype(int) - b) > 3).sum()) for a, b in pairs)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(
    "change",
    [
        {"color": "#30c0ff"},
        {"thickness_px": 9},
        {"opacity": 0.35},
        {"position": "top"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_option_changes_the_picture(style: StyleName, change: dict[str, object]) -> None:
    plain = VisualizerSpec(style=style)
    other = VisualizerSpec.model_validate({**plain.model_dump(), **change})
    assert difference(drawn(plain, voice()), drawn(other, voice())) > 60


@pytest.mark.parametrize("style", [s for s in STYLES if s != "circular"])
def test_height_changes_the_picture(style: StyleName) -> None:
    low, high = (drawn(VisualizerSpec(style=style, height_pct=p), voice()) for p in (12.0, 30.0))
    assert difference(low, high) > 60


def test_styles_differ_from_each_other() -> None:
    pictures = [drawn(VisualizerSpec(style=style), voice()) for style in STYLES]
    for i, first in enumerate(pictures):
        for second in pictures[:i]:
            assert difference(first, second) > 200


@pytest.mark.parametrize("style", STYLES)
def test_sound_moves_the_picture_and_silence_does_not(style: StyleName) -> None:
    silence = np.zeros(SAMPLE_RATE, np.float32)
    spec = VisualizerSpec(style=style)
    assert difference(drawn(spec, voice()), drawn(spec, silence)) > 60
    if style != "particles":
        # Particles drift on; every other style rests when nothing sounds.
        assert difference(drawn(spec, silence, 10), drawn(spec, silence, 11)) == 0


@pytest.mark.parametrize("style", STYLES)
def test_same_sound_same_picture(style: StyleName) -> None:
    spec = VisualizerSpec(style=style)
    assert difference(drawn(spec, voice()), drawn(spec, voice())) == 0


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("fps", [1, 24, 120])
def test_any_rate_and_a_sound_shorter_than_a_frame(style: StyleName, fps: int) -> None:
    box = Rect(0, 0, 120, 120) if style == "circular" else Rect(0, 0, 200, 40)
    sound = voice(0.004)
    layer = VisualizerLayer(VisualizerSpec(style=style), box, 0.5, fps, Hearing(reader(sound)))
    canvas = Planes.empty(box.w, box.h)
    for frame in range(4):
        layer.update(frame)
        layer.paint(canvas, box.inner)
    assert canvas.y.shape == (box.h, box.w)


def test_opacity_zero_leaves_the_ground_untouched() -> None:
    spec = VisualizerSpec(style="bars", opacity=0.0)
    canvas = drawn(spec, voice())
    assert set(np.unique(canvas.y)) == {60}


def test_hearing_is_exact_to_the_sample() -> None:
    sound = np.arange(60_000, dtype=np.float32)
    hearing = Hearing(reader(np.stack([sound, sound], axis=1)))
    for centre in (10, 500, 4_000, 30_000, 59_990):
        window = hearing.around(centre, 64)
        expected = np.arange(centre - 32, centre + 32)
        inside = (expected >= 0) & (expected < len(sound))
        np.testing.assert_array_equal(window, np.where(inside, expected, 0))


def test_centre_of_a_frame() -> None:
    assert centre_sample(0, 25) == 960
    assert centre_sample(3, 30) == 5600


def test_bands_show_where_a_tone_lies_and_fall_slowly() -> None:
    t = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    tone = np.where(t < 0.5, 0.3 * np.sin(2 * np.pi * 1000 * t), 0.0).astype(np.float32)
    hearing, bands = Hearing(reader(tone)), Bands(20, 50)
    heard = [bands.hear(hearing, centre_sample(frame, 50)).copy() for frame in range(50)]
    edges = np.geomspace(80.0, 12_000.0, 21)
    assert int(np.argmax(heard[20])) == int(np.searchsorted(edges, 1000.0)) - 1
    peaks = [float(levels.max()) for levels in heard]
    assert peaks[20] > 0.5
    assert 0.0 < peaks[30] < peaks[27] < peaks[22]
    assert peaks[48] < 0.1
