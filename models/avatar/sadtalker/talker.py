"""The SadTalker engine: a portrait and the sound of a line become frames (Zhang et al., CVPR
2023, figure 2).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the name every torch reader knows
from numpy.typing import NDArray
from torch import Tensor

from models.avatar import LineSound
from models.avatar.audio_features import (
    SADTALKER_FPS,
    SPEECH_RATE,
    hush,
    mel,
    sadtalker_windows,
)
from models.avatar.face.landmarks import Points
from models.avatar.gfpgan.enhance import Enhancer
from models.avatar.paste import Paste, feather, to_bytes
from models.avatar.placement import Frames, Placement, place, surfacing, to_host
from models.avatar.portrait import Picture, as_portrait
from models.avatar.sadtalker.audio2pose import LATENT, Audio2Pose
from models.avatar.sadtalker.motion import (
    EXPRESSION,
    POSE,
    blink_ratio,
    camera_path,
    driven,
    savgol,
    windows,
)
from models.avatar.sadtalker.networks import Networks, load_networks
from models.avatar.sadtalker.subject import Subject, read_poses, study
from models.avatar.speech_encoder import EMBEDDING
from models.avatar.stopwatch import Stopwatch
from models.avatar.weights import weights_directory
from studio.audio import resample
from studio.errors import NoFaceError
from studio.specs import AvatarSpec, DeviceSpec, SadTalkerSpec
from studio.types import SAMPLE_RATE, EngineInfo

INFO: Final = EngineInfo(
    name="sadtalker",
    code_licence="Apache-2.0",
    weights_licence="SadTalker's own terms (its speech encoder is derived from Wav2Lip)",
    commercial=False,
    memory_gib=4.0,
    rate=SADTALKER_FPS,
)
EDGE: Final = 0.08
"""Share of the animated square over which it fades into the full portrait."""
SETTLE: Final = 12
"""Frames (0.5 s) in which the head leaves the portrait's pose and comes back to it: lines meet
there.
"""
_BLOCK: Final = 256
"""Frames of speech that are encoded together."""
_BYTES_PER_PIXEL: Final = 9000
"""Of the renderer's activations per pixel of the frame, float32, measured as peak minus weights."""
_CPU_BATCH: Final = 2
"""A processor gains nothing from larger batches; its caches lose."""


class Talker:
    """One presenter, ready to speak any number of lines."""

    def __init__(
        self,
        networks: Networks,
        subject: Subject,
        spec: SadTalkerSpec,
        placement: Placement,
        *,
        batch: int = 16,
        motion_scale: float = 1.0,
        poses: NDArray[np.float32] | None = None,
    ) -> None:
        """`poses` (n, 6) of a reference film: the head then moves as there, again and again,
        instead of by PoseVAE.
        """
        self.info = INFO
        self._networks, self._subject, self._spec = networks, subject, spec
        self._placement, self._motion_scale, self._poses = placement, motion_scale, poses
        self._watch = Stopwatch(placement.device)
        wanted = batch if placement.device.type == "cuda" else min(batch, _CPU_BATCH)
        self._batch = placement.batch(wanted, _BYTES_PER_PIXEL * spec.size_px**2)
        self._enhancer = self._open_enhancer()
        left, top, right, bottom = subject.box
        frame_px = self._enhancer.size_px if self._enhancer else spec.size_px
        if spec.frame == "full":
            mask = feather(bottom - top, right - left, EDGE)
            self._paste = Paste(subject.portrait, subject.box, mask, placement.device)
            self.size_px = subject.portrait.shape[1], subject.portrait.shape[0]
        else:
            # The square shows the rectangle squeezed; its shape is given back, to even lines.
            height = round(frame_px * (bottom - top) / (right - left) / 2) * 2
            self.size_px = frame_px, max(2, height)

    def _open_enhancer(self) -> Enhancer | None:
        if self._networks.restorer is None or self._spec.enhancer == "none":
            return None
        if self._subject.points is None:
            remedy = "Choose a tighter frame, or no enhancer"
            raise NoFaceError("gfpgan", "no face found in the animated frame", remedy)
        return Enhancer(self._networks.restorer, self._subject.points, self._spec.size_px)

    def film(self, line: LineSound) -> Iterator[Frames]:
        """The line's frames in chunks (n, height, width, 3), RGB; `line.num_frames` in all.

        The networks think at 25 fps; at another rate their coefficients are interpolated, not
        their pictures.

        Raises:
            AvatarError: torch failed; the first line of its message is in it.
        """
        yield from to_host(self._batches(line))

    def _batches(self, line: LineSound) -> Iterator[Tensor]:
        step = self._watch.step
        with (
            surfacing("sadtalker: audio to coefficients"),
            torch.inference_mode(),
            step("audio to coefficients"),
        ):
            coefficients = self.act(line)
        rest = self._subject.coefficients[: coefficients.shape[1]]
        canonical = self._subject.source.keypoints
        with surfacing("sadtalker: key points"), torch.inference_mode():
            still = self._head(windows(rest[None], np.zeros(1)))
            source = self._subject.source.at(driven(canonical, still))
        centres = np.arange(line.num_frames) * SADTALKER_FPS / line.fps
        turns = self._overrides(line.num_frames)
        for first in range(0, line.num_frames, self._batch):
            frames = slice(first, first + self._batch)
            with surfacing("sadtalker: rendering"), torch.inference_mode():
                with step("rendering"):
                    head = self._head(windows(coefficients, centres[frames]))
                    override = {name: path[frames] for name, path in turns.items()}
                    driving = driven(canonical, head, override)
                    pictures = self._networks.renderer(source, driving)
                if self._enhancer is not None:
                    with step("enhancement"):
                        pictures = self._enhancer(pictures, source.keypoints, driving)
                with step("paste" if self._spec.frame == "full" else "resizing"):
                    batch = self._finish(pictures)
            yield batch
        with surfacing("sadtalker"):
            self._watch.read(wait=True)

    def _finish(self, pictures: Tensor) -> Tensor:
        if self._spec.frame == "full":
            return self._paste(pictures)
        width, height = self.size_px
        if pictures.shape[2:] != (height, width):
            pictures = F.interpolate(pictures.float(), (height, width), mode="bilinear")
        return to_bytes(pictures)

    def _head(self, window: NDArray[np.float32]) -> dict[str, Tensor]:
        values = torch.from_numpy(window).to(self._placement.device)
        head: dict[str, Tensor] = self._networks.mapping(values)
        return head

    def _overrides(self, frames: int) -> dict[str, Tensor]:
        spec, device = self._spec, self._placement.device
        paths = {"yaw": spec.yaw_deg, "pitch": spec.pitch_deg, "roll": spec.roll_deg}
        return {
            name: torch.from_numpy(camera_path(stops, frames)).to(device).float()
            for name, stops in paths.items()
            if stops
        }

    def act(self, line: LineSound) -> NDArray[np.float32]:
        """The line as coefficients at 25 fps: (T, 70), in the full frame (T, 73).

        Expression from ExpNet (eq. 2), pose from PoseVAE (eq. 4), smoothed, scaled, and at rest
        at the end.
        """
        device, spec, rest = self._placement.device, self._spec, self._subject.coefficients
        frames = max(1, -(-line.num_frames * SADTALKER_FPS // line.fps))
        rng = np.random.default_rng(line.seed)
        blink = blink_ratio(frames, rng) if spec.blink else np.zeros(frames, np.float32)
        spectrogram = hush(mel(resample(line.samples, SAMPLE_RATE, SPEECH_RATE), device))
        reference = torch.from_numpy(rest[EXPRESSION]).to(device)
        expression = np.empty((frames, EXPRESSION.stop), np.float32)
        speech = torch.empty(0 if spec.still else frames, EMBEDDING, device=device)
        for first in range(0, frames, _BLOCK):
            block = range(first, min(first + _BLOCK, frames))
            heard = sadtalker_windows(spectrogram, block)
            lids = torch.from_numpy(blink[block.start : block.stop]).to(device)[None, :, None]
            same = reference.expand(1, len(block), -1)
            shown = self._networks.audio2exp(heard, same, lids)[0]
            expression[block.start : block.stop] = shown.cpu().numpy() * spec.expression_scale
            if not spec.still:
                embedded = self._networks.audio2pose.audio_encoder(heard[None])[0]
                speech[block.start : block.stop] = embedded
        pose = np.repeat(rest[None, POSE], frames, axis=0)
        if not spec.still:
            latents = rng.standard_normal((Audio2Pose.num_latents(frames), LATENT), np.float32)
            pose = self._move(speech, torch.from_numpy(latents).to(device))
        parts = [expression, pose]
        if spec.frame == "full":
            parts.append(np.repeat(rest[None, POSE.stop :], frames, axis=0))
        return np.concatenate(parts, axis=1).astype(np.float32)

    def _move(self, speech: Tensor, latents: Tensor) -> NDArray[np.float32]:
        """Poses (T, 6): the portrait's own, plus the motion, which begins at zero and comes back
        to it.
        """
        rest = self._subject.coefficients[POSE]
        if self._poses is None:
            start = torch.from_numpy(rest).to(speech.device)
            drawn = self._networks.audio2pose(speech, start, latents, self._spec.pose_style)
            motion = savgol(drawn.cpu().numpy()) - rest
        else:
            motion = self._poses[np.arange(len(speech)) % len(self._poses)] - self._poses[0]
        frame = np.arange(len(motion))
        near = np.clip(np.minimum(frame, frame[::-1]) / SETTLE, 0, 1)
        ease = near * near * (3 - 2 * near)
        settled = rest + motion * (self._motion_scale * ease[:, None])
        return np.asarray(settled, np.float32)


def open_talker(
    portrait: Picture,
    spec: AvatarSpec,
    device: DeviceSpec,
    marks: Points | None = None,
    pose_film: Iterable[Picture] | None = None,
) -> Talker:
    """A presenter from a portrait (h, w, 3), with the weights in `spec.weights_dir`.

    `marks` are the portrait's 68 landmarks where they are known: a drawing, on which detectors
    fail. `pose_film`, frames (h, w, 3) at 25 fps, lends its head's motion.

    Raises:
        EngineUnavailable: Weights or the card are missing.
        NoFaceError: No usable face.
    """
    directory, placement, acting = weights_directory(spec), place(device), spec.sadtalker
    networks = load_networks(
        directory,
        acting.size_px,
        full=acting.frame == "full",
        detect=marks is None or pose_film is not None,
        enhance=acting.enhancer == "gfpgan",
    ).settle(placement)
    with surfacing("sadtalker: reading the portrait"):
        subject = study(networks, as_portrait(portrait), acting, marks)
        poses = None if pose_film is None else read_poses(networks, pose_film)
    return Talker(
        networks,
        subject,
        acting,
        placement,
        batch=spec.batch,
        motion_scale=spec.motion_scale,
        poses=poses,
    )
