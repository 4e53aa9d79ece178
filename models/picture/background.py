"""What stands behind everything: still planes, or the next picture of a video.

Arrays in, planes out; reading files is the encode stage's business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import cv2
import numpy as np

from models.picture.colour import Image
from models.picture.planes import Planes

SHORTEST_PICTURE_S = 1.0 / 240.0
"""What a picture without a duration counts for, so that a film of one picture also passes."""


class StillBackdrop:
    """The same planes behind every frame."""

    moves = False

    def __init__(self, planes: Planes) -> None:
        self._planes = planes

    def at(self, frame: int) -> Planes:
        """The planes of a frame."""
        return self._planes


class MovingBackdrop:
    """A film behind everything, started again at its end: constant memory at any length.

    `start` begins the film: it yields `(time_s, duration_s, planes)` in time order, at least one,
    and may yield the same buffer each time. A picture is shown until the next one is due.
    """

    moves = True

    def __init__(
        self, start: Callable[[], Iterator[tuple[float, float, Planes]]], fps: int
    ) -> None:
        self._start, self._fps = start, fps
        self._film = start()
        self._begun_s = 0.0
        first = next(self._film)
        self._origin_s = first[0]
        self._next = first
        height, width = first[2].y.shape
        self._shown = Planes.empty(width, height)
        self._due_s = 0.0

    def at(self, frame: int) -> Planes:
        """The planes of a frame; frames are asked for in rising order."""
        # Half a millisecond forgives the rounding of a container's time stamps.
        while self._due_s <= frame / self._fps + 0.0005:
            self._shown.copy_from(self._next[2])
            self._advance()
        return self._shown

    def _advance(self) -> None:
        time_s, duration_s, _ = self._next
        following = next(self._film, None)
        if following is None:
            self._begun_s += time_s - self._origin_s + max(duration_s, SHORTEST_PICTURE_S)
            self._film = self._start()
            following = next(self._film)
        self._next = following
        self._due_s = self._begun_s + following[0] - self._origin_s


def cover_fit(rgb: Image, width: int, height: int) -> Image:
    """Scale an `(h, w, 3)` picture to cover the frame, its aspect kept, its middle shown."""
    tall, wide = rgb.shape[:2]
    scale = max(width / wide, height / tall)
    keep_w, keep_h = min(wide, round(width / scale)), min(tall, round(height / scale))
    left, top = (wide - keep_w) // 2, (tall - keep_h) // 2
    part = np.ascontiguousarray(rgb[top : top + keep_h, left : left + keep_w])
    if (keep_w, keep_h) == (width, height):
        return part
    method = cv2.INTER_AREA if scale < 1.0 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(part, (width, height), interpolation=method), np.uint8)
