"""Dense motion: which part of the face moved where (face-vid2vid, CVPR 2021, section 3.2 and
appendix A.1, eq. 3 to 5).

Each key point proposes that the whole volume moves with it; a 3D hourglass decides, voxel by
voxel, whom to believe. Kept in float32: the flow addresses the feature volume, and half precision
here costs 16 dB in the picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - the name every torch reader knows
from torch import Tensor, nn

from models.avatar.sadtalker.keypoints import DEPTH, KEYPOINTS, Up3d, grid_3d

COMPRESSED = 4
PROPOSALS = KEYPOINTS + 1
"""One per key point and one, the first, that nothing moved."""
INPUTS = PROPOSALS * (COMPRESSED + 1)
VARIANCE = 0.01
"""Of the Gaussian around a key point, in squared grid units."""
DOUBT = 1e-3
"""Proposals believed less than this are ignored."""

_DOWN = (64, 128, 256, 512, 1024)
_UP = ((1024, 512), (1024, 256), (512, 128), (256, 64), (128, 32))


class Down3d(nn.Module):
    """Convolution, normalisation, ReLU, halving of height and width."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv3d(inputs, outputs, 3, padding=1), nn.BatchNorm3d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, D, H, W) -> (B, outputs, D, H / 2, W / 2)."""
        return F.avg_pool3d(self.norm(self.conv(x)).relu_(), (1, 2, 2))


class Encoder(nn.Module):
    """Five halvings; every stage is kept, the input too."""

    def __init__(self) -> None:
        super().__init__()
        pairs = zip((INPUTS, *_DOWN), _DOWN, strict=False)
        self.down_blocks = nn.ModuleList(Down3d(inputs, outputs) for inputs, outputs in pairs)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, 80, 16, H, W) -> six stages."""
        stages = [x]
        for block in self.down_blocks:
            stages.append(block(stages[-1]))
        return stages


class Decoder(nn.Module):
    """Five doublings, each joined with the encoder's stage of its size."""

    def __init__(self) -> None:
        super().__init__()
        self.up_blocks = nn.ModuleList(Up3d(inputs, outputs) for inputs, outputs in _UP)
        self.outputs = _UP[-1][1] + INPUTS
        self.conv = nn.Conv3d(self.outputs, self.outputs, 3, padding=1)
        self.norm = nn.BatchNorm3d(self.outputs)

    def forward(self, stages: list[Tensor]) -> Tensor:
        """Six stages -> (B, 112, 16, H, W)."""
        x = stages[-1]
        for block, stage in zip(self.up_blocks, stages[-2::-1], strict=True):
            x = torch.cat((block(x), stage), dim=1)
        y: Tensor = self.norm(self.conv(x))
        return y.relu_()


class Hourglass(nn.Module):
    """3D U-Net over (depth, height, width)."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = Encoder(), Decoder()

    def forward(self, x: Tensor) -> Tensor:
        """(B, 80, 16, H, W) -> (B, 112, 16, H, W); H and W divisible by 32."""
        y: Tensor = self.decoder(self.encoder(x))
        return y


@dataclass(frozen=True, slots=True, kw_only=True)
class Motion:
    """`flow` (B, D, H, W, 3) in grid units, `occlusion` (B, 1, H, W) in (0, 1), `mask` (B, 16, D,
    H, W).
    """

    flow: Tensor
    occlusion: Tensor
    mask: Tensor


def gaussians(keypoints: Tensor, grid: Tensor) -> Tensor:
    """Key points (B, K, 3) on a grid (D, H, W, 3) -> unnormalised Gaussians (B, K, D, H, W)."""
    distance = (grid - keypoints[:, :, None, None, None]).square().sum(dim=-1)
    # Far away they are denormal numbers, on which a processor is ten times slower; 1e-30 and 0
    # are the same to any sum.
    return F.threshold(torch.exp(-0.5 / VARIANCE * distance), 1e-30, 0.0)


class DenseMotion(nn.Module):
    """Feature volume and two sets of key points in, flow and occlusion out."""

    def __init__(self) -> None:
        super().__init__()
        self.hourglass = Hourglass()
        self.mask = nn.Conv3d(self.hourglass.decoder.outputs, PROPOSALS, 7, padding=3)
        self.compress = nn.Conv3d(32, COMPRESSED, 1)
        self.norm = nn.BatchNorm3d(COMPRESSED)
        self.occlusion = nn.Conv2d(self.hourglass.decoder.outputs * DEPTH, 1, 7, padding=3)

    def squeeze(self, feature: Tensor) -> Tensor:
        """Feature volume (B, 32, D, H, W) -> (B, 4, D, H, W). Constant for a portrait."""
        y: Tensor = self.norm(self.compress(feature))
        return y.relu_()

    def forward(self, squeezed: Tensor, source: Tensor, driving: Tensor) -> Motion:
        """`squeezed` (1, 4, D, H, W), key points of source and drive (B, 15, 3) -> `Motion`."""
        batch, volume = driving.shape[0], squeezed.shape[2:]
        grid = grid_3d(volume, like=squeezed)
        # Eq. 4; the first proposal is the grid itself: no motion. `DOUBT` makes the flow a step
        # function of the mask, so the operations keep the order in which the weights were
        # trained.
        source_5d, driving_5d = (
            keypoints[:, :, None, None, None] for keypoints in (source, driving)
        )
        still = grid.expand(batch, 1, *grid.shape)
        proposals = torch.cat((still, grid - driving_5d + source_5d), dim=1)
        moved = F.grid_sample(
            squeezed.expand(batch, -1, -1, -1, -1).repeat_interleave(PROPOSALS, dim=0),
            proposals.flatten(0, 1),
            align_corners=False,
        )
        moved = moved.reshape(batch, PROPOSALS, *moved.shape[1:])
        heat = F.pad(gaussians(driving, grid) - gaussians(source, grid), (0, 0, 0, 0, 0, 0, 1, 0))
        belief = self.hourglass(torch.cat((heat[:, :, None], moved), dim=2).flatten(1, 2))
        mask = self.mask(belief).softmax(dim=1)
        trusted = torch.where(mask < DOUBT, 0.0, mask)
        flow = torch.einsum("bkdhw,bkdhwc->bdhwc", trusted, proposals)
        occlusion = self.occlusion(belief.flatten(1, 2)).sigmoid()
        return Motion(flow=flow, occlusion=occlusion, mask=mask)
