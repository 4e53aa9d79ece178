"""The last resort, and honest about it: a motionless presenter with a level meter.

It needs neither phonemes nor a warp, so it works where everything else has failed. Nothing moves
but the meter, which shows the loudness of the voice; nobody will mistake it for lip-sync.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from models.avatar.viseme.canvas import Canvas, mixed
from models.avatar.viseme.cast import find_host
from models.avatar.viseme.idle import Pose
from models.avatar.viseme.likeness import LikenessPainter
from models.avatar.viseme.outlines import ART_UNITS, Points, ellipse
from models.avatar.viseme.painter import HostPainter
from models.avatar.viseme.phonemes import VISEMES
from models.avatar.viseme.planes import Layer, blend, to_yuva
from studio.types import SAMPLE_RATE, EngineInfo

if TYPE_CHECKING:
    from models.avatar import LineSound, Sitting

FLOOR_DB, CEILING_DB = -45.0, -9.0
"""RMS levels, dB relative to full scale, at which the meter is empty and full."""

FALL_DB_PER_S = 20.0 / 1.7
"""Return time of a programme meter (IEC 60268-10, type I): 20 dB in 1.7 s."""

NUM_SEGMENTS = 20

_SEGMENT = (8.0, 15.0, 4.0)
"""Width, height and gap of a segment, in units of the 512-unit square."""

_METER_Y = 472.0

INFO = EngineInfo(
    name="still",
    code_licence="the project's own",
    weights_licence="none",
    commercial=True,
    memory_gib=0.1,
    rate=0,
)


class StillPerformer:
    """The voice's level instead of motion."""

    info = INFO

    def perform(self, line: LineSound) -> NDArray[np.float32]:
        """(num_frames, 1): the meter's reading 0..1 at each frame, 0 in the last."""
        hop = SAMPLE_RATE / line.fps
        power = np.concatenate([[0.0], np.cumsum(line.samples.astype(np.float64) ** 2)])
        edges = np.round(np.arange(line.num_frames + 1) * hop).astype(int)
        edges = np.clip(edges, 0, len(line.samples))
        energy, count = np.diff(power[edges]), np.maximum(np.diff(edges), 1)
        level_db = 10 * np.log10(np.maximum(energy / count, 1e-10))
        reading = np.clip((level_db - FLOOR_DB) / (CEILING_DB - FLOOR_DB), 0, 1)
        fall = FALL_DB_PER_S / (CEILING_DB - FLOOR_DB) / line.fps
        for k in range(1, len(reading)):
            reading[k] = max(reading[k], reading[k - 1] - fall)
        # Whatever is left of the fall is hurried over the last fifth of a second.
        left = np.arange(len(reading))[::-1] / max(1.0, 0.2 * line.fps)
        return np.asarray(np.minimum(reading, left), np.float32)[:, None]


class _StillPainter:
    """One picture and a meter over its lower edge."""

    def __init__(self, sitting: Sitting, parts: Sequence[tuple[int, NDArray[np.float32]]]) -> None:
        self.size_px = size_px = sitting.size_px
        self._parts = sorted(parts, key=lambda part: part[0])
        self._starts = [start for start, _ in self._parts]
        painter: HostPainter | LikenessPainter
        if sitting.portrait is None:
            host = find_host(sitting.look)
            painter = HostPainter(host, size_px, mirrored=sitting.facing == "left")
            accent = host.palette.accent
        else:
            painter = LikenessPainter(sitting.portrait, size_px)
            accent = "#58c9a8"
        planes = painter.paint(_STRAIGHT, VISEMES["rest"])
        picture = np.ascontiguousarray(planes.transpose(1, 2, 0))
        self._planes = planes.copy()
        self._meters = [_with_meter(picture, lit, accent) for lit in range(NUM_SEGMENTS + 1)]
        top, left = _meter_corner(size_px)
        self._top, self._left = top, left
        self._shown = -1
        self.changed = (0, 0, size_px, size_px)

    def paint(self, frame: int) -> NDArray[np.uint8]:
        """See `models.avatar.Painter.paint`."""
        lit = round(self._reading(frame) * NUM_SEGMENTS)
        meter = self._meters[lit]
        height, width = meter.shape[1:]
        if self._shown >= 0:
            self.changed = (self._left, self._top, width if lit != self._shown else 0, height)
        self._shown = lit
        self._planes[:, self._top : self._top + height, self._left : self._left + width] = meter
        return self._planes

    def _reading(self, frame: int) -> float:
        k = bisect.bisect_right(self._starts, frame) - 1
        if k < 0:
            return 0.0
        start, motion = self._parts[k]
        return float(motion[frame - start, 0]) if frame - start < len(motion) else 0.0


_STRAIGHT = Pose(
    yaw=0.0, pitch=0.0, roll=0.0, blink=0.0, look_x=0.0, look_y=0.0, brow=0.0, breath=0.0
)


def paint_still(
    sitting: Sitting, parts: Sequence[tuple[int, NDArray[np.float32]]]
) -> _StillPainter:
    """A painter of the motionless presenter that `sitting` names."""
    return _StillPainter(sitting, parts)


def _box() -> tuple[float, float, float, float]:
    width, height, gap = _SEGMENT
    half = (NUM_SEGMENTS * (width + gap) + gap) / 2 + 6
    return (256 - half, _METER_Y - height, 256 + half, _METER_Y + height)


def _meter_corner(size_px: int) -> tuple[int, int]:
    scale = size_px / ART_UNITS
    x0, y0, _, _ = _box()
    return int(np.floor(y0 * scale)), int(np.floor(x0 * scale))


def _with_meter(picture: Layer, lit: int, accent: str) -> Layer:
    """The part of the picture that the meter covers, with `lit` segments on; planes (4, h, w)."""
    canvas = Canvas(_box(), picture.shape[0] / ART_UNITS)
    x0, y0, x1, y1 = _box()
    canvas.put(canvas.shape(_pill(x0 + 1, y0 + 3, x1 - 1, y1 - 3, 10)), "#0e151b", 0.78)
    width, height, gap = _SEGMENT
    for k in range(NUM_SEGMENTS):
        x = x0 + 6 + gap + k * (width + gap)
        on = "#e5484d" if k >= NUM_SEGMENTS - 2 else accent
        ink = on if k < lit else mixed(on, "#10181f", 0.82)
        bar = _pill(x, _METER_Y - height / 2, x + width, _METER_Y + height / 2, 2.5)
        canvas.put(canvas.shape(bar), ink)
    layer = to_yuva(canvas.rgba())
    part = picture[
        canvas.top : canvas.top + layer.shape[0], canvas.left : canvas.left + layer.shape[1]
    ].copy()
    blend(part, layer, 0, 0)
    return np.ascontiguousarray(np.stack(cv2.split(part)), np.uint8)


def _pill(x0: float, y0: float, x1: float, y1: float, radius: float) -> Points:
    """A rectangle with round corners."""
    quarter = ellipse(0, 0, radius, radius)
    corners = ((x1, y1), (x0, y1), (x0, y0), (x1, y0))
    centres = [
        (x - radius if x == x1 else x + radius, y - radius if y == y1 else y + radius)
        for x, y in corners
    ]
    arcs = [quarter[16 * k : 16 * k + 17] + np.array(at) for k, at in enumerate(centres)]
    return np.concatenate(arcs)
