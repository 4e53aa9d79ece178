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

    def decode(self, speech: Tensor, stages: list[Tensor]) -> Tensor:
        """Embeddings (B, 512, 1, 1) and face stages (B or 1, ...) -> faces (B, 3, 96, 96) in [0,
        1].
        """
        x = speech
        for block, stage in zip(self.face_decoder_blocks, reversed(stages), strict=True):
            x = block(x)
            x = torch.cat((x, stage.expand(x.shape[0], -1, -1, -1)), dim=1)
        image: Tensor = self.output_block(x)
        return image

    def forward(self, mel: Tensor, face: Tensor) -> Tensor:
        """Mel windows (B, 1, 80, 16) in [-4, 4] and faces (B, 6, 96, 96) -> faces (B, 3, 96, 96)
        in [0, 1].
        """
        return self.decode(self.audio_encoder(mel), self.face_stages(face))
