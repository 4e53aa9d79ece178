"""S3FD, the single-shot scale-invariant face detector (Zhang et al., ICCV 2017).

VGG16 with fc6 and fc7 as convolutions, two extra stages, and six detection layers at strides 4 to
128; the shallow three are L2-normalised (section 3.1), the shallowest decides background by
max-out over three logits (section 3.3).
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import torch
import torch.nn.functional as F  # noqa: N812 - the name every torch reader knows
from torch import Tensor, nn

STRIDES: Final = (4, 8, 16, 32, 64, 128)
MEAN_BGR: Final = (104.0, 117.0, 123.0)
"""Subtracted from the channels in the order that the detector was trained with."""

_VGG16: Final = (
    (3, 64, 64),
    (64, 128, 128),
    (128, 256, 256, 256),
    (256, 512, 512, 512),
    (512, 512, 512, 512),
)


class ChannelNorm(nn.Module):
    """L2 normalisation over channels with a learned scale per channel (ParseNet's, S3FD section
    3.1).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape, each pixel's vector of length `weight`."""
        length = x.square().sum(dim=1, keepdim=True).sqrt() + 1e-10
        return x / length * self.weight[:, None, None]


class S3FD(nn.Module):
    """Images minus `MEAN_BGR` in, class logits and box offsets of six scales out."""

    def __init__(self) -> None:
        super().__init__()
        for stage, channels in enumerate(_VGG16, start=1):
            for layer, (inputs, outputs) in enumerate(pairwise(channels), start=1):
                self.add_module(f"conv{stage}_{layer}", nn.Conv2d(inputs, outputs, 3, padding=1))
        self.fc6 = nn.Conv2d(512, 1024, 3, padding=3)
        self.fc7 = nn.Conv2d(1024, 1024, 1)
        self.conv6_1, self.conv6_2 = nn.Conv2d(1024, 256, 1), nn.Conv2d(256, 512, 3, 2, 1)
        self.conv7_1, self.conv7_2 = nn.Conv2d(512, 128, 1), nn.Conv2d(128, 256, 3, 2, 1)
        self.sources = (
            ("conv3_3_norm", 256),
            ("conv4_3_norm", 512),
            ("conv5_3_norm", 512),
            ("fc7", 1024),
            ("conv6_2", 512),
            ("conv7_2", 256),
        )
        for name, width in self.sources:
            if name.endswith("_norm"):
                self.add_module(name, ChannelNorm(width))
            logits = 4 if name == "conv3_3_norm" else 2
            self.add_module(f"{name}_mbox_conf", nn.Conv2d(width, logits, 3, padding=1))
            self.add_module(f"{name}_mbox_loc", nn.Conv2d(width, 4, 3, padding=1))

    def _features(self, x: Tensor) -> list[Tensor]:
        kept = []
        for stage, channels in enumerate(_VGG16, start=1):
            for layer in range(1, len(channels)):
                x = self.get_submodule(f"conv{stage}_{layer}")(x).relu_()
            if stage >= 3:
                kept.append(self.get_submodule(f"conv{stage}_3_norm")(x))
            x = F.max_pool2d(x, 2)
        x = self.fc7(self.fc6(x).relu_()).relu_()
        kept.append(x)
        for first, second in ((self.conv6_1, self.conv6_2), (self.conv7_1, self.conv7_2)):
            x = second(first(x).relu_()).relu_()
            kept.append(x)
        return kept

    def forward(self, x: Tensor) -> list[tuple[Tensor, Tensor]]:
        """(B, 3, H, W) -> per stride: logits (B, 2, h, w) (background, face) and offsets (B, 4,
        h, w).
        """
        detections = []
        for (name, _), feature in zip(self.sources, self._features(x), strict=True):
            logits = self.get_submodule(f"{name}_mbox_conf")(feature)
            if logits.shape[1] == 4:
                logits = torch.cat((logits[:, :3].amax(dim=1, keepdim=True), logits[:, 3:]), dim=1)
            detections.append((logits, self.get_submodule(f"{name}_mbox_loc")(feature)))
        return detections
