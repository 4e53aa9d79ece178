"""Captions burned into the picture: a translucent plate, white text, the spoken word lit.

A caption is drawn once; when the spoken word changes only the letters' colour under that word
changes. The layer says when it has changed, so that between words nothing is drawn at all.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image as PilImage
from PIL import ImageDraw

from models.picture import lettering
from models.picture.colour import Image, halved, rgb_of, rounded, yuv_from_rgb
from models.picture.layout import LINE_HEIGHT_EM
from models.picture.planes import Blender, Planes, Rect, Sprite
from studio.specs import CaptionSpec
from studio.timeline import sample_at
from studio.types import Caption

PLATE = (10, 14, 20)
PLATE_ALPHA = 168
"""Plate colour and opacity of 255: white text keeps a contrast above 4.5:1 on white."""

OVERSAMPLING = 4
"""The plate's round corners are drawn at this multiple and averaged."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A caption, drawn: at `at` (in its box), in the text's colour and wholly in the lit one, with
    each word's letters as boxes of the sprite and each word's start in samples of the caption.
    """

    at: Rect
    plain: Sprite
    lit: Sprite
    words: tuple[tuple[Rect, ...], ...]
    starts: tuple[int, ...]


class CaptionLayer:
    """The captions of an episode as a layer of the picture."""

    def __init__(
        self, captions: Sequence[Caption], box: Rect, size_px: int, spec: CaptionSpec, fps: int
    ) -> None:
        self.box = box
        self._captions = sorted(captions, key=lambda caption: caption.start)
        self._spec, self._size_px, self._fps = spec, size_px, fps
        self._starts = [caption.start for caption in self._captions]
        self._shown: tuple[int, int] = (-1, -1)
        self._placed: Placed | None = None
        self._sprite: Sprite | None = None
        self._blender = Blender()

    def update(self, frame: int) -> Rect | None:
        """Go to a frame; the captions of before and now, where they or the lit word differ."""
        sample = sample_at(frame, self._fps)
        index = bisect.bisect_right(self._starts, sample) - 1
        if index >= 0 and sample >= self._starts[index] + self._captions[index].num_samples:
            index = -1
        before = self._placed
        if index != self._shown[0]:
            self._placed = (
                place(self._captions[index], self.box, self._size_px, self._spec)
                if index >= 0
                else None
            )
        word = -1
        if self._placed is not None and self._spec.highlight:
            word = bisect.bisect_right(self._placed.starts, sample) - 1
        if (index, word) == self._shown:
            return None
        self._shown = (index, word)
        self._sprite = None if self._placed is None else _with_lit_word(self._placed, word)
        return self._stand(before)

    def _stand(self, before: Placed | None) -> Rect | None:
        """The part of the picture that the caption takes, and the one before it took."""
        boxes = [placed.at for placed in (before, self._placed) if placed is not None]
        if not boxes:
            return None
        return boxes[0].around(boxes[-1]).shifted(self.box.x, self.box.y)

    def paint(self, canvas: Planes, part: Rect) -> None:
        """Blend `part` of the caption into the canvas part of `box`."""
        if self._sprite is None or self._placed is None:
            return
        at = self._placed.at
        shown = at.common(part)
        if shown is not None:
            sprite = self._sprite.part(shown.shifted(-at.x, -at.y))
            self._blender.blend(canvas.part(shown), sprite)


def _with_lit_word(placed: Placed, word: int) -> Sprite:
    if not 0 <= word < len(placed.words):
        return placed.plain
    plain = placed.plain.colour
    colour = Planes(plain.y.copy(), plain.u.copy(), plain.v.copy())
    for box in placed.words[word]:
        colour.part(box).copy_from(placed.lit.colour.part(box))
    return Sprite(colour, placed.plain.clear, placed.plain.clear_half)


def lettered(
    coverage: Image, plate: Image, inks: Sequence[str], plate_rgb: tuple[int, int, int] = PLATE
) -> list[Sprite]:
    """Text of `coverage` over a plate whose alpha is `plate`, one sprite for each colour of `inks`.

    Blending is linear, so each plane is a weighted sum of two constants; only the two weights are
    computed per pixel, once for all inks.
    """
    text = coverage * np.float32(1 / 255)
    under = (plate * np.float32(1 / 255)) * (1 - text)
    half_text, half_under = halved(text), halved(under)
    clear = rounded(255 - 255 * (text + under))
    clear_half = rounded(255 - 255 * (half_text + half_under))
    ground = yuv_from_rgb(np.array(plate_rgb, np.float32))
    weights = ((text, under), (half_text, half_under), (half_text, half_under))
    sprites = []
    for ink in inks:
        inked = yuv_from_rgb(np.array(rgb_of(ink), np.float32))
        planes = (
            rounded(front * over + back * below)
            for front, back, (over, below) in zip(inked, ground, weights, strict=True)
        )
        sprites.append(Sprite(Planes(*planes), clear, clear_half))
    return sprites


def inked(
    coverage: Image, plate: Image, ink: str, plate_rgb: tuple[int, int, int] = PLATE
) -> Image:
    """Text over a plate as straight `(h, w, 4)` RGBA."""
    text = coverage.astype(np.float32)[..., None] / 255.0
    under = plate.astype(np.float32)[..., None] / 255.0 * (1.0 - text)
    alpha = text + under
    mixed = np.array(rgb_of(ink), np.float32) * text + np.array(plate_rgb, np.float32) * under
    rgba = np.concatenate([mixed / np.maximum(alpha, 1e-6), 255.0 * alpha], axis=2)
    return np.asarray(np.rint(rgba), np.uint8)


def rounded_box(size: tuple[int, int], radius: float) -> Image:
    """Coverage `(h, w)` of a box of that size with round corners, anti-aliased."""
    large = PilImage.new("L", (size[0] * OVERSAMPLING, size[1] * OVERSAMPLING))
    far = (large.width - 1, large.height - 1)
    ImageDraw.Draw(large).rounded_rectangle((0, 0, *far), radius * OVERSAMPLING, fill=255)
    return np.array(large.reduce(OVERSAMPLING), np.uint8)


def place(caption: Caption, box: Rect, size_px: int, spec: CaptionSpec) -> Placed:
    """Set a caption in a box: lines centred, at the bottom, on one plate that fits them."""
    pad_x, pad_y = 0.62 * size_px, 0.36 * size_px
    lines, owners = _lines(caption, size_px, box.w - 2 * pad_x)
    line_px = LINE_HEIGHT_EM * (lines[0].size_px if lines else size_px)
    wide = max((line.width for line in lines), default=0.0) + 2 * pad_x
    tall = min(box.h, 2 * math.ceil((len(lines) * line_px + 2 * pad_y) / 2))
    at = Rect(2 * int((box.w - wide) / 4), box.h - tall, min(box.w, 2 * math.ceil(wide / 2)), tall)
    coverage = PilImage.new("L", (at.w, at.h))
    boxes: list[list[Rect]] = [[] for _ in caption.words]
    for row, (line, owned) in enumerate(zip(lines, owners, strict=True)):
        x, y = (at.w - line.width) / 2, pad_y + row * line_px
        lettering.draw_line(coverage, line, x, y + lettering.ascent_px(line.size_px))
        for piece, owner in zip(line.pieces, owned, strict=True):
            if owner is not None:
                boxes[owner].append(_word_box(x + piece.left, piece.width, y, line_px, at))
    text = lettering.as_coverage(coverage)
    plate = (rounded_box((at.w, at.h), 0.34 * size_px).astype(np.uint16) * PLATE_ALPHA) // 255
    plain, lit = lettered(text, plate.astype(np.uint8), (spec.color, spec.highlight_color))
    return Placed(
        at,
        plain,
        lit,
        tuple(tuple(owned) for owned in boxes),
        tuple(word.start for word in caption.words),
    )


def _word_box(left: float, width: float, top: float, tall: float, within: Rect) -> Rect:
    """The even box of a word's letters; two pixels of slack hold overhanging strokes."""
    x0, x1 = max(0, 2 * int((left - 2) / 2)), min(within.w, 2 * math.ceil((left + width + 2) / 2))
    y0, y1 = max(0, 2 * int(top / 2)), min(within.h, 2 * math.ceil((top + tall) / 2))
    return Rect(x0, y0, max(0, x1 - x0), max(0, y1 - y0))


def _lines(
    caption: Caption, size_px: int, room: float
) -> tuple[list[lettering.SetLine], list[list[int | None]]]:
    """Set lines, all at the size at which the longest fits, and for each piece its word."""
    widest = max((lettering.measure(line, "text", size_px) for line in caption.lines), default=0.0)
    size = size_px if widest <= room else max(7, int(size_px * room / widest))
    lines, owners, cursor = [], [], 0
    for text in caption.lines:
        pieces, owned, cursor = _pieces(text, caption, cursor)
        lines.append(lettering.set_line(pieces, "text", size))
        owners.append(owned)
    return lines, owners


def _pieces(text: str, caption: Caption, cursor: int) -> tuple[list[str], list[int | None], int]:
    """Cut a line at spaces and where a new word begins (scripts without spaces); find each word's
    pieces by reading on from word `cursor`. Returns pieces, their words, and the next word.
    """
    owner_at: list[int | None] = [None] * len(text)
    position = 0
    while cursor < len(caption.words):
        word = caption.words[cursor].text.strip()
        found = text.find(word, position) if word else position
        if found < 0:
            break
        owner_at[found : found + len(word)] = [cursor] * len(word)
        position, cursor = found + len(word), cursor + 1
    pieces: list[str] = []
    owned: list[int | None] = []
    start = 0
    while start < len(text):
        if text[start] == " ":
            start += 1
            continue
        end, owner = start, owner_at[start]
        while end < len(text) and text[end] != " ":
            here = owner_at[end]
            if here is not None and owner is not None and here != owner:
                break
            owner = owner if owner is not None else here
            end += 1
        pieces.append(text[start:end] + (" " if end < len(text) and text[end] == " " else ""))
        owned.append(owner)
        start = end
    return pieces, owned, cursor
