"""SPADE decoder (Park et al., "Semantic Image Synthesis with Spatially-Adaptive Normalization",
CVPR 2019, eq. 1, fig. 4).

Here the "segmentation" is the warped feature map itself; every normalisation reads its scale and
shift from it.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - the name every torch reader knows
from torch import Tensor, nn

FEATURES = 256
HIDDEN = 128
SLOPE = 0.2


class SpectralConv2d(nn.Conv2d):
    """A convolution that was trained under spectral normalisation (Miyato et al., ICLR 2018, eq.
    8).

    At load W = W_orig / (u^T W_orig v) is folded once; inference never pays for the normalisation.
    """

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *rest: Any) -> None:
        original = state_dict.pop(f"{prefix}weight_orig", None)
        if original is not None:
            u, v = state_dict.pop(f"{prefix}weight_u"), state_dict.pop(f"{prefix}weight_v")
            sigma = torch.dot(u, original.flatten(1) @ v)
            state_dict[f"{prefix}weight"] = original / sigma
        super()._load_from_state_dict(state_dict, prefix, *rest)


class PhaseConv(nn.Module):
    """A 3x3 convolution over a nearest-upsampled map, computed at the map's own resolution; exact.

    Upsampled by s, output row s*i + p reads source rows floor((s*i + p + t) / s), t in (-1, 0,
    1). For p = 0 that is (i-1, i, i), for 0 < p < s-1 only i, for p = s-1 (i, i, i+1): the taps
    that fall on one row add up, and there are only three kinds of row. Columns alike: nine small
    kernels with 25 taps per source pixel stand for 9 s^2 taps (s = 4: 144); for s = 2 the middle
    kind is absent: 16 taps for 36.
    """

    def __init__(self, weight: Tensor, bias: Tensor, scale: int) -> None:
        super().__init__()
        self.scale = scale
        self.bias = nn.Parameter(bias, requires_grad=False)
        # kind -> (first source row relative to i, taps)
        kinds = ([0], [1, 2]), ([0, 1, 2],), ([0, 1], [2])
        chosen = kinds if scale > 2 else (kinds[0], kinds[2])
        self.kernels = nn.ParameterList()
        for rows in chosen:
            summed = torch.stack([weight[:, :, row].sum(dim=2) for row in rows], dim=2)
            for columns in chosen:
                kernel = torch.stack(
                    [summed[..., column].sum(dim=-1) for column in columns], dim=-1
                )
                self.kernels.append(nn.Parameter(kernel.contiguous(), requires_grad=False))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, outputs, scale H, scale W)."""
        kinds = 3 if self.scale > 2 else 2
        # (rows of padding above, below) per kind: the first reaches up, the last down.
        pads = ((1, 0), (0, 0), (0, 1)) if kinds == 3 else ((1, 0), (0, 1))
        repeats = (1, self.scale - 2, 1) if kinds == 3 else (1, 1)
        batch, _, height, width = x.shape
        scale = self.scale
        out = x.new_empty(batch, self.bias.shape[0], height, scale, width, scale)
        row = 0
        for index, (row_pad, row_repeat) in enumerate(zip(pads, repeats, strict=True)):
            column = 0
            for jndex, (column_pad, column_repeat) in enumerate(zip(pads, repeats, strict=True)):
                kernel = self.kernels[index * kinds + jndex]
                y = F.conv2d(F.pad(x, (*column_pad, *row_pad)), kernel, self.bias)
                out[:, :, :, row : row + row_repeat, :, column : column + column_repeat] = y[
                    :, :, :, None, :, None
                ]
                column += column_repeat
            row += row_repeat
        return out.reshape(batch, -1, height * scale, width * scale)


class Spade(nn.Module):
    """Scale and shift for one normalised map, read from the feature map (eq. 1)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mlp_shared = nn.Sequential(nn.Conv2d(FEATURES, HIDDEN, 3, padding=1), nn.ReLU())
        self.mlp_gamma = nn.Conv2d(HIDDEN, channels, 3, padding=1)
        self.mlp_beta = nn.Conv2d(HIDDEN, channels, 3, padding=1)

    def modulate(self, normalised: Tensor, hidden: Tensor) -> Tensor:
        """Instance-normalised map and this layer's hidden map, same height and width -> modulated
        map.
        """
        gamma: Tensor = self.mlp_gamma(hidden)
        beta: Tensor = self.mlp_beta(hidden)
        # x (1 + gamma) + beta, built up in beta: a map of 67 MB more would cost its page faults.
        return beta.add_(normalised).addcmul_(normalised, gamma)


class SpadeBlock(nn.Module):
    """Two modulated convolutions with a shortcut, itself modulated when the width changes (figure
    4).
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        middle = min(inputs, outputs)
        self.conv_0 = SpectralConv2d(inputs, middle, 3, padding=1)
        self.conv_1 = SpectralConv2d(middle, outputs, 3, padding=1)
        self.norm_0, self.norm_1 = Spade(inputs), Spade(middle)
        self.learned = inputs != outputs
        if self.learned:
            self.conv_s = SpectralConv2d(inputs, outputs, 1, bias=False)
            self.norm_s = Spade(inputs)
        self.shared: nn.Module | None = None

    def norms(self) -> list[Spade]:
        """The block's modulations in the order of `shared`'s channels."""
        return (
            [self.norm_0, self.norm_1, self.norm_s] if self.learned else [self.norm_0, self.norm_1]
        )

    def prepare(self, scale: int) -> None:
        """Joins the modulations' first convolutions into one, as phase kernels where the features
        are upsampled.
        """
        firsts = [norm.mlp_shared.get_submodule("0") for norm in self.norms()]
        weight = torch.cat([first.get_parameter("weight").detach() for first in firsts])
        bias = torch.cat([first.get_parameter("bias").detach() for first in firsts])
        if scale > 1:
            self.shared = PhaseConv(weight, bias, scale)
            return
        joined = nn.Conv2d(
            FEATURES, weight.shape[0], 3, padding=1, device=weight.device, dtype=weight.dtype
        )
        joined.load_state_dict({"weight": weight, "bias": bias})
        self.shared = joined.requires_grad_(requires_grad=False)

    def _hidden(self, size: torch.Size, feature: Tensor) -> tuple[Tensor, ...]:
        if self.shared is not None:
            joined: Tensor = self.shared(feature)
            return joined.relu_().chunk(len(self.norms()), dim=1)
        seen = F.interpolate(feature, size=list(size))
        return tuple(norm.mlp_shared(seen) for norm in self.norms())

    def forward(self, x: Tensor, feature: Tensor) -> Tensor:
        """(B, inputs, H, W) and features (B, 256, h, w), H = s h -> (B, outputs, H, W)."""
        hidden = self._hidden(x.shape[2:], feature)
        normalised = F.instance_norm(x)
        shortcut: Tensor = (
            self.conv_s(self.norm_s.modulate(normalised, hidden[2])) if self.learned else x
        )
        z = self.conv_0(F.leaky_relu_(self.norm_0.modulate(normalised, hidden[0]), SLOPE))
        z = F.instance_norm(z)
        y: Tensor = self.conv_1(F.leaky_relu_(self.norm_1.modulate(z, hidden[1]), SLOPE))
        return y.add_(shortcut)


class SpadeDecoder(nn.Module):
    """Warped features in, a picture four times as wide and high out."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Conv2d(FEATURES, 512, 3, padding=1)
        for index in range(6):
            self.add_module(f"G_middle_{index}", SpadeBlock(512, 512))
        self.up_0, self.up_1 = SpadeBlock(512, 256), SpadeBlock(256, 64)
        self.conv_img = nn.Conv2d(64, 3, 3, padding=1)

    def blocks(self) -> list[tuple[SpadeBlock, int]]:
        """The blocks with the factor by which each sees the features upsampled."""
        middle = [(getattr(self, f"G_middle_{index}"), 1) for index in range(6)]
        return [*middle, (self.up_0, 2), (self.up_1, 4)]

    def prepare(self) -> None:
        """Turns every block to its joined and phase convolutions. Call after the weights are
        loaded.
        """
        for block, scale in self.blocks():
            block.prepare(scale)

    def forward(self, feature: Tensor) -> Tensor:
        """(B, 256, h, w) -> RGB (B, 3, 4 h, 4 w) in (0, 1)."""
        x: Tensor = self.fc(feature)
        for block, scale in self.blocks():
            if scale > 1:
                x = F.interpolate(x, scale_factor=2.0)
            x = block(x, feature)
        image: Tensor = self.conv_img(F.leaky_relu(x, SLOPE))
        return image.sigmoid()
