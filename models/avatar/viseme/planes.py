"""Layers as premultiplied Y'CbCr plus alpha, and putting one over another.

Colours are converted once, when a layer is drawn: from then on a frame is only warped and blended,
and what leaves the painter needs no colour conversion before the encoder. Matrix and range: BT.709
(Rec. ITU-R BT.709-6, items 3.2-3.5), limited range in eight bits, Y 16..235 and Cb, Cr 16..240.
Premultiplied means that the *code values*, offsets included, are multiplied by alpha: transparent
is (0, 0, 0, 0), and `source + (1 - alpha) * below` is exact for all three planes.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Layer = NDArray[np.uint8]
"""(height, width, 4): Y, Cb, Cr, A interleaved, so that one warp moves all four."""
Planes = NDArray[np.uint8]
"""(4, height, width): the same four, each contiguous."""

_KR, _KB = 0.2126, 0.0722
"""Luma weights of red and blue (BT.709-6, item 3.2)."""


def _code_matrix() -> NDArray[np.float32]:
    """Premultiplied R, G, B, A in 0..1 to premultiplied code values; the offsets ride on alpha."""
    luma = np.array([_KR, 1 - _KR - _KB, _KB])
    blue = (np.array([0.0, 0.0, 1.0]) - luma) / (2 * (1 - _KB))
    red = (np.array([1.0, 0.0, 0.0]) - luma) / (2 * (1 - _KR))
    rows = [
        [*(219 * luma), 16],
        [*(224 * blue), 128],
        [*(224 * red), 128],
        [0, 0, 0, 255],
    ]
    return np.array(rows, np.float32)


_CODES = _code_matrix()


def to_yuva(rgba: NDArray[np.float32]) -> Layer:
    """Premultiplied RGBA (h, w, 4) in 0..1 to a premultiplied layer."""
    codes = np.asarray(cv2.transform(np.ascontiguousarray(rgba), _CODES))
    return np.asarray(np.clip(codes + 0.5, 0, 255), np.uint8)


def to_rgb(layer: Layer, below_rgb: tuple[int, int, int]) -> NDArray[np.uint8]:
    """The layer in front of a plain colour, as RGB (h, w, 3): for pictures that people look at."""
    rgba = np.asarray(cv2.transform(layer.astype(np.float32), np.linalg.inv(_CODES)))
    below = np.array(below_rgb, np.float32) / 255
    rgb = rgba[..., :3] + (1 - rgba[..., 3:]) * below
    return np.clip(rgb * 255 + 0.5, 0, 255).astype(np.uint8)


def see_through(layer: Layer) -> Layer:
    """255 - alpha, once for each of the four channels: how much of what is below remains."""
    return np.asarray(cv2.merge([cv2.bitwise_not(cv2.extractChannel(layer, 3))] * 4), np.uint8)


def blend(below: Layer, layer: Layer, left: int, top: int, remains: Layer | None = None) -> None:
    """Put a premultiplied layer over another in place, its corner at (`left`, `top`); what hangs
    over is cut. `remains` is `see_through(layer)` where it is known already.
    """
    x0, y0 = max(left, 0), max(top, 0)
    x1 = min(left + layer.shape[1], below.shape[1])
    y1 = min(top + layer.shape[0], below.shape[0])
    if x1 <= x0 or y1 <= y0:
        return
    part = (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))
    source, into = layer[part], below[y0:y1, x0:x1]
    through = see_through(source) if remains is None else remains[part]
    kept = cv2.multiply(into, through, scale=1 / 255)
    cv2.add(kept, source, dst=into)


def put_over(
    below: Planes, layer: Layer, corner: tuple[int, int], into: Planes, first_row: int = 0
) -> tuple[int, int, int, int]:
    """Put a layer over planes, into others of the same size, its corner at (x, y) `corner`; what
    hangs over is cut. `below` is known to be empty above `first_row`. Returns the box that was
    written: left, top, right, bottom.
    """
    x0, y0 = max(corner[0], 0), max(corner[1], 0)
    x1 = min(corner[0] + layer.shape[1], below.shape[2])
    y1 = min(corner[1] + layer.shape[0], below.shape[1])
    sources = cv2.split(layer[y0 - corner[1] : y1 - corner[1], x0 - corner[0] : x1 - corner[0]])
    start = min(max(first_row, y0), y1)
    through = cv2.bitwise_not(sources[3])[start - y0 :]
    for source, under, target in zip(sources, below, into, strict=True):
        target[y0:start, x0:x1] = source[: start - y0]
        if start < y1:
            part = target[start:y1, x0:x1]
            cv2.multiply(under[start:y1, x0:x1], through, dst=part, scale=1 / 255)
            cv2.add(part, source[start - y0 :], dst=part)
    return (x0, y0, x1, y1)


def cropped(layer: Layer, left: int, top: int) -> tuple[Layer, int, int]:
    """The layer without its transparent margin (2 px are kept for the warp), and its new corner."""
    rows = np.flatnonzero(layer[..., 3].any(1))
    columns = np.flatnonzero(layer[..., 3].any(0))
    if len(rows) == 0:
        return layer[:1, :1].copy(), left, top
    y0, x0 = max(int(rows[0]) - 2, 0), max(int(columns[0]) - 2, 0)
    y1, x1 = int(rows[-1]) + 3, int(columns[-1]) + 3
    return np.ascontiguousarray(layer[y0:y1, x0:x1]), left + x0, top + y0
