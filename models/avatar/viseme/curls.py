"""Curly hair: a heap of balls, each with its own light and its own lock."""

from __future__ import annotations

import math

from models.avatar.viseme.canvas import Canvas, Mask, Radial, mixed
from models.avatar.viseme.character import Host
from models.avatar.viseme.outlines import ellipse, through


def _ring(
    count: int, rx: float, ry: float, y: float, radius: float, first: float, last: float
) -> tuple[tuple[float, float, float], ...]:
    """Curls on an arc: (x, y, radius) from angle `first` to `last`, in degrees, 0 to the right, 90
    up.
    """
    curls = []
    for k in range(count):
        angle = math.radians(first + (last - first) * k / (count - 1))
        wobble = 1 + 0.14 * math.sin(k * 2.4)
        curls.append((256 + rx * math.cos(angle), y - ry * math.sin(angle), radius * wobble))
    return tuple(curls)


_CURLS_BEHIND = (
    *_ring(17, 112, 108, 186, 33, -62, 242),
    *_ring(15, 84, 84, 178, 36, -40, 220),
)
_CURLS_FRONT = (*_ring(9, 80, 62, 158, 23, 2, 178), *_ring(7, 58, 46, 146, 19, 18, 162))


def _curls(canvas: Canvas, host: Host, curls: tuple[tuple[float, float, float], ...]) -> None:
    p = host.palette
    for k, (x, y, radius) in enumerate(curls):
        # Shade from the crown's light on the upper left to the dark side.
        depth = min(1.0, max(0.0, (x - 170) / 300 + (y - 90) / 420))
        outer, light = (
            mixed(p.hair, "#2a0f06", 0.45 * depth + 0.1),
            mixed(p.hair_light, p.hair, depth),
        )
        curl = canvas.shape(ellipse(x, y, radius, radius * 0.94, k * 31))
        canvas.put(
            curl,
            Radial(
                (x - radius * 0.3, y - radius * 0.35), radius * 1.25, radius * 1.25, light, outer
            ),
        )
        turn = math.radians(k * 67)
        cx, cy = math.cos(turn), math.sin(turn)
        for size, alpha in ((0.72, 0.50), (0.40, 0.38)):
            r = radius * size
            lock = through(
                [
                    (x + r * cx, y + r * cy),
                    (x - r * cy, y + r * cx),
                    (x - r * cx, y - r * cy),
                    (x + r * cy * 0.7, y - r * cx * 0.7),
                ],
                closed=False,
            )
            canvas.put(
                canvas.stroke(lock, radius * 0.13, 0.8, ([0, 0.5, 1], [0.2, 1, 0.2])),
                p.hair_shine,
                alpha * (1 - 0.5 * depth),
                curl,
            )


def curls_in_front(canvas: Canvas, host: Host, face: Mask) -> None:
    """Curls over the forehead, and their shadow."""
    for x, y, radius in _CURLS_FRONT:
        canvas.put(
            canvas.shape(ellipse(x, y + 5, radius, radius), 5), host.palette.skin_deep, 0.30, face
        )
    _curls(canvas, host, _CURLS_FRONT)


def curls_behind(canvas: Canvas, host: Host) -> None:
    """Curls around the skull."""
    _curls(canvas, host, _CURLS_BEHIND)
