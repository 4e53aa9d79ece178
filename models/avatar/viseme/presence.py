"""One host over a whole episode: lines' motion laid over the life between them."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models.avatar.viseme.articulation import MOTION_CHANNELS
from models.avatar.viseme.idle import Pose, pose_at, smoothstep
from models.avatar.viseme.phonemes import MOUTH_CHANNELS, VISEMES

Facing = Literal["left", "front", "right"]
"""Where the other host stands, as seen in the picture."""

PARTNER = {"left": -1.0, "front": 0.0, "right": 1.0}

_TURN_S = 0.45
"""A host becomes a speaker, or a listener again, within this time around its lines."""

_NUM_MOUTH = len(MOUTH_CHANNELS)


class Presence:
    """Pose and mouth of a host at any frame.

    Args:
        parts: (first frame, motion) of each line, as `articulation.articulate` made it; in any
            order.
        fps: Frames per second.
        seed: The host's own life between the lines.
        facing: Where the partner is.
        motion_scale: Factor on all movement of head and brows; lips, eyes and breath keep theirs.
    """

    def __init__(
        self,
        parts: Sequence[tuple[int, NDArray[np.float32]]],
        fps: int,
        seed: int,
        facing: Facing,
        motion_scale: float,
    ) -> None:
        self._parts = sorted(parts, key=lambda part: part[0])
        self._starts = [start for start, _ in self._parts]
        self._fps, self._seed = fps, seed
        self._partner, self._motion_scale = PARTNER[facing], motion_scale

    def at(self, frame: int) -> tuple[Pose, NDArray[np.float32]]:
        """The pose, and the mouth's channels, at a frame."""
        line = self._line_at(frame)
        life = pose_at(self._seed, (frame + 0.5) / self._fps, self._talking(frame), self._partner)
        nod, brow, voice = (float(v) for v in line[_NUM_MOUTH:])
        amount = self._motion_scale
        away = self._partner * 0.35
        pose = Pose(
            yaw=away + (life.yaw - away) * amount,
            pitch=(life.pitch + 0.55 * nod - 0.10 * voice) * amount,
            roll=life.roll * amount,
            blink=life.blink,
            look_x=life.look_x,
            look_y=life.look_y,
            brow=(life.brow + 0.55 * brow) * amount,
            breath=life.breath,
        )
        return pose, line[:_NUM_MOUTH]

    def _line_at(self, frame: int) -> NDArray[np.float32]:
        """The motion of the line that covers a frame; at rest where there is none."""
        k = bisect.bisect_right(self._starts, frame) - 1
        if k >= 0:
            start, motion = self._parts[k]
            if frame - start < len(motion):
                return np.asarray(motion[frame - start])
        return _AT_REST

    def _talking(self, frame: int) -> float:
        """1 within a line, falling to 0 over `_TURN_S` before and after it."""
        k = bisect.bisect_right(self._starts, frame)
        gap = float("inf")
        for start, motion in self._parts[max(0, k - 1) : k + 1]:
            gap = min(gap, max(start - frame, frame - (start + len(motion) - 1), 0))
        return 1 - smoothstep(gap / self._fps / _TURN_S)


_AT_REST = np.zeros(len(MOTION_CHANNELS), np.float32)
_AT_REST[:_NUM_MOUTH] = VISEMES["rest"]
_AT_REST.setflags(write=False)
