"""Pictures in, faces and landmarks out: the networks with their pre- and post-processing."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.avatar.face.boxes import (
    Detection,
    decode_boxes,
    decode_points,
    retina_anchors,
    s3fd_candidates,
    suppress,
)
from models.avatar.face.landmarks import Points, heat_points, to_68
from models.avatar.face.s3fd import MEAN_BGR

Picture = NDArray[np.uint8]

S3FD_OVERLAP: Final = 0.3
S3FD_SURE: Final = 0.5
RETINA_OVERLAP: Final = 0.4
RETINA_SURE: Final = 0.97
MAX_SIDE_PX: Final = 960
"""Larger pictures are shrunk for detection only: the cost grows with the area, a presenter's face
is large.
"""
FAN_PX: Final = 256


def _shrunk(picture: Picture) -> tuple[Picture, float]:
    scale = min(1.0, MAX_SIDE_PX / max(picture.shape[:2]))
    if scale == 1.0:
        return picture, 1.0
    size = round(picture.shape[1] * scale), round(picture.shape[0] * scale)
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8), scale


def _centred(picture: Picture, device: torch.device) -> Tensor:
    """(h, w, 3) -> (1, 3, h, w) minus the training mean, channel by channel in the order given."""
    values = torch.from_numpy(np.ascontiguousarray(picture)).to(device).float()
    return (values - values.new_tensor(MEAN_BGR)).permute(2, 0, 1)[None]


def _device(network: nn.Module) -> torch.device:
    return next(network.parameters()).device


@torch.inference_mode()
def detect_s3fd(network: nn.Module, rgb: Picture) -> list[Detection]:
    """Faces that S3FD is sure of, best first. The network was driven with RGB order in Wav2Lip
    and is so here.
    """
    picture, scale = _shrunk(rgb)
    maps = [
        (logits.softmax(dim=1)[0, 1].cpu().numpy(), offsets[0].cpu().numpy())
        for logits, offsets in network(_centred(picture, _device(network)))
    ]
    found = s3fd_candidates(maps)
    kept = suppress(found[:, :4], found[:, 4], S3FD_OVERLAP)
    rows = [found[i] for i in kept if found[i, 4] > S3FD_SURE]
    return [_detection(row[:4] / scale, float(row[4]), None) for row in rows]


@torch.inference_mode()
def detect_retina(network: nn.Module, picture: Picture) -> list[Detection]:
    """Faces and five points that RetinaFace is sure of, best first, from a picture in RGB or BGR
    order.
    """
    small, scale = _shrunk(picture)
    height, width = small.shape[:2]
    offsets, scores, points = (
        values[0].cpu().numpy() for values in network(_centred(small, _device(network)))
    )
    sure = np.flatnonzero(scores[:, 1] > RETINA_SURE)
    anchors, size = retina_anchors(height, width)[sure], np.array([width, height], np.float32)
    boxes = decode_boxes(offsets[sure], anchors) * np.tile(size, 2) / scale
    marks = decode_points(points[sure], anchors) * size / scale
    score = scores[sure, 1]
    kept = suppress(boxes, score, RETINA_OVERLAP)
    return [_detection(boxes[i], float(score[i]), marks[i]) for i in kept]


def _detection(
    box: NDArray[np.float32], score: float, points: NDArray[np.float32] | None
) -> Detection:
    left, top, right, bottom = (float(v) for v in box)
    return Detection(box=(left, top, right, bottom), score=score, points=points)


@torch.inference_mode()
def landmarks(network: nn.Module, rgb: Picture, face: Detection) -> Points:
    """The 68 landmarks (68, 2) of a face, in pixels of the picture; FAN looks at its box, resized
    to 256 x 256, in BGR.
    """
    height, width = rgb.shape[:2]
    left, top = max(0, int(face.box[0])), max(0, int(face.box[1]))
    right, bottom = min(width, int(face.box[2])), min(height, int(face.box[3]))
    part = cv2.resize(rgb[top:bottom, left:right], (FAN_PX, FAN_PX))[..., ::-1]
    values = torch.from_numpy(np.ascontiguousarray(part)).to(_device(network)).float() / 255
    heat = network(values.permute(2, 0, 1)[None])[-1][0].cpu().numpy()
    scale = np.array([right - left, bottom - top]) / heat.shape[-1]
    points: Points = to_68(heat_points(heat[:98])) * scale + (left, top)
    return points
