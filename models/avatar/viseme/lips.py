"""The mouth: one sprite per state of the lips, with teeth, tongue and the shadow that lips cast."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.avatar.viseme.canvas import Canvas, Linear, Mask, mixed
from models.avatar.viseme.character import Host
from models.avatar.viseme.outlines import Points, bezier, ellipse, shifted

MOUTH_BOX_HALF_WIDTH = 52.0
MOUTH_BOX_ABOVE, MOUTH_BOX_BELOW = 27.0, 42.0
"""The sprite's extent around the middle of the closed mouth, in units."""

_CAVITY, _CAVITY_DEEP = "#3a1118", "#1c070c"
_TOOTH, _TOOTH_SHADE, _TOOTH_GAP = "#fbf4ea", "#d9cec4", "#b9aaa0"
_TONGUE, _TONGUE_DEEP, _TONGUE_LINE = "#c8606a", "#8f3c48", "#7a2f3c"

OPENING_UNITS = 21.0
"""How far the lips part at an openness of 1; the jaw adds its own drop (see `painter`)."""


@dataclass(frozen=True, slots=True)
class _Lips:
    """The four curves of a mouth, each from its left to its right corner, and a few of their
    measures.
    """

    outer_top: Points
    inner_top: Points
    inner_bottom: Points
    outer_bottom: Points
    half_width: float
    top_y: float
    bottom_y: float
    lower_lip: float
    gap: float
    corner_y: float


def _curve(x0: float, y0: float, pieces: Sequence[Sequence[tuple[float, float]]]) -> Points:
    here = np.array([[x0, y0]])
    parts = [here]
    for piece in pieces:
        parts.append(bezier(np.vstack([here, np.array(piece)])))
        here = np.array([piece[-1]])
    return np.concatenate(parts)


def _shape_lips(host: Host, state: Sequence[float]) -> _Lips:
    opened, wide, rounded, press, tuck, _, _ = state
    face, x = host.face, 256.0
    half = face.mouth_half_width * (1 + 0.16 * wide) * (1 - 0.38 * rounded) * (1 - 0.05 * press)
    gap = OPENING_UNITS * opened * (1 - 0.10 * rounded) * (1 - press)
    smile = 4.4 * (1 - 0.85 * rounded) + 1.8 * max(wide, 0.0) - 1.6 * opened - 1.0 * press
    corner = face.mouth_y - smile * 0.5
    upper = face.upper_lip * (1 + 0.24 * rounded) * (1 - 0.45 * press)
    lower = face.lower_lip * (1 + 0.22 * rounded) * (1 - 0.38 * press) * (1 - 0.40 * tuck)
    top = face.mouth_y + 0.9 - gap * 0.32
    bottom = face.mouth_y + 1.1 + gap * 0.68 + tuck * 0.6
    reach = half * (0.50 - 0.06 * rounded)
    left, right = x - half, x + half
    # 1.3 and 1.18 let the curves leave the corners steeply, as lips do; 1 would draw a lens.
    top_knee, bottom_knee = corner + (top - corner) * 1.3, corner + (bottom - corner) * 1.18
    inner_top = _curve(
        left,
        corner,
        [
            [(x - reach, top_knee + 0.6), (x - reach * 0.5, top - 0.3), (x, top + 0.6)],
            [(x + reach * 0.5, top - 0.3), (x + reach, top_knee + 0.6), (right, corner)],
        ],
    )
    inner_bottom = _curve(
        left,
        corner,
        [
            [(x - reach * 1.1, bottom_knee), (x - reach * 0.6, bottom), (x, bottom)],
            [(x + reach * 0.6, bottom), (x + reach * 1.1, bottom_knee), (right, corner)],
        ],
    )
    crest, bow = top - upper, min(11.0, half * 0.42)
    outer_top = _curve(
        left - 1.5,
        corner,
        [
            [(x - half * 0.55, crest + 2.6), (x - bow, crest - 1.6), (x - bow * 0.6, crest - 1)],
            [(x - bow * 0.3, crest - 0.4), (x - bow * 0.2, crest + 1.4), (x, crest + 1.4)],
            [
                (x + bow * 0.2, crest + 1.4),
                (x + bow * 0.3, crest - 0.4),
                (x + bow * 0.6, crest - 1),
            ],
            [(x + bow, crest - 1.6), (x + half * 0.55, crest + 2.6), (right + 1.5, corner)],
        ],
    )
    foot = bottom + lower
    foot_knee = corner + (foot - corner) * 0.98
    outer_bottom = _curve(
        left - 1.5,
        corner,
        [
            [(x - half * 0.66, foot_knee), (x - half * 0.36, foot), (x, foot)],
            [(x + half * 0.36, foot), (x + half * 0.66, foot_knee), (right + 1.5, corner)],
        ],
    )
    return _Lips(
        outer_top, inner_top, inner_bottom, outer_bottom, half, top, bottom, lower, gap, corner
    )


def _between(first: Points, second: Points) -> Points:
    return np.concatenate([first, second[::-1]])


def draw_mouth(host: Host, state: Sequence[float], scale: float) -> Canvas:
    """The mouth in a state (`articulation.MOUTH_CHANNELS`), at `scale` pixels per unit."""
    x, y = 256.0, host.face.mouth_y
    canvas = Canvas(
        (
            x - MOUTH_BOX_HALF_WIDTH,
            y - MOUTH_BOX_ABOVE,
            x + MOUTH_BOX_HALF_WIDTH,
            y + MOUTH_BOX_BELOW,
        ),
        scale,
    )
    lips = _shape_lips(host, state)
    _lip_shadows(canvas, host, lips)
    lower = canvas.shape(_between(lips.inner_top, lips.outer_bottom))
    foot = lips.bottom_y + lips.lower_lip
    p = host.palette
    canvas.put(lower, Linear((0, lips.bottom_y), (0, foot + 1), p.lip_light, p.lip))
    if lips.gap >= 0.8 or state[4] > 0.2:
        _inside(canvas, lips, state)
    canvas.put(
        canvas.shape(_between(lips.outer_top, lips.inner_top)),
        Linear(
            (0, lips.top_y - host.face.upper_lip),
            (0, lips.top_y + 1),
            p.lip,
            mixed(p.lip, p.lip_line, 0.35),
        ),
    )
    _lip_lights(canvas, host, lips, state, lower)
    return canvas


def _lip_shadows(canvas: Canvas, host: Host, lips: _Lips) -> None:
    p = host.palette
    bearded = host.beard != "none"
    below = mixed(p.hair, "#000000", 0.35) if bearded else p.skin_deep
    foot = lips.bottom_y + lips.lower_lip
    canvas.put(
        canvas.shape(ellipse(256, foot + 3.6, lips.half_width * 0.55, 3.6), 2.4), below, 0.34
    )
    around = below if bearded else p.skin_shade
    canvas.put(canvas.shape(_between(lips.outer_top, lips.outer_bottom), 2.0), around, 0.30)


def _inside(canvas: Canvas, lips: _Lips, state: Sequence[float]) -> None:
    opened, _, _, _, tuck, teeth, tongue = state
    x, top, bottom = 256.0, lips.top_y, lips.bottom_y
    cavity = canvas.shape(_between(lips.inner_top, lips.inner_bottom))
    canvas.put(cavity, Linear((0, top), (0, bottom), _CAVITY_DEEP, _CAVITY))
    if tongue > 0.05 or opened > 0.35:
        tip = bottom - (0.12 + 0.42 * tongue) * lips.gap
        body = ellipse(
            x, tip + lips.gap * 0.36, lips.half_width * 0.58, lips.gap * (0.36 + 0.12 * tongue)
        )
        canvas.put(
            canvas.shape(body, 1.0),
            Linear((0, tip - 4), (0, bottom), _TONGUE, _TONGUE_DEEP),
            0.95,
            cavity,
        )
        if lips.gap > 5:
            furrow = [(x, tip + 2), (x, (tip + bottom) / 2), (x, bottom)]
            canvas.put(canvas.stroke(furrow, 1.2, 0.7), _TONGUE_LINE, 0.4, cavity)
    if teeth > 0.05:
        _upper_teeth(canvas, lips, max(teeth, tuck), cavity)
    if opened > 0.62:
        lower = _between(shifted(lips.inner_bottom, 0, 1), shifted(lips.inner_bottom, 0, -3.0))
        row = canvas.shape(lower, 0.5).within(_middle(canvas, lips.half_width * 0.58))
        canvas.put(row, _TOOTH_SHADE, 0.5, cavity)
    lip_shade = min(0.5, 0.15 + 0.05 * lips.gap)
    canvas.put(canvas.stroke(lips.inner_top, 3.0, 1.1), "#12040a", lip_shade, cavity)


def _upper_teeth(canvas: Canvas, lips: _Lips, share: float, cavity: Mask) -> None:
    x, top = 256.0, lips.top_y
    height = min(8.0, max(2.6, lips.gap * 0.62)) * min(1.0, share * 1.25)
    edge = shifted(lips.inner_top, 0, height)
    row = canvas.shape(_between(shifted(lips.inner_top, 0, -3), edge), 0.35)
    row = row.within(_middle(canvas, lips.half_width * 0.82))
    canvas.put(row, Linear((0, top), (0, top + height), _TOOTH_SHADE, _TOOTH), 0.98, cavity)
    inside = row.within(cavity)
    for dx in (-15.0, -9.4, -3.2, 3.2, 9.4, 15.0):
        gap = canvas.stroke([(x + dx, top - 1), (x + dx * 0.99, top + height)], 0.7, 0.25)
        canvas.put(gap, _TOOTH_GAP, 0.36, inside)


def _middle(canvas: Canvas, half_width: float) -> Mask:
    """A soft-sided column around the middle of the face: teeth vanish towards the corners."""
    column = [
        (256 - half_width, 0),
        (256 + half_width, 0),
        (256 + half_width, 512),
        (256 - half_width, 512),
    ]
    return canvas.shape(column, 1.2)


def _lip_lights(
    canvas: Canvas, host: Host, lips: _Lips, state: Sequence[float], lower: Mask
) -> None:
    p, press = host.palette, state[3]
    x = 256.0
    if lips.gap < 2.5:
        seam = canvas.stroke(
            shifted(lips.inner_top, 0, 0.3),
            2.0 + 0.4 * press,
            0.35,
            ([0, 0.08, 0.5, 0.92, 1], [0.3, 0.9, 1, 0.9, 0.3]),
        )
        canvas.put(seam, p.lip_line, 0.95 * (1 - lips.gap / 3.2))
    shine = ellipse(
        x - 2,
        lips.bottom_y + lips.lower_lip * 0.42,
        lips.half_width * 0.34,
        max(lips.lower_lip * 0.17, 0.8),
    )
    canvas.put(canvas.shape(shine, 0.9), mixed(p.lip_light, "#fff4ea", 0.6), 0.6, lower)
    if host.beard == "none":
        rim = canvas.stroke(
            shifted(lips.outer_top, 0, -1.2), 1.1, 0.7, ([0, 0.3, 0.5, 0.7, 1], [0, 0.8, 1, 0.8, 0])
        )
        canvas.put(rim, mixed(p.skin_light, "#fff0dc", 0.5), 0.45)
    else:
        _moustache(canvas, host, lips)
    for side in (-1, 1):
        dimple = ellipse(x + side * (lips.half_width + 1.2), lips.corner_y + 0.2, 2.4, 1.9)
        canvas.put(canvas.shape(dimple, 0.9), p.skin_deep, 0.5)


def _moustache(canvas: Canvas, host: Host, lips: _Lips) -> None:
    """It hangs from under the nose and rides on the upper lip."""
    p, x = host.palette, 256.0
    root = host.face.mouth_y - 17.0
    crest = lips.top_y - host.face.upper_lip
    reach = lips.half_width + 7
    full = host.beard == "full"
    hang = 3.4 if full else 1.6
    for side in (-1, 1):
        wing = _curve(
            x,
            root + 1,
            [
                [
                    (x + side * 9, root - 1.5),
                    (x + side * reach * 0.72, root + 4),
                    (x + side * reach, lips.corner_y + hang),
                ],
                [
                    (x + side * reach * 0.7, lips.corner_y - 1),
                    (x + side * 8, crest + hang),
                    (x, crest + hang - 1.2),
                ],
            ],
        )
        shape = canvas.shape(wing, 0.8)
        canvas.put(
            shape, Linear((0, root), (0, crest + 4), p.hair, p.hair_light), 0.96 if full else 0.78
        )
        for k in range(6):
            t = (k + 0.6) / 6
            strand = [
                (x + side * 3 * (1 + k), root + 2 + k * 0.4),
                (
                    x + side * (4 + reach * 0.75 * t),
                    crest + hang - 0.5 + (lips.corner_y - crest) * t * t,
                ),
            ]
            canvas.put(canvas.stroke(strand, 1.2, 0.4), p.hair_shine, 0.35, shape)
