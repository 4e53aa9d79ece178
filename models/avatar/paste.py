"""A generated face back into its portrait, by a feathered blend on the device.

Poisson blending (`cv2.seamlessClone`) solves a linear system per frame and flickers with what it
is given; a fixed soft edge costs one multiplication and one addition.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the name every torch reader knows
from numpy.typing import NDArray
from torch import Tensor

Picture = NDArray[np.uint8]


def feather(height: int, width: int, edge: float) -> Tensor:
    """A mask (height, width): 1 inside, falling by a raised cosine over the share `edge` of each
    side to 0 outside.
    """

    def ramp(length: int) -> Tensor:
        place = (torch.arange(length) + 0.5) / length
        near = torch.minimum(place, 1 - place) / edge
        return (1 - torch.cos(near.clamp(max=1.0) * torch.pi)) / 2

    return torch.outer(ramp(height), ramp(width))


def to_bytes(pictures: Tensor) -> Tensor:
    """Pictures (n, 3, h, w) in [0, 1] -> uint8 (n, h, w, 3)."""
    scaled = pictures.permute(0, 2, 3, 1).float().mul(255).add_(0.5).clamp_(0, 255)
    return scaled.to(torch.uint8).contiguous()


class Paste:
    """Lays faces over one rectangle of one portrait.

    The portrait's share under the mask is worked out once; a frame costs a resize, one fused
    multiply-add over the rectangle and a copy of the rest.
    """

    def __init__(
        self, portrait: Picture, box: tuple[int, int, int, int], mask: Tensor, device: torch.device
    ) -> None:
        height, width = portrait.shape[:2]
        left, top, right, bottom = box
        shown = mask.amax(dim=1).nonzero().flatten() + top
        x0, x1 = max(left, 0), min(right, width)
        y0, y1 = max(int(shown[0]), 0), min(int(shown[-1]) + 1, height)
        self.size = bottom - top, right - left
        self.rows, self.columns = slice(y0, y1), slice(x0, x1)
        self.inner = slice(y0 - top, y1 - top), slice(x0 - left, x1 - left)
        self.portrait = torch.from_numpy(np.ascontiguousarray(portrait)).to(device)
        self.mask = mask[self.inner].to(device)[None, :, :, None]
        under = self.portrait[self.rows, self.columns].float()
        self.under = under * (1 - self.mask) + 0.5  # the half rounds where the cast below truncates
        self.weight = self.mask * 255

    @property
    def bytes_per_frame(self) -> int:
        """What a frame takes at most: the picture twice, as one batch waits while the next is
        made, and three float32 copies of the rectangle.
        """
        return 2 * self.portrait.numel() + 3 * 4 * 3 * self.size[0] * self.size[1]

    def __call__(self, faces: Tensor) -> Tensor:
        """Faces (n, 3, s, s) in [0, 1] -> frames (n, height, width, 3), uint8."""
        resized = F.interpolate(
            faces.float(),
            size=self.size,
            mode="bilinear",
            antialias=max(self.size) < faces.shape[-1],
            align_corners=False,
        )
        region = resized[:, :, self.inner[0], self.inner[1]].permute(0, 2, 3, 1)
        frames = self.portrait.repeat(len(faces), 1, 1, 1)
        blended = torch.addcmul(self.under, region, self.weight).clamp_(0, 255)
        frames[:, self.rows, self.columns] = blended.to(torch.uint8)
        return frames
