"""The StyleGAN2 decoder of GFPGAN, conditioned by channel-split spatial feature transforms.

Karras et al., "Analyzing and Improving the Image Quality of StyleGAN" (CVPR 2020), section 2.2
for the (de)modulated convolution; Wang et al., "GFP-GAN" (CVPR 2021), section 3.4, eq. 4 for the
conditioning.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F  # noqa: N812 - the name every torch reader knows
from torch import Tensor, nn

STYLE = 512
CHANNELS = {4: 512, 8: 512, 16: 512, 32: 512, 64: 512, 128: 256, 256: 128, 512: 64}
"""Channels at each resolution."""
SLOPE = 0.2


def double(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, C, 2 H, 2 W), bilinear."""
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


class ModulatedConv2d(nn.Module):
    """A convolution whose input channels are scaled by a style, its output channels renormalised.

    Scaling weights per sample needs a grouped convolution; scaling the activations instead is the
    same sum, sum_i (s_i w_oi) x_i = sum_i w_oi (s_i x_i), and lets one plain convolution serve
    the whole batch.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, *, demodulate: bool) -> None:
        super().__init__()
        self.modulation = nn.Linear(STYLE, inputs)
        self.weight = nn.Parameter(torch.empty(1, outputs, inputs, kernel, kernel))
        nn.init.normal_(self.weight, std=(inputs * kernel * kernel) ** -0.5)
        self.demodulate = demodulate

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """(B, inputs, H, W), style (B, 512) -> (B, outputs, H, W)."""
        scale: Tensor = self.modulation(style)
        weight = self.weight[0]
        y = F.conv2d(x * scale[:, :, None, None], weight, padding=weight.shape[-1] // 2)
        if self.demodulate:
            # sigma_o^2 = sum_i s_i^2 sum_k w_oik^2 (eq. 3), in float32: squares leave half
            # precision's range.
            power = weight.float().square().sum(dim=(2, 3))
            norm = (scale.float().square() @ power.t() + 1e-8).rsqrt()
            y = y * norm.to(y.dtype)[:, :, None, None]
        return y


class StyledConv(nn.Module):
    """Modulated convolution, fixed noise, bias, leaky ReLU; doubles the resolution first where
    asked.
    """

    def __init__(self, inputs: int, outputs: int, *, upsample: bool) -> None:
        super().__init__()
        self.modulated_conv = ModulatedConv2d(inputs, outputs, 3, demodulate=True)
        self.weight = nn.Parameter(torch.zeros(1))
        self.bias = nn.Parameter(torch.zeros(1, outputs, 1, 1))
        self.upsample = upsample

    def forward(self, x: Tensor, style: Tensor, noise: Tensor) -> Tensor:
        """(B, inputs, H, W), style (B, 512), noise (1, 1, H', W') -> (B, outputs, H', W')."""
        y = self.modulated_conv(double(x) if self.upsample else x, style) * 2**0.5
        return F.leaky_relu(y + self.weight * noise + self.bias, SLOPE)


class ToRgb(nn.Module):
    """A modulated 1x1 convolution to RGB, added to the doubled picture so far."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.modulated_conv = ModulatedConv2d(inputs, 3, 1, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(1, 3, 1, 1))

    def forward(self, x: Tensor, style: Tensor, picture: Tensor | None) -> Tensor:
        """(B, inputs, H, W), style (B, 512), picture (B, 3, H/2, W/2) -> (B, 3, H, W)."""
        y: Tensor = self.modulated_conv(x, style) + self.bias
        return y if picture is None else y + double(picture)


class StyleDecoder(nn.Module):
    """Sixteen styles and, from 8x8 up, a scale and a shift per resolution -> a 512x512 picture.

    The noise maps are those of the checkpoint, not drawn anew: a film must not flicker.
    """

    def __init__(self) -> None:
        super().__init__()
        self.constant_input = nn.Module()
        self.constant_input.weight = nn.Parameter(torch.randn(1, CHANNELS[4], 4, 4))
        self.style_conv1 = StyledConv(CHANNELS[4], CHANNELS[4], upsample=False)
        self.to_rgb1 = ToRgb(CHANNELS[4])
        self.style_convs, self.to_rgbs = nn.ModuleList(), nn.ModuleList()
        self.noises = nn.Module()
        self.noises.register_buffer("noise0", torch.randn(1, 1, 4, 4))
        for level, (before, size) in enumerate(pairwise(CHANNELS)):
            channels = CHANNELS[size]
            self.style_convs.append(StyledConv(CHANNELS[before], channels, upsample=True))
            self.style_convs.append(StyledConv(channels, channels, upsample=False))
            self.to_rgbs.append(ToRgb(channels))
            for noise in (2 * level + 1, 2 * level + 2):
                self.noises.register_buffer(f"noise{noise}", torch.randn(1, 1, size, size))

    def forward(self, styles: Tensor, conditions: list[tuple[Tensor, Tensor]]) -> Tensor:
        """Styles (B, 16, 512), (scale, shift) of half the channels at 8, 16, ... 512 -> (B, 3,
        512, 512).
        """
        noise = self.noises.get_buffer
        x = self.constant_input.get_parameter("weight").expand(styles.shape[0], -1, -1, -1)
        x = self.style_conv1(x, styles[:, 0], noise("noise0"))
        picture: Tensor = self.to_rgb1(x, styles[:, 1], None)
        for level, (scale, shift) in enumerate(conditions):
            index = 2 * level + 1
            x = self.style_convs[index - 1](x, styles[:, index], noise(f"noise{index}"))
            kept, steered = x.chunk(2, dim=1)
            x = torch.cat((kept, torch.addcmul(shift, steered, scale)), dim=1)
            x = self.style_convs[index](x, styles[:, index + 1], noise(f"noise{index + 1}"))
            picture = self.to_rgbs[level](x, styles[:, index + 2], picture)
        return picture
