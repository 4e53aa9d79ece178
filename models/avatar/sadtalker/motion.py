"""From 3DMM coefficients to driving key points, and what a director may change on the way.

SadTalker (Zhang et al., CVPR 2023), sections 3.2 to 3.4; face-vid2vid (Wang et al., CVPR 2021),
eq. 1 and appendix A.2.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.avatar.sadtalker.mapping import BINS, KEYPOINTS, WINDOW

Floats = NDArray[np.float32]

RADIUS: Final = WINDOW // 2
EXPRESSION: Final = slice(0, 64)
POSE: Final = slice(64, 70)

BLINK: Final = (0.5, 0.9, 1.0, 0.9, 0.5)
"""How far the lids are down in the five frames (at 25 fps: 0.2 s) of a blink."""
BLINK_GAP: Final = (10, 70)
"""Frames from the end of one blink to the start of the next: uniform from the first, up to the
second.
"""

PI: Final = 3.14
"""As the weights were trained; the true value turns heads by 0.05 % more."""


def windows(coefficients: Floats, centres: NDArray[np.float64]) -> Floats:
    """Coefficients (T, C) at 25 fps -> a window around every centre (n, C, 27).

    `centres` are times in frames of 25 fps and may lie between two: then coefficients are
    interpolated, which is how a film at another rate is made. The ends repeat.
    """
    last = len(coefficients) - 1
    at = np.clip(centres[:, None] + np.arange(-RADIUS, RADIUS + 1), 0, last)
    below = np.minimum(at.astype(np.int64), last)
    above = np.minimum(below + 1, last)
    part = (at - below)[..., None].astype(np.float32)
    mixed = coefficients[below] * (1 - part) + coefficients[above] * part
    return np.ascontiguousarray(mixed.transpose(0, 2, 1))


def blink_ratio(frames: int, rng: np.random.Generator) -> Floats:
    """How far the lids are down in every frame (T,), 0 to 1: one blink every 0.6 to 3 s."""
    ratio = np.zeros(frames, np.float32)
    low, high = BLINK_GAP[0], min(frames // 2, BLINK_GAP[1])
    frame = 0
    while low < high:
        start = frame + int(rng.integers(low, high))
        if start + len(BLINK) > frames - 1:
            break
        ratio[start : start + len(BLINK)] = BLINK
        frame = start + len(BLINK)
    return ratio


def savgol(values: Floats, window: int = 13) -> Floats:
    """Savitzky-Golay smoothing (T, C) along time: a parabola through every window, at the ends
    through the first and last.

    A film shorter than the window uses the longest odd one that fits; below three frames nothing
    is changed.
    """
    frames = len(values)
    size = min(window, frames if frames % 2 else frames - 1)
    if size < 3:
        return values
    half = size // 2
    powers = np.vander(np.arange(-half, half + 1), 3)
    projector = powers @ np.linalg.pinv(powers)  # (size, size): window -> its fitted parabola
    smoothed = np.empty(values.shape, np.float64)
    sliding = np.lib.stride_tricks.sliding_window_view(values, size, axis=0)
    smoothed[half : frames - half] = sliding @ projector[half]
    smoothed[:half] = projector[:half] @ values[:size]
    smoothed[frames - half :] = projector[half + 1 :] @ values[-size:]
    return smoothed.astype(np.float32)


def camera_path(stops_deg: tuple[float, ...], frames: int) -> NDArray[np.float64]:
    """Degrees for every frame: through all stops, at one speed, so that the last is reached with
    the last frame.
    """
    if len(stops_deg) == 1 or frames == 1:
        return np.full(frames, stops_deg[0])
    step = float(np.abs(np.diff(stops_deg)).sum()) / (frames - 1)
    if step == 0.0:
        return np.full(frames, stops_deg[0])
    legs = [
        np.arange(here, there, math.copysign(step, there - here))
        for here, there in pairwise(stops_deg)
    ]
    path = np.concatenate(legs)[:frames]
    return np.concatenate((path, np.full(frames - len(path), stops_deg[-1])))


def degrees(logits: Tensor) -> Tensor:
    """Logits over 66 bins of 3 degrees (B, 66) -> the expected angle (B,), -99 to 96 degrees."""
    bins = torch.arange(BINS, dtype=logits.dtype, device=logits.device)
    return (logits.softmax(dim=1) * bins).sum(dim=1) * 3 - 99


def rotation(yaw: Tensor, pitch: Tensor, roll: Tensor) -> Tensor:
    """Angles in degrees (B,) -> matrices (B, 3, 3): R = R_pitch R_yaw R_roll."""
    yaw, pitch, roll = (angle / 180 * PI for angle in (yaw, pitch, roll))
    zero, one = torch.zeros_like(yaw), torch.ones_like(yaw)

    def matrix(*entries: Tensor) -> Tensor:
        return torch.stack(entries, dim=1).reshape(-1, 3, 3)

    cos, sin = pitch.cos(), pitch.sin()
    about_x = matrix(one, zero, zero, zero, cos, -sin, zero, sin, cos)
    cos, sin = yaw.cos(), yaw.sin()
    about_y = matrix(cos, zero, sin, zero, one, zero, -sin, zero, cos)
    cos, sin = roll.cos(), roll.sin()
    about_z = matrix(cos, -sin, zero, sin, cos, zero, zero, zero, one)
    return about_x @ about_y @ about_z


def driven(
    canonical: Tensor,
    head: dict[str, Tensor],
    override_deg: dict[str, Tensor] | None = None,
) -> Tensor:
    """Canonical key points (1 or B, 15, 3) and MappingNet's outputs -> driving key points (B, 15,
    3).

    kp = kp_c R^T + (0, t_y, 0) + delta. `override_deg` may name angles "yaw", "pitch", "roll"
    (B,) to use instead.
    """
    angles = {name: degrees(head[name]) for name in ("yaw", "pitch", "roll")} | (override_deg or {})
    turned = canonical @ rotation(**angles).transpose(1, 2)
    # Only the vertical translation is used; sideways and depth are left to the key points' offsets.
    lift = head["t"] * head["t"].new_tensor([0.0, 1.0, 0.0])
    return turned + lift[:, None] + head["exp"].reshape(-1, KEYPOINTS, 3)
