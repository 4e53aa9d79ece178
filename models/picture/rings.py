"""Styles that fill a space: a ring of rays, and drifting particles."""

from __future__ import annotations

import cv2
import numpy as np

from models.picture.colour import Image
from models.picture.hearing import Bands, Hearing, centre_sample
from models.picture.strips import SUBPIXEL_BITS


class Circular:
    """Rays around a ring, one per band, mirrored left and right; low notes at the foot.

    Only the pixels that a ray can ever reach are computed: each knows its ray, its distance along
    it and its coverage across it.
    """

    INNER = 0.56
    """Radius of the ring as a share of half the box."""

    def __init__(
        self, width: int, height: int, thickness: float, fps: int, hearing: Hearing
    ) -> None:
        self._fps, self._hearing = fps, hearing
        self._image: Image = np.zeros((height, width), np.uint8)
        half = min(width, height) / 2
        inner = self.INNER * half
        count = max(12, 2 * int(np.pi * inner / (2.4 * thickness)))
        self._bands = Bands(count // 2, fps)
        dy, dx = np.mgrid[0:height, 0:width].astype(np.float32)
        dy, dx = dy - (height - 1) / 2, dx - (width - 1) / 2
        radius = np.hypot(dx, dy)
        turn = np.abs(np.arctan2(dx, dy)) / np.pi
        ray = np.minimum(count // 2 - 1, (turn * (count // 2)).astype(int))
        off_axis = radius * np.sin(np.abs(turn - (ray + 0.5) / (count // 2)) * np.pi)
        across = np.clip(0.55 * thickness + 0.5 - off_axis, 0.0, 1.0) * (radius > inner - 1)
        reached = np.flatnonzero((across > 0) & (radius < half))
        self._pixels, self._ray = reached, ray.ravel()[reached]
        self._across = (across.ravel()[reached] * 255).astype(np.float32)
        self._along = (radius.ravel()[reached] - inner).astype(np.float32)
        self._reach = half - inner - 1
        line = np.clip(0.5 * thickness + 0.5 - np.abs(radius - inner + 2.2 * thickness), 0.0, 1.0)
        self._image[:] = np.rint(line * 120).astype(np.uint8)
        self._thickness = thickness

    def coverage(self, frame: int) -> Image:
        """The rays of a frame."""
        levels = self._bands.hear(self._hearing, centre_sample(frame, self._fps))
        smooth = np.convolve(np.pad(levels, 1, mode="edge"), [0.25, 0.5, 0.25], "valid")
        tips = (self._thickness + smooth * (self._reach - self._thickness)).astype(np.float32)
        inside = np.clip(tips[self._ray] - self._along + 0.5, 0.0, 1.0)
        inside *= np.clip(self._along + 0.5, 0.0, 1.0)
        self._image.reshape(-1)[self._pixels] = (inside * self._across).astype(np.uint8)
        return self._image


class Particles:
    """Sparks that rise from the floor of the box: louder bands throw more of them, higher."""

    COUNT = 260
    LIFE_S = 2.4
    BANDS = 24

    def __init__(
        self, width: int, height: int, thickness: float, fps: int, hearing: Hearing
    ) -> None:
        self._fps, self._hearing, self._thickness = fps, hearing, thickness
        self._image: Image = np.zeros((height, width), np.uint8)
        self._bands = Bands(self.BANDS, fps, release_s=0.10)
        rng = np.random.default_rng(20)
        self._rng = rng
        count = self.COUNT
        self._x = rng.uniform(0, width, count)
        self._y = rng.uniform(0.25, 1.0, count) * height
        self._vx, self._vy = np.zeros(count), np.zeros(count)
        self._age = rng.uniform(0, self.LIFE_S, count)
        self._size = rng.uniform(0.45, 1.25, count) ** 1.5
        self._glow = rng.uniform(0.25, 0.6, count)

    def coverage(self, frame: int) -> Image:
        """The sparks of a frame."""
        self._step(self._bands.hear(self._hearing, centre_sample(frame, self._fps)))
        image = self._image
        image.fill(0)
        left = 1.0 - self._age / self.LIFE_S
        fade = np.minimum(1.0, 6.0 * (1.0 - left)) * left
        values = np.clip(255 * fade * self._glow * 1.6, 0, 255).astype(int)
        one = 1 << SUBPIXEL_BITS
        radii = np.maximum(0.75, self._thickness * self._size * (0.55 + 0.45 * left)) * one
        centres = np.rint(np.stack([self._x, self._y], axis=1) * one).astype(int)
        for index in np.flatnonzero(values > 3):
            centre = (int(centres[index, 0]), int(centres[index, 1]))
            radius = int(radii[index])
            cv2.circle(image, centre, radius, int(values[index]), -1, cv2.LINE_AA, SUBPIXEL_BITS)
        return image

    def _step(self, levels: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> None:
        height, width = self._image.shape
        dt = 1.0 / self._fps
        self._age += dt
        self._x += self._vx * dt
        self._y += self._vy * dt
        drag = np.exp(-dt / 0.9)
        self._vx *= drag
        self._vy = self._vy * drag - 0.05 * height * dt
        gone = np.flatnonzero((self._age >= self.LIFE_S) | (self._y < 0))
        # Every spark draws the same numbers each time it is thrown, so the picture depends on the
        # sound and the frame alone.
        draws = self._rng.random((len(gone), 5))
        weight = np.cumsum(levels + 0.04)
        band = np.searchsorted(weight, draws[:, 0] * weight[-1]).clip(0, self.BANDS - 1)
        level = levels[band]
        side = np.where(draws[:, 1] < 0.5, -1.0, 1.0)
        self._x[gone] = width / 2 + side * (band + draws[:, 2]) / self.BANDS * width / 2
        self._y[gone] = height * (1.0 - 0.04 * draws[:, 3])
        self._vy[gone] = -height * (0.12 + 0.95 * level * (0.5 + draws[:, 3]))
        self._vx[gone] = height * 0.25 * (draws[:, 4] - 0.5)
        self._glow[gone] = 0.22 + 0.78 * level
        self._age[gone] = np.minimum(self._age[gone] - self.LIFE_S, dt).clip(0.0)
