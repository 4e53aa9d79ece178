"""Restored faces in moving frames, without a detector or a parser per frame.

The face's place is known: five points of the source, moved by the same key points that drive the
frame. GFPGAN sees it aligned to FFHQ's template and its answer returns through the same transform
under a soft mask.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the name every torch reader knows
from numpy.typing import NDArray
from torch import Tensor, nn

from models.avatar.gfpgan.restorer import FACE_PX
from models.avatar.paste import feather

TEMPLATE: Final = np.array(
    [
        [192.98138, 239.94708],
        [318.90277, 240.1936],
        [256.63416, 314.01935],
        [201.26117, 371.41043],
        [313.08905, 371.15118],
    ]
)
"""Eyes, tip of the nose, corners of the mouth in FFHQ's aligned face at 512 px."""
EDGE: Final = 0.18
"""Share of the aligned face over which restoration fades out: it ends on skin and hair, not
inside the eyes.
"""


def similarity(source: Tensor, target: Tensor) -> Tensor:
    """Rotation, scale and shift that best carry points (..., N, 2) onto others -> (..., 3, 3),
    homogeneous.

    As complex numbers: t = a s + b, a = sum(conj(s') t') / sum(|s'|^2) over centred points
    (Umeyama, PAMI 1991, in the plane, without reflection).
    """
    mean_s, mean_t = source.mean(dim=-2), target.mean(dim=-2)
    s, t = source - mean_s[..., None, :], target - mean_t[..., None, :]
    power = s.square().sum(dim=(-2, -1)).clamp(min=1e-12)
    real = (s * t).sum(dim=(-2, -1)) / power
    imaginary = (s[..., 0] * t[..., 1] - s[..., 1] * t[..., 0]).sum(dim=-1) / power
    shift_x = mean_t[..., 0] - real * mean_s[..., 0] + imaginary * mean_s[..., 1]
    shift_y = mean_t[..., 1] - imaginary * mean_s[..., 0] - real * mean_s[..., 1]
    zero, one = torch.zeros_like(real), torch.ones_like(real)
    rows = (real, -imaginary, shift_x, imaginary, real, shift_y, zero, zero, one)
    return torch.stack(rows, dim=-1).unflatten(-1, (3, 3))  # type: ignore[no-untyped-call,no-any-return]


def warp(pictures: Tensor, to_picture: Tensor, size: int) -> Tensor:
    """Pictures (n, C, h, w) seen through `to_picture` (n, 3, 3), which carries [-1, 1] output to
    [-1, 1] input coordinates.
    """
    grid = F.affine_grid(to_picture[:, :2], [len(pictures), 1, size, size], align_corners=False)
    return F.grid_sample(pictures, grid, align_corners=False)


class Enhancer:
    """Restores the one face of a presenter's frames."""

    def __init__(self, restorer: nn.Module, points: NDArray[np.float64], frame_px: int) -> None:
        """`points` (5, 2) are the source's eyes, nose and mouth corners in pixels of the frame."""
        parameter = next(restorer.parameters())
        self._restorer, self._dtype = restorer, parameter.dtype
        device = parameter.device
        # In [-1, 1] coordinates of pixel areas, where the key points and the sampling grids live.
        frame = torch.from_numpy(points).to(device).float() / frame_px * 2 - 1
        face = torch.from_numpy(TEMPLATE).to(device).float() / FACE_PX * 2 - 1
        self._to_face = similarity(frame, face)
        self._mask = feather(FACE_PX, FACE_PX, EDGE).to(device)
        self.size_px = max(frame_px, FACE_PX)

    def __call__(self, frames: Tensor, source: Tensor, driving: Tensor) -> Tensor:
        """Frames (n, 3, s, s) in [0, 1] and the key points (1, 15, 3), (n, 15, 3) behind them ->
        (n, 3, S, S), S >= 512.
        """
        moved = similarity(source[..., :2].expand(len(driving), -1, -1), driving[..., :2])
        frame_to_face = self._to_face @ torch.linalg.inv(moved)
        faces = warp(frames.float(), torch.linalg.inv(frame_to_face), FACE_PX)
        restored = self._restorer((faces * 2 - 1).to(self._dtype)).float().clamp(-1, 1) / 2 + 0.5
        masked = torch.cat((restored, self._mask.expand(len(faces), 1, -1, -1)), dim=1)
        back = warp(masked, frame_to_face, self.size_px)
        large = frames.float()
        if frames.shape[-1] != self.size_px:
            size = [self.size_px, self.size_px]
            large = F.interpolate(large, size=size, mode="bicubic", align_corners=False)
        return torch.lerp(large, back[:, :3], back[:, 3:]).clamp(0, 1)
