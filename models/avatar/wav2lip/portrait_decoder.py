"""The Wav2Lip decoder for a face that does not move: what the face contributes is worked out once.

Every stage convolves [x, face stage]. A convolution is linear, so it is conv(x) + conv(face
stage), and the second term is the same in every frame. Kept as a bias map it spares the face
encoder, the joins and a part of every transposed convolution. The rows above the mouth, which the
paste leaves to the portrait, are not decoded (`net.rows_spared`).
"""

from __future__ import annotations

from typing import TypeVar

import torch.nn.functional as F  # noqa: N812 - the name every torch reader knows
from torch import Tensor, nn

from models.avatar.wav2lip.net import Wav2Lip, rows_spared

Kind = TypeVar("Kind", bound=nn.Module)


class _SplitUp(nn.Module):
    """A transposed convolution over [x, constant]: x's weights, and the constant's share as a
    bias map. `spared` rows at the top of x are left out; the map begins at row `top`.
    """

    def __init__(
        self, layer: nn.ConvTranspose2d, constant: Tensor, spared: int = 0, top: int = 0
    ) -> None:
        super().__init__()
        inputs = layer.in_channels - constant.shape[1]
        self.stride, self.spared = layer.stride[0], spared
        # The network's only two forms: 1x1 to 3x3 without padding, and the exact doubling.
        self.padding = self.stride - 1
        self.register_buffer("weight", layer.weight[:inputs].clone())
        share = self._apply_weight(constant, layer.weight[inputs:], layer.bias)
        self.register_buffer("share", share[:, :, top:].clone())

    def _apply_weight(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        return F.conv_transpose2d(x, weight, bias, self.stride, self.padding, self.padding)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H', W'), after ReLU."""
        y = self._apply_weight(x[:, :, self.spared :], self.get_buffer("weight"))
        return y.add_(self.get_buffer("share")).relu_()


class _SplitSame(nn.Module):
    """A 3x3 convolution over [x, constant], likewise."""

    def __init__(self, layer: nn.Conv2d, constant: Tensor, top: int = 0) -> None:
        super().__init__()
        inputs = layer.in_channels - constant.shape[1]
        share = F.conv2d(constant, layer.weight[:, inputs:], layer.bias, padding=1)
        self.register_buffer("weight", layer.weight[:, :inputs].clone())
        self.register_buffer("share", share[:, :, top:].clone())

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H, W), after ReLU."""
        y = F.conv2d(x, self.get_buffer("weight"), padding=1)
        return y.add_(self.get_buffer("share")).relu_()


class PortraitDecoder(nn.Module):
    """Mel windows in, the one face speaking out. Built from a folded `Wav2Lip` (`folding.fold`)
    and its face stages. Only the rows from `first_row` down are painted.
    """

    def __init__(self, network: Wav2Lip, stages: list[Tensor], first_row: int = 0) -> None:
        super().__init__()
        self.audio_encoder = network.audio_encoder
        layers: list[nn.Module] = [network.face_decoder_blocks[0]]
        top = 0
        # Block i joins its output with stage -1 - i; the next block's first layer is the one that
        # sees the join.
        for block, start, stage in zip(
            network.face_decoder_blocks[1:], rows_spared(first_row)[1:], stages[:0:-1], strict=True
        ):
            first, *residuals = block.children()
            layer = _layer(first, nn.ConvTranspose2d)
            layers.append(_SplitUp(layer, stage, spared=start - top, top=2 * start))
            layers.extend(residuals)
            top = 2 * start
        mixing, colour, squash = network.output_block.children()
        layers += [_SplitSame(_layer(mixing, nn.Conv2d), stages[0], top), colour, squash]
        self.decoder, self.false_rows = nn.Sequential(*layers), first_row - top

    def forward(self, mel: Tensor) -> Tensor:
        """(B, 1, 80, 16) -> (B, 3, 96 - first_row, 96) in [0, 1], in the colour order that the
        face had.
        """
        faces: Tensor = self.decoder(self.audio_encoder(mel))
        return faces[:, :, self.false_rows :]


def _layer(block: nn.Module, kind: type[Kind]) -> Kind:
    layer, norm = block.get_submodule("conv_block").children()
    if not isinstance(layer, kind) or not isinstance(norm, nn.Identity):
        raise TypeError("a folded Wav2Lip is needed")
    return layer
