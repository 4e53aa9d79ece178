"""Painters say where a frame differs from the one before: never too little, and mostly a part."""

from __future__ import annotations

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from models.avatar import LineSound, Sitting, open_painter, open_performer
from models.avatar.viseme.hosts import HOSTS
from models.avatar.viseme.idle import Pose
from models.avatar.viseme.painter import HostPainter
from models.avatar.viseme.phonemes import VISEMES
from models.avatar.viseme.planes import to_rgb
from models.avatar.viseme.portrait import Portrait, read_portrait
from studio.specs import AvatarEngineName

SIZE = 128
STRAIGHT = Pose(
    yaw=0.0, pitch=0.0, roll=0.0, blink=0.0, look_x=0.0, look_y=0.0, brow=0.0, breath=0.0
)
FRAMES = (3, 4, 5, 30, 31, 32, 33, 34, 90, 2, 2, 200, 201)
"""Neighbours, jumps and steps back."""


@pytest.fixture(scope="module")
def portrait() -> Portrait:
    planes = HostPainter(HOSTS["juno"], 512).paint(STRAIGHT, VISEMES["rest"])
    rgb = to_rgb(np.ascontiguousarray(planes.transpose(1, 2, 0)), (120, 130, 140))
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, "PNG")
    return read_portrait(file.getvalue(), "juno.png")


@pytest.mark.parametrize("look", ["nova", "iris", "theo", "portrait"])
@pytest.mark.parametrize("engine", ["viseme", "still"])
def test_copied_box_by_box_the_picture_is_the_painters(
    engine: AvatarEngineName, look: str, spoken: list[LineSound], portrait: Portrait
) -> None:
    with open_performer(engine) as performer:
        parts: list[tuple[int, NDArray[np.float32]]] = [(20, performer.perform(spoken[0]))]
    sitting = Sitting(
        look="nova" if look == "portrait" else look,
        size_px=SIZE,
        fps=25,
        seed=5,
        portrait=portrait if look == "portrait" else None,
    )
    copied = np.zeros((4, SIZE, SIZE), np.uint8)
    areas = []
    with open_painter(engine, sitting, parts) as painter:
        for frame in FRAMES:
            planes = painter.paint(frame)
            x, y, w, h = painter.changed
            copied[:, y : y + h, x : x + w] = planes[:, y : y + h, x : x + w]
            np.testing.assert_array_equal(copied, planes)
            areas.append(w * h)
    assert areas[0] == SIZE * SIZE
    assert np.median(areas) < 0.95 * SIZE * SIZE
