"""Words that are not captions: the episode's title, the chapter, the hosts' names."""

from __future__ import annotations

import bisect
from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image as PilImage

from models.picture import lettering
from models.picture.captions import inked, lettered, rounded_box
from models.picture.colour import Image, mixed, rgb_of
from models.picture.planes import Blender, Planes, Rect, Sprite
from studio.timeline import sample_at
from studio.types import SAMPLE_RATE, Chapter

TEXT = "#ffffff"
QUIET_TEXT = "#dfe6ea"

LEADING = 1.18
"""Line spacing of titles in font sizes."""

SHADOW_EM = 0.32
"""How far a shadow reaches below the last line, so that no edge cuts it."""

INSET_EM = 0.25
"""Room for the shadow at the ends of a centred line."""

FADE_S = 0.3
FADE_STEPS = 10
"""A fade is drawn in this many steps, so that it costs nothing once it is over."""


def faded(sprite: Sprite, share: float) -> Sprite:
    """A sprite at `share` (0..1) of its opacity."""
    colour = Planes(
        *(_scaled(plane, share) for plane in (sprite.colour.y, sprite.colour.u, sprite.colour.v))
    )
    clear, half = (255 - _scaled(255 - plane, share) for plane in (sprite.clear, sprite.clear_half))
    return Sprite(colour, clear, half)


def _scaled(plane: Image, share: float) -> Image:
    return np.asarray(np.rint(plane * np.float32(share)), np.uint8)


def shadowed(
    lines: Sequence[lettering.SetLine], box: Rect, colour: str, align: float, valign: float = 0.5
) -> Sprite:
    """Lines on a soft shadow of their own shape, readable on any background.

    `align` places each line from left (0) to right (1), `valign` the block from top to bottom.
    """
    coverage = PilImage.new("L", (box.w, box.h))
    leading = [LEADING * line.size_px for line in lines]
    foot = SHADOW_EM * (lines[0].size_px if lines else 0)
    y = valign * max(0.0, box.h - sum(leading) - foot)
    for line, tall in zip(lines, leading, strict=True):
        x = INSET_EM * line.size_px if align == 0.5 else 0.008 * box.w
        x += align * (box.w - 2 * x - line.width)
        lettering.draw_line(coverage, line, x, y + 0.92 * line.size_px)
        y += tall
    text = lettering.as_coverage(coverage)
    soft = max(1.0, 0.16 * (lines[0].size_px if lines else 16))
    shadow = cv2.GaussianBlur(text, (0, 0), soft).astype(np.float32) * 1.5
    soft_plate = np.clip(shadow, 0, 190).astype(np.uint8)
    return lettered(text, soft_plate, (colour,), (0, 0, 0))[0]


class StillLayer:
    """A sprite that never changes."""

    def __init__(self, box: Rect, sprite: Sprite) -> None:
        self.box, self._sprite, self._blender = box, sprite, Blender()

    def update(self, frame: int) -> Rect | None:
        """Only the first frame is news."""
        return self.box if frame == 0 else None

    def paint(self, canvas: Planes, part: Rect) -> None:
        """Blend `part` of the sprite into the canvas part of `box`."""
        self._blender.blend(canvas.part(part), self._sprite.part(part))


def title_layer(title: str, box: Rect, unit: float, centred: bool) -> StillLayer:
    """The episode's title: one line in a corner, or as large as a taller box allows."""
    if box.h < 120 * unit:
        line = lettering.fitted(title, "display", round(0.56 * box.h), box.w - 0.3 * box.h)
        return StillLayer(box, shadowed([line], box, TEXT, 0.0))
    size = round(min(104 * unit, 0.45 * box.h))
    lines = lettering.wrapped(title, "display", size, box.w - 0.6 * size)
    while (len(lines) * LEADING + SHADOW_EM) * size > box.h and size > 8:
        size = round(size * 0.9) - 1
        lines = lettering.wrapped(title, "display", size, box.w - 0.6 * size)
    return StillLayer(box, shadowed(lines, box, TEXT, 0.5 if centred else 0.0, 1.0))


class ChapterLayer:
    """The running chapter's title; a new one fades in where the old one stood. One without a title
    shows nothing.
    """

    def __init__(self, chapters: Sequence[Chapter], box: Rect, fps: int, align: float) -> None:
        self.box = box
        self._starts = [chapter.start for chapter in chapters]
        self._titles = [chapter.title for chapter in chapters]
        self._fps, self._align = fps, align
        self._shown = (-1, -1)
        self._whole: Sprite | None = None
        self._sprite: Sprite | None = None
        self._blender = Blender()

    def _drawn(self, index: int) -> Sprite:
        size = round(0.42 * self.box.h)
        line = lettering.fitted(self._titles[index], "text", size, self.box.w - size)
        return shadowed([line], self.box, QUIET_TEXT, self._align)

    def update(self, frame: int) -> Rect | None:
        """Its box when the chapter or its fade moved on."""
        sample = sample_at(frame, self._fps)
        index = bisect.bisect_right(self._starts, sample) - 1
        step = FADE_STEPS
        if index >= 0:
            since_s = (sample - self._starts[index]) / SAMPLE_RATE
            step = min(FADE_STEPS, round(FADE_STEPS * since_s / FADE_S))
        if (index, step) == self._shown:
            return None
        if index != self._shown[0]:
            titled = index >= 0 and bool(self._titles[index])
            self._whole = self._drawn(index) if titled else None
        self._shown = (index, step)
        self._sprite = None if self._whole is None else faded(self._whole, step / FADE_STEPS)
        return self.box

    def paint(self, canvas: Planes, part: Rect) -> None:
        """Blend `part` of the chapter's title into the canvas part of `box`."""
        if self._sprite is not None:
            self._blender.blend(canvas.part(part), self._sprite.part(part))


class NamePlate:
    """A host's name. It lights up while the host speaks; with one host it stays only for a while.

    `turns` are the host's `(start, end)` in samples, rising.
    """

    SOLO_S = 7.0
    """How long a single host's name stands after the first word."""

    QUIET = 0.62
    """Opacity of the name of a host who is listening."""

    def __init__(
        self,
        name: str,
        box: Rect,
        fps: int,
        turns: Sequence[tuple[int, int]],
        accent: str,
        solo: bool,
    ) -> None:
        self.box = box
        self._turns, self._solo, self._step_max = turns, solo, FADE_STEPS
        self._rise = FADE_STEPS / max(1.0, FADE_S * fps)
        self._fps = fps
        self._light = self._share = 0.0
        self._shown = (-1, -1)
        self._quiet = _plate(name, box, mixed(accent, "#5b6670", 0.75), QUIET_TEXT)
        self._lit = _plate(name, box, accent, TEXT)
        self._sprite: Sprite | None = None
        self._made: dict[tuple[int, int], Sprite] = {}
        self._blender = Blender()

    def update(self, frame: int) -> Rect | None:
        """Its box when its light or its opacity moved."""
        sample = sample_at(frame, self._fps)
        speaking = self._speaks(sample)
        self._light = _towards(self._light, FADE_STEPS if speaking else 0, self._rise)
        seen = self._is_seen(sample)
        self._share = _towards(self._share, FADE_STEPS if seen else 0, self._rise)
        shown = (round(self._light), round(self._share))
        if shown == self._shown:
            return None
        self._shown = shown
        if shown not in self._made:
            self._made[shown] = self._between(shown[0] / FADE_STEPS, shown[1] / FADE_STEPS)
        self._sprite = self._made[shown]
        return self.box

    def _speaks(self, sample: int) -> bool:
        index = bisect.bisect_right(self._turns, (sample, 1 << 62)) - 1
        return index >= 0 and sample < self._turns[index][1]

    def _is_seen(self, sample: int) -> bool:
        if not self._solo:
            return True
        first = self._turns[0][0] if self._turns else 0
        return 0 <= sample - first < self.SOLO_S * SAMPLE_RATE

    def _between(self, light: float, share: float) -> Sprite:
        lit, quiet = (
            faded(self._lit, light * share),
            faded(self._quiet, (1.0 - light) * share * self.QUIET),
        )
        colour = Planes(
            *(_sum(a, b) for a, b in zip(_three(lit.colour), _three(quiet.colour), strict=True))
        )
        return Sprite(
            colour,
            255 - _sum(255 - lit.clear, 255 - quiet.clear),
            255 - _sum(255 - lit.clear_half, 255 - quiet.clear_half),
        )

    def paint(self, canvas: Planes, part: Rect) -> None:
        """Blend `part` of the plate into the canvas part of `box`."""
        if self._sprite is not None and self._shown[1]:
            self._blender.blend(canvas.part(part), self._sprite.part(part))


def _sum(first: Image, second: Image) -> Image:
    return np.asarray(cv2.add(first, second), np.uint8)


def _three(planes: Planes) -> tuple[Image, Image, Image]:
    return planes.y, planes.u, planes.v


def _towards(value: float, goal: float, step: float) -> float:
    return min(goal, value + step) if goal > value else max(goal, value - step)


def _plate(name: str, box: Rect, accent: str, ink: str) -> Sprite:
    size = round(0.46 * box.h)
    bar = max(2, round(0.09 * box.h))
    line = lettering.fitted(name, "text", size, box.w - 1.7 * box.h)
    coverage = PilImage.new("L", (box.w, box.h))
    inner = 2 * round((line.width + 1.1 * box.h) / 2)
    left = (box.w - inner) / 2
    baseline = box.h / 2 + 0.36 * line.size_px
    lettering.draw_line(coverage, line, left + 0.68 * box.h, baseline)
    plate = np.zeros((box.h, box.w), np.uint8)
    x0 = round(left)
    plate[:, x0 : x0 + inner] = rounded_box((inner, box.h), 0.24 * box.h)
    text = lettering.as_coverage(coverage)
    sprite_rgba = inked(text, (plate.astype(np.uint16) * 196 // 255).astype(np.uint8), ink)
    tall = round(0.46 * box.h)
    y0, bar_x = (box.h - tall) // 2, x0 + round(0.34 * box.h)
    mark = rounded_box((bar, tall), bar / 2).astype(np.float32)[..., None] / 255.0
    part = sprite_rgba[y0 : y0 + tall, bar_x : bar_x + bar]
    part[:] = np.rint(part + mark * (np.array([*rgb_of(accent), 255], np.float32) - part)).astype(
        np.uint8
    )
    return Sprite.from_rgba(sprite_rgba)
