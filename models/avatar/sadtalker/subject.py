"""What SadTalker knows of a portrait before anybody speaks; worked out once per presenter."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from models.avatar.face.detectors import detect_retina, landmarks
from models.avatar.face.landmarks import Points, five
from models.avatar.portrait import Picture, the_face
from models.avatar.sadtalker.framing import Aligned, Framing, align, cut, frame_face
from models.avatar.sadtalker.networks import Networks
from models.avatar.sadtalker.recon import ANGLE, EXPRESSION, TRANSLATION
from models.avatar.sadtalker.renderer import Source
from models.avatar.stopwatch import Stopwatch
from studio.errors import EngineUnavailable, NoFaceError
from studio.specs import SadTalkerSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """`portrait` as it is pasted into, `box` the animated rectangle in it, `source` and
    `coefficients` (73,) what the networks read from it: expression 64, angle 3, translation 3,
    camera scale and shift 3. `points` (5, 2) are in pixels of the square frame; `None` where no
    face was found in it.
    """

    portrait: Picture
    box: tuple[int, int, int, int]
    source: Source
    coefficients: NDArray[np.float32]
    points: Points | None


def study(
    networks: Networks, portrait: Picture, spec: SadTalkerSpec, marks: Points | None = None
) -> Subject:
    """Finds, frames and reads the face of `portrait`.

    `marks` are 68 landmarks in its pixels where they are known: a drawing, on which detectors fail.

    Raises:
        NoFaceError: No usable face.
        EngineUnavailable: Neither landmarks nor the networks that find them.
    """
    height, width = portrait.shape[:2]
    device = _device(networks)
    watch = Stopwatch(device)
    with watch.step("detection"):
        if spec.frame == "resize":
            whole = (0, 0, width, height)
            framing = Framing(width=width, height=height, outer=whole, inner=whole)
        else:
            found = _find(networks, portrait) if marks is None else marks
            framing = frame_face(found, width, height)
        box = framing.box(wide=spec.wide)
        square = cut(portrait, framing, spec.size_px, wide=spec.wide)
        points = _in_square(networks, square, framing, box, marks, portrait.shape[1])
        if spec.frame == "resize" and points is None:
            # Nothing has asked for a face yet: the whole picture is animated, whatever is in it.
            points = _find(networks, square)
    with watch.step("3DMM"):
        aligned, fitted = _fit(networks, square, points)
    with watch.step("source features"), torch.inference_mode():
        image = _tensor(square, device)
        source = networks.renderer.encode(image, networks.keypoints(image))
    watch.read(wait=True)
    camera = np.array([aligned.scale, *aligned.translation])
    parts = fitted[EXPRESSION], fitted[ANGLE], fitted[TRANSLATION], camera
    return Subject(
        portrait=np.asarray(cv2.resize(portrait, (framing.width, framing.height)), np.uint8),
        box=box,
        source=source,
        coefficients=np.concatenate(parts).astype(np.float32),
        points=None if points is None else five(points),
    )


def read_poses(networks: Networks, film: Iterable[Picture]) -> NDArray[np.float32]:
    """The head's pose in every frame (h, w, 3) of a film, 25 a second: angle 3 and translation 3
    of the 3DMM (n, 6).

    Raises:
        NoFaceError: A frame without one usable face; its number is said.
    """
    watch = Stopwatch(_device(networks))
    poses = []
    for number, frame in enumerate(film):
        try:
            with watch.step("detection"):
                points = _find(networks, frame)
        except NoFaceError as error:
            where = f"reference film, frame {number}"
            raise NoFaceError(
                where, error.found, "Cut the film to where one face looks on"
            ) from error
        with watch.step("3DMM"):
            _, fitted = _fit(networks, frame, points)
        poses.append(np.concatenate((fitted[ANGLE], fitted[TRANSLATION])))
    watch.read(wait=True)
    return np.asarray(poses, np.float32)


def _device(networks: Networks) -> torch.device:
    return next(networks.reconstruction.parameters()).device


def _fit(
    networks: Networks, picture: Picture, points: Points | None
) -> tuple[Aligned, NDArray[np.float32]]:
    """A picture and its landmarks -> how it was aligned, and its 257 coefficients."""
    aligned = align(picture, points)
    with torch.inference_mode():
        fitted = networks.reconstruction(_tensor(aligned.picture, _device(networks)))[0]
    return aligned, fitted.cpu().numpy()


def _find(networks: Networks, portrait: Picture) -> Points:
    if networks.detector is None or networks.landmarks is None:
        remedy = "Give the portrait's 68 landmarks, or the detectors' weights"
        raise EngineUnavailable("sadtalker", "no face detector was loaded", remedy)
    face = the_face(detect_retina(networks.detector, portrait))
    return landmarks(networks.landmarks, portrait, face)


def _in_square(
    networks: Networks,
    square: Picture,
    framing: Framing,
    box: tuple[int, int, int, int],
    marks: Points | None,
    width: int,
) -> Points | None:
    """68 landmarks in the square frame: given ones carried over, else looked for again, else
    `None` (mean face).
    """
    if marks is not None:
        zoom = framing.width / width
        size = np.array([box[2] - box[0], box[3] - box[1]])
        carried: Points = (marks * zoom - box[:2]) * (square.shape[0] / size)
        return carried
    if networks.detector is None or networks.landmarks is None:
        return None
    try:
        face = the_face(detect_retina(networks.detector, square[..., ::-1]))
    except NoFaceError:
        return None
    return landmarks(networks.landmarks, square, face)


def _tensor(picture: Picture, device: torch.device) -> torch.Tensor:
    values = torch.from_numpy(np.ascontiguousarray(picture)).to(device)
    return values.permute(2, 0, 1)[None].float() / 255
