"""The generated studio: a panelled wall in soft light, a lamp, a plant, shelves, a desk in front.

Everything follows from one colour and a seed. It is computed once per episode in linear-ish float
RGB at picture size, blurred where it is out of focus, and dithered on its way to 8 bit.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from models.picture.colour import mixed, rgb_of, shifted
from models.picture.layout import Layout
from models.picture.planes import Planes

Light = NDArray[np.float32]

LAMP = "#ffd9a0"
LEAF = "#3f8f6a"
WOOD = "#8a6544"

Window = tuple[slice, slice]
WHOLE: Window = np.s_[:, :]

BAND_ROWS = 16
"""Rows of a 1080p picture, in float, that fit into a processor's second cache together."""

GLOW_STEP = 4
"""Lights are so wide that every fourth pixel is enough; between them they are interpolated."""


def studio_set(layout: Layout, colour: str, seed: int) -> Planes:
    """Paint the set for a layout: hosts stand behind a desk whose edge is `layout.stage_y`."""
    painter = _Set(layout, colour, seed)
    painter.wall()
    painter.shelf()
    painter.lamp()
    painter.plant()
    painter.vignette()
    painter.desk()
    return Planes.from_rgb(np.clip(painter.rgb, 0.0, 255.0, out=painter.rgb), seed=seed)


def _blurred(layer: Light, sigma_px: float) -> Light:
    return np.asarray(cv2.GaussianBlur(layer, (0, 0), sigma_px), np.float32)


def _tone(colour: str) -> Light:
    return np.array(rgb_of(colour), np.float32)


class _Set:
    """The picture while it is painted; lengths in `u`, the layout's reference pixel."""

    def __init__(self, layout: Layout, colour: str, seed: int) -> None:
        self.w, self.h, self.u = layout.width, layout.height, layout.unit
        self.stage_y = layout.stage_y if layout.hosts else layout.height
        words = [box.bottom for box in (layout.title, layout.chapter) if box and layout.hosts]
        self.words_y = max(words, default=round(0.11 * self.h))
        self.colour = colour
        self.rng = np.random.default_rng(seed)
        self.rgb: Light = np.empty((self.h, self.w, 3), np.float32)
        self.ys = np.arange(self.h, dtype=np.float32)[:, None]
        self.xs = np.arange(self.w, dtype=np.float32)[None, :]
        wide = self.w > self.h
        self.lamp_at = ((0.84 if wide else 0.82) * self.w, (0.20 if wide else 0.24) * self.h)

    def window(self, x0: float, y0: float, x1: float, y1: float) -> Window:
        """The part of the picture between two corners: what is small is painted there alone."""
        left, right = (min(max(round(x), 0), self.w) for x in (x0, x1))
        top, bottom = (min(max(round(y), 0), self.h) for y in (y0, y1))
        return np.s_[top:bottom, left:right]

    def blend(self, coverage: Light, colour: Light, window: Window = WHOLE) -> None:
        part = self.rgb[window]
        part += coverage[..., None] * (colour - part)

    def over(self, layer: Light, window: Window, light: Light | None = None) -> None:
        """Put a premultiplied layer of a window over the picture, lit if need be."""
        part, colour = self.rgb[window], layer[..., :3]
        part *= 1.0 - layer[..., 3:]
        part += colour if light is None else colour * light[..., None]

    def glow(
        self, x: float, y: float, radius: float, power: float = 1.0, window: Window = WHOLE
    ) -> Light:
        """A round light that falls from 1 at its centre without an edge."""
        xs, ys = self.xs[:, window[1]], self.ys[window[0]]
        size = (xs.shape[1], ys.shape[0])
        xs, ys = xs[:, ::GLOW_STEP], ys[::GLOW_STEP]
        squared = ((xs - x) ** 2 + (ys - y) ** 2) / (radius * radius)
        light = 1.0 / (1.0 + squared) ** (1.5 * power)
        return np.asarray(cv2.resize(light, size), np.float32)

    def wall(self) -> None:
        """Vertical slats: each a rounded profile lit from the lamp's side, with seeded tone."""
        down = self.ys / self.h
        base = _tone(mixed(self.colour, "#ffffff", 0.06))
        deep = _tone(shifted(self.colour, -8.0, 1.05, 0.5))
        self.rgb[:] = base + (deep - base) * (down**1.2)[..., None]
        pitch = 58 * self.u
        phase = (self.xs[0] + 0.5 * pitch - self.w / 2) / pitch
        within = phase - np.floor(phase)
        profile = 0.5 + 0.5 * np.cos(2 * np.pi * (within - 0.42))
        groove = np.exp(-((np.minimum(within, 1.0 - within) / 0.05) ** 2))
        index = np.floor(phase).astype(int)
        tones = self.rng.normal(0.0, 0.022, int(index.max() - index.min()) + 1)
        shade = 0.92 + 0.12 * profile - 0.34 * groove + tones[index - index.min()]
        self.rgb *= np.asarray(shade, np.float32)[None, :, None]
        key = self.glow(0.32 * self.w, 0.30 * self.h, 0.55 * max(self.w, self.h))
        self.rgb *= (0.62 + 0.62 * key)[..., None]

    def lamp(self) -> None:
        """A globe out of focus with its light on the wall."""
        x, y = self.lamp_at
        warm = _tone(LAMP)
        wash = self.glow(x, y, 0.34 * min(self.w, self.h) + 80 * self.u)
        for rows in self._bands():
            part = self.rgb[rows]
            part += (0.62 / 255 * wash[rows])[..., None] * warm * (0.30 * 255 + part)
        # Seven radii away less than a tenth of a code value of it is left.
        reach = 7 * 92 * self.u
        near = self.window(x - reach, y - reach, x + reach, y + reach)
        halo = self.glow(x, y, 92 * self.u, 1.3, near)
        self.rgb[near] += 0.62 * halo[..., None] * (warm - 0.7 * self.rgb[near])
        self._globe(x, y)

    def _globe(self, x: float, y: float) -> None:
        near = self.window(x - 64 * self.u, 0, x + 64 * self.u, y + 64 * self.u)
        xs, ys = self.xs[:, near[1]], self.ys[near[0]]
        distance = np.sqrt((xs - x) ** 2 + (ys - y) ** 2)
        cord = np.clip(1.6 * self.u + 0.5 - np.abs(xs - x), 0, 1) * (ys < y)
        dark = _tone(shifted(self.colour, 0, 1, 0.25))
        self.blend(0.55 * cord.astype(np.float32), dark, near)
        globe = np.clip((56 * self.u - distance) / (8 * self.u) + 0.5, 0, 1)
        shading = 1.0 - 0.13 * np.clip(distance / (56 * self.u), 0, 1) ** 2
        self.blend(
            np.asarray(globe, np.float32),
            np.asarray(_tone("#ffe9c4") * shading[..., None], np.float32),
            near,
        )

    def _bands(self) -> list[slice]:
        """The picture's rows in bands that stay in the processor's cache while they are worked
        on: half the time of whole pictures.
        """
        return [slice(top, top + BAND_ROWS) for top in range(0, self.h, BAND_ROWS)]

    def shelf(self) -> None:
        """Two floating shelves with books and a small record sleeve, out of focus."""
        layer = np.zeros((self.h, self.w, 4), np.float32)
        wide = self.w > self.h
        left, width = (0.045 * self.w, 0.20 * self.w) if wide else (0.05 * self.w, 0.34 * self.w)
        for share in (0.29, 0.60) if wide else (0.24, 0.46):
            y = self.words_y + share * (self.stage_y - self.words_y)
            self._books(layer, left, y, width)
            self._box(layer, left - 8 * self.u, y, width + 16 * self.u, 9 * self.u, WOOD, 1.0)
            self._box(layer, left, y + 9 * self.u, width, 7 * self.u, "#05080a", 0.45)
        near = self.window(0, 0, left + width + 24 * self.u, self.stage_y)
        lit = 0.50 + 0.5 * self.glow(*self.lamp_at, 0.9 * self.w, window=near)
        self.over(_blurred(layer[near], 3.4 * self.u), near, lit)

    def _books(self, layer: Light, left: float, shelf_y: float, width: float) -> None:
        hues = [
            shifted(self.colour, hue, 0.9, light)
            for hue, light in ((0, 1.9), (18, 1.5), (-20, 2.2))
        ]
        hues += ["#c98b54", "#d9c6a3", "#a8543f", "#5c6b73"]
        x = left + self.rng.uniform(0, 20) * self.u
        stop = left + width * self.rng.uniform(0.62, 0.95)
        while x < stop:
            thick, tall = self.rng.uniform(12, 26) * self.u, self.rng.uniform(62, 104) * self.u
            self._box(
                layer, x, shelf_y - tall, thick, tall, hues[self.rng.integers(len(hues))], 1.0
            )
            self._box(
                layer, x + thick - 3 * self.u, shelf_y - tall, 3 * self.u, tall, "#000000", 0.3
            )
            x += thick + self.rng.choice([1.0, 1.0, 1.0, 14.0]) * self.u

    def _box(
        self, layer: Light, x: float, y: float, w: float, h: float, colour: str, alpha: float
    ) -> None:
        part = layer[
            max(0, round(y)) : max(0, round(y + h)), max(0, round(x)) : max(0, round(x + w))
        ]
        part += alpha * (np.append(_tone(colour), 1.0).astype(np.float32) - part)

    def plant(self) -> None:
        """A broad-leaved plant at the side, in front of the wall, slightly out of focus."""
        layer = np.zeros((self.h, self.w, 4), np.float32)
        foot_x = (0.93 if self.w > self.h else 0.94) * self.w
        foot_y = self.stage_y + 10 * self.u
        size = 330 * self.u
        for turn in np.linspace(-1.35, 1.0, 11) + self.rng.normal(0, 0.05, 11):
            self._leaf(layer, foot_x, foot_y, float(turn), size * self.rng.uniform(0.72, 1.08))
        near = self.window(foot_x - 1.2 * size, foot_y - 1.2 * size, self.w, foot_y + 0.5 * size)
        self.over(_blurred(layer[near], 2.2 * self.u), near)

    def _leaf(self, layer: Light, x: float, y: float, turn: float, length: float) -> None:
        t = np.linspace(0.0, 1.0, 40)
        bend = turn * (0.55 + 0.75 * t)
        spine_x = x + np.cumsum(np.sin(bend)) * length / 40
        spine_y = y - np.cumsum(np.cos(bend)) * length / 40
        half = 0.105 * length * np.sin(np.pi * t**0.8) ** 0.9
        across = np.stack([np.cos(bend), np.sin(bend)], 1) * half[:, None]
        spine = np.stack([spine_x, spine_y], 1)
        tone = shifted(
            mixed(LEAF, self.colour, 0.30),
            self.rng.uniform(-8, 8),
            1.0,
            self.rng.uniform(0.55, 1.0),
        )
        for side, light in ((1.0, 0.82), (-1.0, 1.12)):
            outline = np.concatenate([spine, (spine + side * across)[::-1]])
            points = np.rint(outline * 16).astype(np.int32)
            colour = (*(float(v) for v in _tone(tone) * light), 1.0)
            cv2.fillPoly(layer, [points], colour, cv2.LINE_AA, 4)

    def vignette(self) -> None:
        """Darker towards the corners, so that the eye rests on the hosts."""
        dx, dy = (self.xs / self.w - 0.5) * 2, (self.ys / self.h - 0.42) * 2
        self.rgb *= np.clip(1.06 - 0.26 * (dx * dx + dy * dy), 0.0, 1.0)[..., None]

    def desk(self) -> None:
        """The desk before the hosts: a lit edge, a calm front for sound and captions."""
        if self.stage_y >= self.h:
            return
        above = self.window(0, self.stage_y - 70 * self.u, self.w, self.stage_y)
        shadow = np.clip(1.0 - (self.stage_y - self.ys[above[0]]) / (70 * self.u), 0, 1) ** 2
        self.rgb[above] *= (1.0 - 0.35 * shadow)[..., None]
        below = self.window(0, self.stage_y, self.w, self.h)
        down = self.ys[below[0]] - self.stage_y
        depth = np.clip(down / max(1.0, self.h - self.stage_y), 0, 1)
        front = _tone(mixed(shifted(self.colour, 0, 1.0, 0.82), WOOD, 0.16))
        foot = _tone(shifted(mixed(self.colour, WOOD, 0.10), 0, 1.0, 0.42))
        face = front + (foot - front) * (depth**0.7)[..., None]
        top_px = 13 * self.u
        under = np.clip(1.0 - (down - top_px) / (26 * self.u), 0, 1)[..., None]
        face = np.asarray(face * (1.0 - 0.5 * under**2), np.float32)
        light = 0.66 + 0.62 * self.glow(0.5 * self.w, self.stage_y, 0.6 * self.w, window=below)
        self.rgb[below] = face * light[..., None]
        board = self.window(0, self.stage_y, self.w, self.stage_y + top_px + self.u)
        top = np.clip((top_px - (self.ys[board[0]] - self.stage_y)) / self.u, 0, 1)
        lamp = 0.62 + 0.5 * self.glow(*self.lamp_at, 0.8 * self.w, window=board)
        self.blend(np.asarray(top, np.float32), _tone(WOOD) * lamp[..., None], board)
        lip = np.clip(1.0 - np.abs(down - self.u) / (1.5 * self.u), 0, 1)
        self.rgb[below] += np.asarray(46.0 * lip[..., None], np.float32)
