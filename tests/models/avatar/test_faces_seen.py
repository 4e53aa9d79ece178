"""Pictures with no face, one, two, a tiny one, a drawn one: through the published detectors to a
presenter or an error that says why.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch")

from models.avatar import LineSound, Role, open_actor  # noqa: E402
from models.avatar.face.boxes import Detection  # noqa: E402
from models.avatar.face.detectors import detect_retina, detect_s3fd, landmarks  # noqa: E402
from models.avatar.face.fan import FAN  # noqa: E402
from models.avatar.face.retinaface import RetinaFace  # noqa: E402
from models.avatar.face.s3fd import S3FD  # noqa: E402
from models.avatar.portrait import the_face  # noqa: E402
from models.avatar.sadtalker.subject import read_poses, study  # noqa: E402
from models.avatar.viseme.hosts import HOSTS  # noqa: E402
from studio.errors import NoFaceError  # noqa: E402
from studio.specs import AvatarSpec, DeviceSpec  # noqa: E402
from studio.types import SAMPLE_RATE  # noqa: E402
from tests.models.avatar import test_sadtalker_engine as sadtalker  # noqa: E402
from tests.models.avatar.taught_faces import (  # noqa: E402
    Scene,
    lessons,
    scene,
    taught_fan,
    taught_retina,
    taught_s3fd,
)
from tests.tasks.small_presenter import save_wav2lip  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

Detect = Callable[[NDArray[np.uint8]], list[Detection]]


@pytest.fixture(scope="module")
def taught() -> list[Scene]:
    return lessons()


@pytest.fixture(scope="module")
def s3fd(taught: list[Scene]) -> S3FD:
    return taught_s3fd(taught)


@pytest.fixture(scope="module")
def retina(taught: list[Scene]) -> RetinaFace:
    return taught_retina(taught)


@pytest.fixture(scope="module")
def fan(taught: list[Scene]) -> FAN:
    return taught_fan(taught)


@pytest.fixture(params=["s3fd", "retina"])
def detect(request: pytest.FixtureRequest) -> Detect:
    net = request.getfixturevalue(request.param)
    look = detect_s3fd if request.param == "s3fd" else detect_retina
    return lambda picture: look(net, picture)


def _overlap(face: Detection, box: NDArray[np.float64]) -> float:
    """Intersection over union."""
    found = np.array(face.box)
    common = np.minimum(found[2:], box[2:]) - np.maximum(found[:2], box[:2])
    inside = float(np.prod(np.clip(common, 0, None)))
    areas = [float(np.prod(one[2:] - one[:2])) for one in (found, box)]
    return inside / (sum(areas) - inside)


def test_a_face_is_found_where_it_is(detect: Detect) -> None:
    overlaps = []
    for place, name in enumerate(HOSTS):
        one = scene((name,), 100 + place, (224, 256))
        found = detect(one.picture)
        assert found, name
        overlaps.append(_overlap(found[0], one.boxes[0]))
    assert np.median(overlaps) > 0.6
    assert min(overlaps) > 0.2


def test_a_large_picture_is_shrunk_to_look_and_its_box_is_not(detect: Detect) -> None:
    """The same face in a picture of 1920 px: it is looked for at 960, told in 1920."""
    small = scene(("iris",), 7, (224, 960))
    large = np.repeat(np.repeat(small.picture, 2, axis=0), 2, axis=1)
    one, two = (detect(picture)[0] for picture in (small.picture, large))
    assert np.abs(np.array(two.box) / 2 - one.box).max() < 3


def test_what_cannot_be_used_is_named(detect: Detect) -> None:
    for one, said in (
        (scene((), 77), "no face found"),
        (scene(("nova",), 79, host_px=60), "no face found"),
        (scene(("nova", "max"), 78, (224, 448)), "two of alike size"),
    ):
        with pytest.raises(NoFaceError, match=said):
            the_face(detect(one.picture))


def test_landmarks_lie_on_the_face(retina: RetinaFace, fan: FAN) -> None:
    misses = []
    for place, name in enumerate(HOSTS):
        one = scene((name,), 300 + place)
        points = landmarks(fan, one.picture, the_face(detect_retina(retina, one.picture)))
        wide = one.boxes[0][2] - one.boxes[0][0]
        misses.append(np.hypot(*(points - one.marks[0]).T).mean() / wide)
    assert np.median(misses) < 0.15


def _line(frames: int) -> LineSound:
    time = np.arange(frames * SAMPLE_RATE // 25) / SAMPLE_RATE
    samples = (0.3 * np.sin(2 * np.pi * (150 + 900 * time) * time)).astype(np.float32)
    return LineSound(samples=samples, phonemes=(), words=(), num_frames=frames, fps=25, seed=1)


def test_wav2lip_speaks_from_a_drawing_and_refuses_the_rest(tmp_path: Path, s3fd: S3FD) -> None:
    save_wav2lip(tmp_path)
    torch.save(s3fd.state_dict(), tmp_path / "s3fd.pth")
    device = DeviceSpec(device="cpu")
    one = scene(("juno",), 8)
    role = Role(portrait=one.picture, spec=AvatarSpec(weights_dir=str(tmp_path)))
    with open_actor("wav2lip", role, device) as actor:
        frames = np.concatenate(list(actor.film(_line(4))))
    changed = (frames != one.picture).any(axis=(0, 3))
    rows, columns = np.nonzero(changed)
    left, top, right, bottom = one.boxes[0]
    assert left - 20 < columns.min() < columns.max() < right + 20
    assert (top + bottom) / 2 - 10 < rows.min() < rows.max() < bottom + 30
    for other, said in ((scene((), 9), "no face"), (scene(("max", "theo"), 9, (224, 448)), "two")):
        with (
            pytest.raises(NoFaceError, match=said),
            open_actor("wav2lip", replace(role, portrait=other.picture), device),
        ):
            pass


def test_sadtalker_reads_a_drawing_and_a_film_and_refuses_the_rest(
    retina: RetinaFace, fan: FAN
) -> None:
    nets = replace(sadtalker.networks("mapping"), detector=retina, landmarks=fan)
    one, empty = scene(("iris",), 11), scene((), 12)
    crop = study(nets, one.picture, sadtalker.spec(frame="crop"))
    left, top, right, bottom = crop.box
    middle = (one.boxes[0][:2] + one.boxes[0][2:]) / 2
    assert left < middle[0] < right
    assert top < middle[1] < bottom
    assert np.isfinite(crop.coefficients).all()
    for frame in ("crop", "full", "resize"):
        with pytest.raises(NoFaceError, match="no face found"):
            study(nets, empty.picture, sadtalker.spec(frame=frame))
    looks = [scene(("iris",), seed).picture for seed in (13, 14)]
    poses = read_poses(nets, iter(looks))
    assert poses.shape == (2, 6)
    assert not np.array_equal(poses[0], poses[1])
    with pytest.raises(NoFaceError, match="reference film, frame 1: no face"):
        read_poses(nets, iter([looks[0], empty.picture]))
