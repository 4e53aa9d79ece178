"""Wav2Lip and SadTalker against a direct transcription of their published inference: same
weights, same machine.

    OMP_NUM_THREADS=1 python benchmarks/avatar.py [--device cpu] [--only wav2lip] [--size 256]

Weights are random but of the published sizes, which decide the speed; so are the portraits.
"Direct" (`avatar_direct.py`) does what the published scripts do. Wav2Lip is timed from the picture
and the sound to a finished MP4, on one thread; SadTalker's renderer and the paste by themselves.
Seconds are processor time on a CPU, elapsed time on a card.
"""

from __future__ import annotations

import argparse
import copy
import os
import platform
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.avatar_direct import Picture, direct_render
from benchmarks.avatar_laps import SHORT, enliven, psnr_db, report, seconds
from benchmarks.avatar_lips import kept, scene, wav2lip
from models.avatar.paste import Paste, feather
from models.avatar.placement import Placement
from models.avatar.sadtalker.renderer import Renderer, prepare


@torch.inference_mode()
def sadtalker(device: torch.device, size: int, frames: int, precisions: list[torch.dtype]) -> None:
    """The renderer, direct and prepared."""
    renderer = Renderer()
    enliven(renderer).to(device)
    image, source = torch.rand(1, 3, size, size, device=device), torch.rand(1, 15, 3, device=device)
    driving = source + 0.1 * torch.randn(frames, 15, 3, device=device)
    exact = direct_render(renderer, image, source, driving)
    base = seconds(device, lambda: direct_render(renderer, image, source, driving))
    report(f"SadTalker {size} direct fp32", frames, base, base)
    for dtype in precisions:
        ready = prepare(copy.deepcopy(renderer))
        Placement(device=device, dtype=dtype).settle(ready.decoder, channels_last=False)
        encoded = ready.encode(image, source)
        elapsed = seconds(device, lambda: ready(encoded, driving))  # noqa: B023 - called at once
        note = f"PSNR {psnr_db(exact, ready(encoded, driving)):.1f} dB"
        report(f"SadTalker {size} prepared {SHORT[dtype]}", frames, elapsed, base, note)


@torch.inference_mode()
def paste(device: torch.device, width: int, height: int) -> None:
    """Blending a face of half the picture's height into it, SadTalker's way and this project's."""
    rng = np.random.default_rng(0)
    portrait: Picture = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
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
    report(f"paste {width}x{height} feathered", 8, seconds(device, lambda: ready(faces)), 8 * base)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--only", choices=("wav2lip", "paste", "sadtalker"))
    parser.add_argument("--size", type=int, default=256, choices=(128, 256, 512))
    parser.add_argument("--frames", type=int, default=2, help="of SadTalker")
    chosen = parser.parse_args()
    cv2.setNumThreads(1)
    device = torch.device(chosen.device)
    threads = torch.get_num_threads()
    print(f"{platform.machine()}, {os.cpu_count()} cores, {threads} threads, {time.strftime('%F')}")
    precisions = [torch.float32, torch.bfloat16]
    if chosen.only in (None, "wav2lip"):
        still = scene(1280, 720, 1, 100)
        wav2lip(device, "still 720p", still, precisions)
        wav2lip(device, "film 512", scene(512, 512, 40, 40), precisions)
        kept(still, device)
    if chosen.only in (None, "paste"):
        for width, height in ((512, 512), (1280, 720), (1920, 1080)):
            paste(device, width, height)
    if chosen.only in (None, "sadtalker"):
        more = [torch.float16] if device.type == "cuda" else []
        sadtalker(device, chosen.size, chosen.frames, precisions + more)


if __name__ == "__main__":
    main()
