"""The drawn head's turn, nod and tilt, its jaw and its brows, as one warp."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from models.avatar.viseme.character import Host
from models.avatar.viseme.idle import Pose
from models.avatar.viseme.planes import Layer
from models.avatar.viseme.sprites import Piece

Field = NDArray[np.float32]

_PIVOT = (256.0, 330.0)
"""The base of the neck: the head tilts around it."""

_JAW_UNITS = 11.0
"""The chin's drop at full openness."""

_TURN_UNITS, _NOD_UNITS = 11.0, 9.0
"""How far the nearest point of the face (depth 1) travels for a yaw or pitch of 1."""

_STEP_UNITS = 3.5
"""Distance of the points at which the warp is computed. The finest of its fields has a standard
deviation of 5 units; between the points it is interpolated.
"""


@dataclass(frozen=True, slots=True)
class _Relief:
    """How far each point of the grid follows a movement.

    `depth` is the face's relief (0 at the plane of the neck, about 0.8 at the nose, negative
    behind), `jaw` how far a point follows the chin, `brow` how far it follows the brows. `x` and
    `y` are pixel positions relative to the pivot.
    """

    x: Field
    y: Field
    depth: Field
    jaw: Field
    brow: Field


class HeadTurn:
    """Turns one head, always into the same buffer.

    The maps are computed on a grid of every `step`-th pixel that reaches one point past the head
    on all sides, and interpolated in between.
    """

    def __init__(self, host: Host, head: Piece, scale: float) -> None:
        height, width = head.layer.shape[:2]
        self._scale, self._step = scale, max(1, int(_STEP_UNITS * scale))
        self._pivot = (_PIVOT[0] * scale - head.left, _PIVOT[1] * scale - head.top)
        # Glasses stand still while brows move: behind lenses they move less.
        self._brow_units = 5.5 if host.glasses == "none" else 2.5
        rows, columns = (-(-side // self._step) + 2 for side in (height, width))
        self._relief = self._sampled(host, head, rows, columns)
        self._grids = np.empty((2, rows, columns), np.float32)
        self._fields = np.empty((2, rows * self._step, columns * self._step), np.float32)
        inner = np.s_[self._step : self._step + height, self._step : self._step + width]
        self._map_x, self._map_y = self._fields[0][inner], self._fields[1][inner]
        self._turned: Layer = np.empty_like(head.layer)

    def _sampled(self, host: Host, head: Piece, rows: int, columns: int) -> _Relief:
        # The interpolation puts a point into the middle of its step; grid point 0 lies outside.
        middle = (self._step - 1) / 2 - self._step
        x = np.arange(columns, dtype=np.float32) * self._step + np.float32(middle)
        y = np.arange(rows, dtype=np.float32) * self._step + np.float32(middle)
        units_x = (x + head.left + 0.5)[None, :] / self._scale
        units_y = (y + head.top + 0.5)[:, None] / self._scale
        depth, jaw, brow = _relief(host, units_x, units_y, self._scale / self._step)
        return _Relief(
            (x - self._pivot[0])[None, :].astype(np.float32),
            (y - self._pivot[1])[:, None].astype(np.float32),
            depth,
            jaw,
            brow,
        )

    def apply(self, layer: Layer, pose: Pose, opened: float) -> Layer:
        """The head in a pose, its jaw dropped by `opened` in 0..1; valid until the next call."""
        for grid, field in zip(self._maps(pose, opened), self._fields, strict=True):
            cv2.resize(grid, field.shape[::-1], dst=field, interpolation=cv2.INTER_LINEAR)
        cv2.remap(
            layer,
            self._map_x,
            self._map_y,
            cv2.INTER_LINEAR,
            dst=self._turned,
            borderMode=cv2.BORDER_CONSTANT,
        )
        return self._turned

    def _maps(self, pose: Pose, opened: float) -> tuple[Field, Field]:
        """Where each point of the grid comes from: the inverse of turn, nod, tilt, jaw, brows."""
        r, scale = self._relief, self._scale
        angle = np.deg2rad(pose.roll * 1.5)
        c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
        x = r.x - np.float32((pose.yaw * 1.5 + pose.roll) * scale)
        y = r.y - np.float32((pose.pitch * 1.6 - pose.breath * 1.8) * scale)
        map_x, map_y = self._grids
        np.add(x * c, y * s + np.float32(self._pivot[0]), out=map_x)
        np.add(x * -s, y * c + np.float32(self._pivot[1]), out=map_y)
        cv2.scaleAdd(r.depth, -pose.yaw * _TURN_UNITS * scale, map_x, dst=map_x)
        cv2.scaleAdd(r.depth, -pose.pitch * _NOD_UNITS * scale, map_y, dst=map_y)
        cv2.scaleAdd(r.jaw, -opened * _JAW_UNITS * scale, map_y, dst=map_y)
        cv2.scaleAdd(r.brow, pose.brow * self._brow_units * scale, map_y, dst=map_y)
        return map_x, map_y


def _relief(host: Host, x: Field, y: Field, density: float) -> tuple[Field, Field, Field]:
    """Depth, jaw and brow at positions in units, `density` of them in a unit."""
    f = host.face
    skull = np.sqrt(np.clip(1 - ((x - 256) / 112) ** 2 - ((y - 208) / 138) ** 2, 0, 1))
    skull = np.asarray(cv2.GaussianBlur(skull.astype(np.float32), (0, 0), 5 * density))
    nose = np.exp(-(((x - 256) / 16) ** 2) - ((y - 238) / 20) ** 2)
    # The pivot's plane lies a third of the way into the skull: what is behind it turns the other
    # way.
    depth = skull + 0.16 * nose - 0.34
    below = np.clip((y - f.mouth_y + 4) / (f.chin_y - f.mouth_y + 1), 0, 1)
    jaw = below * below * (3 - 2 * below) * np.exp(-(((x - 256) / 62) ** 2))
    jaw = jaw * np.clip((f.chin_y + 50 - y) / 44, 0, 1)
    brow = np.exp(-(((y - f.brow_y) / 12) ** 2)) * np.exp(-(((x - 256) / 60) ** 4))
    soft = cv2.GaussianBlur(jaw.astype(np.float32), (0, 0), 4 * density)
    return depth.astype(np.float32), np.asarray(soft, np.float32), brow.astype(np.float32)
