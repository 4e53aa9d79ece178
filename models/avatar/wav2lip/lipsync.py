"""The Wav2Lip engine: a portrait or a short film of the presenter, and the sound of a line,
become frames.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the name every torch reader knows
from torch import Tensor

from models.avatar import LineSound
from models.avatar.audio_features import SPEECH_RATE, hush, mel, wav2lip_windows
from models.avatar.face.boxes import Detection
from models.avatar.face.detectors import detect_s3fd
from models.avatar.face.landmarks import Points
from models.avatar.face.s3fd import S3FD
from models.avatar.folding import fold
from models.avatar.paste import Paste, feather
from models.avatar.placement import Frames, Placement, place, surfacing, to_host
from models.avatar.portrait import Picture, as_portrait, the_face
from models.avatar.stopwatch import Stopwatch
from models.avatar.wav2lip.film_faces import face_box, film_boxes, follow
from models.avatar.wav2lip.net import FACE_PX, Wav2Lip
from models.avatar.wav2lip.portrait_decoder import PortraitDecoder
from models.avatar.weights import S3FD as S3FD_WEIGHTS
from models.avatar.weights import WAV2LIP, load, weights_directory
from studio.audio import resample
from studio.specs import AvatarSpec, DeviceSpec
from studio.types import SAMPLE_RATE, EngineInfo

INFO: Final = EngineInfo(
    name="wav2lip",
    code_licence="Apache-2.0",
    weights_licence="non-commercial research (trained on LRS2)",
    commercial=False,
    memory_gib=1.5,
    rate=25,
)
EDGE: Final = 0.12
"""Share of the face's box over which the picture fades into the portrait."""
EYES: Final = 0.42
"""Share of the box, from the top, that the portrait keeps: the network paints it anew, only
blurrier.
"""
_BYTES_PER_FACE: Final = 16 << 20
"""Of the network's activations in float32: measured on a processor, 4 MiB for a portrait and 9 for
a film's face; a card's convolutions want room to work in.
"""


def load_network(directory: Path) -> Wav2Lip:
    """The lip network from the authors' checkpoint, folded. Raises `EngineUnavailable`."""
    return fold(load(Wav2Lip(), WAV2LIP, directory))


def mouth_mask(height: int, width: int) -> Tensor:
    """Where the generated face replaces the portrait (height, width): all round feathered, from
    below the eyes down.
    """
    place = (torch.arange(height) + 0.5) / height
    below_eyes = ((place - EYES) / EDGE).clamp(0, 1)
    return feather(height, width, EDGE) * ((1 - torch.cos(below_eyes * torch.pi)) / 2)[:, None]


def first_shown_row(height: int) -> int:
    """The first of the network's 96 rows that `mouth_mask` lets through in a box of this height.

    A row of the box looks at the network's rows within one of its own place, further where the
    box is the smaller of the two and the resize averages.
    """
    reach = max(1.0, FACE_PX / height)
    return max(0, int(EYES * FACE_PX + 0.5 - reach))


def completed(faces: Tensor) -> Tensor:
    """The network's rows from `first_shown_row` on -> whole faces (n, 3, 96, 96), black where the
    mask hides them.
    """
    return F.pad(faces, (0, 0, FACE_PX - faces.shape[2], 0))


def net_faces(crops: list[Picture], device: torch.device) -> Tensor:
    """RGB face crops -> the network's input (n, 6, 96, 96): lower half blanked, then whole; BGR
    in [0, 1].
    """
    sized = [cv2.resize(crop, (FACE_PX, FACE_PX))[..., ::-1] for crop in crops]
    whole = torch.from_numpy(np.stack(sized)).to(device).permute(0, 3, 1, 2).float() / 255
    blanked = whole.clone()
    blanked[:, :, FACE_PX // 2 :] = 0
    return torch.cat((blanked, whole), dim=1)


def heard(line: LineSound, device: torch.device) -> Tensor:
    """The line's mel columns (n, 80), its pauses silent."""
    return hush(mel(resample(line.samples, SAMPLE_RATE, SPEECH_RATE), device))


class LipSync:
    """One presenter, ready to speak any number of lines; what the portrait contributes is
    computed once.
    """

    def __init__(
        self,
        network: Wav2Lip,
        portrait: Picture,
        face: Detection,
        placement: Placement,
        batch: int = 128,
    ) -> None:
        height, width = portrait.shape[:2]
        left, top, right, bottom = box = face_box(face, width, height)
        self.info, self.size_px = INFO, (width, height)
        self._placement, self._batch = placement, batch
        self._watch = Stopwatch(placement.device)
        with surfacing("wav2lip"), torch.inference_mode():
            folded = network.to(placement.device)
            crops = net_faces([portrait[top:bottom, left:right]], placement.device)
            first_row = first_shown_row(bottom - top)
            decoder = PortraitDecoder(folded, folded.face_stages(crops), first_row)
            self._decoder = placement.settle(decoder)
            mask = mouth_mask(bottom - top, right - left)
            self._paste = Paste(portrait, box, mask, placement.device)

    def film(self, line: LineSound) -> Iterator[Frames]:
        """The line's frames in chunks (n, height, width, 3), RGB; `line.num_frames` in all.

        In pauses the mouth is still: they are made silent before the network hears them.

        Raises:
            AvatarError: torch failed; the first line of its message is in it.
        """
        yield from to_host(self._batches(line))

    def _batches(self, line: LineSound) -> Iterator[Tensor]:
        device, dtype, step = self._placement.device, self._placement.dtype, self._watch.step
        with surfacing("wav2lip"), step("mel"):
            spectrogram = heard(line, device)
        need = _BYTES_PER_FACE + self._paste.bytes_per_frame
        size = self._placement.batch(self._batch, need)
        for first in range(0, line.num_frames, size):
            frames = range(first, min(first + size, line.num_frames))
            with surfacing("wav2lip"), torch.inference_mode():
                with step("lips"):
                    windows = wav2lip_windows(spectrogram, frames, line.fps)
                    faces = self._decoder(windows.to(dtype))
                with step("paste"):
                    batch = self._paste(completed(faces.flip(1)))
            yield batch
        with surfacing("wav2lip"):
            self._watch.read(wait=True)


class FilmSync:
    """Like `LipSync` for a short film of the presenter that is shown again and again: frame i
    speaks over i mod n.
    """

    def __init__(
        self,
        network: Wav2Lip,
        film: Frames,
        faces: list[Detection | None],
        placement: Placement,
        batch: int = 32,
    ) -> None:
        """`faces` has one entry per frame of `film`. Raises `NoFaceError` where none has a face."""
        height, width = film.shape[1:3]
        self.info, self.size_px = INFO, (width, height)
        self._placement, self._batch = placement, batch
        self._watch = Stopwatch(placement.device)
        boxes = film_boxes(faces, width, height)
        self._first_row = first_shown_row(int((boxes[:, 3] - boxes[:, 1]).min()))
        with surfacing("wav2lip"), torch.inference_mode():
            self._network = placement.settle(network)
            crops = [frame[b[1] : b[3], b[0] : b[2]] for frame, b in zip(film, boxes, strict=True)]
            self._faces = net_faces(crops, placement.device).to(placement.dtype)
            self._pastes = []
            for frame, (left, top, right, bottom) in zip(film, boxes.tolist(), strict=True):
                mask = mouth_mask(bottom - top, right - left)
                box = left, top, right, bottom
                self._pastes.append(Paste(frame, box, mask, placement.device))

    def film(self, line: LineSound) -> Iterator[Frames]:
        """As `LipSync.film`."""
        yield from to_host(self._batches(line))

    def _batches(self, line: LineSound) -> Iterator[Tensor]:
        step = self._watch.step
        with surfacing("wav2lip"), step("mel"):
            spectrogram = heard(line, self._placement.device)
        need = _BYTES_PER_FACE + max(paste.bytes_per_frame for paste in self._pastes)
        size = self._placement.batch(self._batch, need)
        for first in range(0, line.num_frames, size):
            frames = range(first, min(first + size, line.num_frames))
            with surfacing("wav2lip"), torch.inference_mode():
                shown = [i % len(self._pastes) for i in frames]
                with step("lips"):
                    windows = wav2lip_windows(spectrogram, frames, line.fps)
                    windows = windows.to(self._placement.dtype)
                    faces = self._network(windows, self._faces[shown], self._first_row)
                with step("paste"):
                    faces = completed(faces.flip(1))
                    pasted = [self._pastes[i](faces[j : j + 1]) for j, i in enumerate(shown)]
                    batch = torch.cat(pasted)
            yield batch
        with surfacing("wav2lip"):
            self._watch.read(wait=True)


def face_around(marks: Points) -> Detection:
    """The box that a detector would draw around 68 known landmarks: from the forehead to the
    chin.
    """
    left, top = marks.min(axis=0)
    right, bottom = marks.max(axis=0)
    forehead = 0.25 * (bottom - top)  # the landmarks begin at the brows
    return Detection(box=(left, top - forehead, right, bottom), score=1.0)


def open_lipsync(
    portrait: Frames, spec: AvatarSpec, device: DeviceSpec, marks: Points | None = None
) -> LipSync | FilmSync:
    """A presenter from a portrait (h, w, 3) or a film (n, h, w, 3), with the weights in
    `spec.weights_dir`.

    `marks` are a portrait's 68 landmarks where they are known; then no detector is needed.

    Raises:
        EngineUnavailable: Weights or the card are missing.
        NoFaceError: No usable face.
    """
    directory, placement = weights_directory(spec), place(device)
    network = load_network(directory)
    if marks is not None and portrait.ndim < 4:
        picture = as_portrait(portrait)
        return LipSync(network, picture, face_around(marks), placement, spec.batch)
    detector = load(S3FD(), S3FD_WEIGHTS, directory).to(placement.device)
    with surfacing("wav2lip: face detection"):
        if portrait.ndim == 4:
            faces = follow(portrait, lambda frame: _detected(detector, frame, placement))
            return FilmSync(network, portrait, faces, placement, spec.batch)
        picture = as_portrait(portrait)
        face = the_face(_detected(detector, picture, placement))
    return LipSync(network, picture, face, placement, spec.batch)


def _detected(detector: S3FD, picture: Picture, placement: Placement) -> list[Detection]:
    watch = Stopwatch(placement.device)
    with watch.step("detection"):
        found = detect_s3fd(detector, picture)
    watch.read(wait=True)
    return found
