"""Wav2Lip from a picture and a sound to a finished MP4: the published script's way and this
project's.
"""

from __future__ import annotations

import copy
import tempfile
from contextvars import Token
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from benchmarks.avatar_direct import FPS, Picture, Scene, direct_wav2lip, encode, encoding
from benchmarks.avatar_laps import SHORT, Laps, enliven, in_parts, report
from models.avatar import LineSound
from models.avatar.face.boxes import Detection
from models.avatar.face.detectors import detect_s3fd
from models.avatar.face.s3fd import S3FD
from models.avatar.folding import fold
from models.avatar.placement import Placement
from models.avatar.wav2lip.film_faces import CHIN_PX, follow
from models.avatar.wav2lip.lipsync import FilmSync, LipSync
from models.avatar.wav2lip.net import Wav2Lip
from models.voice import LineSpec, open_voice
from models.voice.polish import polish
from studio.gpu.steps import LISTENER, Listener
from studio.specs import AvatarSpec, DeviceSpec, VoiceSpec
from studio.store import Store
from studio.types import SAMPLE_RATE, AvatarPart
from tasks.film import IDLE_LINE, Reel, record

TEXT = (
    "Somewhere tonight, a graphics card that cost more than a car is doing nothing at all. "
    "It is not broken, it is waiting for a file, and nobody has asked it why."
)


def speech(num_frames: int) -> NDArray[np.float32]:
    """As many frames of a real voice."""
    spec = VoiceSpec()
    with open_voice("espeak_ng", spec, DeviceSpec()) as voice:
        spoken = polish(next(voice.say([LineSpec(text=" ".join([TEXT] * 4))])), spec).samples
    return spoken[: num_frames * SAMPLE_RATE // FPS]


def scene(width: int, height: int, pictures: int, num_frames: int) -> Scene:
    """A soft random picture, so that the encoder has a photograph's work, with a face of 40 % of
    its height; in a film it sways.
    """
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
    ground = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    frames = [np.asarray(np.roll(ground, i % 20, axis=1), np.uint8) for i in range(pictures)]
    side = int(0.4 * height)
    left, top = (width - side) // 2, height // 5
    box = (left, top, left + side, top + side + CHIN_PX)
    return Scene(frames=frames, box=box, samples=speech(num_frames))


def engine(
    network: Wav2Lip, detector: S3FD, asked: Scene, placement: Placement
) -> LipSync | FilmSync:
    """The engine as `open_lipsync` builds it, with the face that random weights cannot see."""
    left, top, right, bottom = asked.box
    face = Detection(box=(left, top, right, bottom - CHIN_PX), score=1.0)
    batch = AvatarSpec().batch
    pictures = [np.ascontiguousarray(frame[..., ::-1]) for frame in asked.frames]
    if len(pictures) == 1:
        detect_s3fd(detector, pictures[0])
        return LipSync(network, pictures[0], face, placement, batch)

    def detect(picture: Picture) -> list[Detection]:
        detect_s3fd(detector, picture)
        return [face]

    film = np.stack(pictures)
    return FilmSync(network, film, follow(film, detect), placement, batch)


def ours(
    network: Wav2Lip, detector: S3FD, asked: Scene, folder: Path, placement: Placement
) -> dict[str, float]:
    """Picture and sound to one MP4 by this project's engine: seconds of each part.

    A card is told what to do and works behind the thread's back: there only the sum says what the
    parts take.
    """
    laps = Laps(placement.device)
    actor = engine(network, detector, asked, placement)
    laps.end("detection, constants")
    listener: Listener = lambda name, _wall, _gpu: laps.end(name)  # noqa: E731
    token: Token[Listener | None] = LISTENER.set(listener)
    sent = 0
    with encoding(folder / "ours.mp4", asked) as (container, video):
        for chunk in actor.film(line_of(asked)):
            for pixels in chunk:
                frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
                encode(container, video, frame.reformat(format="yuv420p"), sent)
                sent += 1
            laps.end("encode")
    laps.end("encode")
    LISTENER.reset(token)
    if sent != asked.num_frames:
        raise RuntimeError(f"{sent} of {asked.num_frames} frames")
    return laps.parts


def line_of(asked: Scene) -> LineSound:
    """The scene's sound as a line."""
    return LineSound(
        samples=asked.samples, phonemes=(), words=(), num_frames=asked.num_frames, fps=FPS, seed=1
    )


@torch.inference_mode()
def wav2lip(device: torch.device, name: str, asked: Scene, precisions: list[torch.dtype]) -> None:
    """From picture and sound to a finished MP4: the script's way and this project's."""
    network, detector = Wav2Lip(), S3FD()
    enliven(network)
    enliven(detector).to(device)
    for label, _ in detector.sources:  # sees background everywhere: no candidates to loop over
        nn.init.constant_(detector.get_submodule(f"{label}_mbox_conf").get_parameter("bias")[0], 99)
    base, frames = 0.0, asked.num_frames
    for dtype in precisions:
        with tempfile.TemporaryDirectory() as folder:
            plain = copy.deepcopy(network).to(device, dtype)
            parts = direct_wav2lip(plain, detector, asked, Path(folder), device)
            total = sum(parts.values())
            base = base or total
            label = f"{name}, {SHORT[dtype]}"
            report(f"Wav2Lip direct {label}", frames, total, base, in_parts(parts, frames))
            placement = Placement(device=device, dtype=dtype)
            ready = fold(copy.deepcopy(network))
            parts = ours(ready, detector, asked, Path(folder), placement)
            total = sum(parts.values())
            report(f"Wav2Lip ours {label}", frames, total, base, in_parts(parts, frames))


@torch.inference_mode()
def kept(asked: Scene, device: torch.device) -> None:
    """What an episode adds: every line's frames are kept for the next run, and read again."""
    still = replace(asked, frames=asked.frames[:1])
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        pixels = np.ascontiguousarray(still.frames[0][..., ::-1])[None]
        laps = Laps(device)
        data, count = record((pixels for _ in range(still.num_frames)), FPS, store)
        laps.end("kept")
        parts = [
            AvatarPart(line=line, start_frame=0, num_frames=count, data=data)
            for line in (0, IDLE_LINE)
        ]
        reel = Reel(parts, store)
        laps.end("idle film read")
        for frame in range(count):
            reel.paint(frame)
        laps.end("read again")
    print(f"an episode adds, ms/frame: {in_parts(laps.parts, count)}")
