"""A training run as pictures: its losses, and what it says beside what was said."""

from __future__ import annotations

import functools
import importlib.resources
import math
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from studio.training import LossPoint

Floats = NDArray[np.float32]

_SIZE_PX = (1120, 520)
_FRAME_PX = (84, 64, 1092, 456)
"""Left, top, right and bottom of the plotted area."""
_INK, _DIM, _GRID, _PAPER = "#1c2733", "#5d6b7a", "#dde3e9", "#ffffff"
_TRAINING, _VALIDATION = "#2f6f9f", "#b3382c"

_BAND_PX, _FRAME_WIDTH_PX = 3, 4
"""Of one mel band and one frame in the picture of a spectrogram."""


def draw_losses(points: Sequence[LossPoint], path: Path) -> Path:
    """Training and validation loss over steps, on a logarithmic axis."""
    image = Image.new("RGB", _SIZE_PX, _PAPER)
    pen = ImageDraw.Draw(image)
    left, top, right, bottom = _FRAME_PX
    pen.text((left, 16), "Loss (L1 of the normalised mel)", _INK, _font(22))
    training = [(p.step, p.training) for p in points]
    validation = [(p.step, p.validation) for p in points if p.validation is not None]
    values = [value for _, value in training + validation if value > 0.0]
    low, high = (min(values), max(values)) if values else (0.1, 1.0)
    low, high = math.log10(low) - 0.05, math.log10(high) + 0.05
    last = max((step for step, _ in training), default=1)

    def place(step: float, value: float) -> tuple[float, float]:
        y = (math.log10(max(value, 1e-9)) - low) / (high - low)
        return left + (right - left) * step / max(last, 1), bottom - (bottom - top) * y

    for value in _marks(low, high):
        y = place(0, value)[1]
        pen.line((left, y, right, y), _GRID)
        pen.text((left - 10, y), f"{value:g}", _DIM, _font(15), anchor="rm")
    for part in range(5):
        step = last * part / 4
        pen.text((place(step, 1.0)[0], bottom + 10), f"{step:.0f}", _DIM, _font(15), anchor="ma")
    pen.text(((left + right) / 2, bottom + 34), "step", _DIM, _font(15), anchor="ma")
    for name, series, colour, at in (
        ("training", training, _TRAINING, right - 240),
        ("validation", validation, _VALIDATION, right - 120),
    ):
        spots = [place(*spot) for spot in series]
        if len(spots) > 1:
            pen.line(spots, colour, 3, joint="curve")
        for x, y in spots:
            pen.ellipse((x - 3, y - 3, x + 3, y + 3), colour)
        pen.text((at, 20), name, colour, _font(17))
    image.save(path)
    return path


def draw_mels(rows: Sequence[tuple[str, Floats]], path: Path) -> Path:
    """Log mels `(t, n_mels)` under one another with their titles, low bands below, one scale."""
    low = min(float(mel.min()) for _, mel in rows)
    high = max(float(mel.max()) for _, mel in rows)
    pictures = []
    for _, mel in rows:
        level = np.clip((mel.T[::-1] - low) / max(high - low, 1e-6) * 255.0, 0, 255)
        colours = cv2.applyColorMap(np.ascontiguousarray(level, np.uint8), cv2.COLORMAP_VIRIDIS)
        size = (mel.shape[0] * _FRAME_WIDTH_PX, mel.shape[1] * _BAND_PX)
        # Whole pixels repeated: a frame of a spectrogram has no in-between.
        pictures.append(cv2.resize(colours, size, interpolation=cv2.INTER_NEAREST)[..., ::-1])
    heights = [picture.shape[0] + 40 for picture in pictures]
    width = max(480, *(picture.shape[1] for picture in pictures)) + 32
    image = Image.new("RGB", (width, sum(heights) + 16), _PAPER)
    pen = ImageDraw.Draw(image)
    y = 8
    for (title, _), picture, height in zip(rows, pictures, heights, strict=True):
        pen.text((16, y + 4), title, _INK, _font(18))
        image.paste(Image.fromarray(np.ascontiguousarray(picture)), (16, y + 32))
        y += height
    image.save(path)
    return path


def _marks(low: float, high: float) -> list[float]:
    """Round multiples of powers of ten between two exponents of ten."""
    powers = range(math.floor(low), math.ceil(high) + 1)
    values = [digit * 10.0**power for power in powers for digit in (1, 2, 3, 4, 5, 7)]
    return [value for value in values if low <= math.log10(value) <= high]


@functools.cache
def _font(size_px: int) -> ImageFont.FreeTypeFont:
    place = importlib.resources.files("models.picture") / "fonts" / "Inter-SemiBold.otf"
    with importlib.resources.as_file(place) as path:
        return ImageFont.truetype(str(path), size_px)
