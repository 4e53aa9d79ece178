"""A presenter in the picture: painted at its own rate, blended only where it has changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from models.picture.planes import Blender, Planes, Rect, Sprite


class Painter(Protocol):
    """Draws a host: see `models.avatar`."""

    @property
    def changed(self) -> tuple[int, int, int, int]:
        """Where the last `paint` differs from the one before it: x, y, width, height."""
        ...

    def paint(self, frame: int) -> NDArray[np.uint8]:
        """`(4, h, w)`: Y, U, V (4:4:4, BT.709, limited range) and A, premultiplied."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A presenter in the picture: name, painter with its own rate, `(start, end)` of each turn in
    samples.
    """

    name: str
    painter: Painter
    fps: int
    turns: tuple[tuple[int, int], ...]


FADE_SHARE = 0.14
"""Lower part of a host that fades out where no desk hides the cut."""


class HostLayer:
    """A host in its square: scaled to it if need be, standing at its foot."""

    def __init__(self, host: Host, box: Rect, fps: int, fades: bool) -> None:
        self.box = box
        self._painter, self._host_fps, self._fps = host.painter, host.fps, fps
        self._painted = -1
        self._full = np.zeros((4, box.h, box.w), np.uint8)
        half = np.zeros((3, box.h // 2, box.w // 2), np.uint8)
        self._clear = np.full((box.h, box.w), 255, np.uint8)
        half[2] = 255
        self._u, self._v, self._clear_half = half
        self._ramp = _ramp(box.w, box.h) if fades else None
        self._blender = Blender()
        self._sprite = Sprite(Planes(self._full[0], self._u, self._v), self._clear, half[2])

    def update(self, frame: int) -> Rect | None:
        """Paint the host, unless it moves at a lower rate and has not moved yet."""
        moment = frame * self._host_fps // self._fps
        if moment == self._painted:
            return None
        self._painted = moment
        drawn = self._painter.paint(moment)
        x, y, w, h = self._painter.changed
        if not w:
            return None
        if drawn.shape[1:] != (self.box.h, self.box.w):
            drawn, part = self._stood(drawn), self.box.inner
        else:
            part = _even(x, y, w, h)
            if self._ramp is not None:
                drawn = self._faded(drawn, part)
        self._halve(drawn, part)
        return part.shifted(self.box.x, self.box.y)

    def paint(self, canvas: Planes, part: Rect) -> None:
        """Blend `part` of the host into the canvas part of `box`."""
        self._blender.blend(canvas.part(part), self._sprite.part(part))

    def _halve(self, drawn: NDArray[np.uint8], at: Rect) -> None:
        """Bring a part of the 4:2:0 sprite up to what is drawn."""
        part = Planes(self._clear, self._u, self._clear_half).part(at)
        v = self._v[at.y // 2 : at.bottom // 2, at.x // 2 : at.right // 2]
        full = np.s_[at.y : at.bottom, at.x : at.right]
        cv2.bitwise_not(drawn[3][full], dst=part.y)
        for source, target in ((drawn[1][full], part.u), (drawn[2][full], v), (part.y, part.v)):
            cv2.resize(source, (at.w // 2, at.h // 2), dst=target, interpolation=cv2.INTER_AREA)
        self._sprite = Sprite(Planes(drawn[0], self._u, self._v), self._clear, self._clear_half)

    def _stood(self, drawn: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The host scaled into the box with its aspect kept, feet at the bottom, faded there."""
        tall, wide = drawn.shape[1:]
        scale = min(self.box.w / wide, self.box.h / tall)
        w, h = min(self.box.w, round(wide * scale)), min(self.box.h, round(tall * scale))
        left, top = (self.box.w - w) // 2, self.box.h - h
        method = cv2.INTER_AREA if scale < 1.0 else cv2.INTER_LINEAR
        for source, target in zip(drawn, self._full, strict=True):
            part = target[top:, left : left + w]
            cv2.resize(source, (w, h), dst=part, interpolation=method)
        self._fade(self.box.inner)
        return self._full

    def _faded(self, drawn: NDArray[np.uint8], at: Rect) -> NDArray[np.uint8]:
        """The host of the box's own size, its foot faded; only a part is brought up to date."""
        full = np.s_[:, at.y : at.bottom, at.x : at.right]
        self._full[full] = drawn[full]
        self._fade(at)
        return self._full

    def _fade(self, at: Rect) -> None:
        if self._ramp is None:
            return
        above = self.box.h - len(self._ramp)
        first = max(at.y, above)
        if first >= at.bottom:
            return
        ramp = self._ramp[first - above : at.bottom - above, at.x : at.right]
        for plane in self._full[:, first : at.bottom, at.x : at.right]:
            cv2.multiply(plane, ramp, dst=plane, scale=1.0 / 255.0)


def _even(x: int, y: int, w: int, h: int) -> Rect:
    """The smallest even box around a box."""
    left, top = x & ~1, y & ~1
    return Rect(left, top, (x + w - left + 1) & ~1, (y + h - top + 1) & ~1)


def _ramp(width: int, height: int) -> NDArray[np.uint8]:
    """Falls smoothly from opaque to clear over the lowest `FADE_SHARE` of a host."""
    rows = max(2, round(FADE_SHARE * height))
    share = 0.5 + 0.5 * np.cos(np.pi * (np.arange(rows) + 0.5) / rows)
    return np.repeat(np.rint(255 * share).astype(np.uint8)[:, None], width, axis=1)
