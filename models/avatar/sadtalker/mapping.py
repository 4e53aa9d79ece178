"""MappingNet: from 3DMM coefficients to the key points' motion (SadTalker, section 3.4;
PIRenderer's mapping network).
"""

from __future__ import annotations

from torch import Tensor, nn

WINDOW = 27
"""Frames of coefficients that one frame sees: 13 before, itself, 13 after."""

BINS = 66
"""Angle bins of 3 degrees, from -99 (Hopenet's head-pose classification)."""

KEYPOINTS = 15


class Mapping(nn.Module):
    """A window of coefficients in; logits of yaw, pitch and roll, a translation and key-point
    offsets out.
    """

    def __init__(self, coefficients: int = 70, width: int = 1024) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv1d(coefficients, width, 7))
        for layer in range(3):
            dilated = nn.Conv1d(width, width, 3, dilation=3)
            self.add_module(f"encoder{layer}", nn.Sequential(nn.LeakyReLU(0.1), dilated))
        self.fc_roll, self.fc_pitch = nn.Linear(width, BINS), nn.Linear(width, BINS)
        self.fc_yaw = nn.Linear(width, BINS)
        self.fc_t = nn.Linear(width, 3)
        self.fc_exp = nn.Linear(width, 3 * KEYPOINTS)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """(B, coefficients, 27) -> `yaw`, `pitch`, `roll` (B, 66), `t` (B, 3), `exp` (B, 45)."""
        y: Tensor = self.first(x)
        for layer in range(3):
            y = self.get_submodule(f"encoder{layer}")(y) + y[:, :, 3:-3]
        y = y.mean(dim=2)
        return {
            "yaw": self.fc_yaw(y),
            "pitch": self.fc_pitch(y),
            "roll": self.fc_roll(y),
            "t": self.fc_t(y),
            "exp": self.fc_exp(y),
        }
