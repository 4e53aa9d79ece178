"""The head without its moving parts: skin, ears, nose, beard, headphones; and what lies over the
eyes: glasses.
"""

from __future__ import annotations

import numpy as np

from models.avatar.viseme.canvas import Canvas, Linear, Mask, Radial, mixed
from models.avatar.viseme.character import Host
from models.avatar.viseme.gaze import draw_brows
from models.avatar.viseme.hair import draw_crown, draw_front
from models.avatar.viseme.outlines import Points, ellipse, mirrored, outline, through

HEAD_BOX = (76.0, 2.0, 436.0, 372.0)
"""In units; wide enough for the largest hair and for the turn of the head."""


def draw_head(host: Host, scale: float) -> Canvas:
    """Everything of the head that eyes, mouth and glasses are put upon."""
    canvas = Canvas(HEAD_BOX, scale)
    draw_crown(canvas, host)
    _ears(canvas, host)
    face = canvas.shape(through(mirrored(host.face.half)))
    _skin(canvas, host, face)
    _nose(canvas, host, face)
    if host.beard != "none":
        _beard(canvas, host, face)
    draw_brows(canvas, host)
    draw_front(canvas, host, face)
    if host.headphones:
        _headphones(canvas, host)
    return canvas


def _ears(canvas: Canvas, host: Host) -> None:
    p, face = host.palette, host.face
    y = face.eye_y + 9
    half = max(dx for dx, _ in face.half) + 4
    for side in (-1, 1):
        x = 256 + side * half
        canvas.put(
            canvas.shape(ellipse(x, y, 13, 21, side * 8)),
            Linear((x, y - 20), (x, y + 20), p.skin, p.skin_shade),
        )
        canvas.put(canvas.shape(ellipse(x + side, y, 7, 13, side * 8), 1.2), p.skin_deep, 0.45)
        canvas.put(
            canvas.stroke(
                outline(
                    f"M {x - side * 3} {y - 12} C {x + side * 8} {y - 14} "
                    f"{x + side * 8} {y} {x + side * 2} {y + 10}"
                ),
                2.2,
                0.8,
            ),
            p.skin_light,
            0.5,
        )
        if host.earrings:
            canvas.put(
                canvas.shape(ellipse(x + side * 2, y + 27, 4.6, 4.6)),
                Radial((x + side * 2 - 1, y + 25), 6, 6, "#fff3c4", p.accent),
            )
            canvas.put(
                canvas.shape(ellipse(x + side * 2, y + 40, 5.4, 8.4)),
                Radial((x + side * 2 - 1, y + 37), 9, 11, "#fff0b8", p.accent),
            )


def _skin(canvas: Canvas, host: Host, face: Mask) -> None:
    p, chin = host.palette, host.face.chin_y
    half = max(dx for dx, _ in host.face.half)
    canvas.put(face, Radial((246, 190), 150, 150, p.skin_light, p.skin))
    right = outline(
        f"M 318 104 C {256 + half + 15} 180 340 {chin - 45} 262 "
        f"{chin + 7} C 360 {chin + 25} 392 180 318 104 Z"
    )
    canvas.put(canvas.shape(right, 12), p.skin_shade, 0.50, face)
    left = outline(
        f"M 170 114 C {256 - half - 8} 220 190 {chin - 25} 240 {chin + 7} "
        f"C 150 {chin - 5} 128 160 170 114 Z"
    )
    canvas.put(canvas.shape(left, 9), p.skin_shade, 0.34, face)
    rim = through(
        [(256 + half - 5, 170), (256 + half, 205), (256 + half - 7, 245), (256 + half - 2, 210)]
    )
    canvas.put(canvas.shape(rim, 2.4), mixed(p.skin_light, "#ffdba6", 0.6), 0.55, face)
    canvas.put(canvas.shape(ellipse(256, chin - 5, 30, 9), 5), p.skin_light, 0.30, face)
    for x in (207, 306):
        canvas.put(canvas.glow(x, 240, 24, 17), p.blush, 0.36, face)
    canvas.put(
        canvas.shape(ellipse(250, 150, 46, 22), 14), mixed(p.skin_light, "#ffe6c8", 0.5), 0.42, face
    )
    if host.hair == "curls":
        _freckles(canvas, host, face)


def _freckles(canvas: Canvas, host: Host, face: Mask) -> None:
    spots = (
        (-46, 2),
        (-39, -4),
        (-33, 3),
        (-27, -2),
        (-41, 8),
        (-31, 9),
        (-22, 5),
        (-15, -1),
        (-50, 9),
    )
    for dx, dy in spots:
        for side in (-1, 1):
            x, y = 256 + side * (-dx) + (1.3 if side > 0 else 0), 236 + dy + (1 if side < 0 else 0)
            canvas.put(
                canvas.shape(ellipse(x, y, 1.25, 1.1), 0.4), host.palette.skin_deep, 0.42, face
            )


def _nose(canvas: Canvas, host: Host, face: Mask) -> None:
    p, w = host.palette, host.face.nose_width
    light = mixed(p.skin_light, "#ffe6cc", 0.55)

    def wide(drawing: str) -> Points:
        return np.asarray((outline(drawing) - [256, 0]) * [w, 1] + [256, 0])

    canvas.put(
        canvas.shape(
            wide(
                "M 262 196 C 266 216 276 236 274 246 C 268 254 258 254 254 250 C "
                "262 244 262 220 262 196 Z"
            ),
            2.6,
        ),
        p.skin_shade,
        0.55,
        face,
    )
    canvas.put(
        canvas.shape(
            wide(
                "M 252 196 C 250 220 247 236 250 244 C 255 248 259 243 258 236 C "
                "257 220 256 206 255 196 Z"
            ),
            2.4,
        ),
        light,
        0.55,
        face,
    )
    canvas.put(canvas.shape(ellipse(252, 243, 6, 4.4), 1.4), light, 0.65, face)
    for dx, turn in ((-10, -14), (10, 14)):
        canvas.put(
            canvas.shape(ellipse(256 + dx * w, 251.5, 4.2, 1.9, turn), 0.7), p.skin_deep, 0.75, face
        )
    for drawing in ("M 240 247 C 238 253 242 256 246 254", "M 272 247 C 275 253 270 256 266 254"):
        canvas.put(canvas.stroke(wide(drawing), 1.6, 0.5), p.skin_deep, 0.48, face)
    canvas.put(canvas.shape(ellipse(256, 259, 5, 3), 1.4), p.skin_shade, 0.22, face)


def _beard(canvas: Canvas, host: Host, face: Mask) -> None:
    p, f = host.palette, host.face
    half = max(dx for dx, _ in f.half)
    full = host.beard == "full"
    fall = 13.0 if full else 2.5
    edge = [
        (0, 214),
        (half - 20, 214),
        (half + 1, f.eye_y + 12),
        (half + 1 + fall * 0.2, 248),
        (half - 8 + fall * 0.4, 274),
        (half - 27 + fall * 0.5, 303 + fall * 0.5),
        (27, f.chin_y + fall * 0.9),
        (0, f.chin_y + 1 + fall),
    ]
    cheeks = [
        (0, 190),
        (half - 7, 196),
        (half - 7, f.eye_y + 18),
        (half - 14, 240),
        (half - 33, 257),
        (37, f.mouth_y - 10),
        (18, f.mouth_y - 18),
        (0, f.mouth_y - 18),
    ]
    outer = canvas.shape(through(mirrored(edge)), 0.8)
    hair = outer.without(canvas.shape(through(mirrored(cheeks)), 2.2))
    ramp = Linear((0, 230), (0, f.chin_y + fall), mixed(p.hair, p.skin_shade, 0.15), p.hair)
    canvas.put(hair, ramp, 0.97 if full else 0.84)
    lit = outline(f"M 160 200 L 236 240 L 250 {f.chin_y + 20} L 180 330 Z")
    canvas.put(canvas.shape(lit, 14), p.hair_light, 0.35, hair)
    dark = outline(f"M 352 200 L 300 260 L 268 {f.chin_y + 24} L 340 330 Z")
    canvas.put(canvas.shape(dark, 14), mixed(p.hair, "#000000", 0.4), 0.30, hair)
    reach = max(half - 2 + fall * 0.3, half)
    for side in (-1, 1):
        for k in range(34):
            t = k / 33
            x = 256 + side * (2 + reach * t)
            y = f.chin_y + fall - (f.chin_y + fall - 244) * t**2.6
            for rise in (44, 32, 21, 11, 2):
                strand = outline(
                    f"M {x - side * 4:.2f} {y - rise:.2f} C {x - side * 3:.2f} {y - rise + 5:.2f} "
                    f"{x - side:.2f} {y - rise + 9:.2f} {x - side * 0.5:.2f} {y - rise + 15:.2f}"
                )
                ink = p.hair_shine if (k + rise) % 3 else p.hair_light
                stroke = canvas.stroke(strand, 1.4, 0.5, ([0, 0.5, 1], [0.2, 1, 0.2]))
                canvas.put(stroke, ink, 0.36, hair)


def _headphones(canvas: Canvas, host: Host) -> None:
    p = host.palette
    half = max(dx for dx, _ in host.face.half)
    crown = host.face.half[0][1] - (46 if host.hair != "bald" else 12)
    x0, x1, y = 256 - half - 19, 256 + half + 19, host.face.eye_y + 4
    band = outline(
        f"M {x0} {y} C {x0 - 8} {crown + 54} {x0 + 38} {crown} 256 "
        f"{crown} C {x1 - 38} {crown} {x1 + 8} {crown + 54} {x1} {y} "
        f"L {x1 - 11} {y} C {x1 - 4} {crown + 62} {x1 - 46} {crown + 14} "
        f"256 {crown + 14} C {x0 + 46} {crown + 14} {x0 + 4} {crown + 62} "
        f"{x0 + 11} {y} Z"
    )
    mask = canvas.shape(band)
    canvas.put(mask, Linear((160, crown), (350, 200), "#3b4552", "#2a313b"))
    shine = outline(
        f"M {x0 + 18} {crown + 60} C {x0 + 38} {crown + 24} 226 {crown + 9} 256 {crown + 8}"
    )
    canvas.put(canvas.stroke(shine, 2.4, 0.8, ([0, 0.5, 1], [0.2, 1, 0.2])), "#8b98a8", 0.9, mask)
    for side in (-1, 1):
        x = 256 + side * (half + 14)
        canvas.put(canvas.shape(ellipse(x - side * 4, y + 7, 15, 31)), "#12161b")
        canvas.put(
            canvas.shape(ellipse(x + side * 3, y + 7, 13, 28)),
            Linear((x - 14, y - 19), (x + 14, y + 31), "#465160", "#20262e"),
        )
        canvas.put(canvas.shape(ellipse(x + side * 5, y + 7, 6, 13)), p.accent, 0.95)
        canvas.put(
            canvas.shape(ellipse(x + side * 5, y + 7, 3.4, 8)),
            mixed(p.accent, "#ffffff", 0.45),
            0.5,
        )
        rim = outline(f"M {x - 6} {y - 15} C {x} {y - 21} {x + 6} {y - 19} {x + 8} {y - 13}")
        canvas.put(canvas.stroke(rim, 1.8, 0.8), "#aab6c4", 0.7)
