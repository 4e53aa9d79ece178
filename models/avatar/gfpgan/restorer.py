"""GFPGAN (Wang et al., "GFP-GAN: Towards Real-World Blind Face Restoration", CVPR 2021, figure
2), the "clean" variant.

A U-Net removes the degradation and gives 16 styles and a scale and shift per resolution; a
StyleGAN2 decoder paints.
"""

from __future__ import annotations

from itertools import pairwise

import torch.nn.functional as F  # noqa: N812 - the name every torch reader knows
from torch import Tensor, nn

from models.avatar.gfpgan.stylegan import SLOPE, STYLE, StyleDecoder

FACE_PX = 512
STYLES = 16
_DOWN = (32, 64, 128, 256, 256, 256, 256, 256)
_UP = (256, 256, 256, 256, 256, 128, 64, 32)


class Rescaling(nn.Module):
    """Residual block that changes the resolution by a factor between its convolutions."""

    def __init__(self, inputs: int, outputs: int, factor: float) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, inputs, 3, padding=1)
        self.conv2 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.skip = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.factor = factor

    def _resize(self, x: Tensor) -> Tensor:
        return F.interpolate(x, scale_factor=self.factor, mode="bilinear", align_corners=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, factor H, factor W)."""
        y = self._resize(F.leaky_relu_(self.conv1(x), SLOPE))
        y = F.leaky_relu_(self.conv2(y), SLOPE)
        # A 1x1 convolution without bias and a bilinear resize commute: convolve where there are
        # fewer pixels.
        shortcut = self.skip(self._resize(x)) if self.factor < 1 else self._resize(self.skip(x))
        summed: Tensor = y + shortcut
        return summed


def _condition(channels: int) -> nn.Sequential:
    first, second = (nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))
    return nn.Sequential(first, nn.LeakyReLU(SLOPE), second)


class Restorer(nn.Module):
    """A degraded, aligned face in, a sharp one out."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_body_first = nn.Conv2d(3, _DOWN[0], 1)
        self.conv_body_down = nn.ModuleList(Rescaling(a, b, 0.5) for a, b in pairwise(_DOWN))
        self.final_conv = nn.Conv2d(_DOWN[-1], _UP[0], 3, padding=1)
        self.final_linear = nn.Linear(_UP[0] * 4 * 4, STYLES * STYLE)
        up = list(pairwise(_UP))
        self.conv_body_up = nn.ModuleList(Rescaling(a, b, 2.0) for a, b in up)
        self.condition_scale = nn.ModuleList(_condition(b) for _, b in up)
        self.condition_shift = nn.ModuleList(_condition(b) for _, b in up)
        self.stylegan_decoder = StyleDecoder()

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, 512, 512) RGB in [-1, 1] -> the same, about [-1, 1]."""
        y = F.leaky_relu_(self.conv_body_first(x), SLOPE)
        skips: list[Tensor] = []
        for block in self.conv_body_down:
            y = block(y)
            skips.append(y)
        y = F.leaky_relu_(self.final_conv(y), SLOPE)
        styles = self.final_linear(y.flatten(1)).unflatten(1, (STYLES, STYLE))
        conditions = []
        stages = zip(self.conv_body_up, self.condition_scale, self.condition_shift, strict=True)
        for block, scale, shift in stages:
            y = block(y + skips.pop())
            conditions.append((scale(y), shift(y)))
        picture: Tensor = self.stylegan_decoder(styles, conditions)
        return picture
