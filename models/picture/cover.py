"""The still pictures of a package: the cover and the contact sheet.

The cover is drawn from what the episode has: its title, the show's name, its hosts and the shape
of its sound. Its colours follow the episode's background colour.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PilImage

from models.picture import lettering
from models.picture.colour import Image, mixed, rgb_of, shifted

COVER_PX = 2000
"""Width and height. Podcast directories ask for 1400 to 3000."""

NUM_BARS = 64
"""Bars of the sound's shape along the cover."""

_MARGIN = 130
_TITLE_TOP, _TITLE_BOTTOM = 1360, 1790
_SOUND_Y = 1255
"""Where the parts of a cover of 2000 pixels stand."""

_INK, _QUIET = "#ffffff", "#c9d6da"

Light = NDArray[np.float32]


def draw_cover(
    title: str,
    show_name: str,
    author: str,
    levels: NDArray[np.float32],
    hosts: Sequence[Image] = (),
    colour: str = "#16323a",
    accent: str = "#ffb454",
) -> Image:
    """A square cover `(COVER_PX, COVER_PX, 3)` in RGB.

    `levels` are the loudness of `NUM_BARS` equal parts of the episode, 0 to 1. `hosts` are RGBA
    pictures `(h, w, 4)`, not premultiplied, at most two of which are shown, cut off at the sound.
    """
    canvas = _backdrop(colour, accent)
    _place_hosts(canvas, hosts[:2], colour)
    if not hosts:
        _rings(canvas, levels, accent)
    _bars(canvas, levels, accent)
    _write(canvas, show_name.upper(), 64, _MARGIN, accent, spaced=True)
    _title(canvas, title)
    if author:
        _write(canvas, author, 58, COVER_PX - _MARGIN, _QUIET)
    # Rounds and saturates in one pass.
    return np.asarray(cv2.convertScaleAbs(np.maximum(canvas, 0.0, out=canvas)), np.uint8)


def _tone(colour: str) -> Light:
    return np.array(rgb_of(colour), np.float32)


def _backdrop(colour: str, accent: str) -> Light:
    """A dark wall with a warm light from behind, dithered so that it does not band.

    Light has no detail: it is computed at a fifth of the size.
    """
    size = COVER_PX // 5
    ys, xs = np.mgrid[0:size, 0:size].astype(np.float32) / np.float32(size)
    high, low = _tone(shifted(colour, 8, 1.1, 1.5)), _tone(shifted(colour, -6, 1.1, 0.45))
    wall = high + (low - high) * ys[..., None]
    squared = ((xs - 0.5) ** 2 + (ys - 0.42) ** 2) / 0.34**2
    glow = (1.0 / (1.0 + squared) ** 1.5)[..., None]
    wall += (_tone(mixed(accent, colour, 0.45)) - wall) * 0.62 * glow
    large = cv2.resize(wall, (COVER_PX, COVER_PX), interpolation=cv2.INTER_CUBIC)
    noise = np.random.default_rng(0).random((COVER_PX, COVER_PX, 1), np.float32) - 0.5
    return np.asarray(large + noise, np.float32)


def _place_hosts(canvas: Light, hosts: Sequence[Image], colour: str) -> None:
    """Hosts side by side, standing behind the lower third, into which they fade."""
    size = 1180 if len(hosts) == 1 else 980
    centres = [0.5] if len(hosts) == 1 else [0.285, 0.715]
    for host, centre in zip(hosts, centres, strict=False):
        scaled = cv2.resize(host, (size, size), interpolation=cv2.INTER_AREA)
        top, left = _TITLE_TOP - 60 - size, round(centre * COVER_PX - size / 2)
        x0, x1 = max(0, left), min(COVER_PX, left + size)
        part = scaled[:, x0 - left : x1 - left].astype(np.float32)
        under = canvas[top : top + size, x0:x1]
        under += (part[..., :3] - under) * (part[..., 3:] / 255.0)
    if hosts:
        rows = np.arange(1010, COVER_PX, dtype=np.float32)
        veil = np.clip((rows - 1010) / 260, 0.0, 1.0)[:, None, None] ** 1.5
        lower = canvas[1010:]
        lower += (_tone(shifted(colour, -6, 1.1, 0.45)) - lower) * veil


def _rings(canvas: Light, levels: NDArray[np.float32], accent: str) -> None:
    """Without a host: the sound once around, as rays of a circle."""
    size = 1000
    coverage = np.zeros((size * 2, size * 2), np.uint8)
    around = np.interp(np.arange(120) / 120 * len(levels), np.arange(len(levels)), levels)
    for index, level in enumerate(around):
        angle = 2 * np.pi * index / 120 - np.pi / 2
        inner, outer = 0.52 * size, (0.58 + 0.34 * float(level)) * size
        ends = [
            (round(size + r * np.cos(angle)), round(size + r * np.sin(angle)))
            for r in (inner, outer)
        ]
        cv2.line(coverage, ends[0], ends[1], 255, 26, cv2.LINE_AA)
    cv2.circle(coverage, (size, size), round(0.40 * size), 255, 20, cv2.LINE_AA)
    _microphone(coverage, size)
    small = cv2.resize(coverage, (size, size), interpolation=cv2.INTER_AREA).astype(np.uint8)
    _ink(canvas, small, (COVER_PX - size) // 2, 215, mixed(accent, _INK, 0.12))


def _microphone(coverage: Image, middle: int) -> None:
    """A microphone in the middle of a coverage mask."""
    cv2.line(coverage, (middle, middle - 150), (middle, middle - 10), 255, 150, cv2.LINE_AA)
    cv2.ellipse(coverage, (middle, middle - 10), (130, 130), 0, 10, 170, 255, 26, cv2.LINE_AA)
    cv2.line(coverage, (middle, middle + 125), (middle, middle + 200), 255, 26, cv2.LINE_AA)
    cv2.line(
        coverage, (middle - 80, middle + 205), (middle + 80, middle + 205), 255, 26, cv2.LINE_AA
    )


def _bars(canvas: Light, levels: NDArray[np.float32], accent: str) -> None:
    """The sound's shape from margin to margin."""
    pitch = (COVER_PX - 2 * _MARGIN) / len(levels)
    coverage = np.zeros((320, COVER_PX), np.uint8)
    for index, level in enumerate(levels):
        x = round(_MARGIN + (index + 0.5) * pitch)
        reach = round(5 + 62 * float(level))
        cv2.line(coverage, (x, 160 - reach), (x, 160 + reach), 255, 13, cv2.LINE_AA)
    _ink(canvas, coverage, 0, _SOUND_Y - 160, accent)


def _title(canvas: Light, title: str) -> None:
    """As large as fits in at most four lines; only what is too long for them is cut."""
    width, room = COVER_PX - 2 * _MARGIN, _TITLE_BOTTOM - _TITLE_TOP
    size = 304
    lines = lettering.wrapped(title, "display", size, width)
    while size > 72 and (len(lines) > 4 or len(lines) * 1.12 * size > room):
        size -= 8
        lines = lettering.wrapped(title, "display", size, width)
    lines = lines[: max(1, int(room // (1.12 * size)))]
    top = _TITLE_TOP + (room - len(lines) * 1.12 * size) / 2
    baseline = top + lettering.ascent_px(size)
    coverage = PilImage.new("L", (COVER_PX, COVER_PX))
    for index, line in enumerate(lines):
        right = lettering.direction(title) == "rtl"
        x = COVER_PX - _MARGIN - line.width if right else _MARGIN
        lettering.draw_line(coverage, line, x, baseline + index * 1.12 * size)
    _ink_text(canvas, coverage, _INK)


def _write(
    canvas: Light, text: str, size: int, baseline: float, colour: str, *, spaced: bool = False
) -> None:
    """One line at the margin of the text's side; `spaced` sets Latin capitals apart."""
    room = COVER_PX - 2 * _MARGIN
    coverage = PilImage.new("L", (COVER_PX, COVER_PX))
    if spaced and text.isascii() and lettering.measure(text, "text", size) * 1.3 < room:
        x = float(_MARGIN)
        for char in text:
            letter = lettering.set_line([char], "text", size)
            lettering.draw_line(coverage, letter, x, baseline)
            x += (letter.width or 0.3 * size) + 0.14 * size
    else:
        line = lettering.fitted(text, "text", size, room)
        right = lettering.direction(text) == "rtl"
        x = COVER_PX - _MARGIN - line.width if right else _MARGIN
        lettering.draw_line(coverage, line, x, baseline)
    _ink_text(canvas, coverage, colour)


def _ink_text(canvas: Light, coverage: PilImage.Image, colour: str) -> None:
    """Blend a mask of the cover's size, only where something is drawn."""
    box = coverage.getbbox()
    if box is not None:
        _ink(canvas, lettering.as_coverage(coverage.crop(box)), box[0], box[1], colour)


def _ink(canvas: Light, coverage: Image, left: int, top: int, colour: str) -> None:
    under = canvas[top : top + coverage.shape[0], left : left + coverage.shape[1]]
    rows, columns = np.nonzero(coverage)
    share = coverage[rows, columns].astype(np.float32)[:, None] / np.float32(255.0)
    there = under[rows, columns]
    under[rows, columns] = there + (_tone(colour) - there) * share


def draw_contact_sheet(
    frames: Sequence[Image], times_s: Sequence[float], columns: int = 4, width: int = 1600
) -> Image:
    """Frames `(h, w, 3)` in RGB in rows with their times, `width` pixels wide."""
    gap = 12
    cell_w = (width - gap * (columns + 1)) // columns
    cell_h = round(cell_w * frames[0].shape[0] / frames[0].shape[1])
    rows = -(-len(frames) // columns)
    pitch = cell_h + gap + 34
    sheet = np.full((gap + rows * pitch, width, 3), 18, np.uint8)
    coverage = PilImage.new("L", (width, len(sheet)))
    for index, (frame, time_s) in enumerate(zip(frames, times_s, strict=True)):
        x = gap + index % columns * (cell_w + gap)
        y = gap + index // columns * pitch
        sheet[y : y + cell_h, x : x + cell_w] = cv2.resize(
            frame, (cell_w, cell_h), interpolation=cv2.INTER_AREA
        )
        clock = f"{int(time_s) // 3600}:{int(time_s) // 60 % 60:02d}:{time_s % 60:04.1f}"
        line = lettering.set_line([clock], "text", 20)
        lettering.draw_line(coverage, line, x, y + cell_h + 26)
    shade = lettering.as_coverage(coverage)[..., None].astype(np.uint16)
    lit: Image = (sheet + (200 - sheet.astype(np.int16)) * shade // 255).astype(np.uint8)
    return lit


def unpremultiplied(planes: Image) -> Image:
    """A host's `(4, h, w)` premultiplied Y, U, V, A as RGBA `(h, w, 4)`."""
    y, u, v, a = (plane.astype(np.float32) for plane in planes)
    alpha = np.maximum(a, 1.0) / 255.0
    luma = (y / alpha - 16.0) * (255.0 / 219.0)
    blue, red = u / alpha - 128.0, v / alpha - 128.0
    rgba = np.stack(
        [
            luma + 1.5748 * 255.0 / 224.0 * red,
            luma - (0.1873 * blue + 0.4681 * red) * 255.0 / 224.0,
            luma + 1.8556 * 255.0 / 224.0 * blue,
            a,
        ],
        axis=-1,
    )
    clipped: Image = np.clip(np.rint(rgba), 0, 255).astype(np.uint8)
    return clipped
