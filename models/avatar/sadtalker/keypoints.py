"""Canonical 3D key points of the source face (Wang et al., face-vid2vid, CVPR 2021, appendix A.1,
eq. 1).

A 2D encoder, a lift of its channels into depth, a 3D decoder and a spatial softmax. Run once per
portrait.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812 - the name every torch reader knows
from torch import Tensor, nn

DEPTH = 16
KEYPOINTS = 15
TEMPERATURE = 0.1
SHRINK = 4
"""The detector sees the picture at a quarter of its size."""

_DOWN = (64, 128, 256, 512, 1024)
_UP = (512, 256, 128, 64, 32)


def grid_3d(size: Sequence[int], like: Tensor) -> Tensor:
    """Coordinates (*size, 3), `size` = (depth, height, width), in x, y, z order, each axis from
    -1 to 1 inclusive.
    """
    axes = [torch.linspace(-1, 1, n, dtype=like.dtype, device=like.device) for n in size]
    z, y, x = torch.meshgrid(*axes, indexing="ij")
    return torch.stack((x, y, z), dim=-1)


class Down2d(nn.Module):
    """Convolution, normalisation, ReLU, halving."""

    folds = (("conv", "norm"),)

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H / 2, W / 2)."""
        return F.avg_pool2d(self.norm(self.conv(x)).relu_(), 2)


class Up3d(nn.Module):
    """Doubling of height and width (not depth), convolution, normalisation, ReLU."""

    folds = (("conv", "norm"),)

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv3d(inputs, outputs, 3, padding=1), nn.BatchNorm3d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, D, H, W) -> (B, outputs, D, 2 H, 2 W)."""
        y: Tensor = self.norm(self.conv(F.interpolate(x, scale_factor=(1.0, 2.0, 2.0))))
        return y.relu_()


class Lift(nn.Module):
    """Encoder, channels to depth, decoder."""

    def __init__(self) -> None:
        super().__init__()
        down, up = nn.Sequential(), nn.Sequential()
        for index, (inputs, outputs) in enumerate(zip((3, *_DOWN), _DOWN, strict=False)):
            down.add_module(f"down{index}", Down2d(inputs, outputs))
        for index, (inputs, outputs) in enumerate(zip((_DOWN[-1], *_UP), _UP, strict=False)):
            up.add_module(f"up{index}", Up3d(inputs, outputs))
        self.down_blocks, self.up_blocks = down, up
        self.conv = nn.Conv2d(_DOWN[-1], _DOWN[-1] * DEPTH, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, 32, 16, H, W)."""
        flat: Tensor = self.conv(self.down_blocks(x))
        y: Tensor = self.up_blocks(flat.reshape(len(x), _DOWN[-1], DEPTH, *flat.shape[2:]))
        return y


class Blur(nn.Module):
    """Gaussian low-pass and decimation by `SHRINK`."""

    def __init__(self) -> None:
        super().__init__()
        sigma = (SHRINK - 1) / 2
        radius = round(4 * sigma)
        taps = torch.exp(-torch.arange(-radius, radius + 1).square() / (2 * sigma**2))
        kernel = torch.outer(taps, taps)
        self.radius = radius
        self.register_buffer("weight", (kernel / kernel.sum()).expand(3, 1, -1, -1).clone())

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, 3, H / 4, W / 4)."""
        return F.conv2d(x, self.get_buffer("weight"), padding=self.radius, stride=SHRINK, groups=3)


class KeypointDetector(nn.Module):
    """A portrait in, its 15 canonical key points out."""

    def __init__(self) -> None:
        super().__init__()
        self.predictor = Lift()
        self.kp = nn.Conv3d(_UP[-1], KEYPOINTS, 3, padding=1)
        self.down = Blur()

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, S, S) RGB in [0, 1] -> (B, 15, 3), x, y, z in [-1, 1]. S divisible by 128."""
        logits: Tensor = self.kp(self.predictor(self.down(x)))
        weight = (logits.flatten(2) / TEMPERATURE).softmax(dim=2)
        grid = grid_3d(logits.shape[2:], like=x)
        return weight @ grid.flatten(0, 2)
