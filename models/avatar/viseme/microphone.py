"""The microphone in front of a host, on an arm that comes up from below the picture."""

from __future__ import annotations

import numpy as np

from models.avatar.viseme.canvas import Canvas, Linear
from models.avatar.viseme.outlines import Points, outline, shifted, through

MICROPHONE_BOX = (20.0, 318.0, 232.0, 548.0)
"""In units; 36 units lie below the square."""

_MIDDLE = (140.0, 402.0)
_TILT_DEG = 38.0


def _placed(points: object) -> Points:
    """From the microphone's own upright coordinates to the picture."""
    c, s = np.cos(np.deg2rad(_TILT_DEG)), np.sin(np.deg2rad(_TILT_DEG))
    turn = np.array([[c, s], [-s, c]])
    return np.asarray(np.asarray(points, np.float64) @ turn + _MIDDLE)


def draw_microphone(accent: str, scale: float) -> Canvas:
    """A microphone in front of the host's right shoulder; `accent` colours its ring."""
    canvas = Canvas(MICROPHONE_BOX, scale)
    arm = outline("M 66 560 C 62 520 66 486 92 462 C 102 452 112 444 122 430")
    canvas.put(canvas.stroke(shifted(arm, 4, 4), 13, 5), "#000000", 0.25)
    canvas.put(canvas.stroke(arm, 13), Linear((54, 470), (84, 480), "#56616e", "#171b21"))
    canvas.put(canvas.stroke(shifted(arm, -2.6, -1.0), 2.0, 0.7), "#a9b6c4", 0.55)
    body = _placed(
        through(
            [
                (-26, -58),
                (26, -58),
                (30, -30),
                (30, 34),
                (22, 48),
                (-22, 48),
                (-30, 34),
                (-30, -30),
            ],
            num_points=8,
        )
    )
    canvas.put(canvas.shape(shifted(body, 3, 6), 6), "#000000", 0.30)
    shell = canvas.shape(body)
    canvas.put(shell, Linear((114, 384), (174, 424), "#56616e", "#1b2027"))
    grille = canvas.shape(
        _placed(
            through(
                [(-27, -62), (27, -62), (31, -30), (31, -4), (-31, -4), (-31, -30)], num_points=8
            )
        )
    )
    canvas.put(grille, Linear((114, 364), (174, 404), "#7c8896", "#2c343d"))
    for k in range(-60, 0, 7):
        canvas.put(canvas.stroke(_placed([(-34, k), (34, k)]), 1.5, 0.3), "#171b20", 0.65, grille)
    for k in range(-32, 36, 7):
        canvas.put(canvas.stroke(_placed([(k, -66), (k, 0)]), 1.3, 0.3), "#171b20", 0.5, grille)
    canvas.put(canvas.stroke(_placed([(-32, 0), (32, 0)]), 5, 0.4), accent, 0.95, shell)
    canvas.put(canvas.stroke(_placed([(-19, -54), (-21, 40)]), 5, 2.2), "#dfe8f2", 0.5, shell)
    return canvas
