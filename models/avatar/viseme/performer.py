"""The engine's two halves behind the family's doors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from models.avatar.viseme.articulation import articulate
from models.avatar.viseme.cast import find_host
from models.avatar.viseme.likeness import LikenessPainter
from models.avatar.viseme.painter import HostPainter
from models.avatar.viseme.presence import Presence
from studio.types import SAMPLE_RATE, EngineInfo

if TYPE_CHECKING:
    from models.avatar import LineSound, Sitting

INFO = EngineInfo(
    name="viseme",
    code_licence="the project's own",
    weights_licence="none: drawn by code",
    commercial=True,
    memory_gib=0.1,
    rate=0,
)
"""`rate` 0: motion is made at whatever frame rate is asked for."""


class VisemePerformer:
    """Motion from phonemes."""

    info = INFO

    def perform(self, line: LineSound) -> NDArray[np.float32]:
        """(num_frames, len(MOTION_CHANNELS)), see `articulation`."""
        return articulate(
            line.samples,
            SAMPLE_RATE,
            line.phonemes,
            line.words,
            line.num_frames,
            line.fps,
            line.seed,
        )


class _Performance:
    """A drawn host, or a portrait, through an episode."""

    def __init__(self, painter: HostPainter | LikenessPainter, presence: Presence) -> None:
        self._painter, self._presence = painter, presence
        self.size_px = painter.size_px

    @property
    def changed(self) -> tuple[int, int, int, int]:
        """See `models.avatar.Painter.changed`."""
        return self._painter.changed

    def paint(self, frame: int) -> NDArray[np.uint8]:
        """See `models.avatar.Painter.paint`."""
        return self._painter.paint(*self._presence.at(frame))


def paint_sitting(
    sitting: Sitting, parts: Sequence[tuple[int, NDArray[np.float32]]]
) -> _Performance:
    """A painter of the portrait in `sitting`, or of the host that it names."""
    presence = Presence(parts, sitting.fps, sitting.seed, sitting.facing, sitting.motion_scale)
    if sitting.portrait is not None:
        return _Performance(LikenessPainter(sitting.portrait, sitting.size_px), presence)
    host = find_host(sitting.look)
    painter = HostPainter(host, sitting.size_px, mirrored=sitting.facing == "left")
    return _Performance(painter, presence)
