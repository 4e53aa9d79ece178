"""Hair: what hangs behind the body, what stands around the skull, what falls over the forehead."""

from __future__ import annotations

from typing import assert_never

from models.avatar.viseme.canvas import Canvas, Linear, Mask, Radial, mixed
from models.avatar.viseme.character import Host
from models.avatar.viseme.curls import curls_behind, curls_in_front
from models.avatar.viseme.outlines import ellipse, outline, shifted, through

BACK_BOX = (116.0, 60.0, 396.0, 400.0)
"""In units: hair that hangs behind neck and shoulders."""


def draw_back(host: Host, scale: float) -> Canvas:
    """Hair behind the body. Empty for all but long hair."""
    canvas = Canvas(BACK_BOX, scale)
    p = host.palette
    if host.hair != "bob":
        return canvas
    mass = through(
        [
            (256, 78),
            (196, 92),
            (160, 140),
            (148, 205),
            (142, 270),
            (150, 330),
            (178, 364),
            (214, 362),
            (256, 350),
            (300, 362),
            (336, 364),
            (364, 328),
            (370, 268),
            (364, 205),
            (352, 140),
            (316, 92),
        ]
    )
    inside = canvas.shape(mass)
    canvas.put(inside, Linear((256, 80), (256, 365), p.hair, mixed(p.hair, "#000000", 0.4)))
    for x, dx, alpha in (
        (170, -8, 0.5),
        (160, -6, 0.35),
        (345, 8, 0.55),
        (354, 6, 0.4),
        (185, -6, 0.3),
        (330, 6, 0.35),
    ):
        lock = through(
            [(x, 150), (x + dx, 210), (x + dx * 0.6, 280), (x - dx * 0.6, 350)], closed=False
        )
        canvas.put(
            canvas.stroke(lock, 9, 2, ([0, 0.5, 1], [0.2, 1, 0.1])), p.hair_light, alpha, inside
        )
    return canvas


def draw_crown(canvas: Canvas, host: Host) -> None:
    """Hair around the skull, behind ears and face."""
    match host.hair:
        case "bob" | "bald":
            return
        case "quiff":
            _quiff_sides(canvas, host)
        case "topknot":
            _knot(canvas, host)
        case "curls":
            curls_behind(canvas, host)
        case _:
            assert_never(host.hair)


def draw_front(canvas: Canvas, host: Host, face: Mask) -> None:
    """Hair in front of the face, with the shadow it casts on the skin."""
    match host.hair:
        case "bob":
            _parting(canvas, host, face)
        case "quiff":
            _quiff(canvas, host, face)
        case "topknot":
            _swept_back(canvas, host, face)
        case "curls":
            curls_in_front(canvas, host, face)
        case "bald":
            _bald(canvas, host, face)
        case _:
            assert_never(host.hair)


def _strands(
    canvas: Canvas, host: Host, drawings: tuple[tuple[str, float, float], ...], inside: Mask
) -> None:
    for drawing, alpha, width in drawings:
        strand = canvas.stroke(outline(drawing), width, 1.5, ([0, 0.4, 1], [0.3, 1, 0.15]))
        canvas.put(strand, host.palette.hair_shine, alpha, inside)


def _parting(canvas: Canvas, host: Host, face: Mask) -> None:
    p = host.palette
    front = outline(
        "M 250 92 C 190 84 158 128 160 190 C 161 214 163 228 168 240 C "
        "172 214 176 196 184 178 C 204 170 244 150 268 118 "
        "C 286 150 318 166 330 180 C 338 198 340 216 343 240 C 350 226 352 208 352 190 "
        "C 354 124 318 84 250 92 Z"
    )
    inside = canvas.shape(front)
    canvas.put(canvas.shape(front, 5), p.skin_deep, 0.42, face)
    canvas.put(inside, Linear((200, 90), (330, 230), p.hair_light, p.hair))
    shade = outline(
        "M 268 118 C 292 110 330 130 346 180 C 350 210 346 226 343 240 C "
        "340 214 338 198 330 180 C 318 166 286 150 268 118 Z"
    )
    canvas.put(canvas.shape(shade, 2), p.hair, 0.55, inside)
    _strands(
        canvas,
        host,
        (
            ("M 262 102 C 220 108 186 140 176 200", 0.60, 5),
            ("M 256 100 C 208 106 174 142 168 210", 0.38, 4),
            ("M 268 110 C 240 138 206 156 186 168", 0.49, 5),
            ("M 276 108 C 310 122 336 158 344 214", 0.56, 4.5),
            ("M 284 104 C 322 118 346 156 348 200", 0.34, 3.5),
        ),
        inside,
    )
    for drawing in (
        "M 252 96 C 196 100 166 146 166 226",
        "M 262 116 C 236 142 206 160 184 174",
        "M 282 112 C 316 132 340 170 346 230",
    ):
        canvas.put(
            canvas.stroke(outline(drawing), 1.2, 0.4), mixed(p.hair, "#000000", 0.45), 0.6, inside
        )


def _quiff_sides(canvas: Canvas, host: Host) -> None:
    p = host.palette
    sides = outline(
        "M 256 82 C 204 80 168 112 165 170 C 164 196 167 214 172 230 L "
        "186 230 C 182 196 186 166 200 144 "
        "L 312 144 C 326 166 330 196 326 230 L 340 230 C 345 214 348 196 "
        "347 170 C 344 112 308 80 256 82 Z"
    )
    canvas.put(
        canvas.shape(sides), Linear((0, 90), (0, 230), p.hair, mixed(p.hair, p.skin_shade, 0.45))
    )


def _quiff(canvas: Canvas, host: Host, face: Mask) -> None:
    p = host.palette
    temples = outline(
        "M 172 150 C 166 176 168 206 174 226 C 178 208 180 186 188 166 C "
        "222 150 292 150 324 166 C 332 186 334 208 338 226 "
        "C 344 206 346 176 340 150 C 322 116 190 116 172 150 Z"
    )
    canvas.put(canvas.shape(temples, 5), p.skin_deep, 0.45, face)
    canvas.put(
        canvas.shape(temples, 1.2),
        Linear((0, 130), (0, 226), p.hair, mixed(p.hair, p.skin_shade, 0.5)),
        0.92,
    )
    top = outline(
        "M 176 152 C 166 120 182 78 226 64 C 262 52 314 56 334 84 C 350 "
        "104 348 134 338 156 C 326 146 318 140 306 140 "
        "C 286 150 252 150 226 142 C 206 138 188 144 176 152 Z"
    )
    canvas.put(canvas.shape(shifted(top, 0, 5), 6), p.skin_deep, 0.40, face)
    inside = canvas.shape(top)
    canvas.put(inside, Linear((200, 62), (300, 160), p.hair_light, p.hair))
    _strands(
        canvas,
        host,
        (
            ("M 190 142 C 186 108 210 82 250 74", 0.55, 6),
            ("M 206 138 C 208 112 236 90 284 78", 0.60, 6),
            ("M 232 142 C 238 120 268 98 314 88", 0.55, 6),
            ("M 262 146 C 272 128 298 112 332 106", 0.45, 5),
            ("M 290 144 C 302 132 318 126 340 128", 0.35, 4),
        ),
        inside,
    )
    for drawing in (
        "M 198 140 C 198 110 224 88 268 76",
        "M 220 140 C 224 116 254 94 300 82",
        "M 248 146 C 256 124 284 104 326 96",
        "M 278 146 C 290 130 312 118 338 116",
    ):
        canvas.put(
            canvas.stroke(outline(drawing), 1.4, 0.5), mixed(p.hair, "#000000", 0.4), 0.55, inside
        )


def _knot(canvas: Canvas, host: Host) -> None:
    p = host.palette
    knot = through(
        [(256, 22), (286, 28), (302, 50), (296, 78), (256, 92), (216, 78), (210, 50), (226, 28)]
    )
    inside = canvas.shape(knot)
    canvas.put(inside, Radial((244, 44), 52, 48, p.hair_light, p.hair))
    for k in range(7):
        x = 222 + k * 11.5
        canvas.put(
            canvas.stroke(
                outline(f"M {x} 88 C {x - 14 + k * 3} 62 {x - 4 + k} 42 {250 + k * 2} 28"),
                3.2,
                1.0,
                ([0, 0.5, 1], [0.3, 1, 0.2]),
            ),
            p.hair_shine,
            0.38,
            inside,
        )
    canvas.put(canvas.shape(ellipse(256, 90, 34, 7)), p.accent)
    canvas.put(canvas.shape(ellipse(250, 88, 24, 2.4), 1.0), "#fff2cf", 0.6)
    skull = outline(
        "M 256 80 C 200 80 168 118 172 180 L 178 214 L 334 214 L 340 180 C 344 118 312 80 256 80 Z"
    )
    canvas.put(canvas.shape(skull), Linear((200, 84), (320, 200), p.hair_light, p.hair))


def _swept_back(canvas: Canvas, host: Host, face: Mask) -> None:
    p = host.palette
    front = outline(
        "M 256 82 C 200 80 168 118 172 182 C 173 198 175 206 179 214 C "
        "181 190 186 168 200 150 C 216 132 236 126 256 126 "
        "C 276 126 296 132 312 150 C 326 168 331 190 333 214 C 337 206 339 198 340 182 "
        "C 344 118 312 80 256 82 Z"
    )
    canvas.put(canvas.shape(front, 5), p.skin_deep, 0.45, face)
    inside = canvas.shape(front)
    canvas.put(inside, Linear((200, 84), (330, 210), p.hair_light, p.hair))
    for k in range(-6, 7):
        x = 256 + k * 10.5
        y = 127 + abs(k) ** 1.9 * 1.5
        strand = outline(
            f"M {x:.2f} {y:.2f} C {256 + k * 11.5:.2f} {108 + abs(k):.2f} "
            f"{256 + k * 8} 94 {256 + k * 5} 84"
        )
        canvas.put(
            canvas.stroke(strand, 3.2, 1.1, ([0, 0.5, 1], [0.2, 1, 0.3])),
            p.hair_shine if k % 2 else "#0c0807",
            0.42,
            inside,
        )
    wisp = outline("M 184 178 C 176 200 180 224 188 240")
    canvas.put(canvas.stroke(wisp, 2.0, 0.5, ([0, 0.5, 1], [1, 0.8, 0.1])), p.hair, 0.9)


def _bald(canvas: Canvas, host: Host, face: Mask) -> None:
    p = host.palette
    canvas.put(
        canvas.shape(ellipse(238, 120, 34, 15, -14), 7),
        mixed(p.skin_light, "#ffffff", 0.6),
        0.55,
        face,
    )
    for side in (-1, 1):
        temple = through(
            [
                (256 + side * 82, 168),
                (256 + side * 87, 196),
                (256 + side * 84, 224),
                (256 + side * 76, 214),
                (256 + side * 77, 184),
            ]
        )
        canvas.put(canvas.shape(temple, 2.2), p.hair, 0.85, face)
