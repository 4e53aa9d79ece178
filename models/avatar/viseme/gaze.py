"""The eyes: one sprite per state of lids and gaze. And the brows, which move with the skin they sit
on.
"""

from __future__ import annotations

import numpy as np

from models.avatar.viseme.canvas import Canvas, Linear, Radial, mixed
from models.avatar.viseme.character import Host
from models.avatar.viseme.outlines import Points, ellipse, outline, shifted

EYES_BOX_HALF_WIDTH = 76.0
EYES_BOX_ABOVE, EYES_BOX_BELOW = 34.0, 26.0
"""The sprite's extent around the line between the eyes, in units."""

LOOK_UNITS = (4.6, 3.0)
"""How far an iris travels for a gaze of 1, across and down."""


def draw_eyes(host: Host, blink: float, look_x: float, look_y: float, scale: float) -> Canvas:
    """Both eyes.

    Args:
        host: Whose eyes.
        blink: 0 open, 1 shut.
        look_x: -1 left to 1 right, as seen in the picture.
        look_y: -1 up to 1 down.
        scale: Pixels per unit.
    """
    y = host.face.eye_y
    canvas = Canvas(
        (
            256 - EYES_BOX_HALF_WIDTH,
            y - EYES_BOX_ABOVE,
            256 + EYES_BOX_HALF_WIDTH,
            y + EYES_BOX_BELOW,
        ),
        scale,
    )
    for side in (-1, 1):
        _eye(canvas, host, side, blink, (look_x, look_y))
    return canvas


def _lids(host: Host, side: int, blink: float) -> tuple[Points, Points]:
    """The edges of the upper and the lower lid, both from left to right."""
    face = host.face
    x, y, half = 256 + side * face.eye_dx, face.eye_y, face.eye_half_width
    # A shut lid rests below the middle: the upper lid does the travelling.
    rise = face.eye_height * (1 - blink) - 3.4 * blink
    drop = face.eye_height * 0.62 * (1 - blink) + 4.6 * blink
    inner, outer = (x - side * half, y + 2.4), (x + side * half, y - 1.2)
    left, right = (inner, outer) if side > 0 else (outer, inner)
    upper = outline(
        f"M {left[0]:.3f} {left[1]:.3f} C {x - 9:.3f} {y - rise * 1.25:.3f} "
        f"{x + 9:.3f} {y - rise * 1.25:.3f} {right[0]:.3f} {right[1]:.3f}"
    )
    lower = outline(
        f"M {left[0]:.3f} {left[1]:.3f} C {x - 9:.3f} {y + drop * 1.25:.3f} "
        f"{x + 9:.3f} {y + drop * 1.25:.3f} {right[0]:.3f} {right[1]:.3f}"
    )
    return upper, lower


def _eye(canvas: Canvas, host: Host, side: int, blink: float, look: tuple[float, float]) -> None:
    face, p = host.face, host.palette
    x, y = 256 + side * face.eye_dx, face.eye_y
    upper, lower = _lids(host, side, blink)
    lash_ink = mixed("#1c1012", p.brow, 0.3)
    canvas.put(canvas.shape(ellipse(x, y - 4, 23, 15), 4), p.skin_shade, 0.42)
    lid_fold = upper - [0, 6.2 - 2.4 * blink]
    if blink > 0.02:
        lid = np.concatenate([shifted(lid_fold, 0, 1), upper[::-1]])
        canvas.put(
            canvas.shape(lid, 0.8),
            Linear((0, y - 10), (0, y + 6), p.skin, p.skin_shade),
            0.75 * min(1.0, blink * 2),
        )
    if blink < 0.92:
        ball = canvas.shape(np.concatenate([upper, lower[::-1]]))
        canvas.put(ball, Linear((0, y - 10), (0, y + 8), "#d8cfc8", "#fffdf8"))
        ix, iy = x + look[0] * LOOK_UNITS[0], y - 1 + look[1] * LOOK_UNITS[1]
        canvas.put(
            canvas.shape(ellipse(ix, iy, 9.3, 9.7)),
            Radial((ix, iy + 3), 10, 10, p.iris_light, p.iris),
            1.0,
            ball,
        )
        rim = [ellipse(ix, iy, 8.9, 9.3), ellipse(ix, iy, 8.9, 9.3)[:1]]
        canvas.put(
            canvas.stroke(np.concatenate(rim), 1.4, 0.4), mixed(p.iris, "#100808", 0.6), 0.85, ball
        )
        canvas.put(canvas.shape(ellipse(ix, iy, 4.3, 4.5), 0.3), "#120a08", 1.0, ball)
        canvas.put(canvas.shape(ellipse(ix + 3.2, iy - 3.6, 2.5, 2.6), 0.2), "#ffffff", 1.0, ball)
        canvas.put(canvas.shape(ellipse(ix - 3, iy + 3.4, 1.4, 1.3), 0.3), "#ffe9cf", 0.75, ball)
        canvas.put(canvas.stroke(shifted(upper, 0, 2.2), 5, 1.4), "#4a2a24", 0.45, ball)
    canvas.put(canvas.stroke(lid_fold, 1.5, 0.6, ([0, 0.5, 1], [0.3, 1, 0.3])), p.skin_deep, 0.65)
    heavy_end = ([0, 0.5, 1], [0.55, 1, 0.9] if side > 0 else [0.9, 1, 0.55])
    canvas.put(canvas.stroke(upper, 2.4 + 1.2 * face.lash, 0.35, heavy_end), lash_ink)
    if face.lash > 0.5:
        tip = upper[-1] if side > 0 else upper[0]
        wing = [
            (tip[0] - side * 5, tip[1] - 2.5),
            (tip[0] + side * 4.5, tip[1] - 4.6),
            (tip[0] - side, tip[1] + 0.8),
        ]
        canvas.put(canvas.shape(wing, 0.35), lash_ink)
    canvas.put(canvas.stroke(lower, 1.3, 0.5, ([0, 0.5, 1], [0.2, 1, 0.2])), p.skin_deep, 0.55)


def draw_brows(canvas: Canvas, host: Host) -> None:
    """Both brows at rest, onto the head."""
    face = host.face
    for side in (-1, 1):
        x, y, arch = 256 + side * face.eye_dx, face.brow_y, face.brow_arch
        hair = outline(
            f"M {x - side * 19} {y + 4 + arch} C {x - side * 8} {y - 4 * arch} "
            f"{x + side * 8} {y - 6 * arch} {x + side * 22} {y + 3.5}"
        )
        brow = canvas.stroke(hair, face.brow_width, 0.7, ([0, 0.25, 1], [0.75, 1, 0.25]))
        canvas.put(brow, host.palette.brow, 0.92)
