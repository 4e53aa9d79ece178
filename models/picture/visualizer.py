"""The moving picture of the sound: five styles behind one door.

A style draws coverage (0..255) for its box; the layer blends one ink through it, so colour and
opacity mean the same in every style.
"""

from __future__ import annotations

from typing import Protocol

import cv2
import numpy as np

from models.picture.colour import Image, rgb_of, shifted
from models.picture.hearing import Hearing
from models.picture.planes import Blender, Planes, Rect
from studio.specs import VisualizerSpec


class Style(Protocol):
    """Draws one frame's coverage."""

    def coverage(self, frame: int) -> Image:
        """`(h, w)` uint8 for a frame; frames come in order, the buffer is used again."""
        ...


def open_style(spec: VisualizerSpec, box: Rect, unit: float, fps: int, hearing: Hearing) -> Style:
    """The style that `spec` names, for a box; thickness scales with `unit`."""
    from models.picture import rings, strips

    thickness = max(1.0, spec.thickness_px * unit)
    match spec.style:
        case "waveform":
            return strips.Waveform(box.w, box.h, thickness, fps, hearing)
        case "bars":
            return strips.Bars(box.w, box.h, thickness, fps, hearing)
        case "spectrum":
            return strips.Spectrum(box.w, box.h, thickness, fps, hearing)
        case "circular":
            return rings.Circular(box.w, box.h, thickness, fps, hearing)
        case "particles":
            return rings.Particles(box.w, box.h, thickness, fps, hearing)


class VisualizerLayer:
    """A style as a layer of the picture, blended with its ink."""

    def __init__(
        self, spec: VisualizerSpec, box: Rect, unit: float, fps: int, hearing: Hearing
    ) -> None:
        self.box = box
        self._style = open_style(spec, box, unit, fps, hearing)
        self._ink = ink(spec.color, box.w, box.h)
        self._opacity = spec.opacity
        self._alpha: Image = np.zeros((box.h, box.w), np.uint8)
        self._half: Image = np.zeros((box.h // 2, box.w // 2), np.uint8)
        self._inside: Rect | None = None
        self._blender, self._inked = Blender(), Blender()

    def update(self, frame: int) -> Rect | None:
        """Draw the coverage of a frame; the part that it or the one before covers."""
        coverage = self._style.coverage(frame)
        before, self._inside = self._inside, _bounds(coverage) if self._opacity else None
        if self._inside is not None:
            alpha, half = self._shares(self._inside)
            box = np.s_[self._inside.y : self._inside.bottom, self._inside.x : self._inside.right]
            cv2.convertScaleAbs(coverage[box], dst=alpha, alpha=self._opacity)
            cv2.resize(alpha, half.shape[::-1], dst=half, interpolation=cv2.INTER_AREA)
        drawn = [bounds for bounds in (before, self._inside) if bounds is not None]
        return drawn[0].around(drawn[-1]).shifted(self.box.x, self.box.y) if drawn else None

    def paint(self, canvas: Planes, part: Rect) -> None:
        """Blend `part` of the ink into the canvas part of `box`."""
        shown = None if self._inside is None else self._inside.common(part)
        if shown is None:
            return
        into, inked = canvas.part(shown), self._ink.part(shown)
        alpha, half = self._shares(shown)
        self._through(into.y, inked.y, alpha)
        self._through(into.u, inked.u, half)
        self._through(into.v, inked.v, half)

    def _shares(self, box: Rect) -> tuple[Image, Image]:
        """Views of the ink's alpha in a box, at luma and chroma size."""
        half = self._half[box.y // 2 : box.bottom // 2, box.x // 2 : box.right // 2]
        return self._alpha[box.y : box.bottom, box.x : box.right], half

    def _through(self, canvas: Image, inked: Image, alpha: Image) -> None:
        coloured, clear = self._inked.scratch((2, *alpha.shape))
        cv2.multiply(inked, alpha, dst=coloured, scale=1.0 / 255.0)
        cv2.bitwise_not(alpha, dst=clear)
        self._blender.over(canvas, coloured, clear)


def _bounds(coverage: Image) -> Rect | None:
    """The smallest even box around all that is covered; None when nothing is."""
    x, y, w, h = cv2.boundingRect(coverage)
    if not w:
        return None
    left, top = x & ~1, y & ~1
    return Rect(left, top, (x + w - left + 1) & ~1, (y + h - top + 1) & ~1)


def ink(colour: str, width: int, height: int) -> Planes:
    """The style's colour in the middle, turning to its neighbours on the wheel at the ends."""
    ends = np.array([rgb_of(shifted(colour, turn)) for turn in (-26.0, 0.0, 0.0, 26.0)], np.float32)
    at = np.linspace(0.0, 1.0, width)
    row = np.stack([np.interp(at, (0.0, 0.36, 0.64, 1.0), ends[:, i]) for i in range(3)], axis=1)
    rgb = np.broadcast_to(row[None].astype(np.float32), (height, width, 3))
    return Planes.from_rgb(np.ascontiguousarray(rgb))
