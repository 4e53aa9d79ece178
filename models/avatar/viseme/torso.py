"""Neck, shoulders and clothes. Drawn past the lower edge of the square, so that breathing never
shows an end.
"""

from __future__ import annotations

from typing import assert_never

from models.avatar.viseme.canvas import Canvas, Linear, Mask, mixed
from models.avatar.viseme.character import Host
from models.avatar.viseme.outlines import ellipse, outline, shifted, through
from models.avatar.viseme.shoulders import draw_cloth, draw_neck

TORSO_BOX = (10.0, 262.0, 502.0, 548.0)
"""In units; 36 units lie below the square."""


def draw_torso(host: Host, scale: float) -> Canvas:
    """The body without the head."""
    canvas = Canvas(TORSO_BOX, scale)
    draw_neck(canvas, host)
    match host.garment:
        case "crew":
            _crew(canvas, host)
        case "hoodie":
            _hoodie(canvas, host)
        case "blazer":
            _blazer(canvas, host)
        case "rollneck":
            _rollneck(canvas, host)
        case "overshirt":
            _overshirt(canvas, host)
        case _:
            assert_never(host.garment)
    return canvas


def _crew(canvas: Canvas, host: Host) -> None:
    p, n = host.palette, host.neck_half_width + 16
    cloth = draw_cloth(canvas, host)
    shadow = outline(
        f"M {256 - n} 362 C {256 - n + 18} 400 {256 + n - 18} 400 "
        f"{256 + n} 362 C {256 + n - 8} 410 {256 - n + 8} 410 {256 - n} "
        "362 Z"
    )
    canvas.put(canvas.shape(shadow, 2.4), p.top_shade, 0.6, cloth)
    collar = outline(
        f"M {256 - n} 345 C {256 - n + 10} 384 {256 + n - 10} 384 "
        f"{256 + n} 345 L {256 + n + 8} 351 "
        f"C {256 + n - 2} 401 {256 - n + 2} 401 {256 - n - 8} 351 Z"
    )
    band = canvas.shape(collar)
    canvas.put(band, Linear((256 - n, 0), (256 + n, 0), p.top_light, p.top))
    for k in range(-9, 10):
        x = 256 + k * 5.2
        rib = [
            (x, 352 + 26 * (1 - (k / 10.5) ** 2)),
            (x + k * 0.5, 366 + 27 * (1 - (k / 10.5) ** 2)),
        ]
        canvas.put(canvas.stroke(rib, 0.9, 0.4), p.top_shade, 0.30, band)


def _hoodie(canvas: Canvas, host: Host) -> None:
    p, n = host.palette, host.neck_half_width
    hood = through(
        [
            (256 - n - 52, 366),
            (256 - n - 26, 330),
            (256 - n + 4, 322),
            (256, 352),
            (256 + n - 4, 322),
            (256 + n + 26, 330),
            (256 + n + 52, 366),
            (256, 420),
        ]
    )
    cloth = draw_cloth(canvas, host)
    tee = outline(
        f"M {256 - n - 12} 340 C {256 - n + 8} 380 {256 + n - 8} 380 "
        f"{256 + n + 12} 340 L {256 + 18} 420 L {256 - 18} 420 Z"
    )
    canvas.put(canvas.shape(hood, 5), p.top_shade, 0.55, cloth)
    for side in (-1, 1):
        flap = outline(
            f"M {256 + side * (n + 2)} 324 C {256 + side * (n + 34)} 330 "
            f"{256 + side * (n + 52)} 350 {256 + side * (n + 60)} 372 "
            f"C {256 + side * (n + 20)} 380 {256 + side * 30} 400 {256 + side * 6} 424 "
            f"C {256 + side * 8} 396 {256 + side * (n - 12)} 372 {256 + side * (n + 2)} 324 Z"
        )
        mask = canvas.shape(flap)
        canvas.put(canvas.shape(flap, 6), "#0c141a", 0.28, cloth)
        canvas.put(
            mask,
            Linear(
                (256 + side * 80, 330), (256, 420), p.top_light if side < 0 else p.top, p.top_shade
            ),
        )
        seam = outline(
            f"M {256 + side * (n + 4)} 332 C {256 + side * (n - 8)} 374 "
            f"{256 + side * 14} 394 {256 + side * 11} 418"
        )
        canvas.put(canvas.stroke(seam, 1.3, 0.4), p.top_light, 0.55, mask)
    inside = canvas.shape(tee).within(
        canvas.shape(
            outline(
                f"M {256 - n - 2} 334 C {256 - n + 10} 380 {256 - 12} 390 256 422 "
                f"C {256 + 12} 390 {256 + n - 10} 380 {256 + n + 2} 334 C "
                f"{256 + n - 14} 372 {256 - n + 14} 372 {256 - n - 2} 334 Z"
            )
        )
    )
    canvas.put(inside, Linear((0, 360), (0, 420), p.under, mixed(p.under, "#6f7d88", 0.5)))
    _drawstrings(canvas, host, cloth)


def _drawstrings(canvas: Canvas, host: Host, cloth: Mask) -> None:
    p = host.palette
    for side in (-1, 1):
        x = 256 + side * 20
        cord = outline(f"M {x} 402 C {x + side * 3} 424 {x - side * 2} 444 {x + side * 2} 470")
        canvas.put(canvas.stroke(shifted(cord, 1.2, 1.6), 3.4, 1.2), "#0c141a", 0.35, cloth)
        canvas.put(canvas.stroke(cord, 3.2), p.under)
        canvas.put(canvas.shape(ellipse(x + side * 2, 474, 2.6, 6)), p.accent)
    for side in (-1, 1):
        canvas.put(
            canvas.shape(ellipse(256 + side * 20, 402, 3.2, 3.2)),
            mixed(p.top_shade, "#000000", 0.3),
        )


def _blazer(canvas: Canvas, host: Host) -> None:
    p, n = host.palette, host.neck_half_width
    cloth = draw_cloth(canvas, host)
    shirt = outline(
        f"M {256 - n - 6} 352 C {256 - n + 4} 378 {256 + n - 4} 378 "
        f"{256 + n + 6} 352 L 268 560 L 244 560 Z"
    )
    inside = canvas.shape(shirt).within(cloth)
    canvas.put(inside, Linear((0, 360), (0, 540), p.under, mixed(p.under, p.top_shade, 0.30)))
    scoop = outline(
        f"M {256 - n - 10} 336 C {256 - n + 2} 398 {256 + n - 2} 398 {256 + n + 10} 336 Z"
    )
    canvas.put(canvas.shape(scoop), Linear((0, 340), (0, 392), p.skin, p.skin_light))
    canvas.put(
        canvas.shape(ellipse(252, 344, n + 4, 20), 7), p.skin_deep, 0.42, canvas.shape(scoop)
    )
    for side in (-1, 1):
        bone = outline(
            f"M {256 + side * 10} 374 C {256 + side * 18} 366 "
            f"{256 + side * 28} 362 {256 + side * 38} 358"
        )
        canvas.put(
            canvas.stroke(bone, 2.6, 1.3, ([0, 0.3, 1], [0.2, 1, 0.1])),
            p.skin_shade,
            0.5,
            canvas.shape(scoop),
        )
    for side in (-1, 1):
        lapel = outline(
            f"M {256 + side * (n + 8)} 340 L {256 + side * (n + 38)} 356 C "
            f"{256 + side * (n + 52)} 392 {256 + side * (n + 50)} 414 "
            f"{256 + side * (n + 44)} 430 "
            f"L {256 + side * (n + 30)} 424 L {256 + side * (n + 36)} 446 C "
            f"{256 + side * 40} 500 {256 + side * 26} 530 {256 + side * 16} "
            "562 "
            f"C {256 + side * 22} 470 {256 + side * (n - 4)} 400 {256 + side * (n + 8)} 340 Z"
        )
        canvas.put(canvas.shape(lapel, 5), "#14060f", 0.40, cloth)
        mask = canvas.shape(lapel)
        first = p.top_light if side < 0 else p.top
        canvas.put(mask, Linear((256 + side * 70, 350), (256 + side * 20, 540), first, p.top_shade))
        canvas.put(canvas.stroke(lapel, 1.2, 0.4), p.top_light, 0.35, mask)
    canvas.put(canvas.shape(ellipse(256, 383, 3.4, 3.8)), p.accent)
    for side in (-1, 1):
        chain = outline(
            f"M {256 + side * (n + 2)} 350 C {256 + side * (n - 6)} 370 "
            f"{256 + side * 12} 378 256 380"
        )
        canvas.put(canvas.stroke(chain, 1.1, 0.2), p.accent, 0.85)


def _rollneck(canvas: Canvas, host: Host) -> None:
    p, n = host.palette, host.neck_half_width
    cloth = draw_cloth(canvas, host)
    roll = outline(
        f"M {256 - n - 7} 316 C {256 - n + 12} 334 {256 + n - 12} 334 {256 + n + 7} 316 "
        f"C {256 + n + 16} 332 {256 + n + 16} 350 {256 + n + 14} 362 "
        f"C {256 + n - 14} 392 {256 - n + 14} 392 {256 - n - 14} 362 "
        f"C {256 - n - 16} 350 {256 - n - 16} 332 {256 - n - 7} 316 Z"
    )
    canvas.put(canvas.shape(shifted(roll, 2, 7), 6), "#06110b", 0.45, cloth)
    mask = canvas.shape(roll)
    canvas.put(mask, Linear((256 - n, 0), (256 + n, 0), p.top_light, p.top))
    canvas.put(
        canvas.shape(
            outline(
                f"M 262 320 C 300 330 {256 + n} 330 {256 + n + 24} 312 L "
                f"{256 + n + 24} 392 L 250 396 Z"
            ),
            9,
        ),
        p.top_shade,
        0.55,
        mask,
    )
    for k in range(-10, 11):
        x = 256 + k * (n + 12) / 10.5
        bow = 14 * (1 - (k / 11) ** 2)
        canvas.put(
            canvas.stroke([(x, 320 + bow * 0.7), (x + k * 0.3, 384)], 1.4, 0.6),
            p.top_shade,
            0.42,
            mask,
        )
    canvas.put(canvas.shape(ellipse(252, 318, n + 4, 15), 5), "#06110b", 0.42, mask)
    for k in range(-17, 18):
        x = 256 + k * 13.0
        rib = outline(f"M {256 + k * 5} 384 C {256 + k * 8} 400 {x} 420 {x + k * 0.8} 556")
        canvas.put(canvas.stroke(rib, 1.2, 0.6), p.top_shade, 0.22, cloth)


def _overshirt(canvas: Canvas, host: Host) -> None:
    p, n = host.palette, host.neck_half_width
    cloth = draw_cloth(canvas, host)
    front = outline(
        f"M {256 - n - 8} 344 C {256 - n + 4} 376 {256 + n - 4} 376 "
        f"{256 + n + 8} 344 L 306 560 L 206 560 Z"
    )
    inside = canvas.shape(front).within(cloth)
    canvas.put(inside, Linear((0, 360), (0, 550), p.under, mixed(p.under, "#8d8577", 0.45)))
    hem = outline(f"M {256 - n - 10} 348 C {256 - n + 4} 392 {256 + n - 4} 392 {256 + n + 10} 348")
    canvas.put(
        canvas.stroke(shifted(hem, 0, 2.5), 4, 1.6), mixed(p.under, "#5a5348", 0.6), 0.45, cloth
    )
    canvas.put(canvas.stroke(hem, 3.6, 0.3), p.under)
    for k in range(3):
        stripe = outline(
            f"M 200 {420 + k * 34} C 236 {430 + k * 34} 276 {430 + k * 34} 312 {420 + k * 34}"
        )
        canvas.put(canvas.stroke(stripe, 8, 0.3), p.accent, 0.85, inside)
    for side in (-1, 1):
        flap = outline(
            f"M {256 + side * (n + 6)} 342 L {256 + side * (n + 34)} 358 C "
            f"{256 + side * 54} 430 {256 + side * 50} 500 {256 + side * 50} "
            "566 "
            f"L {256 + side * 34} 566 C {256 + side * 32} 480 "
            f"{256 + side * 34} 410 {256 + side * (n + 6)} 342 Z"
        )
        canvas.put(canvas.shape(flap, 5), "#0b1322", 0.38, cloth)
        canvas.put(
            canvas.shape(flap),
            Linear((0, 350), (0, 540), p.top_light if side < 0 else p.top, p.top_shade),
        )
        collar = outline(
            f"M {256 + side * (n + 2)} 334 C {256 + side * (n + 22)} 338 "
            f"{256 + side * (n + 36)} 348 {256 + side * (n + 44)} 360 "
            f"L {256 + side * (n + 30)} 404 C {256 + side * (n + 14)} 392 "
            f"{256 + side * (n + 4)} 372 {256 + side * (n + 2)} 334 Z"
        )
        canvas.put(canvas.shape(shifted(collar, 1, 4), 4), "#0b1322", 0.42, cloth)
        mask = canvas.shape(collar)
        canvas.put(mask, Linear((256 + side * 40, 336), (256 + side * 70, 404), p.top_light, p.top))
        canvas.put(
            canvas.stroke(collar * [1, 1] + [-side * 2.2, -1.5], 0.9, 0.3),
            mixed(p.top_light, "#ffffff", 0.4),
            0.6,
            mask,
        )
        for k in range(3):
            canvas.put(
                canvas.shape(ellipse(256 + side * 43, 436 + k * 38, 2.6, 2.6)),
                mixed(p.top_light, "#fff6e0", 0.6),
                0.9 if side > 0 else 0.0,
            )
