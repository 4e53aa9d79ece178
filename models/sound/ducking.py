"""Look-ahead ducking: the music steps aside before somebody speaks.

Because the lines and their times are known, nothing is detected: the gain is a pure function of
the sample position. It reaches its depth exactly where a voice begins (the attack lies before it),
stays there for the hold time after the voice ends and returns within the release time. A pause
too short for a full return turns around wherever it has got to, without a step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from studio.audio import Samples

STEP = 48
"""Samples between computed points of the curve, linear in between: 1 ms, a hundredth of the
shortest useful attack.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class DuckShape:
    """How far and how fast the music gives way: depth in dB (at most 0), the rest in samples."""

    depth_db: float
    attack: int
    hold: int
    release: int


class Ducker:
    """The music's gain at any sample of the episode, from the spans in which somebody speaks."""

    def __init__(self, spans: Sequence[tuple[int, int]], shape: DuckShape) -> None:
        """`spans` are `(first sample, sample after the last)`; they may touch or overlap."""
        merged = merge_spans(spans, gap=shape.hold)
        self._starts = np.array([start for start, _ in merged], np.float64)
        self._ends = np.array([end + shape.hold for _, end in merged], np.float64)
        self._shape = shape

    def gain(self, start: int, num_samples: int) -> Samples:
        """The linear gain `(num_samples,)` from sample `start` on."""
        first = start // STEP * STEP
        at = np.arange(first, start + num_samples + STEP, STEP, dtype=np.float64)
        points = 10.0 ** (self._shape.depth_db * self._depth(at) / 20.0)
        if points.min() == points.max():
            return np.full(num_samples, points[0], np.float32)
        fine = np.arange(start, start + num_samples, dtype=np.float64)
        return np.interp(fine, at, points).astype(np.float32)

    def _depth(self, at: NDArray[np.float64]) -> NDArray[np.float64]:
        """From 0 (not ducked) to 1 (fully), with the rounded corners of a raised cosine."""
        if not len(self._starts):
            return np.zeros_like(at)
        coming = np.searchsorted(self._starts, at, side="left")
        after = np.append(self._starts, np.inf)[coming] - at
        before = at - np.concatenate(([-np.inf], self._ends))[coming]
        falling = 1.0 - after / max(self._shape.attack, 1)
        rising = 1.0 - np.maximum(before, 0.0) / max(self._shape.release, 1)
        linear = np.clip(np.maximum(falling, rising), 0.0, 1.0)
        return 0.5 - 0.5 * np.cos(np.pi * linear)


def merge_spans(spans: Sequence[tuple[int, int]], gap: int = 0) -> list[tuple[int, int]]:
    """Sorted spans with those joined that overlap or lie at most `gap` samples apart."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(span for span in spans if span[1] > span[0]):
        if merged and start <= merged[-1][1] + gap:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
