"""Draws a host, frame by frame: sprites onto the head, one warp for the head's turn, layers over
one another. Only what has changed since the frame before is drawn again.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from models.avatar.viseme.character import Host
from models.avatar.viseme.gaze import draw_eyes
from models.avatar.viseme.glasses import draw_glasses
from models.avatar.viseme.hair import draw_back
from models.avatar.viseme.head import draw_head
from models.avatar.viseme.idle import Pose
from models.avatar.viseme.lips import draw_mouth
from models.avatar.viseme.microphone import draw_microphone
from models.avatar.viseme.outlines import ART_UNITS
from models.avatar.viseme.planes import Planes, put_over
from models.avatar.viseme.sprites import Box, Piece, Sprites, around, part_of, piece_of
from models.avatar.viseme.torso import draw_torso
from models.avatar.viseme.turn import HeadTurn

MOUTH_STEPS = (16, 4, 4, 3, 3, 3, 2)
"""Steps per mouth channel that get a sprite of their own; the jaw between them moves continuously.
"""

_BLINK_STEPS, _LOOK_STEPS = 6, (7, 4)

SPRITE_CACHE_MIB = 32
"""Sprites kept; an hour of talk draws some 900 states of a mouth, 28 MiB at 512 px."""

_HEAD_MARGIN = 16
"""Units around the head that its turn may reach into."""

_STEPS_PER_PX = 4
"""Body and back hair move in quarters of a pixel, the finest motion that H.264 can describe: in
most frames they then have not moved since the frame before and only the head is drawn.
"""


def _nearest(pixels: float) -> float:
    return round(pixels * _STEPS_PER_PX) / _STEPS_PER_PX


class _Body:
    """All but the head: back hair, torso, microphone. Each part is warped only when it moves."""

    def __init__(self, host: Host, size_px: int, *, mirrored: bool) -> None:
        scale = size_px / ART_UNITS
        self._size_px, self._scale = size_px, scale
        self._back = piece_of(draw_back(host, scale)) if host.hair == "bob" else None
        self._torso = piece_of(draw_torso(host, scale))
        self._back_now, self._torso_now = self._back, self._torso
        microphone = piece_of(draw_microphone(host.palette.accent, scale))
        self._microphone = (microphone.mirrored(size_px) if mirrored else microphone).ready()
        # Nothing of it stands above this row: parts move within their own boxes.
        tops = [piece.top for piece in (self._back, self._torso, self._microphone) if piece]
        self.first_row = min(tops)
        self._layer = np.zeros((size_px, size_px, 4), np.uint8)
        self.planes: Planes = np.zeros((4, size_px, size_px), np.uint8)
        self._back_at: tuple[float, float] | None = None
        self._torso_at: tuple[float, float] | None = None

    def move(self, pose: Pose) -> Box | None:
        """Follow a pose; the box in which the planes have changed, None when nothing has."""
        scale, changed = self._scale, None
        whole = (0, 0, self._size_px, self._size_px)
        sway, lift = pose.yaw * scale, pose.breath * scale
        # Breath grows the body by 0.8 %, seen most at the shoulders, 180 units above the edge.
        torso_at = (_nearest(1.4 * sway), _nearest(0.008 * 180 * lift) / (180 * scale))
        if torso_at != self._torso_at:
            # The microphone stands still, partly beside the torso: at first all is drawn.
            changed = whole if self._torso_at is None else self._torso.box
            self._torso_at = torso_at
            self._torso_now = self._torso.shifted(torso_at[0], 0.0, torso_at[1])
            if self._back is not None:
                self._torso_now = self._torso_now.ready()
        if self._back is not None:
            back_at = (
                _nearest(-4 * sway + pose.roll * scale),
                _nearest(1.1 * lift - pose.pitch * scale),
            )
            if back_at != self._back_at:
                self._back_at, self._back_now = back_at, self._back.shifted(*back_at, 0.0)
                changed = self._back.box if changed is None else around(changed, self._back.box)
        return None if changed is None else self._draw(changed)

    def _draw(self, box: Box) -> Box:
        """Draw what lies in a box anew. The microphone never meets the head, so it can be drawn
        before it.
        """
        size = self._size_px
        box = (max(box[0], 0), max(box[1], 0), min(box[2], size), min(box[3], size))
        part = part_of(self._layer, box)
        if self._back_now is None:
            self._torso_now.into(part, box[0], box[1])
        else:
            self._back_now.into(part, box[0], box[1])
            self._torso_now.onto(part, box[0], box[1])
        self._microphone.onto(part, box[0], box[1])
        cv2.split(part, [plane[box[1] : box[3], box[0] : box[2]] for plane in self.planes])
        return box


class HostPainter:
    """A drawn host at one size. `mirrored` puts the microphone on the other side.

    `changed` is the box of the planes that the last `paint` has changed: x, y, width, height.
    """

    def __init__(self, host: Host, size_px: int, *, mirrored: bool = False) -> None:
        self.size_px = size_px
        self.changed = (0, 0, size_px, size_px)
        self._host, self._scale = host, size_px / ART_UNITS
        scale = self._scale
        self._planes: Planes = np.zeros((4, size_px, size_px), np.uint8)
        self.sprites = Sprites(SPRITE_CACHE_MIB)
        self._body = _Body(host, size_px, mirrored=mirrored)
        self._glasses = None
        if host.glasses != "none":
            self._glasses = piece_of(draw_glasses(host, scale)).ready()
        self._head = piece_of(draw_head(host, scale)).padded(int(_HEAD_MARGIN * scale))
        self._work = self._head.layer.copy()
        self._turn = HeadTurn(host, self._head, scale)
        self._worn: tuple[Piece, Piece] | None = None
        self._painted = False

    def paint(self, pose: Pose, mouth: NDArray[np.float32]) -> NDArray[np.uint8]:
        """The host in a pose with its mouth in a state: planes (4, size_px, size_px), valid until
        the next call.
        """
        moved = self._body.move(pose)
        self._dress(self._eyes(pose), self._mouth(mouth))
        turned = self._turn.apply(self._work, pose, float(mouth[0]))
        head = self._head.box
        if moved is not None:
            x0, y0, x1, y1 = moved
            self._planes[:, y0:y1, x0:x1] = self._body.planes[:, y0:y1, x0:x1]
        x0, y0, x1, y1 = put_over(
            self._body.planes, turned, head[:2], self._planes, self._body.first_row
        )
        if moved is not None:
            x0, y0, x1, y1 = around((x0, y0, x1, y1), moved)
        self.changed = (x0, y0, x1 - x0, y1 - y0)
        if not self._painted:
            self.changed, self._painted = (0, 0, self.size_px, self.size_px), True
        return self._planes

    def _dress(self, eyes: Piece, mouth: Piece) -> None:
        """Put eyes and mouth on the head, with the glasses over them, where they have changed."""
        left, top = self._head.left, self._head.top
        before = self._worn or (eyes, mouth)
        for old, new in zip(before, (eyes, mouth), strict=True):
            if new is old and self._worn is not None:
                continue
            x0, y0, x1, y1 = around(old.box, new.box)
            if self._worn is None and self._glasses is not None:
                x0, y0, x1, y1 = around((x0, y0, x1, y1), self._glasses.box)
            part = part_of(self._work, (x0 - left, y0 - top, x1 - left, y1 - top))
            part[:] = part_of(self._head.layer, (x0 - left, y0 - top, x1 - left, y1 - top))
            for sprite in (eyes, mouth, self._glasses):
                if sprite is not None:
                    sprite.onto(part, x0, y0)
        self._worn = (eyes, mouth)

    def _eyes(self, pose: Pose) -> Piece:
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

    def _mouth(self, mouth: NDArray[np.float32]) -> Piece:
        steps = [round(float(v) * n) for v, n in zip(mouth, MOUTH_STEPS, strict=True)]
        if steps[0] == 0 and steps[4] == 0:
            # Closed lips hide teeth and tongue.
            steps[5] = steps[6] = 0
        state = [step / n for step, n in zip(steps, MOUTH_STEPS, strict=True)]
        return self.sprites.get(
            ("mouth", *steps), lambda: draw_mouth(self._host, state, self._scale)
        )
