"""Single-image 3DMM regression (Deng et al., "Accurate 3D Face Reconstruction", CVPRW 2019,
section 3.1).

A ResNet-50 and seven linear heads give 257 coefficients of the Basel face model: identity 80,
expression 64, texture 80, rotation 3, lighting 27, translation 2 + 1.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.avatar.resnet50 import ResNet50

HEADS = (80, 64, 80, 3, 27, 2, 1)
EXPRESSION = slice(80, 144)
ANGLE = slice(224, 227)
TRANSLATION = slice(254, 257)


class Reconstruction(nn.Module):
    """An aligned face in, its 257 coefficients out."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = ResNet50()
        self.final_layers = nn.ModuleList(nn.Conv2d(2048, outputs, 1) for outputs in HEADS)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, 224, 224) RGB in [0, 1] -> (B, 257)."""
        pooled = self.backbone(x)[-1].mean(dim=(2, 3), keepdim=True)
        return torch.cat([layer(pooled) for layer in self.final_layers], dim=1).flatten(1)
