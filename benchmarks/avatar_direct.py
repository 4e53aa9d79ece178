"""The published inference of Wav2Lip and SadTalker, step by step, as what `avatar.py` measures
against.

Written from the papers and from what the published scripts are known to do; it uses this project's
networks, whose outputs equal the originals', in the order, the batches and the passes of the
scripts.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from unittest.mock import patch

import av
import cv2
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the name every torch reader knows
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.avatar_laps import Laps
from models.avatar.audio_features import SPEECH_RATE, mel, wav2lip_windows
from models.avatar.face.boxes import suppress
from models.avatar.face.s3fd import MEAN_BGR, S3FD, STRIDES
from models.avatar.sadtalker import dense_motion
from models.avatar.sadtalker.renderer import Renderer
from models.avatar.sadtalker.spade import SLOPE, SpadeBlock
from models.avatar.wav2lip.net import FACE_PX, Wav2Lip
from studio.audio import resample
from studio.types import SAMPLE_RATE

Picture = NDArray[np.uint8]
Box = tuple[int, int, int, int]
FPS = 25
DETECTOR_BATCH, LIP_BATCH = 16, 128
"""The script's defaults."""
SMOOTHED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What is to be made: frames of the presenter (BGR; one for a still), where the face is, and
    mono sound at `SAMPLE_RATE`.
    """

    frames: list[Picture]
    box: Box
    samples: NDArray[np.float32]

    @property
    def num_frames(self) -> int:
        """Of the film that is made."""
        return int(len(self.samples) * FPS / SAMPLE_RATE)


@contextmanager
def encoding(
    path: Path, scene: Scene
) -> Iterator[tuple[av.container.OutputContainer, av.VideoStream]]:
    """An MP4 with the scene's sound, for frames that come; ffmpeg's defaults for x264."""
    height, width = scene.frames[0].shape[:2]
    with av.open(str(path), "w", format="mp4") as container:
        video = container.add_stream("libx264", rate=FPS, options={"preset": "medium", "crf": "23"})
        sound = container.add_stream("aac", rate=SAMPLE_RATE, layout="mono")
        if not isinstance(video, av.VideoStream):
            raise TypeError("libx264 is no video encoder here")
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        video.codec_context.thread_count = 1
        yield container, video
        container.mux(video.encode(None))
        frame = av.AudioFrame.from_ndarray(scene.samples[None], format="fltp", layout="mono")
        frame.sample_rate, frame.pts = SAMPLE_RATE, 0
        container.mux(sound.encode(frame))
        container.mux(sound.encode(None))


def encode(
    container: av.container.OutputContainer, video: av.VideoStream, frame: av.VideoFrame, pts: int
) -> None:
    """The next frame."""
    frame.pts, frame.time_base = pts, Fraction(1, FPS)
    container.mux(video.encode(frame))


@torch.inference_mode()
def direct_wav2lip(
    network: Wav2Lip, detector: S3FD, scene: Scene, folder: Path, device: torch.device
) -> dict[str, float]:
    """Wav2Lip's script: frames in memory, faces, batches through the net, a temporary film, and a
    second encode with the sound. Returns the seconds of each part.

    A still's face is detected once, as the script does for a picture that it knows as one; a
    film's in every frame. The detector's weights are random: it works and finds nothing, and the
    scene's own box is taken.
    """
    laps = Laps(device)
    boxes = _faces(detector, scene, device)
    laps.end("detection")
    spectrogram = mel(resample(scene.samples, SAMPLE_RATE, SPEECH_RATE))
    windows = wav2lip_windows(spectrogram, range(scene.num_frames), FPS)
    laps.end("mel")
    height, width = scene.frames[0].shape[:2]
    half = next(network.parameters()).dtype
    temporary = folder / "result.avi"
    writer = cv2.VideoWriter(str(temporary), cv2.VideoWriter.fourcc(*"DIVX"), FPS, (width, height))
    for first in range(0, scene.num_frames, LIP_BATCH):
        shown = [i % len(scene.frames) for i in range(scene.num_frames)][first : first + LIP_BATCH]
        frames = [scene.frames[i].copy() for i in shown]
        faces = []
        for i, frame in zip(shown, frames, strict=True):
            left, top, right, bottom = boxes[i]
            faces.append(cv2.resize(frame[top:bottom, left:right], (FACE_PX, FACE_PX)))
        whole = np.stack(faces)
        masked = whole.copy()
        masked[:, FACE_PX // 2 :] = 0
        both = np.concatenate((masked, whole), axis=3) / 255.0
        faces_in = torch.FloatTensor(np.transpose(both, (0, 3, 1, 2))).to(device, half)
        laps.end("faces in")
        heard = windows[first : first + LIP_BATCH].to(device, half)
        spoken = network(heard, faces_in).float().cpu().numpy().transpose(0, 2, 3, 1) * 255.0
        laps.end("lips")
        for i, frame, face in zip(shown, frames, spoken, strict=True):
            left, top, right, bottom = boxes[i]
            sized = cv2.resize(face.astype(np.uint8), (right - left, bottom - top))
            frame[top:bottom, left:right] = sized
        laps.end("paste")
        for frame in frames:
            writer.write(frame)
        laps.end("temporary film")
    writer.release()
    laps.end("temporary film")
    with encoding(folder / "direct.mp4", scene) as (container, video), av.open(temporary) as film:
        for i, packed in enumerate(film.decode(video=0)):
            encode(container, video, packed.reformat(format="yuv420p"), i)
    laps.end("encode")
    return laps.parts


def _faces(detector: S3FD, scene: Scene, device: torch.device) -> list[Box]:
    for first in range(0, len(scene.frames), DETECTOR_BATCH):
        # The script turns BGR to RGB here and takes the means of BGR from it.
        pictures = np.stack(scene.frames[first : first + DETECTOR_BATCH])[..., ::-1]
        batch = torch.from_numpy((pictures - np.array(MEAN_BGR)).transpose(0, 3, 1, 2)).float()
        maps = detector(batch.to(device))
        scores = [logits.softmax(dim=1)[:, 1].cpu().numpy() for logits, _ in maps]
        offsets = [offset.cpu().numpy() for _, offset in maps]
        for index in range(len(pictures)):
            _candidates([s[index] for s in scores], [o[index] for o in offsets])
    boxes = np.array([scene.box] * len(scene.frames), np.float64)
    for i in range(len(boxes)):
        window = boxes[i : i + SMOOTHED] if i + SMOOTHED <= len(boxes) else boxes[-SMOOTHED:]
        boxes[i] = window.mean(axis=0)
    return [(int(b[0]), int(b[1]), int(b[2]), int(b[3])) for b in boxes]


def _candidates(
    scores: list[NDArray[np.float32]], offsets: list[NDArray[np.float32]]
) -> list[NDArray[np.float32]]:
    """The faces of one picture, place by place."""
    found = []
    for stride, score, offset in zip(STRIDES, scores, offsets, strict=True):
        for y, x in zip(*np.where(score > 0.05), strict=True):
            centre = np.array([(x + 0.5) * stride, (y + 0.5) * stride])
            middle = centre + offset[:2, y, x] * 0.1 * 4 * stride
            size = 4 * stride * np.exp(offset[2:, y, x] * 0.2)
            found.append([*(middle - size / 2), *(middle + size / 2), score[y, x]])
    rows = np.array(found, np.float32).reshape(-1, 5)
    kept = suppress(rows[:, :4], rows[:, 4], 0.3)
    return [rows[i] for i in kept if rows[i, 4] > 0.5]


def direct_render(renderer: Renderer, image: Tensor, source: Tensor, driving: Tensor) -> Tensor:
    """The published renderer's steps for a batch: everything for every frame."""
    batch = len(driving)
    encoded = renderer.encode(image.expand(batch, -1, -1, -1), source.expand(batch, -1, -1))
    with patch.object(dense_motion, "gaussians", _published_gaussians):
        motion = renderer.move(encoded, driving)
    feature = renderer.features(renderer.warp(encoded.volume, motion.flow)) * motion.occlusion
    x = renderer.decoder.fc(feature)
    for block, scale in renderer.decoder.blocks():
        if scale > 1:
            x = F.interpolate(x, scale_factor=2.0)
        x = _direct_block(block, x, feature)
    picture: Tensor = renderer.decoder.conv_img(F.leaky_relu(x, SLOPE))
    return picture.sigmoid()


def _published_gaussians(keypoints: Tensor, grid: Tensor) -> Tensor:
    """As published: far from the key point the values are denormal numbers, and slow on a CPU."""
    distance = (grid - keypoints[:, :, None, None, None]).square().sum(dim=-1)
    return torch.exp(-0.5 / dense_motion.VARIANCE * distance)


def _direct_block(block: SpadeBlock, x: Tensor, feature: Tensor) -> Tensor:
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
