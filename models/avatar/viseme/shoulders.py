"""What all bodies share: the neck, and cloth over shoulders."""

from __future__ import annotations

from models.avatar.viseme.canvas import Canvas, Linear, Mask, mixed
from models.avatar.viseme.character import Host
from models.avatar.viseme.outlines import ellipse, outline, through


def draw_neck(canvas: Canvas, host: Host) -> None:
    """Neck and the top of the chest."""
    p, half = host.palette, host.neck_half_width
    left, right = 256 - half, 256 + half
    column = outline(
        f"M {left} 264 C {left} 310 {left - 2} 330 {left - 12} 352 L {right + 12} 352 "
        f"C {right + 2} 330 {right} 310 {right} 264 Z"
    )
    canvas.put(canvas.shape(column), Linear((left, 0), (right, 0), p.skin_shade, p.skin))
    chest = through(
        [(left - 8, 350), (256, 392), (right + 8, 350), (right - 2, 330), (left + 2, 330)]
    )
    canvas.put(canvas.shape(chest), p.skin)
    # The neck's own shading fades into the chest instead of ending at its edge.
    above = outline(f"M {left - 60} 250 L {right + 60} 250 L {right + 60} 336 L {left - 60} 336 Z")
    shading = Linear((left, 0), (right, 0), p.skin_shade, p.skin)
    canvas.put(canvas.shape(column), shading, 1.0, canvas.shape(above, 9))
    drawn = canvas.painted()
    canvas.put(
        canvas.shape(ellipse(252, host.face.chin_y - 3, half + 10, 30), 7), p.skin_deep, 0.62, drawn
    )
    for side in (-1, 1):
        cord = outline(
            f"M {256 + side * half * 0.7} 316 C {256 + side * half * 0.6} 336 "
            f"{256 + side * 14} 352 {256 + side * 8} 366"
        )
        canvas.put(canvas.stroke(cord, 4, 2.2), p.skin_shade, 0.30, drawn)


def _shoulders(host: Host) -> str:
    """The outline of a top from neck to below the square, as a path."""
    w, drop, n = host.shoulder_half_width, host.shoulder_drop, host.neck_half_width + 8
    top, knee = 374 + drop, 392 + drop
    lx, rx = 256 - w, 256 + w
    return (
        f"M {lx - 4} 560 C {lx} 450 {lx + 30} {knee} {256 - w * 0.55} {top} "
        f"C {256 - w * 0.38} {top - 11} {256 - n - 8} 352 {256 - n} 338 "
        f"C {256 - n + 12} 366 {256 + n - 12} 366 {256 + n} 338 "
        f"C {256 + n + 8} 352 {256 + w * 0.38} {top - 11} {256 + w * 0.55} {top} "
        f"C {rx - 30} {knee} {rx} 450 {rx + 4} 560 Z"
    )


def draw_cloth(canvas: Canvas, host: Host) -> Mask:
    """The garment's body with its large light and shade."""
    p, w, d = host.palette, host.shoulder_half_width, host.shoulder_drop
    cloth = canvas.shape(outline(_shoulders(host)))
    canvas.put(cloth, Linear((150, 360), (390, 530), p.top, p.top_shade))
    side = outline("M 250 384 C 300 404 420 384 480 560 L 330 560 C 330 470 290 420 250 384 Z")
    canvas.put(canvas.shape(side, 14), p.top_shade, 0.45, cloth)
    lit = through(
        [
            (256 - w * 0.8, 412 + d),
            (256 - w * 0.55, 384 + d),
            (190, 372 + d),
            (150, 402 + d),
            (112, 452),
        ]
    )
    canvas.put(canvas.shape(lit, 6), p.top_light, 0.6, cloth)
    rim = through(
        [
            (256 + w * 0.74, 392 + d),
            (256 + w * 0.9, 424 + d),
            (256 + w * 0.99, 500),
            (256 + w * 0.955, 436 + d),
        ]
    )
    canvas.put(canvas.shape(rim, 4), mixed(p.top_light, "#ffe2b0", 0.55), 0.55, cloth)
    for sign in (-1, 1):
        fold = outline(
            f"M {256 + sign * w * 0.56} 388 C {256 + sign * w * 0.62} 430 "
            f"{256 + sign * w * 0.68} 470 {256 + sign * w * 0.66} 540"
        )
        canvas.put(
            canvas.stroke(fold, 3.0, 1.4, ([0, 0.4, 1], [0.1, 1, 0.8])), p.top_shade, 0.6, cloth
        )
    return cloth
