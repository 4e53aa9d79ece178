"""Text as coverage: vendored fonts, fallback by script, right-to-left lines.

Shaping and bidirectional order inside a run come from Pillow's raqm; runs and words are placed
here in the order of the Unicode bidirectional algorithm (UAX #9) at word level: words of the
line's direction follow each other, stretches of the other direction are reversed. Where Pillow was
built without raqm, letters stand in logical order and Arabic is unjoined: `shapes_text` says so.
"""

from __future__ import annotations

import functools
import importlib.resources
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image as PilImage
from PIL import ImageDraw, ImageFont, features

from models.picture.colour import Image

Face = Literal["text", "display"]

_FACES: dict[Face, str] = {"text": "Inter-SemiBold.otf", "display": "InterDisplay-Bold.otf"}

_BLOCKS: tuple[tuple[int, int, str], ...] = (
    (0x0590, 0x05FF, "NotoSansHebrew-Bold.ttf"),
    (0xFB1D, 0xFB4F, "NotoSansHebrew-Bold.ttf"),
    (0x0600, 0x06FF, "NotoSansArabic-Bold.ttf"),
    (0x0750, 0x077F, "NotoSansArabic-Bold.ttf"),
    (0x08A0, 0x08FF, "NotoSansArabic-Bold.ttf"),
    (0xFB50, 0xFDFF, "NotoSansArabic-Bold.ttf"),
    (0xFE70, 0xFEFE, "NotoSansArabic-Bold.ttf"),
    (0x0900, 0x097F, "NotoSansDevanagari-Bold.ttf"),
    (0xA8E0, 0xA8FF, "NotoSansDevanagari-Bold.ttf"),
    (0x0E00, 0x0E7F, "NotoSansThai-Bold.ttf"),
    (0x2E80, 0x9FFF, "NotoSansCJKsc-Bold.subset.otf"),
    (0xAC00, 0xD7AF, "NotoSansCJKsc-Bold.subset.otf"),
    (0xF900, 0xFAFF, "NotoSansCJKsc-Bold.subset.otf"),
    (0xFF00, 0xFFEF, "NotoSansCJKsc-Bold.subset.otf"),
    (0x2600, 0x27BF, "NotoEmoji-Bold.ttf"),
    (0x1F000, 0x1FAFF, "NotoEmoji-Bold.ttf"),
)
"""Unicode blocks that the base faces do not hold, first, last and font."""


def shapes_text() -> bool:
    """Whether joined and right-to-left scripts are shaped (Pillow with raqm)."""
    return bool(features.check("raqm"))


@functools.lru_cache(maxsize=64)
def _font(name: str, size_px: int) -> ImageFont.FreeTypeFont:
    place = importlib.resources.files("models.picture") / "fonts" / name
    with importlib.resources.as_file(place) as path:
        return ImageFont.truetype(str(path), size_px)


def _font_name(char: str, face: Face) -> str | None:
    """The font of a character; None where it takes that of its neighbour."""
    code = ord(char)
    if code in (0x200C, 0x200D, 0xFE0E, 0xFE0F) or unicodedata.category(char) in ("Mn", "Me"):
        return None
    for first, last, name in _BLOCKS:
        if first <= code <= last:
            return name
    return None if char.isspace() else _FACES[face]


def _runs(text: str, face: Face) -> list[tuple[str, str]]:
    """`(font name, text)` stretches in logical order."""
    runs: list[tuple[str, str]] = []
    for char in text:
        name = _font_name(char, face)
        if runs and name in (None, runs[-1][0]):
            runs[-1] = (runs[-1][0], runs[-1][1] + char)
        else:
            runs.append((name or _FACES[face], char))
    return runs


def direction(text: str) -> Literal["ltr", "rtl", ""]:
    """The direction of the first strong character (UAX #9, rule P2), empty without one."""
    for char in text:
        kind = unicodedata.bidirectional(char)
        if kind == "L":
            return "ltr"
        if kind in ("R", "AL"):
            return "rtl"
    return ""


@dataclass(frozen=True, slots=True)
class Piece:
    """One word (or part of one) of a set line: its box from the line's left end, in pixels."""

    text: str
    left: float
    width: float


@dataclass(frozen=True, slots=True)
class SetLine:
    """A line of text with every piece's place; `pieces` are in the order in which they are read."""

    face: Face
    size_px: int
    pieces: tuple[Piece, ...]
    width: float


def measure(text: str, face: Face, size_px: int) -> float:
    """Width in pixels."""
    return sum(_font(name, size_px).getlength(run) for name, run in _runs(text, face))


def set_line(words: Sequence[str], face: Face, size_px: int) -> SetLine:
    """Place the pieces of one line. A piece that ends in a space is followed by one.

    The base direction is that of the first strong character of the line.
    """
    base = direction("".join(words)) or "ltr"
    # Numbers and signs take the line's direction between words, as rule N1 gives them.
    directions = [direction(word) or base for word in words]
    space = _font(_FACES[face], size_px).getlength(" ")
    widths = [measure(word.rstrip(" "), face, size_px) for word in words]
    gaps = [space if word.endswith(" ") else 0.0 for word in words]
    order = _visual_order(directions, base)
    lefts = [0.0] * len(words)
    cursor = 0.0
    for place, index in enumerate(order):
        if place:
            cursor += gaps[min(index, order[place - 1])]
        lefts[index] = cursor
        cursor += widths[index]
    pieces = tuple(
        Piece(word.rstrip(" "), left, width)
        for word, left, width in zip(words, lefts, widths, strict=True)
    )
    return SetLine(face, size_px, pieces, cursor)


def _visual_order(directions: Sequence[str], base: str) -> list[int]:
    """Indices from left to right (rule L2 with two levels)."""
    stretches: list[list[int]] = []
    for index, towards in enumerate(directions):
        if stretches and directions[stretches[-1][-1]] == towards:
            stretches[-1].append(index)
        else:
            stretches.append([index])
    if base == "rtl":
        stretches.reverse()
    return [
        index
        for stretch in stretches
        for index in (reversed(stretch) if directions[stretch[0]] == "rtl" else stretch)
    ]


def ascent_px(size_px: int) -> int:
    """Baseline below the top of a line of that font size; capitals are 0.73 em high in Inter."""
    return round(0.95 * size_px)


def draw_line(coverage: PilImage.Image, line: SetLine, x: float, baseline: float) -> None:
    """Draw a line into an `L` image, its left end at `x`."""
    draw = ImageDraw.Draw(coverage)
    for piece in line.pieces:
        runs = _runs(piece.text, line.face)
        if direction(piece.text) == "rtl":
            runs.reverse()
        cursor = x + piece.left
        for name, run in runs:
            font = _font(name, line.size_px)
            draw.text((cursor, baseline), run, fill=255, font=font, anchor="ls")
            cursor += font.getlength(run)


def as_coverage(image: PilImage.Image) -> Image:
    """An `L` image as `(h, w)` uint8."""
    return np.asarray(image, np.uint8)


def pieces_of(text: str) -> list[str]:
    """Words with the space that follows them."""
    words = text.split()
    return [f"{word} " for word in words[:-1]] + words[-1:]


def fitted(text: str, face: Face, size_px: int, width: float, smallest: float = 0.6) -> SetLine:
    """One line no wider than `width`: smaller, down to `smallest`, then cut with an ellipsis."""
    for size in range(size_px, max(7, round(size_px * smallest)) - 1, -1):
        if measure(text, face, size) <= width:
            return set_line(pieces_of(text), face, size)
    size = max(7, round(size_px * smallest))
    while text and measure(text + "…", face, size) > width:
        text = text[:-1].rstrip()
    return set_line(pieces_of(text + "…"), face, size)


def wrapped(text: str, face: Face, size_px: int, width: float) -> list[SetLine]:
    """As many lines as it takes, broken at spaces, all about as long."""
    words = text.split()
    if not words:
        return []
    total = measure(text, face, size_px)
    count = max(1, -int(-total // width))
    aim = width if count == 1 else min(width, 1.12 * total / count)
    lines: list[str] = []
    for word in words:
        if lines and measure(f"{lines[-1]} {word}", face, size_px) <= aim:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return [fitted(line, face, size_px, width) for line in lines]
