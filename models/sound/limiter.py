"""A true-peak limiter as a gain curve, computed from the peaks of the whole programme.

The peaks of every hop are known before the first sample is written, so the limiter looks ahead
without delay and the gain needs no guess: it falls to what the loudest peak needs before that peak
comes, and returns at a constant rate in dB. Three vectorised steps, with d the attenuation in dB
that each hop needs:

1. dilate d to the edges of its hop, then hold its maximum over the look-ahead;
2. release: r[i] = max over j <= i of d[j] - slope * (i - j), which is a running maximum of
   d[j] + slope * j;
3. average r over the look-ahead. Every averaged value covers the peak that asked for it, so the
   result never attenuates less than d.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.sound.peaks import HOP
from studio.audio import Samples
from studio.types import SAMPLE_RATE

LOOKAHEAD_HOPS = 4
"""8 ms from no attenuation to all of it: shorter attacks are heard as clicks, longer ones as
pumping.
"""

RELEASE_DB_PER_S = 30.0
"""A 3 dB peak is forgotten in 100 ms, below the length of a syllable."""


class GainCurve:
    """Gain over time: linear values at the edges of hops, a straight line in between."""

    def __init__(self, edges: NDArray[np.float32]) -> None:
        """`edges[i]` is the gain at sample `i * HOP`."""
        self.edges = edges

    def at(self, start: int, num_samples: int) -> Samples:
        """The gain `(num_samples,)` from sample `start` on."""
        first = start // HOP
        last = min(len(self.edges) - 1, -(-(start + num_samples) // HOP))
        part = self.edges[first : last + 1]
        if part.min() == part.max():
            return np.full(num_samples, part[0], np.float32)
        positions = np.arange(start - first * HOP, start - first * HOP + num_samples)
        return np.interp(positions, np.arange(len(part)) * HOP, part).astype(np.float32)

    def reduction_db(self) -> float:
        """The greatest attenuation against the curve's own highest gain, in dB, at least 0."""
        lowest, highest = float(self.edges.min()), float(self.edges.max())
        return 20.0 * float(np.log10(highest / lowest)) if lowest > 0.0 else 0.0


def limiter_curve(peaks: NDArray[np.float32], gain: float, ceiling: float) -> GainCurve:
    """A constant `gain` that gives way wherever a hop's peak would exceed `ceiling` (both linear).

    `peaks` holds one true peak per hop; the result has one edge more.
    """
    with np.errstate(divide="ignore"):
        needed = 20.0 * np.log10(peaks.astype(np.float64) * (gain / ceiling))
    needed = np.maximum(needed, 0.0)
    if not needed.any():
        return GainCurve(np.full(len(peaks) + 1, gain, np.float32))
    edges = np.zeros(len(peaks) + 1)
    edges[:-1] = needed
    np.maximum(edges[1:], needed, out=edges[1:])
    held = _hold_ahead(edges, LOOKAHEAD_HOPS)
    slope = RELEASE_DB_PER_S * HOP / SAMPLE_RATE
    ramp = slope * np.arange(len(held))
    released = np.maximum(np.maximum.accumulate(held + ramp) - ramp, 0.0)
    smooth = _average_behind(released, LOOKAHEAD_HOPS)
    return GainCurve((gain * 10.0 ** (-smooth / 20.0)).astype(np.float32))


def _hold_ahead(values: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """The maximum of each value and the `count - 1` after it."""
    held = values.copy()
    for shift in range(1, count):
        np.maximum(held[:-shift], values[shift:], out=held[:-shift])
    return held


def _average_behind(values: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """The mean of each value and the `count - 1` before it; the first one is repeated backwards."""
    padded = np.concatenate((np.full(count - 1, values[0]), values))
    total = np.zeros_like(values)
    for shift in range(count):
        total += padded[shift : shift + len(values)]
    return total / count


def limited_loudness(
    momentary_lufs: NDArray[np.float64],
    integrated_lufs: float,
    energy: NDArray[np.float32],
    curve: GainCurve,
) -> float:
    """The integrated loudness that a programme will have under `curve`.

    `momentary_lufs` and `integrated_lufs` were measured at unity gain, `energy` is per hop. Every
    400 ms gating block changes by its energy-weighted mean of the squared gain; the gates are those
    of the measurement, since a gain common to all blocks moves the relative gate with it.
    """
    hops = 4800 // HOP
    count = min(len(momentary_lufs), len(energy) // hops)
    if count < 4:
        squared = np.square(curve.edges[:-1].astype(np.float64))
        total = float(energy.sum(dtype=np.float64))
        change = float(np.dot(energy, squared)) / total if total > 0.0 else float(squared.mean())
        return integrated_lufs + 10.0 * float(np.log10(change))
    weights = energy[: count * hops].astype(np.float64)
    middle = 0.5 * (curve.edges[:-1].astype(np.float64) + curve.edges[1:])
    gained = weights * np.square(middle[: count * hops])
    before = _over_400_ms(weights.reshape(count, hops).sum(axis=1))
    after = _over_400_ms(gained.reshape(count, hops).sum(axis=1))
    levels = momentary_lufs[3:count]
    counted = (levels > max(-70.0, integrated_lufs - 20.0)) & (before > 0.0)
    power = np.where(counted, 10.0 ** (levels / 10.0), 0.0)
    gate = 10.0 * np.log10(max(power.sum() / max(counted.sum(), 1), 1e-12)) - 10.0
    counted &= levels > gate
    if not counted.any():
        return integrated_lufs + 20.0 * float(np.log10(curve.edges.max()))
    ratio = after[counted] / before[counted]
    return integrated_lufs + 10.0 * float(
        np.log10((power[counted] * ratio).sum() / power[counted].sum())
    )


def _over_400_ms(per_100_ms: NDArray[np.float64]) -> NDArray[np.float64]:
    return per_100_ms[:-3] + per_100_ms[1:-2] + per_100_ms[2:-1] + per_100_ms[3:]
