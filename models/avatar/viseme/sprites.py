"""Layers with a place in the frame, and the most recently used of them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass

import cv2
import numpy as np

from models.avatar.viseme.canvas import Canvas
from models.avatar.viseme.planes import Layer, blend, cropped, see_through, to_yuva

Box = tuple[int, int, int, int]
"""Left, top, right and bottom in pixels, the last two past the end."""


def around(first: Box, second: Box) -> Box:
    """The smallest box that holds both."""
    return (
        min(first[0], second[0]),
        min(first[1], second[1]),
        max(first[2], second[2]),
        max(first[3], second[3]),
    )


def part_of(layer: Layer, box: Box) -> Layer:
    """The view of a box that lies in the layer."""
    return layer[box[1] : box[3], box[0] : box[2]]


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """A layer and where its corner lies in the frame, in pixels; `remains` is its
    `planes.see_through`, for what is blended more than once.
    """

    layer: Layer
    left: int
    top: int
    remains: Layer | None = None

    @property
    def box(self) -> Box:
        """What it covers of the frame; it may hang over."""
        height, width = self.layer.shape[:2]
        return (self.left, self.top, self.left + width, self.top + height)

    def onto(self, below: Layer, left: int = 0, top: int = 0) -> None:
        """Blend it over a layer whose own corner lies at (`left`, `top`)."""
        blend(below, self.layer, self.left - left, self.top - top, self.remains)

    def into(self, below: Layer, left: int = 0, top: int = 0) -> None:
        """Put it into an empty layer whose own corner lies at (`left`, `top`)."""
        below[:] = 0
        x0, y0, x1, y1 = self.box
        x0, y0 = max(x0, left), max(y0, top)
        x1, y1 = min(x1, left + below.shape[1]), min(y1, top + below.shape[0])
        if x1 > x0 and y1 > y0:
            own = part_of(
                self.layer, (x0 - self.left, y0 - self.top, x1 - self.left, y1 - self.top)
            )
            np.copyto(part_of(below, (x0 - left, y0 - top, x1 - left, y1 - top)), own)

    def ready(self) -> Piece:
        """The piece with its see-through part worked out."""
        return Piece(self.layer, self.left, self.top, see_through(self.layer))

    def mirrored(self, size_px: int) -> Piece:
        """The piece on the other side of a frame of that width."""
        layer = np.ascontiguousarray(self.layer[:, ::-1])
        return Piece(layer, size_px - self.left - layer.shape[1], self.top)

    def padded(self, margin: int) -> Piece:
        """The piece with a transparent margin."""
        edges = ((margin, margin), (margin, margin), (0, 0))
        return Piece(np.pad(self.layer, edges), self.left - margin, self.top - margin)

    def shifted(self, dx: float, dy: float, grow: float) -> Piece:
        """The piece moved by a fraction of pixels and grown from its lower middle."""
        height, width = self.layer.shape[:2]
        matrix = np.array(
            [[1 + grow, 0, dx - grow * width / 2], [0, 1 + grow, dy - grow * height]], np.float32
        )
        moved = cv2.warpAffine(self.layer, matrix, (width, height), flags=cv2.INTER_LINEAR)
        return Piece(np.asarray(moved, np.uint8), self.left, self.top)


def piece_of(canvas: Canvas) -> Piece:
    """What was drawn on a canvas, without its transparent margin."""
    return Piece(*cropped(to_yuva(canvas.rgba()), canvas.left, canvas.top))


class Sprites:
    """The most recently used sprites, within a fixed amount of memory."""

    def __init__(self, limit_mib: float) -> None:
        self._kept: OrderedDict[Hashable, Piece] = OrderedDict()
        self._limit_bytes, self.num_bytes = int(limit_mib * 2**20), 0

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: Hashable, draw: Callable[[], Canvas]) -> Piece:
        """The sprite of that key, drawn if it is not kept."""
        piece = self._kept.get(key)
        if piece is not None:
            self._kept.move_to_end(key)
            return piece
        piece = piece_of(draw()).ready()
        self._kept[key] = piece
        self.num_bytes += 2 * piece.layer.nbytes
        while self.num_bytes > self._limit_bytes and len(self._kept) > 1:
            _, oldest = self._kept.popitem(last=False)
            self.num_bytes -= 2 * oldest.layer.nbytes
        return piece
