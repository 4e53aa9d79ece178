"""Is a training loop waiting for its input? The statistics of an interleaved A/B measurement.

A pair is two blocks over the same batches: in A each step fetches its batch from the running
pipeline, in B the step runs on the batches A had fetched. Both end with a synchronised device. The
ratio A/B is the speed-up that an infinitely fast input would give, the *headroom*. Because the two
blocks of a pair are neighbours in time, load from elsewhere on the machine hits both and cancels
out of the ratio, which it does not when input and step are timed apart.

Block A alone bounds the headroom from above: what the input can cost a step is the time spent
waiting in `fetch` (not for a core of a crowded machine: the kernel tells the two apart) and, where
it competes for the cores, the CPU time that it takes. Both are read within one block, so this
*ceiling* is steady where the ratio is noisy. It leaves out what input takes of caches and memory
bandwidth; hence it only ever decides for compute-bound, and where the ratio says otherwise, nothing
is decided. Other programs can make an input late that is quick by itself; waiting that they may
have caused is no evidence that a loop is input-bound.
"""

from __future__ import annotations

import math
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

_NUM_RESAMPLES = 4000
"""Of the bootstrap: the ends of a 99.9 % interval then rest on two resamples each and more."""

EXIT_CODES: dict[Bound, int] = {"compute-bound": 0, "input-bound": 10, "inconclusive": 11}
"""For a CI job: 0 passes; 1 to 4 are the studio's own errors, so these begin at 10."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the pairs say. `headroom` is a ratio of times, `low` and `high` its confidence
    interval; `ceiling` is the upper end of what waiting and the input's CPU time allow it to be,
    infinite where they were not measured; `step_s` is the median time of one step on a held batch,
    `loop_s` with its fetch.
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
    ceiling: float = math.inf

    @property
    def exit_code(self) -> int:
        """The process exit code that stands for this verdict."""
        return EXIT_CODES[self.bound]


def judge(
    loop_s: Sequence[float],
    held_s: Sequence[float],
    *,
    input_s: Sequence[float] | None = None,
    crowd_s: Sequence[float] | None = None,
    confidence: float = 0.95,
    seed: int = 0,
) -> Verdict:
    """Decide from paired times per step.

    Args:
        loop_s: seconds per step of each block A (fetch and step).
        held_s: seconds per step of each block B (step on held batches), same order.
        input_s: seconds per step that the input can have cost each block A at most; None: unknown.
        crowd_s: how much of that other programs may have caused; None: nothing.
        confidence: of the interval, 0 to 1.
        seed: of the resampling, so that the same times give the same verdict.

    The estimate is the geometric mean of the ratios after trimming a fifth at either end (one
    block that the machine stole must not decide), its interval the percentile bootstrap over
    pairs (Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, ch. 13). Input-bound when
    the whole interval lies above `HEADROOM_LIMIT` and so does what the input's own cost explains;
    compute-bound when the interval or the ceiling lies below and the other does not contradict it;
    else, and with fewer than `MIN_PAIRS` pairs always, inconclusive.

    Raises:
        SettingError: fewer than two pairs, lists of unequal length, a time that is not
            positive and finite, or a setting outside its range.
    """
    if not 0.0 < confidence < 1.0:
        raise SettingError("diagnose", f"confidence {confidence}", "Between 0 and 1")
    limit = HEADROOM_LIMIT
    loop, held = _paired(loop_s, held_s)
    headroom, low, high = interval(loop / held, confidence=confidence, seed=seed)
    ceiling = certain = math.inf
    if input_s is not None:
        cost = np.asarray(input_s, np.float64)
        own = np.maximum(0.0, cost - np.asarray(crowd_s or 0.0, np.float64))
        if (cost < loop).all():
            _, _, ceiling = interval(loop / (loop - cost), confidence=confidence, seed=seed)
        if (own < loop).all():
            certain, _, _ = interval(loop / (loop - own), confidence=confidence, seed=seed)
    bound: Bound = "inconclusive"
    if loop.size < MIN_PAIRS:
        pass  # whatever the interval says: it rests on too little
    elif low > limit and certain > limit:
        bound = "input-bound"
    elif low <= limit and min(high, ceiling) < limit:
        bound = "compute-bound"
    return Verdict(
        bound=bound,
        headroom=headroom,
        low=low,
        high=high,
        confidence=confidence,
        limit=limit,
        num_pairs=int(loop.size),
        step_s=float(np.median(held)),
        loop_s=float(np.median(loop)),
        ceiling=ceiling,
    )


def _paired(
    loop_s: Sequence[float], held_s: Sequence[float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both lists as arrays. Raises `SettingError` for what cannot be judged."""
    loop, held = np.asarray(loop_s, np.float64), np.asarray(held_s, np.float64)
    if loop.ndim != 1 or loop.shape != held.shape or loop.size < 2:
        found = f"{loop.size} and {held.size} blocks"
        raise SettingError("diagnose", found, f"Measure at least {MIN_PAIRS} pairs")
    times = np.concatenate([loop, held])
    if not (np.isfinite(times).all() and (times > 0.0).all()):
        raise SettingError("diagnose", "a block without a duration", "Use longer blocks")
    return loop, held


def interval(
    ratios: NDArray[np.float64], *, confidence: float = 0.95, seed: int = 0
) -> tuple[float, float, float]:
    """The trimmed geometric mean of positive ratios, and the ends of its bootstrap interval."""
    logs = np.log(ratios)
    rng = np.random.default_rng(seed)
    drawn = logs[rng.integers(0, logs.size, (_NUM_RESAMPLES, logs.size))]
    tail = (1.0 - confidence) / 2.0
    low, high = np.exp(np.quantile(_trimmed_mean(drawn), (tail, 1.0 - tail)))
    return float(np.exp(_trimmed_mean(logs[None])[0])), float(low), float(high)


def _trimmed_mean(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean of each row without the fifth of its values at either end; `(r, n)` to `(r,)`."""
    ordered = np.sort(rows, axis=1)
    cut = ordered.shape[1] // 5
    return np.asarray(ordered[:, cut : ordered.shape[1] - cut].mean(axis=1))
