"""RetinaFace with a ResNet-50 backbone (Deng et al., CVPR 2020): faces and five landmarks in one
pass.

A feature pyramid over strides 8, 16 and 32, an SSH context module on each level (Najibi et al.,
ICCV 2017), and three 1x1 heads with two anchors per place.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - the name every torch reader knows
from torch import Tensor, nn

from models.avatar.resnet50 import ResNet50

CHANNELS = 256
ANCHORS = 2


def _conv_bn(inputs: int, outputs: int, kernel: int, *, relu: bool) -> nn.Sequential:
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, kernel, 1, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*layers, nn.ReLU()) if relu else nn.Sequential(*layers)


class Pyramid(nn.Module):
    """Top-down feature pyramid: lateral 1x1, nearest upsampling, 3x3 after each addition."""

    def __init__(self) -> None:
        super().__init__()
        self.output1 = _conv_bn(512, CHANNELS, 1, relu=True)
        self.output2 = _conv_bn(1024, CHANNELS, 1, relu=True)
        self.output3 = _conv_bn(2048, CHANNELS, 1, relu=True)
        self.merge1 = _conv_bn(CHANNELS, CHANNELS, 3, relu=True)
        self.merge2 = _conv_bn(CHANNELS, CHANNELS, 3, relu=True)

    def forward(self, stages: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """The backbone's three stages -> three levels of 256 channels."""
        fine, middle, coarse = (
            self.output1(stages[0]),
            self.output2(stages[1]),
            self.output3(stages[2]),
        )
        middle = self.merge2(middle + F.interpolate(coarse, size=middle.shape[2:]))
        fine = self.merge1(fine + F.interpolate(middle, size=fine.shape[2:]))
        return fine, middle, coarse


class Context(nn.Module):
    """SSH: 3x3, and the 5x5 and 7x7 fields as chains of 3x3, side by side."""

    def __init__(self) -> None:
        super().__init__()
        half, quarter = CHANNELS // 2, CHANNELS // 4
        self.conv3X3 = _conv_bn(CHANNELS, half, 3, relu=False)
        self.conv5X5_1 = _conv_bn(CHANNELS, quarter, 3, relu=True)
        self.conv5X5_2 = _conv_bn(quarter, quarter, 3, relu=False)
        self.conv7X7_2 = _conv_bn(quarter, quarter, 3, relu=True)
        self.conv7x7_3 = _conv_bn(quarter, quarter, 3, relu=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 256, H, W) -> (B, 256, H, W)."""
        shared = self.conv5X5_1(x)
        fields = (self.conv3X3(x), self.conv5X5_2(shared), self.conv7x7_3(self.conv7X7_2(shared)))
        return torch.cat(fields, dim=1).relu_()


class Head(nn.Module):
    """A 1x1 convolution whose channels are `ANCHORS` groups of `values`."""

    def __init__(self, values: int) -> None:
        super().__init__()
        self.values = values
        self.conv1x1 = nn.Conv2d(CHANNELS, ANCHORS * values, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 256, H, W) -> (B, H * W * ANCHORS, values)."""
        y: Tensor = self.conv1x1(x)
        return y.permute(0, 2, 3, 1).reshape(y.shape[0], -1, self.values)


class RetinaFace(nn.Module):
    """Images minus (104, 117, 123) in; offsets, scores and landmark offsets per anchor out."""

    def __init__(self) -> None:
        super().__init__()
        self.body = ResNet50()
        self.fpn = Pyramid()
        self.ssh1, self.ssh2, self.ssh3 = Context(), Context(), Context()
        self.ClassHead = nn.ModuleList(Head(2) for _ in range(3))
        self.BboxHead = nn.ModuleList(Head(4) for _ in range(3))
        self.LandmarkHead = nn.ModuleList(Head(10) for _ in range(3))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, 3, H, W) -> box offsets (B, N, 4), probabilities (B, N, 2), landmark offsets (B, N,
        10).
        """
        fine, middle, coarse = self.fpn(self.body(x))
        levels = (self.ssh1(fine), self.ssh2(middle), self.ssh3(coarse))

        def heads(modules: nn.ModuleList) -> Tensor:
            return torch.cat(
                [head(level) for head, level in zip(modules, levels, strict=True)], dim=1
            )

        return heads(self.BboxHead), heads(self.ClassHead).softmax(dim=-1), heads(self.LandmarkHead)
