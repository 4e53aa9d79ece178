"""ExpNet: from speech to expression coefficients (Zhang et al., "SadTalker", CVPR 2023, section
3.2, eq. 2).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.avatar.speech_encoder import EMBEDDING, speech_encoder

EXPRESSIONS = 64
"""Expression coefficients of the 3DMM."""


class Audio2Exp(nn.Module):
    """Mel windows, the source's expression and a blink ratio in; expression coefficients out."""

    def __init__(self) -> None:
        super().__init__()
        self.audio_encoder = speech_encoder()
        self.mapping1 = nn.Linear(EMBEDDING + EXPRESSIONS + 1, EXPRESSIONS)

    def forward(self, mel: Tensor, reference: Tensor, blink: Tensor) -> Tensor:
        """Mel (B * T, 1, 80, 16), reference (B, T, 64), blink ratio (B, T, 1) in [0, 1] -> (B, T,
        64).
        """
        batch, frames = reference.shape[:2]
        speech = self.audio_encoder(mel).reshape(batch, frames, EMBEDDING)
        y: Tensor = self.mapping1(torch.cat((speech, reference, blink), dim=-1))
        return y
