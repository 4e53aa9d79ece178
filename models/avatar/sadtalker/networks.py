"""SadTalker's networks together: read from the published files, settled on a device in the
precision each one bears.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from models.avatar import weights
from models.avatar.face.fan import FAN
from models.avatar.face.retinaface import RetinaFace
from models.avatar.folding import fold
from models.avatar.gfpgan.restorer import Restorer
from models.avatar.placement import Placement
from models.avatar.sadtalker.audio2exp import Audio2Exp
from models.avatar.sadtalker.audio2pose import Audio2Pose
from models.avatar.sadtalker.keypoints import KeypointDetector
from models.avatar.sadtalker.mapping import Mapping
from models.avatar.sadtalker.recon import Reconstruction
from models.avatar.sadtalker.renderer import Renderer, prepare


@dataclass(frozen=True, slots=True, kw_only=True)
class Networks:
    """All that one presenter needs. `detector` and `landmarks` are absent where landmarks are
    given; so is `restorer` where nothing is enhanced.
    """

    reconstruction: Reconstruction
    audio2exp: Audio2Exp
    audio2pose: Audio2Pose
    mapping: Mapping
    keypoints: KeypointDetector
    renderer: Renderer
    detector: RetinaFace | None = None
    landmarks: FAN | None = None
    restorer: Restorer | None = None

    def settle(self, placement: Placement) -> Networks:
        """Folds the networks, prepares the renderer and moves everything to the device.

        The decoder and the restorer take the placement's precision. Source encoder and dense
        motion stay in float32: with them in bf16 the picture lies 26 dB from the float32 one,
        without 42 dB.
        """
        small = (self.audio2exp, self.audio2pose, self.mapping, self.keypoints, self.reconstruction)
        for network in (*small, self.detector, self.landmarks):
            if network is not None:
                fold(network.eval()).to(placement.device)
        prepare(self.renderer).to(placement.device)
        placement.settle(self.renderer.decoder, channels_last=False)
        if self.restorer is not None:
            placement.settle(self.restorer)
        return self


def load_networks(
    directory: Path, size_px: int, *, full: bool, detect: bool, enhance: bool
) -> Networks:
    """The published networks for frames of `size_px` (256 or 512); `full` chooses the mapping
    that keeps the whole picture.

    Raises:
        EngineUnavailable: A file is missing or not what its name says; the message says where to
        get it.
    """
    read = weights.load
    return Networks(
        reconstruction=read(
            Reconstruction(), weights.sadtalker("face_3drecon", size_px), directory
        ),
        audio2exp=read(Audio2Exp(), weights.sadtalker("audio2exp", size_px), directory),
        audio2pose=read(Audio2Pose(), weights.sadtalker("audio2pose", size_px), directory),
        mapping=read(Mapping(73 if full else 70), weights.sadtalker_mapping(full=full), directory),
        keypoints=read(KeypointDetector(), weights.sadtalker("kp_extractor", size_px), directory),
        renderer=read(Renderer(), weights.sadtalker("generator", size_px), directory),
        detector=read(RetinaFace(), weights.RETINAFACE, directory) if detect else None,
        landmarks=read(FAN(), weights.FAN, directory) if detect else None,
        restorer=read(Restorer(), weights.GFPGAN, directory) if enhance else None,
    )
