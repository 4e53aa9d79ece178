"""Face detectors of the published form that do see faces, without anybody's weights.

The networks keep the recipe's random weights; only the last convolution of the scale that a face of
about 64 px belongs to is taught, by least squares, what the drawn hosts look like. Random features
are enough for that (Rahimi & Recht, NIPS 2007), in scenes much like those that were shown: nobody
should think of these as detectors. Whatever lies between a picture and a face in the
published networks is then worked for true: colour order, means, scales, anchors, variances, the
suppression of doubles, heat maps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.avatar.face.boxes import CENTRE_VARIANCE, SIZE_VARIANCE
from models.avatar.face.fan import FAN
from models.avatar.face.landmarks import _PAIRS
from models.avatar.face.retinaface import RetinaFace
from models.avatar.face.s3fd import MEAN_BGR, S3FD
from models.avatar.viseme.hosts import HOSTS
from tasks.seat import host_picture
from tests.models.avatar.published_weights import state_of
from tests.tasks.small_presenter import face_marks

Floats = NDArray[np.float64]
Picture = NDArray[np.uint8]

STRIDE, SIDE = 16, 64.0
"""Of the scale that is taught: the places of the anchors, and their size, in both detectors."""
NEAR_PX, FAR_PX = 18.0, 40.0
"""A place so near a face's middle shows it, one farther off does not; between them nobody asks."""
STEEP = 14.0
"""From the read-out's -1..1 to logits: RetinaFace must be sure to 0.97."""
LIFT = 100.0
"""Added to answers on their way through ReLUs, and taken off at the end."""
HEAT_PX = 3.0
"""Spread of a landmark's heat, in pixels of the heat map."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A picture (h, w, 3), RGB, with hosts in front of a wall: their boxes (left, top, right,
    bottom), eyes, nose and mouth corners (5, 2), and 68 marks.
    """

    picture: Picture
    boxes: tuple[Floats, ...]
    fives: tuple[Floats, ...]
    marks: tuple[Floats, ...]


def scene(
    hosts: tuple[str, ...], seed: int, size_px: tuple[int, int] = (224, 224), host_px: int = 190
) -> Scene:
    """Hosts side by side at random heights, `host_px` wide, give or take a twentieth."""
    rng = np.random.default_rng(seed)
    height, width = size_px
    wall = rng.integers(60, 200, 3) + rng.normal(0, 6, (height, width, 3))
    picture = np.asarray(np.clip(wall, 0, 255), np.uint8)
    boxes, fives, marks = [], [], []
    for place, name in enumerate(hosts):
        side = round(host_px * rng.uniform(0.95, 1.05))
        room = width // len(hosts)
        x = place * room + int(rng.integers(0, max(1, room - side)))
        y = int(rng.integers(0, max(1, height - side)))
        picture[y : y + side, x : x + side] = host_picture(name, side, 1)[: height - y, : width - x]
        face, unit = HOSTS[name].face, side / 512
        at = np.array([x + 256 * unit, y + face.eye_y * unit])
        down = (face.mouth_y - face.eye_y) * unit
        across, corner = face.eye_dx * unit, face.mouth_half_width * unit
        offsets = [(-across, 0), (across, 0), (0, 0.55 * down), (-corner, down), (corner, down)]
        fives.append(at + np.array(offsets))
        half = np.array([2.0 * across, 0.0])
        top, bottom = np.array([0.0, -0.7 * down]), np.array([0.0, 1.7 * down])
        boxes.append(np.concatenate((at - half + top, at + half + bottom)))
        marks.append(face_marks() * side + (x, y))
    return Scene(picture, tuple(boxes), tuple(fives), tuple(marks))


def lessons(count: int = 40) -> list[Scene]:
    """Scenes to learn from: every host in turn, and every sixth an empty wall."""
    names = list(HOSTS)
    return [scene((names[k % 5],) if k % 6 else (), 1000 + k) for k in range(count)]


def taught_s3fd(taught: list[Scene]) -> S3FD:
    """S3FD that sees the hosts at stride 16."""
    net: S3FD = _filled(S3FD(), "s3fd")
    features = _features(net, net.get_submodule("conv5_3_norm"), taught)
    read, sure = _seen(features, taught)
    moved = _regressed(features, taught, lambda one, k, at: _box_offsets(one.boxes[k], at))
    for name, _ in net.sources:
        for kind in ("conf", "loc"):
            _silence(net.get_submodule(f"{name}_mbox_{kind}"))
        background: Any = net.get_submodule(f"{name}_mbox_conf").bias
        background.data[:-1] = 20.0
    logits: Any = net.get_submodule("conv5_3_norm_mbox_conf")
    logits.bias.data[0] = 0.0
    logits.weight.data[1, :, 1, 1] = _tensor(STEEP * read[:-1])
    logits.bias.data[1] = STEEP * (read[-1] - sure)
    offsets: Any = net.get_submodule("conv5_3_norm_mbox_loc")
    offsets.weight.data[:, :, 1, 1] = _tensor(moved[:-1].T)
    offsets.bias.data[:] = _tensor(moved[-1])
    return net


def taught_retina(taught: list[Scene]) -> RetinaFace:
    """RetinaFace that sees the hosts at stride 16, by the first of the two anchors there.

    The pyramid's lateral convolution is taught; pyramid and context hand its answers on to the
    heads, lifted so that no ReLU touches them.
    """
    net: RetinaFace = _filled(RetinaFace(), "retinaface")
    features = _features(net, net.body.layer3, taught)
    read, sure = _seen(features, taught)
    moved = _regressed(features, taught, lambda one, k, at: _box_offsets(one.boxes[k], at))
    pointed = _regressed(
        features,
        taught,
        lambda one, k, at: ((one.fives[k] - at) / (CENTRE_VARIANCE * SIDE)).ravel(),
    )
    read[-1] -= sure
    answers = np.column_stack((STEEP * read, moved, pointed))
    count = answers.shape[1]
    for part in (net.fpn.output2, net.fpn.output3, net.fpn.merge2, net.ssh2.conv3X3):
        _hand_on(part)
    lateral: Any = net.fpn.output2
    lateral[0].weight.data[:count, :, 0, 0] = _tensor(answers[:-1].T)
    lateral[1].bias.data[:count] = _tensor(answers[-1] + LIFT)
    for part in (net.fpn.merge2, net.ssh2.conv3X3):
        same: Any = part
        same[0].weight.data[range(count), range(count), 1, 1] = 1.0
    first = 0
    for heads, rows in (
        (net.ClassHead, range(1, 2)),
        (net.BboxHead, range(4)),
        (net.LandmarkHead, range(10)),
    ):
        for head in heads:
            silent: Any = head.conv1x1
            _silence(silent)
            if heads is net.ClassHead:
                silent.bias.data[0::2] = 20.0
        told: Any = heads[1].conv1x1
        told.weight.data[list(rows), range(first, first + len(rows)), 0, 0] = 1.0
        told.bias.data[list(rows)] = -LIFT
        first += len(rows)
    seeing: Any = net.ClassHead[1].conv1x1
    seeing.bias.data[0] = 0.0
    return net


def taught_fan(taught: list[Scene]) -> FAN:
    """FAN that finds the hosts' landmarks in the box that a detector draws around the face."""
    net: FAN = _filled(FAN(), "fan98")
    kept: list[Tensor] = []
    hook = net.get_submodule("l3").register_forward_pre_hook(lambda _, x: kept.append(x[0]))
    rows, heats = [], []
    grid = np.stack(np.meshgrid(np.arange(64) + 0.5, np.arange(64) + 0.5), axis=-1).reshape(-1, 2)
    for one in [one for one in taught if one.boxes][:12]:
        left, top, right, bottom = (int(v) for v in one.boxes[0])
        part = cv2.resize(one.picture[top:bottom, left:right], (256, 256))[..., ::-1]
        values = torch.from_numpy(np.ascontiguousarray(part)).float() / 255
        with torch.inference_mode():
            net(values.permute(2, 0, 1)[None])
        features = kept.pop()[0].flatten(1).T.double().numpy()
        points = np.full((98, 2), 32.0)
        scale = 64 / np.array([right - left, bottom - top])
        for mark, pair in zip((one.marks[0] - (left, top)) * scale, _PAIRS, strict=True):
            points[list(pair)] = mark
        apart = ((grid[:, None] - points[None]) ** 2).sum(axis=2)
        rows.append(features)
        heats.append(np.exp(-apart / (2 * HEAT_PX**2)))
    hook.remove()
    read = _least_squares(np.concatenate(rows), np.concatenate(heats), 1e-5)
    last: Any = net.get_submodule("l3")
    _silence(last)
    last.weight.data[:98, :, 0, 0] = _tensor(read[:-1].T)
    last.bias.data[:98] = _tensor(read[-1])
    return net


def _filled(net: Any, network: str) -> Any:
    net.load_state_dict(state_of(network))
    return net.eval().requires_grad_(requires_grad=False)


def _features(net: nn.Module, layer: nn.Module, taught: list[Scene]) -> list[Floats]:
    """What the read-out sees of every scene: (places, channels)."""
    kept: list[Tensor] = []
    hook = layer.register_forward_hook(lambda _, __, out: kept.append(out.clone()))
    found = []
    for one in taught:
        values = torch.from_numpy(one.picture).float() - torch.tensor(MEAN_BGR)
        with torch.inference_mode():
            net(values.permute(2, 0, 1)[None])
        found.append(kept.pop()[0].flatten(1).T.double().numpy())
    hook.remove()
    return found


def _places(one: Scene) -> Floats:
    height, width = (side // STRIDE for side in one.picture.shape[:2])
    across, down = np.meshgrid(np.arange(width), np.arange(height))
    return (np.stack((across, down), axis=-1).reshape(-1, 2) + 0.5) * STRIDE


def _apart(one: Scene, box: Floats) -> Floats:
    return np.asarray(np.hypot(*(_places(one) - (box[:2] + box[2:]) / 2).T), np.float64)


def _seen(features: list[Floats], taught: list[Scene]) -> tuple[Floats, float]:
    """Weights that tell faces (1) from the rest (-1), the bias last; and where to draw the line."""
    rows, told = [], []
    for values, one in zip(features, taught, strict=True):
        label = np.full(len(values), -1.0)
        for box in one.boxes:
            apart = _apart(one, box)
            label[apart < FAR_PX] = 0.0
            label[apart < NEAR_PX] = 1.0
        rows.append(values)
        told.append(label)
    seen, label = np.concatenate(rows), np.concatenate(told)
    asked = label != 0
    share = np.where(label > 0, (label < 0).sum() / (label > 0).sum(), 1.0)
    read = _least_squares(seen[asked], label[asked, None], 1e-3, share[asked])[:, 0]
    score = seen @ read[:-1] + read[-1]
    best = [
        (values @ read[:-1] + read[-1]).max()
        for values, one in zip(features, taught, strict=True)
        if one.boxes
    ]
    return read, float((min(best) + score[label < 0].max()) / 2)


def _regressed(features: list[Floats], taught: list[Scene], target: Any) -> Floats:
    rows, wanted = [], []
    for values, one in zip(features, taught, strict=True):
        for k, box in enumerate(one.boxes):
            near = np.flatnonzero(_apart(one, box) < NEAR_PX)
            rows.append(values[near])
            wanted += [target(one, k, at) for at in _places(one)[near]]
    return _least_squares(np.concatenate(rows), np.stack(wanted), 1e-2)


def _box_offsets(box: Floats, at: Floats) -> Floats:
    """A box as offsets from the anchor at a place (SSD, eq. 2)."""
    size = box[2:] - box[:2]
    centre = (box[:2] + box[2:]) / 2
    return np.concatenate(
        ((centre - at) / (CENTRE_VARIANCE * SIDE), np.log(size / SIDE) / SIZE_VARIANCE)
    )


def _least_squares(
    seen: Floats, wanted: Floats, ridge: float, share: Floats | None = None
) -> Floats:
    """Weights (channels + 1, targets), the bias last, against a ridge that follows the scale."""
    rows = np.column_stack((seen, np.ones(len(seen))))
    weighted = rows if share is None else rows * share[:, None]
    gram = weighted.T @ rows
    level = ridge * np.trace(gram) / len(gram)
    return np.asarray(np.linalg.solve(gram + level * np.eye(len(gram)), weighted.T @ wanted))


def _silence(convolution: Any) -> None:
    convolution.weight.data.zero_()
    convolution.bias.data.zero_()


def _hand_on(block: Any) -> None:
    """A convolution and its normalisation that do nothing yet."""
    block[0].weight.data.zero_()
    norm = block[1]
    norm.weight.data.fill_(1.0)
    norm.bias.data.zero_()
    norm.running_mean.zero_()
    norm.running_var.fill_(1.0)


def _tensor(values: Floats) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values)).float()
