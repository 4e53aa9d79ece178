"""The convolutional speech encoder that Wav2Lip introduced and SadTalker's coefficient networks
share.

Prajwal et al., "A Lip Sync Expert Is All You Need" (ACM MM 2020), section 4.1. A window of 16 mel
columns (0.2 s) becomes one 512-vector. Module names follow the published checkpoints, so that
their keys load without translation.
"""

from __future__ import annotations

from torch import Tensor, nn

EMBEDDING = 512
"""Channels of the speech embedding."""


class ConvBlock(nn.Module):
    """Convolution, batch normalisation, optional identity, ReLU: the residual joins *before* the
    ReLU.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        stride: int | tuple[int, int],
        padding: int,
        *,
        residual: bool = False,
    ) -> None:
        super().__init__()
        convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding)
        self.conv_block = nn.Sequential(convolution, nn.BatchNorm2d(outputs))
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H', W')."""
        y: Tensor = self.conv_block(x)
        return (y + x if self.residual else y).relu_()


def residual_blocks(channels: int, count: int) -> list[nn.Module]:
    """`count` 3x3 residual blocks that keep `channels` and the resolution."""
    return [ConvBlock(channels, channels, 3, 1, 1, residual=True) for _ in range(count)]


def speech_encoder() -> nn.Sequential:
    """Mel windows (B, 1, 80, 16) -> embeddings (B, 512, 1, 1).

    Strides walk 80x16 -> 27x16 -> 9x6 -> 3x3 -> 1x1.
    """
    return nn.Sequential(
        ConvBlock(1, 32, 3, 1, 1),
        *residual_blocks(32, 2),
        ConvBlock(32, 64, 3, (3, 1), 1),
        *residual_blocks(64, 2),
        ConvBlock(64, 128, 3, 3, 1),
        *residual_blocks(128, 2),
        ConvBlock(128, 256, 3, (3, 2), 1),
        *residual_blocks(256, 1),
        ConvBlock(256, EMBEDDING, 3, 1, 0),
        ConvBlock(EMBEDDING, EMBEDDING, 1, 1, 0),
    )
