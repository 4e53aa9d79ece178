"""Draws a host, frame by frame: sprites onto the head, one warp for the head's turn, layers over
one another.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from models.avatar.viseme.canvas import Canvas
from models.avatar.viseme.character import Host
from models.avatar.viseme.gaze import draw_eyes
from models.avatar.viseme.glasses import draw_glasses
from models.avatar.viseme.hair import draw_back
from models.avatar.viseme.head import draw_head
from models.avatar.viseme.idle import Pose
from models.avatar.viseme.lips import draw_mouth
from models.avatar.viseme.microphone import draw_microphone
from models.avatar.viseme.outlines import ART_UNITS
from models.avatar.viseme.planes import Layer, blend, cropped, see_through, to_yuva
from models.avatar.viseme.torso import draw_torso

MOUTH_STEPS = (16, 4, 4, 3, 3, 3, 2)
"""Steps per mouth channel that get a sprite of their own; the jaw between them moves continuously.
"""

_BLINK_STEPS, _LOOK_STEPS = 6, (7, 4)

SPRITE_CACHE_MIB = 32
"""Sprites kept; an hour of talk draws some 900 states of a mouth, 28 MiB at 512 px."""

_HEAD_MARGIN = 16
"""Units around the head that its turn may reach into."""

_PIVOT = (256.0, 330.0)
"""The base of the neck: the head tilts around it."""

_JAW_UNITS = 11.0
"""The chin's drop at full openness."""

_TURN_UNITS, _NOD_UNITS = 11.0, 9.0
"""How far the nearest point of the face (depth 1) travels for a yaw or pitch of 1."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """A layer and where its corner lies in the frame, in pixels."""

    layer: Layer
    left: int
    top: int
    remains: Layer | None = None

    def onto(self, below: Layer, left: int = 0, top: int = 0) -> None:
        """Blend it over a layer whose own corner lies at (`left`, `top`)."""
        blend(below, self.layer, self.left - left, self.top - top, self.remains)


class Sprites:
    """The most recently used sprites, within a fixed amount of memory."""

    def __init__(self, limit_mib: float) -> None:
        self._kept: OrderedDict[Hashable, _Piece] = OrderedDict()
        self._limit_bytes, self.num_bytes = int(limit_mib * 2**20), 0

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: Hashable, draw: Callable[[], Canvas]) -> _Piece:
        """The sprite of that key, drawn if it is not kept."""
        piece = self._kept.get(key)
        if piece is not None:
            self._kept.move_to_end(key)
            return piece
        piece = _ready(_piece(draw()))
        self._kept[key] = piece
        self.num_bytes += 2 * piece.layer.nbytes
        while self.num_bytes > self._limit_bytes and len(self._kept) > 1:
            _, oldest = self._kept.popitem(last=False)
            self.num_bytes -= 2 * oldest.layer.nbytes
        return piece


def _piece(canvas: Canvas) -> _Piece:
    return _Piece(*cropped(to_yuva(canvas.rgba()), canvas.left, canvas.top))


def _ready(piece: _Piece) -> _Piece:
    """The piece with its see-through part worked out, for what is blended more than once."""
    return _Piece(piece.layer, piece.left, piece.top, see_through(piece.layer))


_STEPS_PER_PX = 8
"""The body moves in eighths of a pixel, which nobody sees; in most frames it then has not moved
since the frame before and only the head is drawn.
"""


def _nearest(pixels: float) -> float:
    return round(pixels * _STEPS_PER_PX) / _STEPS_PER_PX


class HostPainter:
    """A drawn host at one size. `mirrored` puts the microphone on the other side."""

    def __init__(self, host: Host, size_px: int, *, mirrored: bool = False) -> None:
        self.size_px = size_px
        self._host, self._scale = host, size_px / ART_UNITS
        self._behind = np.zeros((size_px, size_px, 4), np.uint8)
        self._frame = np.zeros_like(self._behind)
        self._planes = np.zeros((4, size_px, size_px), np.uint8)
        self.sprites = Sprites(SPRITE_CACHE_MIB)
        scale = self._scale
        self._back, self._torso = _piece(draw_back(host, scale)), _piece(draw_torso(host, scale))
        self._glasses = None
        if host.glasses != "none":
            self._glasses = _ready(_piece(draw_glasses(host, scale)))
        self._microphone = _piece(draw_microphone(host.palette.accent, scale))
        if mirrored:
            layer = np.ascontiguousarray(self._microphone.layer[:, ::-1])
            left = size_px - self._microphone.left - layer.shape[1]
            self._microphone = _Piece(layer, left, self._microphone.top)
        self._microphone = _ready(self._microphone)
        self._head = _with_margin(_piece(draw_head(host, scale)), int(_HEAD_MARGIN * scale))
        self._work = np.empty_like(self._head.layer)
        self._body: tuple[float, ...] | None = None
        top, left = max(self._head.top, 0), max(self._head.left, 0)
        bottom, right = (
            self._head.top + self._work.shape[0],
            self._head.left + self._work.shape[1],
        )
        self._head_box = (slice(top, bottom), slice(left, right))
        self._fields = _fields(host, self._head, scale)

    def paint(self, pose: Pose, mouth: NDArray[np.float32]) -> NDArray[np.uint8]:
        """The host in a pose with its mouth in a state: planes (4, size_px, size_px), valid until
        the next call.
        """
        scale = self._scale
        sway, lift = pose.yaw * scale, pose.breath * scale
        # Breath grows the body by 0.8 %, seen most at the shoulders, 180 units above the edge.
        grow = _nearest(0.008 * 180 * lift) / (180 * scale)
        body = (0.0, 0.0, _nearest(1.4 * sway), grow)
        if self._host.hair == "bob":
            # Hair has soft edges: steps twice as large do not show.
            back_x, back_y = -4 * sway + pose.roll * scale, 1.1 * lift - pose.pitch * scale
            body = (2 * _nearest(back_x / 2), 2 * _nearest(back_y / 2), *body[2:])
        if body == self._body:
            rows, columns = self._head_box
        else:
            self._draw_body(*body)
            self._body, rows, columns = body, slice(None), slice(None)
        self._frame[rows, columns] = self._behind[rows, columns]
        turned = self._turned_head(pose, mouth)
        blend(self._frame, turned, self._head.left, self._head.top)
        cv2.split(self._frame[rows, columns], [plane[rows, columns] for plane in self._planes])
        return self._planes

    def _draw_body(self, back_x: float, back_y: float, sway: float, grow: float) -> None:
        """All but the head. The microphone never meets the head, so it can be drawn before it."""
        self._behind[:] = 0
        if self._host.hair == "bob":
            self._shift(self._back, back_x, back_y, 0.0)
        self._shift(self._torso, sway, 0.0, grow)
        self._microphone.onto(self._behind)

    def _shift(self, piece: _Piece, dx: float, dy: float, grow: float) -> None:
        """Put a piece, moved by a fraction of pixels and grown from its lower middle."""
        height, width = piece.layer.shape[:2]
        matrix = np.array(
            [[1 + grow, 0, dx - grow * width / 2], [0, 1 + grow, dy - grow * height]], np.float32
        )
        moved = cv2.warpAffine(piece.layer, matrix, (width, height), flags=cv2.INTER_LINEAR)
        blend(self._behind, np.asarray(moved, np.uint8), piece.left, piece.top)

    def _turned_head(self, pose: Pose, mouth: NDArray[np.float32]) -> Layer:
        work, head = self._work, self._head
        np.copyto(work, head.layer)
        for sprite in (self._eyes(pose), self._mouth(mouth), self._glasses):
            if sprite is not None:
                sprite.onto(work, head.left, head.top)
        map_x, map_y = self._fields.maps(pose, float(mouth[0]), self._scale)
        turned = cv2.remap(work, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        return np.asarray(turned, np.uint8)

    def _eyes(self, pose: Pose) -> _Piece:
        blink = round(pose.blink * _BLINK_STEPS)
        # Shut eyes look nowhere.
        x, y = (
            (0, 0)
            if blink >= _BLINK_STEPS - 1
            else (round(pose.look_x * _LOOK_STEPS[0]), round(pose.look_y * _LOOK_STEPS[1]))
        )
        return self.sprites.get(
            ("eyes", blink, x, y),
            lambda: draw_eyes(
                self._host,
                blink / _BLINK_STEPS,
                x / _LOOK_STEPS[0],
                y / _LOOK_STEPS[1],
                self._scale,
            ),
        )

    def _mouth(self, mouth: NDArray[np.float32]) -> _Piece:
        steps = [round(float(v) * n) for v, n in zip(mouth, MOUTH_STEPS, strict=True)]
        if steps[0] == 0 and steps[4] == 0:
            # Closed lips hide teeth and tongue.
            steps[5] = steps[6] = 0
        state = [step / n for step, n in zip(steps, MOUTH_STEPS, strict=True)]
        return self.sprites.get(
            ("mouth", *steps), lambda: draw_mouth(self._host, state, self._scale)
        )


def _with_margin(piece: _Piece, margin: int) -> _Piece:
    edges = ((margin, margin), (margin, margin), (0, 0))
    return _Piece(np.pad(piece.layer, edges), piece.left - margin, piece.top - margin)


@dataclass(frozen=True, slots=True)
class _Fields:
    """Where each pixel of the turned head comes from, as sums of fixed fields.

    `depth` is the face's relief (0 at the plane of the neck, about 0.8 at the nose, negative
    behind), `jaw` how far a point follows the chin, `brow` how far it follows the brows. `x` and
    `y` are pixel positions relative to the pivot.
    """

    x: NDArray[np.float32]
    y: NDArray[np.float32]
    depth: NDArray[np.float32]
    jaw: NDArray[np.float32]
    brow: NDArray[np.float32]
    pivot: tuple[float, float]
    brow_units: float

    def maps(
        self, pose: Pose, opened: float, scale: float
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The two maps for `cv2.remap`: the inverse of turn, nod, tilt, jaw and brows."""
        angle = np.deg2rad(pose.roll * 1.5)
        c, s = float(np.cos(angle)), float(np.sin(angle))
        dx = (pose.yaw * 1.5 + pose.roll) * scale
        dy = (pose.pitch * 1.6 - pose.breath * 1.8) * scale
        x, y = self.x - np.float32(dx), self.y - np.float32(dy)
        px, py = self.pivot
        map_x = np.add(x[None, :] * np.float32(c), (y * np.float32(s) + np.float32(px))[:, None])
        map_y = np.add((x * np.float32(-s))[None, :], (y * np.float32(c) + np.float32(py))[:, None])
        cv2.scaleAdd(self.depth, -pose.yaw * _TURN_UNITS * scale, map_x, dst=map_x)
        cv2.scaleAdd(self.depth, -pose.pitch * _NOD_UNITS * scale, map_y, dst=map_y)
        cv2.scaleAdd(self.jaw, -opened * _JAW_UNITS * scale, map_y, dst=map_y)
        cv2.scaleAdd(self.brow, pose.brow * self.brow_units * scale, map_y, dst=map_y)
        return map_x, map_y


def _fields(host: Host, head: _Piece, scale: float) -> _Fields:
    height, width = head.layer.shape[:2]
    columns = (np.arange(width, dtype=np.float32) + head.left + 0.5) / scale
    rows = (np.arange(height, dtype=np.float32) + head.top + 0.5) / scale
    x, y = columns[None, :], rows[:, None]
    f = host.face
    skull = np.sqrt(np.clip(1 - ((x - 256) / 112) ** 2 - ((y - 208) / 138) ** 2, 0, 1))
    skull = np.asarray(cv2.GaussianBlur(skull.astype(np.float32), (0, 0), 5 * scale))
    nose = np.exp(-(((x - 256) / 16) ** 2) - ((y - 238) / 20) ** 2)
    # The pivot's plane lies a third of the way into the skull: what is behind it turns the other
    # way.
    depth = skull + 0.16 * nose - 0.34
    below = np.clip((y - f.mouth_y + 4) / (f.chin_y - f.mouth_y + 1), 0, 1)
    jaw = below * below * (3 - 2 * below) * np.exp(-(((x - 256) / 62) ** 2))
    jaw = jaw * np.clip((f.chin_y + 50 - y) / 44, 0, 1)
    brow = np.exp(-(((y - f.brow_y) / 12) ** 2)) * np.exp(-(((x - 256) / 60) ** 4))
    soft = cv2.GaussianBlur(jaw.astype(np.float32), (0, 0), 4 * scale)
    pivot = (_PIVOT[0] * scale - head.left, _PIVOT[1] * scale - head.top)
    return _Fields(
        x=(np.arange(width, dtype=np.float32) - np.float32(pivot[0])),
        y=(np.arange(height, dtype=np.float32) - np.float32(pivot[1])),
        depth=depth.astype(np.float32),
        jaw=np.asarray(soft, np.float32),
        brow=brow.astype(np.float32),
        pivot=pivot,
        # Glasses stand still while brows move: behind lenses they move less.
        brow_units=5.5 if host.glasses == "none" else 2.5,
    )
