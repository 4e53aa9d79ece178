"""Wav2Lip over a film of the presenter: the face is followed, the film repeated."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch")

from models.avatar import LineSound  # noqa: E402
from models.avatar.face.boxes import Detection  # noqa: E402
from models.avatar.folding import fold  # noqa: E402
from models.avatar.placement import Placement  # noqa: E402
from models.avatar.wav2lip.film_faces import (  # noqa: E402
    STEP,
    face_box,
    film_boxes,
    follow,
    overlap,
)
from models.avatar.wav2lip.lipsync import FilmSync  # noqa: E402
from models.avatar.wav2lip.net import Wav2Lip  # noqa: E402
from studio.errors import NoFaceError  # noqa: E402
from studio.types import SAMPLE_RATE  # noqa: E402
from tests.models.avatar import weight_recipe as recipe  # noqa: E402

CPU = Placement(device=torch.device("cpu"), dtype=torch.float32)


@pytest.fixture(scope="module")
def folded() -> Wav2Lip:
    net = Wav2Lip()
    recipe.filled(net, "wav2lip", {k: list(v.shape) for k, v in net.state_dict().items()})
    return fold(net)


def line(samples: NDArray[np.float32], frames: int, fps: int = 25) -> LineSound:
    return LineSound(samples=samples, phonemes=(), words=(), num_frames=frames, fps=fps, seed=1)


def film(frames: int) -> NDArray[np.uint8]:
    """A presenter's head that moves to the right by two pixels a frame."""
    ground = np.random.default_rng(3).integers(0, 256, (120, 200, 3), dtype=np.uint8)
    return np.stack([np.roll(ground, 2 * i, axis=1) for i in range(frames)])


def test_a_film_is_repeated_and_its_box_follows(folded: Wav2Lip) -> None:
    source = film(6)
    faces: list[Detection | None] = [
        Detection(box=(20.0 + 2 * i, 10.0, 90.0 + 2 * i, 90.0), score=0.9) for i in range(6)
    ]
    faces[3] = None  # one frame without a detection does not fail the film
    engine = FilmSync(folded, source, faces, CPU, batch=4)
    frames = np.concatenate(list(engine.film(line(np.zeros(SAMPLE_RATE // 2, np.float32), 9))))
    assert frames.shape == (9, 120, 200, 3)
    assert np.abs(frames[6:].astype(int) - frames[:3]).max() <= 1
    assert (frames[:, 105:] == source[[0, 1, 2, 3, 4, 5, 0, 1, 2], 105:]).all()
    assert (frames[2, 60:90, 50:80] != source[2, 60:90, 50:80]).mean() > 0.9


def test_a_film_without_faces_is_refused(folded: Wav2Lip) -> None:
    with pytest.raises(NoFaceError, match="no face in any of 2 frames"):
        FilmSync(folded, film(2), [None, None], CPU)


def test_boxes_of_a_film_are_steadied() -> None:
    rng = np.random.default_rng(0)
    shaky = [
        Detection(box=(50 + dx, 40 + dy, 120 + dx, 130 + dy), score=1.0)
        for dx, dy in rng.normal(0, 4, (30, 2))
    ]
    boxes = film_boxes(list(shaky), 400, 300)
    raw = np.array([face_box(face, 400, 300) for face in shaky])
    assert boxes.std(axis=0).max() < 0.7 * raw.std(axis=0).min()


class Detector:
    """Sees the boxes it is told, one or several per frame, and counts how often it looked."""

    def __init__(self, boxes: list[list[tuple[float, float, float, float]]]) -> None:
        self.boxes, self.looked = boxes, list[int]()

    def __call__(self, picture: NDArray[np.uint8]) -> list[Detection]:
        frame = int(picture[0, 0, 0])
        self.looked.append(frame)
        return [Detection(box=box, score=0.9) for box in self.boxes[frame]]

    def film(self) -> NDArray[np.uint8]:
        """Frames that carry their number."""
        numbers = np.arange(len(self.boxes), dtype=np.uint8)
        return np.broadcast_to(numbers[:, None, None, None], (len(numbers), 4, 4, 3))


def square(x: float, side: float = 200.0) -> list[tuple[float, float, float, float]]:
    return [(x, 20.0, x + side, 20.0 + side)]


def test_a_face_that_sits_is_looked_for_now_and_then() -> None:
    detector = Detector([square(100 + i) for i in range(43)])
    faces = follow(detector.film(), detector)
    assert len(detector.looked) <= 43 // STEP + 2
    for face, (box,) in zip(faces, detector.boxes, strict=True):
        assert face is not None
        assert np.allclose(face.box, box)  # it moves evenly, so the way between is exact


def test_a_face_that_jumps_is_looked_for_where_it_does() -> None:
    boxes = [square(100)] * 8 + [square(300)] * 8
    detector = Detector(boxes)
    faces = follow(detector.film(), detector)
    assert [face.box for face in faces if face] == [box for (box,) in boxes]
    assert len(detector.looked) < 8


def test_a_face_that_comes_late_and_a_rival_are_told_apart() -> None:
    alone, two = square(400, 150), [*square(400, 150), *square(50, 190)]
    nobody: list[tuple[float, float, float, float]] = []
    detector = Detector([nobody] * 7 + [alone] * 6 + [two] * 6)
    faces = follow(detector.film(), detector)
    assert faces[:7] == [None] * 7
    assert [face.box for face in faces[7:] if face] == [alone[0]] * 6 + [two[1]] * 6


@pytest.mark.parametrize("count", [1, 2, 5, 6])
def test_short_films_are_followed(count: int) -> None:
    detector = Detector([square(10.0 * i) for i in range(count)])
    faces = follow(detector.film(), detector)
    assert [face.box for face in faces if face] == [box for (box,) in detector.boxes]


def test_overlap_is_of_areas() -> None:
    one = Detection(box=(0, 0, 10, 10), score=1.0)
    assert overlap(one, one) == 1.0
    assert overlap(one, Detection(box=(5, 0, 15, 10), score=1.0)) == pytest.approx(1 / 3)
    assert overlap(one, Detection(box=(20, 20, 30, 30), score=1.0)) == 0.0
