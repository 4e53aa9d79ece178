"""Outlines: paths, ellipses, splines and mirror images as points (n, 2) in units."""

from __future__ import annotations

import re
from functools import lru_cache
from math import comb

import numpy as np
from numpy.typing import ArrayLike, NDArray

ART_UNITS = 512
"""Width and height of the host's square in units."""

Points = NDArray[np.float64]

_TOKEN = re.compile(r"[MLCQ]|-?\d+\.?\d*")


@lru_cache(maxsize=1024)
def outline(drawing: str) -> Points:
    """Points (n, 2) along a path in SVG's notation: absolute M, L, C and Q commands; it closes by
    itself.
    """
    points: list[NDArray[np.float64]] = []
    command = "M"
    here = np.zeros(2)
    numbers: list[float] = []
    needed = {"M": 2, "L": 2, "C": 6, "Q": 4}
    for token in _TOKEN.findall(drawing):
        if token in needed:
            command = token
            continue
        numbers.append(float(token))
        if len(numbers) == needed[command]:
            knots = np.array(numbers).reshape(-1, 2)
            points.append(knots if command in "ML" else bezier(np.vstack([here, knots])))
            here = knots[-1]
            numbers = []
    return np.concatenate(points)


def bezier(knots: ArrayLike, num_points: int = 20) -> Points:
    """A Bezier curve of second or third degree by its control points, its start left out."""
    p = np.asarray(knots, np.float64)
    return np.asarray(_bernstein(len(p), num_points) @ p)


@lru_cache
def _bernstein(num_knots: int, num_points: int) -> Points:
    """The share of each control point in each point of the curve: (num_points, num_knots)."""
    t = np.linspace(0, 1, num_points + 1)[1:]
    degree = num_knots - 1
    shares = [comb(degree, k) * (1 - t) ** (degree - k) * t**k for k in range(num_knots)]
    return np.stack(shares, 1)


_TURNS = np.linspace(0, 2 * np.pi, 64, endpoint=False)
_CIRCLE = np.stack([np.cos(_TURNS), np.sin(_TURNS)])


def ellipse(x: float, y: float, rx: float, ry: float, turn_deg: float = 0.0) -> Points:
    """The outline of an ellipse in 64 points."""
    c, s = np.cos(np.deg2rad(turn_deg)), np.sin(np.deg2rad(turn_deg))
    u, v = rx * _CIRCLE[0], ry * _CIRCLE[1]
    return np.stack([x + u * c - v * s, y + u * s + v * c], 1)


def through(points: ArrayLike, closed: bool = True, num_points: int = 12) -> Points:
    """A Catmull-Rom spline through the points, `num_points` a piece."""
    p = np.asarray(points, np.float64)
    before, after, beyond = (np.roll(p, k, axis=0) for k in (1, -1, -2))
    if not closed:
        before[0], after[-1], beyond[-1], beyond[-2] = p[0], p[-1], p[-1], p[-1]
    t = np.linspace(0, 1, num_points, endpoint=False)[None, :, None]
    a, b, c, d = (q[:, None, :] for q in (before, p, after, beyond))
    curve = 0.5 * (
        2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t * t + (3 * b - a - 3 * c + d) * t**3
    )
    if not closed:
        curve = curve[:-1]
    flat = curve.reshape(-1, 2)
    return flat if closed else np.concatenate([flat, p[-1:]])


def mirrored(half: ArrayLike, centre_x: float = ART_UNITS / 2) -> Points:
    """A closed outline from its right half, given from top to bottom as (distance from the middle,
    y).
    """
    right = np.asarray(half, np.float64) * [1, 1] + [centre_x, 0]
    left = right[::-1] * [-1, 1] + [2 * centre_x, 0]
    keep = left[(left[:, 0] < centre_x - 1e-6)]
    return np.concatenate([right, keep])


def shifted(points: Points, dx: float, dy: float) -> Points:
    """The points, moved by (dx, dy) units."""
    return np.asarray(points + np.array([dx, dy]))
