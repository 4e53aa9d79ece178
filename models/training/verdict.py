"""Is a training loop waiting for its input? The statistics of an interleaved A/B measurement.

A pair is two blocks over the same batches: in A each step fetches its batch from the running
pipeline, in B the step runs on the batches A had fetched. Both end with a synchronised device. The
ratio A/B is the speed-up that an infinitely fast input would give, the *headroom*. Because the two
blocks of a pair are neighbours in time, load from elsewhere on the machine hits both and cancels
out of the ratio, which it does not when input and step are timed apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from studio.errors import SettingError

Bound = Literal["input-bound", "compute-bound", "inconclusive"]

HEADROOM_LIMIT = 1.10
"""From here on the input is worth working on: less than a tenth is within what a change of the
machine's load does to a single run."""

MIN_PAIRS = 5
"""With fewer pairs the percentile bootstrap has too few distinct resamples (5 give 126) for a 95 %
interval to mean anything."""

EXIT_CODES: dict[Bound, int] = {"compute-bound": 0, "input-bound": 10, "inconclusive": 11}
"""For a CI job: 0 passes; 1 to 4 are the studio's own errors, so these begin at 10."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the pairs say. `headroom` is a ratio of times, `low` and `high` its confidence
    interval; `step_s` is the median time of one step on a held batch, `loop_s` with its fetch.
    """

    bound: Bound
    headroom: float
    low: float
    high: float
    confidence: float
    limit: float
    num_pairs: int
    step_s: float
    loop_s: float

    @property
    def exit_code(self) -> int:
        """The process exit code that stands for this verdict."""
        return EXIT_CODES[self.bound]


def judge(
    loop_s: Sequence[float],
    held_s: Sequence[float],
    *,
    limit: float = HEADROOM_LIMIT,
    confidence: float = 0.95,
    num_resamples: int = 4000,
    seed: int = 0,
) -> Verdict:
    """Decide from paired times per step.

    Args:
        loop_s: seconds per step of each block A (fetch and step).
        held_s: seconds per step of each block B (step on held batches), same order.
        limit: headroom from which a loop counts as input-bound.
        confidence: of the interval, 0 to 1.
        num_resamples: bootstrap resamples.
        seed: of the resampling, so that the same times give the same verdict.

    The estimate is the geometric mean of the ratios after trimming a fifth at either end (one
    block that the machine stole must not decide), its interval the percentile bootstrap over
    pairs (Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, ch. 13). Input-bound when
    the whole interval lies above `limit`, compute-bound when it lies below, else inconclusive.

    Raises:
        SettingError: fewer than `MIN_PAIRS` pairs, lists of unequal length, a time that is not
            positive and finite, or a setting outside its range.
    """
    loop, held = np.asarray(loop_s, np.float64), np.asarray(held_s, np.float64)
    if loop.ndim != 1 or loop.shape != held.shape or loop.size < MIN_PAIRS:
        raise SettingError(
            "diagnose",
            f"{loop.size} and {held.size} blocks",
            f"Measure at least {MIN_PAIRS} pairs of blocks",
        )
    if not (np.isfinite(loop).all() and np.isfinite(held).all() and (held > 0).all()):
        raise SettingError("diagnose", "a block without a duration", "Use longer blocks")
    if not (0.0 < confidence < 1.0 and limit >= 1.0 and num_resamples >= 100 and (loop > 0).all()):
        raise SettingError(
            "diagnose",
            f"limit {limit}, confidence {confidence}, {num_resamples} resamples",
            "limit >= 1, 0 < confidence < 1, at least 100 resamples",
        )
    ratios = np.log(loop / held)
    rng = np.random.default_rng(seed)
    drawn = ratios[rng.integers(0, ratios.size, (num_resamples, ratios.size))]
    tail = (1.0 - confidence) / 2.0
    low, high = np.exp(np.quantile(_trimmed_mean(drawn), (tail, 1.0 - tail)))
    bound: Bound = "inconclusive"
    if low > limit:
        bound = "input-bound"
    elif high < limit:
        bound = "compute-bound"
    return Verdict(
        bound=bound,
        headroom=float(np.exp(_trimmed_mean(ratios[None])[0])),
        low=float(low),
        high=float(high),
        confidence=confidence,
        limit=limit,
        num_pairs=int(ratios.size),
        step_s=float(np.median(held)),
        loop_s=float(np.median(loop)),
    )


def _trimmed_mean(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean of each row without the fifth of its values at either end; `(r, n)` to `(r,)`."""
    ordered = np.sort(rows, axis=1)
    cut = ordered.shape[1] // 5
    return np.asarray(ordered[:, cut : ordered.shape[1] - cut].mean(axis=1))
