"""What lies over the eyes."""

from __future__ import annotations

import numpy as np

from models.avatar.viseme.canvas import Canvas, mixed
from models.avatar.viseme.character import Host
from models.avatar.viseme.outlines import ellipse, outline, shifted, through


def draw_glasses(host: Host, scale: float) -> Canvas:
    """What lies over the eyes. Empty for a host without glasses."""
    f = host.face
    canvas = Canvas((160, f.eye_y - 40, 352, f.eye_y + 40), scale)
    if host.glasses == "none":
        return canvas
    round_ones = host.glasses == "round"
    ink = "#b98a3a" if round_ones else "#1d2026"
    width = 2.6 if round_ones else 4.6
    half = max(dx for dx, _ in f.half)
    for side in (-1, 1):
        x, y = 256 + side * (f.eye_dx + 1), f.eye_y + 2
        if round_ones:
            rim = ellipse(x, y, 27, 26)
        else:
            rim = through(
                [
                    (x - 26, y - 18),
                    (x, y - 21),
                    (x + 26, y - 18),
                    (x + 28, y),
                    (x + 22, y + 19),
                    (x, y + 22),
                    (x - 22, y + 19),
                    (x - 28, y),
                ]
            )
        lens = canvas.shape(rim)
        canvas.put(lens, "#eaf6ff", 0.07)
        glint = outline(
            f"M {x - 20} {y + 6} L {x - 4} {y - 24} L {x + 5} {y - 24} L {x - 15} {y + 13} Z"
        )
        canvas.put(canvas.shape(glint, 1.4), "#ffffff", 0.13, lens)
        loop = np.concatenate([rim, rim[:2]])
        canvas.put(canvas.stroke(shifted(loop, 0.6, 2.2), width, 1.2), "#2a1410", 0.22)
        canvas.put(canvas.stroke(loop, width), ink)
        canvas.put(
            canvas.stroke(shifted(loop, -0.5, -0.6), width * 0.3, 0.3),
            mixed(ink, "#ffffff", 0.55),
            0.6,
        )
        arm = [(x + side * 26, y - 5), (256 + side * (half - 1), y - 8)]
        canvas.put(canvas.stroke(arm, width), ink)
    bridge = outline(
        f"M {256 - f.eye_dx + 26} {f.eye_y - 1} C 250 {f.eye_y - 8} 262 "
        f"{f.eye_y - 8} {256 + f.eye_dx - 26} {f.eye_y - 1}"
    )
    canvas.put(canvas.stroke(bridge, width), ink)
    return canvas
