"""PoseVAE: from speech to head motion (SadTalker, CVPR 2023, section 3.3, eq. 4 to 6).

Only the decoder of the conditional VAE speaks at inference: a latent, a style of the 46
identities it was trained on, the first pose and 32 frames of speech give 32 frames of pose
change, refined by a small U-Net over (time, 6).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.avatar.speech_encoder import EMBEDDING, speech_encoder

WINDOW = 32
"""Frames that are drawn together."""
POSES = 6
"""Rotation (3) and translation (3) of the 3DMM."""
STYLES = 46
LATENT = 64
_TOGETHER = 64
"""Windows that are drawn together: 82 s of film, 60 MB of activations."""


class SpeechEncoder(nn.Module):
    """`speech_encoder` for sequences; a module of its own because the checkpoint nests it."""

    def __init__(self) -> None:
        super().__init__()
        self.audio_encoder = speech_encoder()

    def forward(self, mel: Tensor) -> Tensor:
        """(B, T, 1, 80, 16) -> (B, T, 512)."""
        y: Tensor = self.audio_encoder(mel.flatten(0, 1))
        return y.reshape(mel.shape[0], mel.shape[1], EMBEDDING)


class ResidualConv(nn.Module):
    """Pre-activated pair of 3x3 convolutions with a projected shortcut (Deep Residual U-Net,
    Zhang 2018).
    """

    def __init__(self, inputs: int, outputs: int, stride: int | tuple[int, int]) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.BatchNorm2d(inputs),
            nn.ReLU(),
            nn.Conv2d(inputs, outputs, 3, stride, 1),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, 1, 1),
        )
        shortcut = nn.Conv2d(inputs, outputs, 3, stride, 1)
        self.conv_skip = nn.Sequential(shortcut, nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H / stride, W / stride)."""
        y: Tensor = self.conv_block(x) + self.conv_skip(x)
        return y


class Upsample(nn.Module):
    """Doubles the time axis."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.upsample = nn.ConvTranspose2d(channels, channels, (2, 1), (2, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T, 6) -> (B, C, 2 T, 6)."""
        y: Tensor = self.upsample(x)
        return y


class ResidualUNet(nn.Module):
    """A residual U-Net that halves time only: (B, 1, 32, 6) -> the same shape, in (0, 1)."""

    def __init__(self) -> None:
        super().__init__()
        self.input_layer = nn.Sequential(
            nn.Conv2d(1, 32, 3, padding=1),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.Conv2d(32, 32, 3, padding=1),
        )
        self.input_skip = nn.Sequential(nn.Conv2d(1, 32, 3, padding=1))
        self.residual_conv_1 = ResidualConv(32, 64, (2, 1))
        self.residual_conv_2 = ResidualConv(64, 128, (2, 1))
        self.bridge = ResidualConv(128, 256, (2, 1))
        self.upsample_1, self.up_residual_conv1 = Upsample(256), ResidualConv(256 + 128, 128, 1)
        self.upsample_2, self.up_residual_conv2 = Upsample(128), ResidualConv(128 + 64, 64, 1)
        self.upsample_3, self.up_residual_conv3 = Upsample(64), ResidualConv(64 + 32, 32, 1)
        self.output_layer = nn.Sequential(nn.Conv2d(32, 1, 1), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        """(B, 1, T, 6) -> (B, 1, T, 6); T divisible by 8."""
        full = self.input_layer(x) + self.input_skip(x)
        half = self.residual_conv_1(full)
        quarter = self.residual_conv_2(half)
        y = self.bridge(quarter)
        y = self.up_residual_conv1(torch.cat((self.upsample_1(y), quarter), dim=1))
        y = self.up_residual_conv2(torch.cat((self.upsample_2(y), half), dim=1))
        y = self.up_residual_conv3(torch.cat((self.upsample_3(y), full), dim=1))
        refined: Tensor = self.output_layer(y)
        return refined


class PoseDecoder(nn.Module):
    """Latent + style, first pose and speech -> pose change."""

    def __init__(self) -> None:
        super().__init__()
        self.classbias = nn.Parameter(torch.zeros(STYLES, LATENT))
        self.resunet = ResidualUNet()
        hidden = 128
        self.MLP = nn.ModuleDict(
            {
                "L0": nn.Linear(POSES + LATENT + POSES * WINDOW, hidden),
                "L1": nn.Linear(hidden, POSES * WINDOW),
            }
        )
        self.pose_linear = nn.Linear(POSES, POSES)
        self.linear_audio = nn.Linear(EMBEDDING, POSES)

    def forward(self, latent: Tensor, style: int, pose: Tensor, speech: Tensor) -> Tensor:
        """Latent (B, 64), first pose (B, 6), speech (B, 32, 512) -> pose change (B, 32, 6)."""
        batch = latent.shape[0]
        heard = self.linear_audio(speech).reshape(batch, -1)
        y = torch.cat((pose, latent + self.classbias[style], heard), dim=-1)
        y = self.MLP["L1"](self.MLP["L0"](y).relu_()).sigmoid()
        y = self.resunet(y.reshape(batch, 1, WINDOW, POSES)).squeeze(1)
        change: Tensor = self.pose_linear(y)
        return change


class Audio2Pose(nn.Module):
    """Speech windows and the source's pose in, a pose for every frame out."""

    def __init__(self) -> None:
        super().__init__()
        self.audio_encoder = SpeechEncoder()
        self.netG = nn.ModuleDict({"decoder": PoseDecoder()})

    @staticmethod
    def num_latents(frames: int) -> int:
        """How many latents a line of `frames` frames needs: one per window, the first frame
        excluded.
        """
        return -(-(frames - 1) // WINDOW)

    def forward(self, speech: Tensor, pose: Tensor, latents: Tensor, style: int) -> Tensor:
        """Embeddings of every frame (T, 512), source pose (6,), latents (num_latents(T), 64) ->
        poses (T, 6).

        The first frame keeps the source's pose. Whole windows follow; the last one covers the
        *last* 32 frames and gives only those that are missing. A line shorter than a window
        repeats its first embedding in front.
        """
        speech = speech[1:]
        frames = len(speech)
        if frames == 0:
            return pose[None]
        if frames < WINDOW:
            speech = torch.cat((speech[:1].expand(WINDOW - frames, -1), speech))
        starts = [window * WINDOW for window in range(frames // WINDOW)]
        missing = frames % WINDOW
        if missing:
            starts.append(len(speech) - WINDOW)
        parts = []
        for first in range(0, len(starts), _TOGETHER):
            some = starts[first : first + _TOGETHER]
            windows = torch.stack([speech[start : start + WINDOW] for start in some])
            latent, poses = latents[first : first + _TOGETHER], pose.expand(len(some), -1)
            parts.append(self.netG["decoder"](latent, style, poses, windows))
        drawn = torch.cat(parts)
        changes = drawn[: frames // WINDOW].reshape(-1, POSES)
        if missing:
            changes = torch.cat((changes, drawn[-1, WINDOW - missing :]))
        return pose + torch.cat((pose.new_zeros(1, POSES), changes))
