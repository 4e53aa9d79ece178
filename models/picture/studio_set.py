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
    return Planes.from_rgb(np.clip(painter.rgb, 0.0, 255.0), seed=seed)


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

    def blend(self, coverage: Light, colour: Light) -> None:
        self.rgb += coverage[..., None] * (colour - self.rgb)

    def glow(self, x: float, y: float, radius: float, power: float = 1.0) -> Light:
        """A round light that falls from 1 at its centre without an edge."""
        xs, ys = (axis[::GLOW_STEP, ::GLOW_STEP] for axis in (self.xs, self.ys))
        squared = ((xs - x) ** 2 + (ys - y) ** 2) / (radius * radius)
        light = 1.0 / (1.0 + squared) ** (1.5 * power)
        return np.asarray(cv2.resize(light, (self.w, self.h)), np.float32)

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
        self.rgb += 0.62 * wash[..., None] * warm * (0.30 + self.rgb / 255.0)
        halo = self.glow(x, y, 92 * self.u, 1.3)
        self.rgb += 0.62 * halo[..., None] * (warm - 0.7 * self.rgb)
        distance = np.sqrt((self.xs - x) ** 2 + (self.ys - y) ** 2)
        cord = np.clip(1.6 * self.u + 0.5 - np.abs(self.xs - x), 0, 1) * (self.ys < y)
        self.blend(0.55 * cord.astype(np.float32), _tone(shifted(self.colour, 0, 1, 0.25)))
        globe = np.clip((56 * self.u - distance) / (8 * self.u) + 0.5, 0, 1)
        shading = 1.0 - 0.13 * np.clip(distance / (56 * self.u), 0, 1) ** 2
        self.blend(
            np.asarray(globe, np.float32),
            np.asarray(_tone("#ffe9c4") * shading[..., None], np.float32),
        )

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
        layer = _blurred(layer, 3.4 * self.u)
        lit = 0.50 + 0.5 * self.glow(*self.lamp_at, 0.9 * self.w)[..., None]
        self.rgb += layer[..., 3:] * (-self.rgb) + layer[..., :3] * lit

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
        layer = _blurred(layer, 2.2 * self.u)
        self.rgb += layer[..., 3:] * (-self.rgb) + layer[..., :3]

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
        shadow = np.clip(1.0 - (self.stage_y - self.ys) / (70 * self.u), 0, 1) ** 2 * (
            self.ys < self.stage_y
        )
        self.rgb *= (1.0 - 0.35 * shadow)[..., None]
        below = np.asarray(self.ys >= self.stage_y, np.float32)
        depth = np.clip((self.ys - self.stage_y) / max(1.0, self.h - self.stage_y), 0, 1)
        front = _tone(mixed(shifted(self.colour, 0, 1.0, 0.82), WOOD, 0.16))
        foot = _tone(shifted(mixed(self.colour, WOOD, 0.10), 0, 1.0, 0.42))
        face = front + (foot - front) * (depth**0.7)[..., None]
        light = 0.66 + 0.62 * self.glow(0.5 * self.w, self.stage_y, 0.6 * self.w)
        face = face * light[..., None]
        top_px = 13 * self.u
        top = np.clip((top_px - (self.ys - self.stage_y)) / self.u, 0, 1)[..., None]
        board = _tone(WOOD) * (0.62 + 0.5 * self.glow(*self.lamp_at, 0.8 * self.w))[..., None]
        under = np.clip(1.0 - (self.ys - self.stage_y - top_px) / (26 * self.u), 0, 1)[..., None]
        face = face * (1.0 - 0.5 * under**2)
        face += top * (board - face)
        lip = np.clip(1.0 - np.abs(self.ys - self.stage_y - self.u) / (1.5 * self.u), 0, 1)
        self.blend(below, np.asarray(face + 46.0 * lip[..., None], np.float32))
