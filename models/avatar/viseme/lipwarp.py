"""Opening and closing the mouth of a photograph: lips are pulled apart, the jaw follows, the inside
is painted.

Everything works on columns. For each column x the picture shows the upper lip's edge at `top(x)`
and the lower lip's at `bottom(x)`; a state of the mouth moves both, and every row of the new
picture looks up its row in the old one. Rows near a lip move with it, rows further away less and
less; below the mouth they move with the jaw.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.avatar.viseme.canvas import mixed
from models.avatar.viseme.landmarks import Landmarks
from models.avatar.viseme.planes import Layer, to_yuva

_Row = NDArray[np.float32]

UPPER_RISE, LOWER_DROP = 0.055, 0.27
"""How far the lips part at an openness of 1, in widths of a mouth at rest."""

_STEPS = 8
"""Entries a pixel in the tables of how far a row follows."""


def _ease(x: NDArray[Any]) -> NDArray[np.float32]:
    x = np.clip(x, 0, 1)
    return np.asarray(x * x * (3 - 2 * x), np.float32)


class LipWarp:
    """The mouth of one picture (a premultiplied layer) with known landmarks."""

    def __init__(self, layer: Layer, face: Landmarks) -> None:
        self._layer = layer
        left, right = face.outer_top[0], face.outer_top[-1]
        self._width = width = float(np.linalg.norm(right - left))
        # A smile is wide, but the jaw behind it opens no further.
        self._unit = min(width, 0.80 * face.eye_distance)
        self._x, self._y = (float(v) for v in (left + right) / 2)
        nose, chin = float(face.nose[1]), float(face.chin[1])
        height, columns = layer.shape[:2]
        x0, x1 = int(max(0, self._x - 1.25 * width)), int(min(columns, self._x + 1.25 * width))
        y0, y1 = int(max(0, nose - 0.05 * width)), int(min(height, chin + 0.62 * width))
        self._box = (x0, y0, x1, y1)
        x = np.arange(x0, x1, dtype=np.float32)
        self._columns = np.arange(x1 - x0, dtype=np.float32)
        self._rows = np.arange(y1 - y0, dtype=np.float32)[:, None]
        slope = float(right[1] - left[1]) / max(float(right[0] - left[0]), 1.0)
        chord = self._y + (x - self._x) * slope - y0
        self._u = np.asarray(np.abs(x - self._x) / (width / 2), np.float32)
        top = np.interp(x, face.inner_top[:, 0], face.inner_top[:, 1]) - y0
        bottom = np.interp(x, face.inner_bottom[:, 0], face.inner_bottom[:, 1]) - y0
        inside = self._u < 0.97
        self._top = _evened(np.where(inside, top, chord))
        self._bottom = np.maximum(_evened(np.where(inside, bottom, chord)), self._top)
        self._shown = float((self._bottom - self._top).max())
        self._teeth_seen = self._shown > 0.06 * width
        self._profile = np.asarray(np.clip(1 - (self._u / 0.97) ** 2, 0, 1) ** 0.75, np.float32)
        self._jaw = np.exp(-((np.maximum(self._u - 0.9, 0) / 0.84) ** 2)).astype(np.float32)
        self._spread = self._spread_field(x, x0, y0)
        self._fade = self._edge_fade()
        self._tables(self._y - nose, chin - self._y)
        self._colours(layer, face)

    def _spread_field(self, x: _Row, x0: int, y0: int) -> NDArray[np.float32]:
        """How far a pixel is pushed sideways when the mouth widens by its own width."""
        across = (x - self._x)[None, :]
        down = self._rows + y0 - self._y
        reach = np.exp(-((across / (0.78 * self._width)) ** 2) - (down / (0.42 * self._width)) ** 2)
        return np.asarray(across * reach, np.float32)

    def _edge_fade(self) -> NDArray[np.float32]:
        """0 at the edges of the box, where the picture must stay as it is."""
        across = np.minimum(self._columns, len(self._columns) - 1 - self._columns)
        down = np.minimum(self._rows / 0.10, (len(self._rows) - 1 - self._rows) / 0.20)
        return _ease(across / (0.30 * self._width))[None, :] * _ease(down / self._width)

    def _tables(self, above: float, below: float) -> None:
        """How much of a lip's movement rows follow at a distance, and how much of the jaw's."""
        width = self._width
        distance = np.arange(int((above + below + 2 * width) * _STEPS), dtype=np.float32) / _STEPS
        self._upper_table = 1 - _ease((distance - 0.10 * width) / max(0.80 * above, 1.0))
        near = 1 - _ease((distance - 0.10 * width) / (0.30 * width))
        fade = 1 - _ease((distance - below * 0.95) / (0.50 * width))
        self._lip_table, self._jaw_table = near * fade, 0.82 * (1 - near) * fade

    def _colours(self, layer: Layer, face: Landmarks) -> None:
        """Teeth, tongue and darkness, as bright as the light on this face."""
        x, y = (int(v) for v in face.nose)
        reach = max(2, int(face.eye_distance * 0.15))
        skin = layer[max(0, y - 2 * reach) : y, max(0, x - reach) : x + reach]
        light = float(np.median(skin[..., 0])) / 255 if skin.size else 0.6
        dim = float(np.clip(0.92 - light * 1.05, 0.0, 0.5))

        def code(colour: str) -> NDArray[np.float32]:
            red, green, blue = (int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5))
            rgba = np.array([[[red, green, blue, 1.0]]], np.float32)
            return np.asarray(to_yuva(rgba)[0, 0], np.float32)

        self._tooth = code(mixed("#eee4d6", "#000000", dim))
        self._tongue = code(mixed("#c06a6c", "#000000", dim))
        self._cavity = code(mixed("#2e0e12", "#000000", dim * 0.6))

    def apply(self, picture: Layer, mouth: NDArray[np.float32]) -> None:
        """Put the mouth in a state (`phonemes.MOUTH_CHANNELS`) into a copy of the picture."""
        opened, wide, rounded, press, tuck, teeth, tongue = (float(v) for v in mouth)
        if self._shown < 1 and opened < 0.01 and abs(wide) + rounded + tuck + press < 0.06:
            return
        x0, y0, x1, y1 = self._box
        reach = self._unit * (1 - press)
        rise = (UPPER_RISE + 0.02 * teeth) * opened * reach
        drop = LOWER_DROP * opened * (1 - 0.15 * rounded) * reach - 0.02 * tuck * self._unit
        close = self._closing(opened, press)
        widening = 1 + 0.10 * wide - 0.19 * rounded
        shift = self._spread * np.float32(1 / widening - 1)
        shift *= self._fade
        source_x = shift + self._columns
        column = np.clip(source_x + 0.5, 0, x1 - x0 - 1).astype(np.int32)
        new_top = self._top - (rise - close * 0.35) * self._profile
        new_bottom = np.maximum(self._bottom + (drop - close * 0.65) * self._profile, new_top)
        # The widened mouth's curves stand where their own columns went.
        middle = column[int(np.clip(self._y - y0, 0, y1 - y0 - 1))]
        new_top, new_bottom = new_top[middle], new_bottom[middle]
        up = self._follow(new_top - self._rows, self._upper_table)
        up *= (self._top[middle] - new_top)[None, :]
        below = self._rows - new_bottom
        down = self._follow(below, self._lip_table)
        down *= (self._bottom[middle] - new_bottom)[None, :]
        jaw = self._follow(below, self._jaw_table)
        jaw *= (-max(drop - close * 0.3, 0.0) * self._jaw)[None, :]
        down += jaw
        vertical = np.where(self._rows < (new_top + new_bottom) / 2, up, down)
        vertical *= self._fade
        vertical += self._rows
        part = self._layer[y0:y1, x0:x1]
        warped = np.asarray(
            cv2.remap(part, source_x, vertical, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE),
            np.uint8,
        )
        if float((new_bottom - new_top).max()) > 1.0:
            self._fill(warped, (new_top, new_bottom), middle, (teeth, tongue))
        picture[y0:y1, x0:x1] = warped

    def _closing(self, opened: float, press: float) -> float:
        """How far lips that show teeth in the picture come together."""
        if self._shown < 1:
            return 0.0
        share = max(1 - 1.6 * opened, 0.0)
        return self._shown * share * (0.80 + 0.20 * press)

    @staticmethod
    def _follow(distance: NDArray[np.float32], table: NDArray[np.float32]) -> NDArray[np.float32]:
        index = np.clip(distance * _STEPS, 0, len(table) - 1).astype(np.int32)
        return np.asarray(table.take(index), np.float32)

    def _fill(
        self,
        warped: Layer,
        lips: tuple[_Row, _Row],
        middle: NDArray[np.int32],
        shows: tuple[float, float],
    ) -> None:
        """Paint teeth, tongue and darkness between the parted lips."""
        new_top, new_bottom = lips
        wide = np.flatnonzero(new_bottom - new_top > 0.6)
        a, b = int(wide[0]), int(wide[-1]) + 1
        first, last = int(new_top[a:b].min()), int(new_bottom[a:b].max()) + 2
        first, last = max(first, 0), min(last, warped.shape[0])
        y = self._rows[first:last]
        top, bottom = new_top[None, a:b], new_bottom[None, a:b]
        gap, depth = bottom - top, y - top
        cover = _ease((depth + 0.4) / 1.6) * _ease((bottom - y + 0.4) / 1.6) * (gap > 0.6)
        across = self._u[middle[a:b]][None, :]
        colour = self._inside(depth, gap, across, shows[1])
        if self._teeth_seen:
            teeth, shade = self._own_teeth(depth, middle[a:b], across)
        else:
            teeth, shade = self._drawn_teeth(depth, gap, across, shows[0])
        colour += (shade - colour) * teeth[..., None]
        # The upper lip's shadow.
        colour[..., 0] *= 1 - 0.5 * np.exp(-np.maximum(depth, 0) / (0.035 * self._width))
        into = warped[first:last, a:b]
        # The painted inside takes the picture's own alpha: it is premultiplied like the rest.
        colour *= into[..., 3:] / np.float32(255)
        blended = into + (colour - into) * cover[..., None]
        warped[first:last, a:b] = np.clip(blended + 0.5, 0, 255).astype(np.uint8)

    def _inside(
        self, depth: NDArray[np.float32], gap: NDArray[np.float32], across: _Row, tongue: float
    ) -> NDArray[np.float32]:
        t = np.clip(depth / np.maximum(gap, 1), 0, 1)[..., None]
        colour = self._cavity * (0.7 + 0.3 * t)
        # The tongue's back is an arch: it lies deeper towards the corners.
        back = 0.48 - 0.20 * tongue + 0.9 * across**2
        seen = _ease((depth - back * gap) / (0.10 * self._width)) * (0.75 + 0.25 * tongue)
        colour += (self._tongue - colour) * seen[..., None]
        return np.asarray(colour, np.float32)

    def _drawn_teeth(
        self, depth: NDArray[np.float32], gap: NDArray[np.float32], across: _Row, teeth: float
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        height = np.minimum(0.13 * self._width, 0.62 * gap) * min(1.0, 1.2 * teeth + 0.1)
        cover = _ease((height - depth) / 1.6) * _ease((0.76 - across) / 0.12)
        shade = np.clip(0.72 + 0.35 * depth / np.maximum(height, 1), 0, 1) * (1 - 0.35 * across**2)
        # Gaps between teeth, each an eighth of the mouth wide.
        phase = np.abs(np.sin(across * (0.5 / 0.125) * np.pi / 2))
        shade = shade * (0.92 + 0.08 * np.clip(phase * 4, 0, 1))
        colour = np.repeat(self._tooth[None, None, :], depth.shape[0], 0)
        colour = np.repeat(colour, depth.shape[1], 1)
        colour[..., 0] *= shade
        return cover, colour

    def _own_teeth(
        self, depth: NDArray[np.float32], columns: NDArray[np.int32], across: _Row
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The photographed teeth, which ride with the upper lip."""
        x0, y0, x1, y1 = self._box
        top, bottom = self._top[columns][None, :], self._bottom[columns][None, :]
        cover = _ease((np.maximum(bottom - top, 1) - depth + 0.5) / 2.0) * (across < 0.95)
        map_x = np.broadcast_to(columns.astype(np.float32), depth.shape)
        map_y = np.clip(top + depth, top, bottom).astype(np.float32)
        part = self._layer[y0:y1, x0:x1]
        seen = cv2.remap(part, np.ascontiguousarray(map_x), map_y, cv2.INTER_LINEAR)
        return cover, np.asarray(seen, np.float32)


def _evened(row: NDArray[np.float64]) -> _Row:
    padded = np.pad(row, 2, "edge")
    return np.asarray(np.convolve(padded, np.ones(5) / 5, "valid"), np.float32)
