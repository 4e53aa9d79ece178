"""Seeing lips in a picture whose eyes are known: the line between closed lips, or the edges around
shown teeth.

The line is the darkest path across the mouth, found by dynamic programming as in seam carving
(Avidan and Shamir, 2007). Teeth are pale where lips are red.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from models.avatar.viseme.landmarks import MOUTH_HALF_WIDTH, MOUTH_LINE, Landmarks

PATCH_UNIT = 100
"""Pixels between the eyes in the upright copy that the lips are looked for in."""

PATCH_EYES = np.array([[100, 90], [200, 90]], np.float32)
PATCH_SIZE = (300, 320)


def see_lips(rgb: NDArray[np.uint8], face: Landmarks) -> Landmarks:
    """The face with its mouth where the picture shows it: a closed line, or teeth between two
    edges.
    """
    eyes = np.array([(a.mean(0) + b.mean(0)) / 2 for a, b in face.lids], np.float32)
    to_patch = _similarity_between(eyes, PATCH_EYES)
    patch = cv2.warpAffine(
        rgb, to_patch, PATCH_SIZE, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    lab = cv2.cvtColor(np.asarray(patch, np.uint8), cv2.COLOR_RGB2LAB).astype(np.float32)
    line, contrast = _lip_seam(lab)
    upright = face.moved(to_patch)
    teeth = _teeth(lab, line)
    upright = upright.with_lip_line(*(teeth if teeth is not None else (line, None)))
    if contrast < 1.5 and teeth is None:
        # Nothing stands out (beard, blur): trust proportions.
        upright = face.moved(to_patch)
    mouth_y = float(upright.inner_top[:, 1].mean())
    expected = PATCH_EYES[0, 1] + MOUTH_LINE * PATCH_UNIT
    # A mouth lower than the average's goes with a longer face: nose and chin follow.
    upright = replace(
        upright,
        nose=np.asarray(upright.nose + _down(0.6 * (mouth_y - expected)), np.float32),
        chin=np.asarray(upright.chin + _down(0.9 * (mouth_y - expected)), np.float32),
    )
    back = np.asarray(cv2.invertAffineTransform(to_patch), np.float32)
    return upright.moved(back)


def _down(pixels: float) -> NDArray[np.float32]:
    return np.array([0, pixels], np.float32)


def _similarity_between(
    source: NDArray[np.float32], target: NDArray[np.float32]
) -> NDArray[np.float32]:
    a, b = complex(*source[0]), complex(*source[1])
    c, d = complex(*target[0]), complex(*target[1])
    turn = (d - c) / (b - a)
    shift = c - turn * a
    return np.array(
        [[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]], np.float32
    )


def _mouth_window() -> tuple[int, int, int, int]:
    """Columns and rows of the patch in which the lips' line is looked for."""
    x, y = PATCH_EYES.mean(0)
    half = MOUTH_HALF_WIDTH * PATCH_UNIT * 1.30
    line = y + MOUTH_LINE * PATCH_UNIT
    return int(x - half), int(x + half), int(line - 27), int(line + 27)


def _lip_seam(lab: NDArray[np.float32]) -> tuple[NDArray[np.float32], float]:
    """The darkest path across the mouth, cut to where it is dark, and how dark it is against its
    surroundings.
    """
    x0, x1, y0, y1 = _mouth_window()
    light = cv2.GaussianBlur(lab[..., 0], (0, 0), 1.5)[y0:y1, x0:x1]
    cost = np.asarray(light - cv2.GaussianBlur(light, (0, 0), 8), np.float64)
    rows = np.arange(y1 - y0)
    # A gentle bowl keeps the path from the shadow under the nose or the lower lip.
    cost += 6 * ((rows[:, None] - len(rows) / 2) / (len(rows) / 2)) ** 2
    total, came = cost.copy(), np.zeros(cost.shape, np.int64)
    for j in range(1, cost.shape[1]):
        before = np.pad(total[:, j - 1], 1, constant_values=1e9)
        steps = np.stack([before[:-2] + 1, before[1:-1], before[2:] + 1])
        best = steps.argmin(0)
        came[:, j] = rows + best - 1
        total[:, j] += steps.min(0)
    path = np.zeros(cost.shape[1], np.int64)
    path[-1] = int(total[:, -1].argmin())
    for j in range(cost.shape[1] - 1, 0, -1):
        path[j - 1] = came[path[j], j]
    y = cv2.GaussianBlur((path + y0).astype(np.float32)[None], (0, 0), 2.0)[0]
    dark = np.convolve(cost[path, np.arange(len(path))], np.ones(5) / 5, "same")
    deep = float(np.percentile(dark, 10))
    seen = np.flatnonzero(dark < 0.35 * deep) if deep < 0 else np.array([], np.int64)
    middle, unit = float(PATCH_EYES[:, 0].mean()), MOUTH_HALF_WIDTH * PATCH_UNIT
    left, right = middle - unit, middle + unit
    if len(seen):
        left = float(np.clip(x0 + seen[0], middle - 1.25 * unit, middle - 0.8 * unit))
        right = float(np.clip(x0 + seen[-1], middle + 0.8 * unit, middle + 1.25 * unit))
    x = np.linspace(left, right, 25)
    line = np.stack([x, np.interp(x, np.arange(x0, x1), y)], 1).astype(np.float32)
    return line, -deep


def _teeth(
    lab: NDArray[np.float32], line: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
    """The edges of the lips around shown teeth, or None where there are none."""
    left, right = line[0], line[-1]
    x0, x1 = int(left[0]), int(right[0]) + 1
    y = int(line[:, 1].mean())
    y0, y1 = y - 24, y + 26
    light, red = (cv2.GaussianBlur(lab[..., k], (0, 0), 1.0)[y0:y1, x0:x1] for k in (0, 1))
    lips = np.percentile(red, 80)
    skin_light, skin_red = np.median(lab[100:160, 130:170, 0]), np.median(lab[100:160, 130:170, 1])
    pale = (red < (lips + skin_red) / 2 - 2) & (light > skin_light - 55) & (red < skin_red)
    row = _largest_row(pale)
    return None if row is None else _edges(row, x0, y0, left, right)


def _largest_row(pale: NDArray[np.bool_]) -> NDArray[np.bool_] | None:
    """The largest region that is shaped and placed like a row of teeth, not touching above or
    below.
    """
    height, width = pale.shape
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    opened = cv2.morphologyEx(pale.astype(np.uint8), cv2.MORPH_OPEN, kernel)
    count, labels, stats, centres = cv2.connectedComponentsWithStats(opened)
    best, largest = None, 0
    for k in range(1, count):
        _, top, across, down, area = (int(v) for v in stats[k])
        inside = top > 1 and top + down < height - 1
        central = abs(centres[k][0] - width / 2) < 0.16 * width
        like_teeth = across > 0.40 * width and down >= 6 and area > 0.45 * across * down
        if inside and central and like_teeth and area > largest:
            best, largest = k, area
    return None if best is None else np.asarray(labels == best)


def _edges(
    region: NDArray[np.bool_],
    x0: int,
    y0: int,
    left: NDArray[np.float32],
    right: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    columns = np.flatnonzero(region.any(0))
    tops = y0 + region[:, columns].argmax(0)
    bottoms = y0 + region.shape[0] - region[::-1, columns].argmax(0)
    middle = float((tops + bottoms).mean() / 2)
    corner_y = float(np.clip(np.mean([left[1], right[1]]), tops.min(), middle))
    x = np.linspace(left[0], right[0], 25)
    known = np.concatenate([[left[0]], x0 + columns, [right[0]]])
    curves = []
    for edge in (tops, bottoms):
        y = np.interp(x, known, np.concatenate([[corner_y], edge, [corner_y]]))
        y = np.convolve(np.pad(y, 2, "edge"), np.ones(5) / 5, "valid")
        curves.append(np.stack([x, y], 1).astype(np.float32))
    return curves[0], curves[1]
