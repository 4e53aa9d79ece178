"""The Wav2Lip generator (Prajwal et al., ACM MM 2020, section 4.1, figure 2).

A face encoder halves 96x96 down to 1x1 and remembers every stage; a speech encoder gives the
mouth its shape; the decoder climbs back, joining the remembered stages deepest first.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.avatar.speech_encoder import EMBEDDING, ConvBlock, residual_blocks, speech_encoder

FACE_PX = 96
"""Side of the face the network sees and paints."""
DOUBLINGS = 5
"""Decoder blocks that double the resolution: 3x3 to 96x96."""


class UpBlock(nn.Module):
    """Transposed convolution, batch normalisation, ReLU; no residual."""

    def __init__(self, inputs: int, outputs: int, stride: int, padding: int) -> None:
        super().__init__()
        # output_padding makes stride 2 an exact doubling; stride 1 takes 1x1 to 3x3.
        layer = nn.ConvTranspose2d(inputs, outputs, 3, stride, padding, output_padding=stride - 1)
        self.conv_block = nn.Sequential(layer, nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H', W')."""
        y: Tensor = self.conv_block(x)
        return y.relu_()


def _face_encoder() -> nn.ModuleList:
    stages = [nn.Sequential(ConvBlock(6, 16, 7, 1, 3))]
    for inputs, outputs, residuals in (
        (16, 32, 2),
        (32, 64, 3),
        (64, 128, 2),
        (128, 256, 2),
        (256, 512, 1),
    ):
        stages.append(
            nn.Sequential(ConvBlock(inputs, outputs, 3, 2, 1), *residual_blocks(outputs, residuals))
        )
    stages.append(nn.Sequential(ConvBlock(512, 512, 3, 1, 0), ConvBlock(512, 512, 1, 1, 0)))
    return nn.ModuleList(stages)


def _face_decoder() -> nn.ModuleList:
    stages = [
        nn.Sequential(ConvBlock(EMBEDDING, 512, 1, 1, 0)),
        nn.Sequential(UpBlock(1024, 512, 1, 0), *residual_blocks(512, 1)),
    ]
    # Inputs are the stage before joined with the encoder's stage of the same size: 512+512,
    # 512+256, 384+128, ...
    for inputs, outputs in ((1024, 512), (768, 384), (512, 256), (320, 128), (160, 64)):
        stages.append(nn.Sequential(UpBlock(inputs, outputs, 2, 1), *residual_blocks(outputs, 2)))
    return nn.ModuleList(stages)


def rows_spared(first_row: int) -> tuple[int, ...]:
    """The first row of each decoder block's input that the picture from `first_row` on depends on,
    counted in the block's own resolution.

    Backwards from the picture: a 3x3 convolution sees one row above, so the output block needs
    `first_row` - 1, the two residual convolutions of a block two rows more; a doubling that begins
    with row i gives exact rows from 2 i on. What is cut off leaves a false edge, whose mark never
    comes as far down as the rows that are wanted.
    """
    wanted = first_row - 1
    starts = []
    for _ in range(DOUBLINGS):
        wanted = max(0, wanted - 2) // 2
        starts.append(wanted)
    return (0, 0, *reversed(starts))


class Wav2Lip(nn.Module):
    """Speech and a half-masked face in, the same face speaking out."""

    def __init__(self) -> None:
        super().__init__()
        self.face_encoder_blocks = _face_encoder()
        self.audio_encoder = speech_encoder()
        self.face_decoder_blocks = _face_decoder()
        self.output_block = nn.Sequential(
            ConvBlock(80, 32, 3, 1, 1), nn.Conv2d(32, 3, 1), nn.Sigmoid()
        )

    def face_stages(self, face: Tensor) -> list[Tensor]:
        """Face (B, 6, 96, 96) in [0, 1] -> the encoder's seven stages, shallowest first.

        Constant for a still portrait: computed once, then broadcast over the frames.
        """
        stages = []
        for block in self.face_encoder_blocks:
            face = block(face)
            stages.append(face)
        return stages

    def decode(self, speech: Tensor, stages: list[Tensor], first_row: int = 0) -> Tensor:
        """Embeddings (B, 512, 1, 1) and face stages (B or 1, ...) -> faces (B, 3, 96 - first_row,
        96) in [0, 1], from `first_row` down.
        """
        x, top = speech, 0
        starts = rows_spared(first_row)
        for block, start, stage in zip(
            self.face_decoder_blocks, starts, reversed(stages), strict=True
        ):
            x = block(x[:, :, start - top :])
            top = 2 * start
            x = torch.cat((x, stage[:, :, top:].expand(x.shape[0], -1, -1, -1)), dim=1)
        image: Tensor = self.output_block(x)
        return image[:, :, first_row - top :]

    def forward(self, mel: Tensor, face: Tensor, first_row: int = 0) -> Tensor:
        """Mel windows (B, 1, 80, 16) in [-4, 4] and faces (B, 6, 96, 96) -> faces (B, 3, 96 -
        first_row, 96) in [0, 1].
        """
        return self.decode(self.audio_encoder(mel), self.face_stages(face), first_row)
