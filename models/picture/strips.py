"""Styles that fill a strip: a living line, level bars, a spectrum's outline.

Lengths are pixels of the box. Nothing jumps: levels pass through `Bands`, the line through a
trigger that keeps its phase.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from models.picture.colour import Image
from models.picture.hearing import Bands, Hearing, Window, centre_sample
from studio.types import SAMPLE_RATE

SUBPIXEL_BITS = 4
"""OpenCV draws at 1/16 pixel."""


def subpixels(points: NDArray[np.float64] | NDArray[np.float32]) -> NDArray[np.int32]:
    """Points `(n, 2)` in OpenCV's fixed point."""
    return np.rint(points * (1 << SUBPIXEL_BITS)).astype(np.int32)


def stroke(image: Image, points: NDArray[np.float64], value: int, thickness: float) -> None:
    """An anti-aliased line through points."""
    cv2.polylines(
        image,
        [subpixels(points)],
        False,
        value,
        max(1, round(thickness)),
        cv2.LINE_AA,
        SUBPIXEL_BITS,
    )


class Waveform:
    """The sound's own line: 40 ms of it, tapered at both ends, with two fainter echoes."""

    SPAN = round(0.040 * SAMPLE_RATE)
    SEARCH = round(0.008 * SAMPLE_RATE)
    """How far the trigger looks for a rising zero crossing: one period of a 125 Hz voice."""

    STEP_PX = 8.0
    """Distance of the line's points in a wide strip: a quarter of its shortest wave at 1080p."""

    FEWEST_POINTS = 240
    """6 kHz over the span: several points for each wave that the means leave."""

    def __init__(
        self, width: int, height: int, thickness: float, fps: int, hearing: Hearing
    ) -> None:
        self._image: Image = np.zeros((height, width), np.uint8)
        self._thickness, self._fps, self._hearing = thickness, fps, hearing
        count = round(max(self.FEWEST_POINTS, width / self.STEP_PX))
        self._x = np.linspace(0.0, width - 1.0, count)
        self._taper = np.sin(np.pi * np.linspace(0.0, 1.0, count)) ** 1.3
        at = np.linspace(0, self.SPAN - 1, count)
        self._before = np.minimum(at.astype(np.intp), self.SPAN - 2)
        self._share = at - self._before
        self._loudness = 0.05
        self._echoes = np.zeros((2, count))
        self._keep = np.exp(-1.0 / (fps * np.array([0.05, 0.12])))

    def coverage(self, frame: int) -> Image:
        """The line of a frame."""
        image = self._image
        image.fill(0)
        line = self._line(frame)
        middle = (image.shape[0] - 1) / 2.0
        room = middle - self._thickness / 2 - 1
        self._echoes += (1.0 - self._keep)[:, None] * (line - self._echoes)
        for curve, value, share in (
            (-0.62 * self._echoes[1], 90, 0.45),
            (0.8 * self._echoes[0], 150, 0.45),
            (line, 255, 1.0),
        ):
            points = np.stack([self._x, middle + room * curve], axis=1)
            stroke(image, points, value, self._thickness * share)
        return image

    def _line(self, frame: int) -> NDArray[np.float64]:
        centre = centre_sample(frame, self._fps)
        heard = self._hearing.around(centre, self.SPAN + 2 * self.SEARCH)
        # Two means of 0.8 ms leave nothing above 1 kHz, which would shimmer as single pixels.
        smooth = cv2.blur(cv2.blur(heard[None], (39, 1)), (39, 1))[0]
        start = self._trigger(smooth)
        shown = smooth[start : start + self.SPAN]
        loud = float(np.abs(shown).max())
        rate = 0.02 if loud > self._loudness else 1.2
        self._loudness += (loud - self._loudness) * (1.0 - np.exp(-1.0 / (self._fps * rate)))
        left, right = shown[self._before], shown[self._before + 1]
        curve = left + self._share * (right - left)
        # Quiet passages grow a little, loud ones never leave the strip.
        scale = 0.94 / max(self._loudness, 0.10)
        return np.asarray(np.tanh(1.15 * curve * scale) * self._taper, np.float64)

    def _trigger(self, smooth: Window) -> int:
        middle = smooth[self.SPAN // 2 : self.SPAN // 2 + 2 * self.SEARCH]
        rising = np.flatnonzero((middle[:-1] <= 0.0) & (middle[1:] > 0.0))
        if not len(rising):
            return self.SEARCH
        steepest = rising[np.argmax(middle[rising + 1] - middle[rising])]
        return int(steepest)


class Bars:
    """Round-ended bars, one per frequency band, mirrored about the middle line."""

    def __init__(
        self, width: int, height: int, thickness: float, fps: int, hearing: Hearing
    ) -> None:
        self._fps, self._hearing = fps, hearing
        pitch = max(4, round(6 * thickness))
        count = max(4, width // pitch)
        self._left = (width - count * pitch) // 2
        self._pitch, self._count = pitch, count
        self._columns = capsules(height, pitch, 0.58 * pitch)
        self._image: Image = np.zeros((height, width), np.uint8)
        half = (count + 1) // 2
        self._bands = Bands(half, fps)
        # Low bands in the middle, high ones at both ends: a voice stands centred.
        order = np.abs(np.arange(count) - (count - 1) / 2)
        self._band_of = np.minimum(half - 1, order.astype(int))

    def coverage(self, frame: int) -> Image:
        """The bars of a frame."""
        levels = self._bands.hear(self._hearing, centre_sample(frame, self._fps))[self._band_of]
        steps = np.rint(levels * (self._columns.shape[1] - 1)).astype(np.intp)
        bars = np.take(self._columns, steps, axis=1)
        right = self._left + self._count * self._pitch
        self._image[:, self._left : right] = bars.reshape(self._image.shape[0], -1)
        return self._image


def capsules(height: int, pitch: int, wide: float) -> Image:
    """Coverage `(height, steps, pitch)` of upright capsules that grow by half a pixel a step."""
    radius = wide / 2
    across = np.abs(np.arange(pitch) - (pitch - 1) / 2)[None, None, :]
    along = np.abs(np.arange(height) - (height - 1) / 2)[:, None, None]
    reach = np.arange(0.0, max(0.5, height / 2 - radius), 0.5)[None, :, None]
    distance = np.hypot(np.maximum(along - reach, 0.0), across)
    covered = np.clip(radius - distance + 0.5, 0.0, 1.0)
    return np.asarray(np.rint(covered * 255), np.uint8)


class Spectrum:
    """The spectrum's outline, mirrored, over a soft fill."""

    POINTS = 72

    def __init__(
        self, width: int, height: int, thickness: float, fps: int, hearing: Hearing
    ) -> None:
        self._image: Image = np.zeros((height, width), np.uint8)
        self._thickness, self._fps, self._hearing = thickness, fps, hearing
        self._bands = Bands(self.POINTS // 2, fps, release_s=0.22)
        self._x = np.linspace(0.0, width - 1.0, self.POINTS * 3)
        self._taper = np.sin(np.pi * np.linspace(0.0, 1.0, len(self._x))) ** 0.5

    def coverage(self, frame: int) -> Image:
        """The outline of a frame."""
        image = self._image
        height = image.shape[0]
        image.fill(0)
        bands = self._bands.hear(self._hearing, centre_sample(frame, self._fps))
        both = np.concatenate([bands[::-1], bands])
        smooth = np.convolve(np.pad(both, 2, mode="edge"), [0.1, 0.22, 0.36, 0.22, 0.1], "valid")
        at = np.linspace(0.0, len(smooth) - 1.0, len(self._x))
        curve = _cubic(smooth, at) * self._taper
        base = height - 1 - self._thickness / 2
        top = base - np.clip(curve, 0.0, 1.0) * (height - self._thickness - 2)
        outline = np.stack([self._x, top], axis=1)
        floor = np.array([[self._x[-1], height - 1.0], [self._x[0], height - 1.0]])
        area = np.concatenate([outline, floor])
        cv2.fillPoly(image, [subpixels(area)], 84, cv2.LINE_AA, SUBPIXEL_BITS)
        stroke(image, outline, 255, self._thickness)
        return image


def _cubic(values: NDArray[np.float64], at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Catmull-Rom interpolation of equally spaced values."""
    padded = np.pad(values, (1, 2), mode="edge")
    index = np.minimum(at.astype(int), len(values) - 1)
    t = at - index
    p0, p1, p2, p3 = (padded[index + k] for k in range(4))
    return np.asarray(
        p1
        + 0.5 * t * (p2 - p0 + t * (2 * p0 - 5 * p1 + 4 * p2 - p3 + t * (3 * (p1 - p2) + p3 - p0))),
        np.float64,
    )
