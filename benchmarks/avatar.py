"""Wav2Lip and SadTalker against a direct transcription of their published inference: same
weights, same machine.

    OMP_NUM_THREADS=1 python benchmarks/avatar.py [--device cpu] [--size 256] [--frames 4]

Weights are random but of the published sizes, which decide the speed; so is the portrait.
"Direct" does what the published scripts do per frame: it encodes the source anew, convolves
upsampled maps, keeps normalisations apart, and blends by `cv2.seamlessClone`. Seconds are
processor time on a CPU, elapsed time on a card.
"""

from __future__ import annotations

import argparse
import copy
import sys
import time
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import cv2
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the name every torch reader knows
from numpy.typing import NDArray
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from models.avatar.folding import fold
from models.avatar.paste import Paste, feather
from models.avatar.placement import Placement
from models.avatar.sadtalker import dense_motion
from models.avatar.sadtalker.renderer import Renderer, prepare
from models.avatar.sadtalker.spade import SLOPE, SpadeBlock
from models.avatar.wav2lip.net import Wav2Lip
from models.avatar.wav2lip.portrait_decoder import PortraitDecoder


def seconds(device: torch.device, work: Callable[[], object]) -> float:
    """Processor seconds of `work` on a CPU, elapsed seconds on a card, after one warm-up there."""
    if device.type == "cpu":
        start = time.process_time()
        work()
        return time.process_time() - start
    work()
    torch.cuda.synchronize()
    start = time.perf_counter()
    work()
    torch.cuda.synchronize()
    return time.perf_counter() - start


def enliven(network: nn.Module) -> nn.Module:
    """Random weights under which signals neither die nor explode, and lively statistics."""
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.Linear)):
            nn.init.kaiming_uniform_(module.weight, a=1.0)
        if isinstance(module, (nn.BatchNorm2d, nn.BatchNorm3d)):
            module.running_mean = torch.rand_like(module.weight) * 0.2 - 0.1
            module.running_var = torch.rand_like(module.weight) + 0.5
    return network.eval().requires_grad_(requires_grad=False)


def direct_render(renderer: Renderer, image: Tensor, source: Tensor, driving: Tensor) -> Tensor:
    """The published renderer's steps for a batch: everything for every frame."""
    batch = len(driving)
    encoded = renderer.encode(image.expand(batch, -1, -1, -1), source.expand(batch, -1, -1))
    with patch.object(dense_motion, "gaussians", published_gaussians):
        motion = renderer.move(encoded, driving)
    feature = renderer.features(renderer.warp(encoded.volume, motion.flow)) * motion.occlusion
    x = renderer.decoder.fc(feature)
    for block, scale in renderer.decoder.blocks():
        if scale > 1:
            x = F.interpolate(x, scale_factor=2.0)
        x = direct_block(block, x, feature)
    picture: Tensor = renderer.decoder.conv_img(F.leaky_relu(x, SLOPE))
    return picture.sigmoid()


def published_gaussians(keypoints: Tensor, grid: Tensor) -> Tensor:
    """As published: far from the key point the values are denormal numbers, and slow on a CPU."""
    distance = (grid - keypoints[:, :, None, None, None]).square().sum(dim=-1)
    return torch.exp(-0.5 / dense_motion.VARIANCE * distance)


def direct_block(block: SpadeBlock, x: Tensor, feature: Tensor) -> Tensor:
    """A SPADE block as published: every normalisation upsamples and convolves the features by
    itself.
    """
    seen = F.interpolate(feature, size=list(x.shape[2:]))

    def spade(norm: nn.Module, y: Tensor) -> Tensor:
        layer = norm.get_submodule
        hidden = layer("mlp_shared")(seen)
        gamma, beta = layer("mlp_gamma")(hidden), layer("mlp_beta")(hidden)
        modulated: Tensor = F.instance_norm(y) * (1 + gamma) + beta
        return modulated

    shortcut = block.conv_s(spade(block.norm_s, x)) if block.learned else x
    y = block.conv_0(F.leaky_relu(spade(block.norm_0, x), SLOPE))
    y = block.conv_1(F.leaky_relu(spade(block.norm_1, y), SLOPE))
    summed: Tensor = shortcut + y
    return summed


def psnr_db(exact: Tensor, other: Tensor) -> float:
    """Peak signal to noise of pictures in [0, 1]."""
    return float(-10 * (exact.float() - other.float()).square().mean().clamp(min=1e-12).log10())


def report(name: str, frames: int, elapsed: float, base: float, note: str = "") -> None:
    """One line of the table."""
    rate, gain = frames / elapsed, base / elapsed
    print(f"{name:34s} {elapsed / frames:9.3f} s/frame {rate:9.2f} fps {gain:6.2f} x  {note}")


@torch.inference_mode()
def sadtalker(device: torch.device, size: int, frames: int) -> None:
    """The renderer, direct and prepared, in float32 and with a half-precision decoder."""
    renderer = Renderer()
    enliven(renderer).to(device)
    image, source = torch.rand(1, 3, size, size, device=device), torch.rand(1, 15, 3, device=device)
    driving = source + 0.1 * torch.randn(frames, 15, 3, device=device)
    exact = direct_render(renderer, image, source, driving)
    base = seconds(device, lambda: direct_render(renderer, image, source, driving))
    report(f"SadTalker {size} direct fp32", frames, base, base)
    for dtype in (torch.float32, torch.bfloat16) + (
        (torch.float16,) if device.type == "cuda" else ()
    ):
        ready = prepare(copy.deepcopy(renderer))
        Placement(device=device, dtype=dtype).settle(ready.decoder, channels_last=False)
        encoded = ready.encode(image, source)
        ready(encoded, driving[:1])
        elapsed = seconds(device, lambda: ready(encoded, driving))  # noqa: B023 - called at once
        note = f"PSNR {psnr_db(exact, ready(encoded, driving)):.1f} dB"
        report(f"SadTalker {size} prepared {_short(dtype)}", frames, elapsed, base, note)


@torch.inference_mode()
def wav2lip(device: torch.device, frames: int) -> None:
    """The lip network alone, direct and with the portrait's share worked out once."""
    network = Wav2Lip()
    enliven(network).to(device)
    face, mel = (
        torch.rand(1, 6, 96, 96, device=device),
        torch.rand(frames, 1, 80, 16, device=device),
    )
    faces = face.expand(frames, -1, -1, -1)
    exact = network(mel, faces)
    base = seconds(device, lambda: network(mel, faces))
    report("Wav2Lip direct fp32", frames, base, base)
    folded = fold(copy.deepcopy(network))
    for dtype in (torch.float32, torch.bfloat16):
        decoder = PortraitDecoder(folded, folded.face_stages(face))
        ready = Placement(device=device, dtype=dtype).settle(copy.deepcopy(decoder))
        heard = mel.to(dtype)
        ready(heard)
        elapsed = seconds(device, lambda: ready(heard))  # noqa: B023 - called at once
        note = f"PSNR {psnr_db(exact, ready(heard)):.1f} dB"
        report(f"Wav2Lip portrait {_short(dtype)}", frames, elapsed, base, note)


@torch.inference_mode()
def paste(device: torch.device, height: int, width: int) -> None:
    """Blending a face of half the picture's height into it."""
    rng = np.random.default_rng(0)
    portrait: NDArray[np.uint8] = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    side = height // 2
    box = (width - side) // 2, height // 4, (width + side) // 2, height // 4 + side
    faces = torch.rand(8, 3, 256, 256, device=device)
    picture = (faces[0].permute(1, 2, 0).cpu().numpy() * 255).astype(np.uint8)
    mask = np.full((side, side), 255, np.uint8)
    centre = (box[0] + box[2]) // 2, (box[1] + box[3]) // 2

    def poisson() -> None:
        sized = cv2.resize(picture, (side, side))
        cv2.seamlessClone(sized, portrait, mask, centre, cv2.NORMAL_CLONE)

    base = seconds(torch.device("cpu"), poisson)
    report(f"paste {width}x{height} seamlessClone", 1, base, base)
    ready = Paste(portrait, box, feather(side, side, 0.08), device)
    ready(faces)
    report(f"paste {width}x{height} feathered", 8, seconds(device, lambda: ready(faces)), 8 * base)


def _short(dtype: torch.dtype) -> str:
    return {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}[dtype]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--size", type=int, default=256, choices=(128, 256, 512))
    parser.add_argument("--frames", type=int, default=2)
    chosen = parser.parse_args()
    device = torch.device(chosen.device)
    wav2lip(device, 16 * chosen.frames)
    for height, width in ((512, 512), (720, 1280), (1080, 1920)):
        paste(device, height, width)
    sadtalker(device, chosen.size, chosen.frames)


if __name__ == "__main__":
    main()
