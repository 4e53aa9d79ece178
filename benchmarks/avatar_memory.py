"""Memory of the neural presenters for a short and a long line: it must not grow with the
film.

    OMP_NUM_THREADS=1 python benchmarks/avatar_memory.py [--lengths 10 120] [--only wav2lip]

Every length runs in a process of its own, from the sound to the stored film. Wav2Lip runs whole,
at the published size with random weights. Of SadTalker everything that sees the length runs so:
the sound, the coefficients, the key points, the paste, the storing; the renderer, which keeps
nothing from one batch to the next and takes seconds a frame on a processor, is a small module in
its place.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.avatar_direct import FPS, Picture
from benchmarks.avatar_laps import enliven
from models.avatar import Actor, LineSound
from models.avatar.face.boxes import Detection
from models.avatar.face.landmarks import Points
from models.avatar.folding import fold
from models.avatar.placement import Placement
from models.avatar.sadtalker.audio2exp import Audio2Exp
from models.avatar.sadtalker.audio2pose import Audio2Pose
from models.avatar.sadtalker.keypoints import KeypointDetector
from models.avatar.sadtalker.mapping import Mapping
from models.avatar.sadtalker.networks import Networks
from models.avatar.sadtalker.recon import Reconstruction
from models.avatar.sadtalker.renderer import Renderer, Source
from models.avatar.sadtalker.subject import study
from models.avatar.sadtalker.talker import Talker
from models.avatar.wav2lip.lipsync import LipSync
from models.avatar.wav2lip.net import Wav2Lip
from studio.specs import AvatarSpec, SadTalkerSpec
from studio.store import Store
from studio.types import SAMPLE_RATE
from tasks.film import record

SIDE_PX = 256
ENGINES = ("wav2lip", "sadtalker")


class FlatRenderer(Renderer):
    """The renderer's inputs and outputs without its arithmetic."""

    def forward(self, source: Source, driving: Tensor) -> Tensor:
        """Driving key points (B, 15, 3) -> a grey for each (B, 3, S, S)."""
        side = 4 * source.volume.shape[-1]
        grey = driving.mean(dim=(1, 2)).sigmoid()[:, None, None, None]
        return grey.expand(-1, 3, side, side)


def portrait() -> Picture:
    """A random picture."""
    return np.random.default_rng(0).integers(0, 256, (SIDE_PX, SIDE_PX, 3), dtype=np.uint8)


def marks() -> Points:
    """68 landmarks as a face's: an outline below, brows, nose, eyes and mouth inside."""
    turn = np.linspace(0, np.pi, 17)
    outline = np.stack((128 - 60 * np.cos(turn), 110 + 80 * np.sin(turn)), axis=1)
    inner = np.random.default_rng(2).uniform((90, 85), (166, 170), (51, 2))
    points = np.concatenate((outline, inner))
    points[36:42], points[42:48] = (100, 105), (156, 105)
    points[36:48] += np.tile([[-8, 0], [-4, -4], [4, -4], [8, 0], [4, 4], [-4, 4]], (2, 1))
    points[30], points[48], points[54] = (128, 130), (108, 155), (148, 155)
    return points


def actor(engine: str) -> Actor:
    """An engine with random weights, ready to speak."""
    if engine == "wav2lip":
        lips = Wav2Lip()
        enliven(lips)
        half = Placement(device=torch.device("cpu"), dtype=torch.bfloat16)
        face = Detection(box=(60.0, 40.0, 190.0, 200.0), score=1.0)
        return LipSync(fold(lips), portrait(), face, half, AvatarSpec().batch)
    exact = Placement(device=torch.device("cpu"), dtype=torch.float32)
    networks = Networks(
        reconstruction=Reconstruction(),
        audio2exp=Audio2Exp(),
        audio2pose=Audio2Pose(),
        mapping=Mapping(73),
        keypoints=KeypointDetector(),
        renderer=FlatRenderer(),
    )
    small = networks.reconstruction, networks.audio2exp, networks.audio2pose, networks.keypoints
    for network in (*small, networks.mapping, networks.renderer):
        enliven(network)
    networks.settle(exact)
    spec = SadTalkerSpec()
    return Talker(networks, study(networks, portrait(), spec, marks()), spec, exact)


def resident_mib(engine: str, seconds: float) -> tuple[float, float]:
    """Resident memory while a line of so many seconds is filmed and stored: at the first frames,
    and the most at any.

    The process's own peak would hide growth behind what making the weights took.
    """
    times = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    second = 0.3 * np.sin(2 * np.pi * (150 + 40 * np.sin(7 * times)) * times)
    samples = np.resize(second.astype(np.float32), round(seconds * SAMPLE_RATE))
    frames = round(seconds * FPS)
    sound = LineSound(samples=samples, phonemes=(), words=(), num_frames=frames, fps=FPS, seed=1)
    seen: list[float] = []

    def watched(chunks: Iterator[Picture]) -> Iterator[Picture]:
        for chunk in chunks:
            seen.append(psutil.Process().memory_info().rss / 2**20)
            yield chunk

    with torch.inference_mode(), tempfile.TemporaryDirectory() as folder:
        _, count = record(watched(actor(engine).film(sound)), FPS, Store(Path(folder)))
    if count != frames:
        raise RuntimeError(f"{count} of {frames} frames")
    return seen[0], max(seen)


def main() -> None:
    """Print a row for every engine and length."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--lengths", type=float, nargs="+", default=[10.0, 120.0])
    parser.add_argument("--only", choices=ENGINES)
    parser.add_argument(
        "--here", action="store_true", help="in this process, not in one of its own"
    )
    chosen = parser.parse_args()
    for engine in (chosen.only,) if chosen.only else ENGINES:
        for seconds in chosen.lengths:
            if not chosen.here:
                again = [sys.executable, __file__, "--here", "--only", engine, "--lengths"]
                subprocess.run([*again, str(seconds)], check=True, env=os.environ)
                continue
            torch.set_num_threads(1)
            first, most = resident_mib(engine, seconds)
            frames = round(seconds * FPS)
            uncompressed = frames * 3 * SIDE_PX**2 / 2**20
            print(
                f"{engine:10s} {seconds:6.0f} s {frames:6d} frames  at the first {first:5.0f} MiB, "
                f"the most {most:5.0f} MiB; the frames alone would be {uncompressed:.0f} MiB",
                flush=True,
            )


if __name__ == "__main__":
    main()
