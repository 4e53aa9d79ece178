"""ResNet-50 (He et al., CVPR 2016, table 1), the backbone of RetinaFace and of the 3D face
reconstruction.

The stride of a stage sits in its first block's 3x3 convolution. Module names follow the published
checkpoints.
"""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812 - the name every torch reader knows
from torch import Tensor, nn

EXPANSION = 4
"""A bottleneck's outputs per inner channel."""


class Bottleneck(nn.Module):
    """1x1 reduce, 3x3, 1x1 expand, with identity or a projected shortcut."""

    folds = (("conv1", "bn1"), ("conv2", "bn2"), ("conv3", "bn3"))

    def __init__(self, inputs: int, inner: int, stride: int) -> None:
        super().__init__()
        outputs = inner * EXPANSION
        self.conv1 = nn.Conv2d(inputs, inner, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3 = nn.Conv2d(inner, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Module | None = None
        if stride != 1 or inputs != outputs:
            projection = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.downsample = nn.Sequential(projection, nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, 4 * inner, H / stride, W / stride)."""
        y = self.bn1(self.conv1(x)).relu_()
        y = self.bn2(self.conv2(y)).relu_()
        y = self.bn3(self.conv3(y))
        shortcut: Tensor = x if self.downsample is None else self.downsample(x)
        summed: Tensor = shortcut + y
        return summed.relu_()


def _stage(inputs: int, inner: int, blocks: int, stride: int) -> nn.Sequential:
    first = Bottleneck(inputs, inner, stride)
    rest = (Bottleneck(inner * EXPANSION, inner, 1) for _ in range(blocks - 1))
    return nn.Sequential(first, *rest)


class ResNet50(nn.Module):
    """Images in, the last three stages' features out."""

    folds = (("conv1", "bn1"),)

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.layer1 = _stage(64, 64, 3, 1)
        self.layer2 = _stage(256, 128, 4, 2)
        self.layer3 = _stage(512, 256, 6, 2)
        self.layer4 = _stage(1024, 512, 3, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, 3, H, W) -> features at stride 8 (512 channels), 16 (1024) and 32 (2048)."""
        x = F.max_pool2d(self.bn1(self.conv1(x)).relu_(), 3, 2, 1)
        stride8 = self.layer2(self.layer1(x))
        stride16 = self.layer3(stride8)
        return stride8, stride16, self.layer4(stride16)
