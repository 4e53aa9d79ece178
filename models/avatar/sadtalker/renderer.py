"""The face renderer (face-vid2vid, CVPR 2021, figure 4; SadTalker, section 3.4).

A portrait becomes a 3D feature volume, once; every frame warps it by the key points' motion and
decodes a picture.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch.nn.functional as F  # noqa: N812 - the name every torch reader knows
from torch import Tensor, nn

from models.avatar.folding import fold
from models.avatar.sadtalker.dense_motion import DenseMotion, Motion
from models.avatar.sadtalker.keypoints import DEPTH, Down2d
from models.avatar.sadtalker.spade import SpadeDecoder

VOLUME = 32
"""Channels of the feature volume: 512 = 32 x 16 depths."""


class Same2d(nn.Module):
    """Convolution, normalisation, activation at one resolution."""

    folds = (("conv", "norm"),)

    def __init__(self, inputs: int, outputs: int, slope: float) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs)
        self.slope = slope

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H, W)."""
        return F.leaky_relu_(self.norm(self.conv(x)), self.slope)


class Residual3d(nn.Module):
    """Pre-activated pair of 3x3x3 convolutions with identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = (nn.Conv3d(channels, channels, 3, padding=1) for _ in range(2))
        self.norm1, self.norm2 = nn.BatchNorm3d(channels), nn.BatchNorm3d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, D, H, W) -> the same shape."""
        y = self.conv1(self.norm1(x).relu_())
        y = self.conv2(self.norm2(y).relu_())
        summed: Tensor = x + y
        return summed


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What is constant for a portrait: feature volume (1, 32, 16, h, w), its compression, key
    points (1, 15, 3).
    """

    volume: Tensor
    squeezed: Tensor
    keypoints: Tensor

    def at(self, keypoints: Tensor) -> Source:
        """The same portrait with its key points (1, 15, 3) where its own pose and expression put
        them.
        """
        return replace(self, keypoints=keypoints)


class Renderer(nn.Module):
    """A source and driving key points in, pictures out."""

    def __init__(self) -> None:
        super().__init__()
        self.dense_motion_network = DenseMotion()
        self.first = Same2d(3, 64, 0.0)
        self.down_blocks = nn.ModuleList((Down2d(64, 128), Down2d(128, 256)))
        self.second = nn.Conv2d(256, VOLUME * DEPTH, 1)
        self.resblocks_3d = nn.Sequential()
        for index in range(6):
            self.resblocks_3d.add_module(f"3dr{index}", Residual3d(VOLUME))
        self.third = Same2d(VOLUME * DEPTH, 256, 0.01)
        self.fourth = nn.Conv2d(256, 256, 1)
        self.decoder = SpadeDecoder()

    def volume(self, image: Tensor) -> Tensor:
        """Portraits (B, 3, S, S) RGB in [0, 1] -> feature volumes (B, 32, 16, S/4, S/4). S
        divisible by 128.
        """
        x = self.first(image)
        for block in self.down_blocks:
            x = block(x)
        x = self.second(x)
        y: Tensor = self.resblocks_3d(x.reshape(len(x), VOLUME, DEPTH, *x.shape[2:]))
        return y

    def encode(self, image: Tensor, keypoints: Tensor) -> Source:
        """A portrait (1, 3, S, S) and its key points (1, 15, 3) -> everything that its frames
        share.
        """
        volume = self.volume(image)
        squeezed = self.dense_motion_network.squeeze(volume)
        return Source(volume=volume, squeezed=squeezed, keypoints=keypoints)

    def move(self, source: Source, driving: Tensor) -> Motion:
        """Driving key points (B, 15, 3) -> flow and occlusion."""
        motion: Motion = self.dense_motion_network(source.squeezed, source.keypoints, driving)
        return motion

    def warp(self, volume: Tensor, flow: Tensor) -> Tensor:
        """Volume (1 or B, 32, D, h, w) sampled at the flow (B, D, h, w, 3) -> (B, 512, h, w)."""
        moved = F.grid_sample(
            volume.expand(flow.shape[0], -1, -1, -1, -1), flow, align_corners=False
        )
        return moved.flatten(1, 2)

    def features(self, warped: Tensor) -> Tensor:
        """Warped volume (B, 512, h, w) -> features (B, 256, h, w)."""
        y: Tensor = self.fourth(self.third(warped))
        return y

    def forward(self, source: Source, driving: Tensor) -> Tensor:
        """Driving key points (B, 15, 3) -> RGB (B, 3, S, S) in (0, 1).

        The decoder may be kept in half precision; volume, motion and warp stay in the source's
        float32.
        """
        motion = self.move(source, driving)
        feature = self.features(self.warp(source.volume, motion.flow)) * motion.occlusion
        half = self.decoder.fc.weight
        image: Tensor = self.decoder(feature.to(half.dtype))
        return image


def prepare(renderer: Renderer) -> Renderer:
    """Folds and joins the decoder's constant arithmetic for inference; call once, after the
    weights are loaded.

    Source encoder and dense motion keep the operations as trained: the flow is a step function of
    the mask (`DOUBT`), and a fold's rounding would move voxels across the step.
    """
    renderer.eval().requires_grad_(requires_grad=False)
    renderer.decoder.prepare()
    fold(renderer.third)
    return renderer
