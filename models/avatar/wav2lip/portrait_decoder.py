"""The Wav2Lip decoder for a face that does not move: what the face contributes is worked out once.

Every stage convolves [x, face stage]. A convolution is linear, so it is conv(x) + conv(face
stage), and the second term is the same in every frame. Kept as a bias map it spares the face
encoder, the joins and a part of every transposed convolution.
"""

from __future__ import annotations

from typing import TypeVar

import torch.nn.functional as F  # noqa: N812 - the name every torch reader knows
from torch import Tensor, nn

from models.avatar.wav2lip.net import Wav2Lip

Kind = TypeVar("Kind", bound=nn.Module)


class _SplitUp(nn.Module):
    """A transposed convolution over [x, constant]: x's weights, and the constant's share as a
    bias map.
    """

    def __init__(self, layer: nn.ConvTranspose2d, constant: Tensor) -> None:
        super().__init__()
        inputs = layer.in_channels - constant.shape[1]
        self.stride = layer.stride[0]
        # The network's only two forms: 1x1 to 3x3 without padding, and the exact doubling.
        self.padding = self.stride - 1
        self.register_buffer("weight", layer.weight[:inputs].clone())
        self.register_buffer(
            "share", self._apply_weight(constant, layer.weight[inputs:], layer.bias)
        )

    def _apply_weight(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        return F.conv_transpose2d(x, weight, bias, self.stride, self.padding, self.padding)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H', W'), after ReLU."""
        y = self._apply_weight(x, self.get_buffer("weight"))
        return y.add_(self.get_buffer("share")).relu_()


class _SplitSame(nn.Module):
    """A 3x3 convolution over [x, constant], likewise."""

    def __init__(self, layer: nn.Conv2d, constant: Tensor) -> None:
        super().__init__()
        inputs = layer.in_channels - constant.shape[1]
        share = F.conv2d(constant, layer.weight[:, inputs:], layer.bias, padding=1)
        self.register_buffer("weight", layer.weight[:, :inputs].clone())
        self.register_buffer("share", share)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H, W), after ReLU."""
        y = F.conv2d(x, self.get_buffer("weight"), padding=1)
        return y.add_(self.get_buffer("share")).relu_()


class PortraitDecoder(nn.Module):
    """Mel windows in, the one face speaking out. Built from a folded `Wav2Lip` (`folding.fold`)
    and its face stages.
    """

    def __init__(self, network: Wav2Lip, stages: list[Tensor]) -> None:
        super().__init__()
        self.audio_encoder = network.audio_encoder
        layers: list[nn.Module] = [network.face_decoder_blocks[0]]
        # Block i joins its output with stage -1 - i; the next block's first layer is the one that
        # sees the join.
        for block, stage in zip(network.face_decoder_blocks[1:], stages[:0:-1], strict=True):
            first, *residuals = block.children()
            layers.append(_SplitUp(_layer(first, nn.ConvTranspose2d), stage))
            layers.extend(residuals)
        mixing, colour, squash = network.output_block.children()
        layers += [_SplitSame(_layer(mixing, nn.Conv2d), stages[0]), colour, squash]
        self.decoder = nn.Sequential(*layers)

    def forward(self, mel: Tensor) -> Tensor:
        """(B, 1, 80, 16) -> (B, 3, 96, 96) in [0, 1], in the colour order that the face had."""
        faces: Tensor = self.decoder(self.audio_encoder(mel))
        return faces


def _layer(block: nn.Module, kind: type[Kind]) -> Kind:
    layer, norm = block.get_submodule("conv_block").children()
    if not isinstance(layer, kind) or not isinstance(norm, nn.Identity):
        raise TypeError("a folded Wav2Lip is needed")
    return layer
