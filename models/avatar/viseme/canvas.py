"""Vector drawing into premultiplied RGBA layers with numpy and OpenCV alone.

Art is described in *units*: the host's square is 512 units wide and high, y grows downwards. A
`Canvas` covers a box of that square at some scale (pixels per unit), drawn larger than needed and
averaged down, which gives clean edges. Every mask is confined to the box of its own shape: a
drawing of two hundred strokes costs as much as its strokes cover.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

Grey = NDArray[np.float32]


@lru_cache(maxsize=512)
def rgb_of(hex_colour: str) -> Grey:
    """`#rrggbb` as three numbers in 0..1 (gamma-encoded, as written)."""
    value = int(hex_colour[1:], 16)
    return np.array([value >> 16, (value >> 8) & 255, value & 255], np.float32) / np.float32(255)


def mixed(first: str, second: str, share: float) -> str:
    """`#rrggbb` between two colours; `share` 0 gives the first, 1 the second."""
    rgb = rgb_of(first) * (1 - share) + rgb_of(second) * share
    red, green, blue = (int(v) for v in np.round(rgb * 255))
    return f"#{red:02x}{green:02x}{blue:02x}"


@dataclass(frozen=True, slots=True)
class Linear:
    """A colour ramp along a line from `start` to `end` (units), eased at both ends."""

    start: tuple[float, float]
    end: tuple[float, float]
    first: str
    last: str

    def at(self, x: Grey, y: Grey) -> Grey:
        """Colours at the positions: (h, w, 3), or (h, 1, 3) where they are alike along a row."""
        dx, dy = self.end[0] - self.start[0], self.end[1] - self.start[1]
        # Most ramps run straight down: one column then holds all their colours.
        across = (x - self.start[0]) * dx if dx else np.float32(0)
        t = (across + (y - self.start[1]) * dy) / (dx * dx + dy * dy)
        return _ramp(t, self.first, self.last)


@dataclass(frozen=True, slots=True)
class Radial:
    """A colour ramp from a centre outwards to an ellipse with radii `rx`, `ry` (units)."""

    centre: tuple[float, float]
    rx: float
    ry: float
    first: str
    last: str

    def at(self, x: Grey, y: Grey) -> Grey:
        """Colours (h, w, 3) at the positions."""
        t = np.hypot((x - self.centre[0]) / self.rx, (y - self.centre[1]) / self.ry)
        return _ramp(t, self.first, self.last)


Ink = str | Linear | Radial


def _ramp(t: NDArray[Any], first: str, last: str) -> Grey:
    t = np.clip(t, 0, 1).astype(np.float32)[..., None]
    t = t * t * (3 - 2 * t)
    return np.asarray(rgb_of(first) * (1 - t) + rgb_of(last) * t, np.float32)


@dataclass(frozen=True, slots=True)
class Mask:
    """Coverage 0..1 of a shape; `alpha[0, 0]` lies at canvas pixel (`top`, `left`)."""

    top: int
    left: int
    alpha: Grey

    def within(self, other: Mask) -> Mask:
        """The part of this shape that lies in the other."""
        top, left = max(self.top, other.top), max(self.left, other.left)
        bottom = min(self.top + self.alpha.shape[0], other.top + other.alpha.shape[0])
        right = min(self.left + self.alpha.shape[1], other.left + other.alpha.shape[1])
        if bottom <= top or right <= left:
            return Mask(top, left, np.zeros((0, 0), np.float32))
        a = self.alpha[top - self.top : bottom - self.top, left - self.left : right - self.left]
        b = other.alpha[
            top - other.top : bottom - other.top, left - other.left : right - other.left
        ]
        return Mask(top, left, a * b)

    def without(self, other: Mask) -> Mask:
        """The part of this shape that lies outside the other."""
        alpha = self.alpha.copy()
        shared = Mask(self.top, self.left, np.ones_like(alpha)).within(other)
        height, width = shared.alpha.shape
        top, left = shared.top - self.top, shared.left - self.left
        alpha[top : top + height, left : left + width] *= 1 - shared.alpha
        return Mask(self.top, self.left, alpha)


class Canvas:
    """A layer that covers `box` = (x0, y0, x1, y1) in units at `scale` pixels per unit."""

    def __init__(self, box: tuple[float, float, float, float], scale: float) -> None:
        # A line of one unit wants some 2.4 samples across. Shapes are filled with soft edges, so
        # four samples a pixel are enough where a pixel is finer than that; one would be too few.
        self.samples = max(2, round(2.4 / scale))
        self.left, self.top = int(np.floor(box[0] * scale)), int(np.floor(box[1] * scale))
        self.width = int(np.ceil(box[2] * scale)) - self.left
        self.height = int(np.ceil(box[3] * scale)) - self.top
        self._density = scale * self.samples
        self._origin = np.array([self.left, self.top], np.float64) / scale
        shape = (self.height * self.samples, self.width * self.samples)
        self._rgba = np.zeros((*shape, 4), np.float32)

    def shape(self, points: ArrayLike, blur: float = 0.0) -> Mask:
        """The inside of a closed outline, its edge softened by `blur` units (std. deviation)."""
        pixels = (np.asarray(points, np.float64) - self._origin) * self._density
        sigma = blur * self._density
        pad = int(np.ceil(3 * sigma)) + 2
        height, width = self._rgba.shape[:2]
        left, top = np.maximum(np.floor(pixels.min(0)).astype(int) - pad, 0)
        right = min(int(np.ceil(pixels[:, 0].max())) + pad, width)
        bottom = min(int(np.ceil(pixels[:, 1].max())) + pad, height)
        if right <= left or bottom <= top:
            return Mask(0, 0, np.zeros((0, 0), np.float32))
        coverage = np.zeros((bottom - top, right - left), np.uint8)
        # OpenCV takes the outline as fixed point numbers with four fractional bits.
        fixed = np.round((pixels - [left, top]) * 16).astype(np.int32)
        cv2.fillPoly(coverage, [fixed], 255, cv2.LINE_AA, shift=4)
        return Mask(int(top), int(left), _blurred(coverage, sigma))

    def stroke(
        self,
        points: ArrayLike,
        width: float,
        blur: float = 0.0,
        taper: tuple[Sequence[float], Sequence[float]] | None = None,
    ) -> Mask:
        """An open line `width` units thick; `taper` scales it: (positions in 0..1, factors)."""
        line = np.asarray(points, np.float64)
        # Only the direction counts: towards the next point less from the one before.
        ends = np.concatenate([line[:1], line, line[-1:]])
        along = ends[2:] - ends[:-2]
        across = np.stack([-along[:, 1], along[:, 0]], 1)
        across /= np.hypot(along[:, 0], along[:, 1])[:, None] + 1e-9
        half = np.full(len(line), width / 2)
        if taper is not None:
            half *= np.interp(np.linspace(0, 1, len(line)), taper[0], taper[1])
        sides = across * half[:, None]
        return self.shape(np.concatenate([line + sides, (line - sides)[::-1]]), blur)

    def glow(self, x: float, y: float, rx: float, ry: float) -> Mask:
        """A Gaussian spot with standard deviations `rx`/sqrt 2 and `ry`/sqrt 2 units."""
        reach = self.shape([(x - 2.6 * rx, y - 2.6 * ry), (x + 2.6 * rx, y + 2.6 * ry)])
        xx, yy = self._positions(reach)
        spot = np.exp(-(((xx - x) / rx) ** 2) - ((yy - y) / ry) ** 2)
        return Mask(reach.top, reach.left, spot.astype(np.float32))

    def painted(self) -> Mask:
        """What is opaque so far, as a mask to stay inside of."""
        return Mask(0, 0, self._rgba[..., 3].copy())

    def put(self, mask: Mask, ink: Ink, alpha: float = 1.0, clip: Mask | None = None) -> None:
        """Paint over what is there, where `mask` (and `clip`, if given) covers."""
        if clip is not None:
            mask = mask.within(clip)
        if mask.alpha.size == 0:
            return
        height, width = mask.alpha.shape
        into = self._rgba[mask.top : mask.top + height, mask.left : mask.left + width]
        cover = mask.alpha * np.float32(alpha)
        paint = np.ones((height, width, 4), np.float32)
        paint[..., :3] = rgb_of(ink) if isinstance(ink, str) else ink.at(*self._positions(mask))
        # One pass over the four channels, three times as fast as the same sum in numpy.
        into[:] = cv2.blendLinear(paint, np.ascontiguousarray(into), cover, 1 - cover)

    def cut(self, mask: Mask) -> None:
        """Make transparent where the mask covers."""
        height, width = mask.alpha.shape
        self._rgba[mask.top : mask.top + height, mask.left : mask.left + width] *= (
            1 - mask.alpha[..., None]
        )

    def rgba(self) -> Grey:
        """The layer (height, width, 4) at its final size, premultiplied, 0..1."""
        if self.samples == 1:
            return self._rgba
        size = (self.width, self.height)
        return np.asarray(
            cv2.resize(self._rgba, size, interpolation=cv2.INTER_AREA), dtype=np.float32
        )

    def _positions(self, mask: Mask) -> tuple[Grey, Grey]:
        height, width = mask.alpha.shape
        x = (np.arange(width, dtype=np.float32) + mask.left + 0.5) / self._density
        y = (np.arange(height, dtype=np.float32) + mask.top + 0.5) / self._density
        return (
            (x + self._origin[0]).astype(np.float32)[None, :],
            (y + self._origin[1]).astype(np.float32)[:, None],
        )


def _blurred(coverage: NDArray[np.uint8], sigma: float) -> Grey:
    """Gaussian blur in 0..1; wide blurs run on a reduced copy, where they cost as little as narrow
    ones.
    """
    if sigma <= 0:
        return coverage.astype(np.float32) / np.float32(255)
    step = max(1, int(sigma / 3))
    height, width = coverage.shape
    small = coverage
    if step > 1:
        reduced = (max(1, width // step), max(1, height // step))
        small = np.asarray(cv2.resize(coverage, reduced, interpolation=cv2.INTER_AREA), np.uint8)
    kernel = _bell(round(sigma * small.shape[1] / width, 2))
    # Filtered in float: OpenCV's bit-exact blur of bytes takes three times as long.
    soft = np.asarray(
        cv2.sepFilter2D(small, cv2.CV_32F, kernel, kernel, borderType=cv2.BORDER_REPLICATE),
        np.float32,
    )
    if step > 1:
        soft = np.asarray(cv2.resize(soft, (width, height), interpolation=cv2.INTER_LINEAR))
    soft *= np.float32(1 / 255)
    return soft


@lru_cache(maxsize=512)
def _bell(sigma: float) -> Grey:
    """A Gaussian's weights to three standard deviations, where 0.3 % are left."""
    size = 2 * int(np.ceil(3 * sigma)) + 1
    return np.asarray(cv2.getGaussianKernel(size, sigma, cv2.CV_32F), np.float32)
