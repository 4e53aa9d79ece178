"""FAN with four hourglasses, CoordConv and boundary awareness: 98 facial landmarks.

Bulat & Tzimiropoulos, "How far are we from solving the 2D & 3D face alignment problem?" (ICCV
2017) for the network; Wang et al., "Adaptive Wing Loss" (ICCV 2019), section 5, for the
coordinate channels and the 99th heat map, the face's outline.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - the name every torch reader knows
from torch import Tensor, nn

STACKS = 4
DEPTH = 4
CHANNELS = 256
HEATMAPS = 99
BOUNDARY = 0.05
"""Heat above which a pixel counts as outline."""


class PreActivation(nn.Module):
    """FAN's hierarchical block: three 3x3 convolutions whose outputs are joined, with identity
    (Bulat 2017, fig. 2).
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        half, quarter = outputs // 2, outputs // 4
        self.bn1, self.conv1 = nn.BatchNorm2d(inputs), nn.Conv2d(inputs, half, 3, 1, 1, bias=False)
        self.bn2, self.conv2 = nn.BatchNorm2d(half), nn.Conv2d(half, quarter, 3, 1, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(quarter)
        self.conv3 = nn.Conv2d(quarter, quarter, 3, 1, 1, bias=False)
        self.downsample: nn.Module | None = None
        if inputs != outputs:
            projection = nn.Conv2d(inputs, outputs, 1, bias=False)
            self.downsample = nn.Sequential(nn.BatchNorm2d(inputs), nn.ReLU(), projection)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H, W)."""
        first = self.conv1(self.bn1(x).relu_())
        second = self.conv2(self.bn2(first).relu_())
        third = self.conv3(self.bn3(second).relu_())
        shortcut: Tensor = x if self.downsample is None else self.downsample(x)
        return torch.cat((first, second, third), dim=1) + shortcut


def coordinates(x: Tensor) -> Tensor:
    """Coordinate channels (B, 3, H, W): position along H, along W (both -1..1), and radius /
    largest radius.

    The first channel runs along H; the trained weights expect that order.
    """
    height, width = x.shape[2:]
    rows = torch.linspace(-1, 1, height, dtype=x.dtype, device=x.device)[:, None].expand(
        height, width
    )
    columns = torch.linspace(-1, 1, width, dtype=x.dtype, device=x.device).expand(height, width)
    radius = (rows.square() + columns.square()).sqrt()
    return torch.stack((rows, columns, radius / radius.max())).expand(x.shape[0], -1, -1, -1)


class CoordConv(nn.Module):
    """A convolution that also sees where it is, and where the outline was (Adaptive Wing Loss,
    section 5.2).
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2)

    def forward(self, x: Tensor, heat: Tensor | None = None) -> Tensor:
        """(B, C, H, W), and the heat maps of the stack before -> (B, outputs, H / stride, W /
        stride).
        """
        place = coordinates(x)
        channels = [x, place]
        if heat is not None:
            outline = heat[:, -1:].clamp(0.0, 1.0) > BOUNDARY
            channels.append(place[:, :2] * outline)
        y: Tensor = self.conv(torch.cat(channels, dim=1))
        return y


class Hourglass(nn.Module):
    """Four levels down and up, a block on each branch, sums at every level."""

    def __init__(self, coordinate_channels: int) -> None:
        super().__init__()
        self.coordconv = CoordConv(CHANNELS + coordinate_channels, CHANNELS, 1, 1)
        for level in range(DEPTH, 0, -1):
            for branch in ("b1", "b2", "b3"):
                self.add_module(f"{branch}_{level}", PreActivation(CHANNELS, CHANNELS))
        self.b2_plus_1 = PreActivation(CHANNELS, CHANNELS)

    def _level(self, level: int, x: Tensor) -> Tensor:
        kept: Tensor = self.get_submodule(f"b1_{level}")(x)
        low = self.get_submodule(f"b2_{level}")(F.avg_pool2d(x, 2))
        low = self._level(level - 1, low) if level > 1 else self.b2_plus_1(low)
        return kept + F.interpolate(self.get_submodule(f"b3_{level}")(low), scale_factor=2.0)

    def forward(self, x: Tensor, heat: Tensor | None) -> Tensor:
        """(B, 256, H, W) -> the same shape; H and W divisible by 16."""
        return self._level(DEPTH, self.coordconv(x, heat))


class FAN(nn.Module):
    """Faces (B, 3, 256, 256) in [0, 1] -> heat maps of every stack."""

    folds = tuple((f"conv_last{stack}", f"bn_end{stack}") for stack in range(STACKS))

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = CoordConv(3 + 3, 64, 7, 2)
        self.bn1 = nn.BatchNorm2d(64)
        self.conv2, self.conv3 = PreActivation(64, 128), PreActivation(128, 128)
        self.conv4 = PreActivation(128, CHANNELS)
        for stack in range(STACKS):
            # The first stack has no heat map before it: rows, columns, radius. Later: two outline
            # channels more.
            self.add_module(f"m{stack}", Hourglass(3 if stack == 0 else 5))
            self.add_module(f"top_m_{stack}", PreActivation(CHANNELS, CHANNELS))
            self.add_module(f"conv_last{stack}", nn.Conv2d(CHANNELS, CHANNELS, 1))
            self.add_module(f"bn_end{stack}", nn.BatchNorm2d(CHANNELS))
            self.add_module(f"l{stack}", nn.Conv2d(CHANNELS, HEATMAPS, 1))
            if stack < STACKS - 1:
                self.add_module(f"bl{stack}", nn.Conv2d(CHANNELS, CHANNELS, 1))
                self.add_module(f"al{stack}", nn.Conv2d(HEATMAPS, CHANNELS, 1))

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, 3, 256, 256) -> four heat maps (B, 99, 64, 64); the last is the answer."""
        x = F.avg_pool2d(self.conv2(self.bn1(self.conv1(x)).relu_()), 2)
        x = self.conv4(self.conv3(x))
        heats: list[Tensor] = []
        for stack in range(STACKS):
            layer = self.get_submodule
            y = layer(f"top_m_{stack}")(layer(f"m{stack}")(x, heats[-1] if heats else None))
            y = layer(f"bn_end{stack}")(layer(f"conv_last{stack}")(y)).relu_()
            heats.append(layer(f"l{stack}")(y))
            if stack < STACKS - 1:
                x = x + layer(f"bl{stack}")(y) + layer(f"al{stack}")(heats[-1])
        return heats
