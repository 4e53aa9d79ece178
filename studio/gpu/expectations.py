"""What a profile expects of a run, such as `expect.avatar.gpu_util_pct_mean >= 60`, and whether it
came true.

An expectation that could not be measured is neither met nor missed: `met` is `None`.
"""

from __future__ import annotations

import difflib
import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from studio.errors import SettingError
from studio.types import CardUse, StageUse

_FORM = re.compile(
    r"(?:expect\.)?(?P<stage>[\w-]+)\.(?P<metric>\w+)\s*(?P<sign><=|>=|<|>)\s*"
    r"(?P<bound>[-+]?\d+(?:\.\d+)?)"
)
_SIGNS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_HOST = {
    "wall_s": "wall_s",
    "cpu_s": "cpu_s",
    "rss_mib_max": "rss_peak_mib",
    "read_mib": "read_mib",
    "write_mib": "write_mib",
}
_CARD: dict[str, tuple[str, Callable[[Sequence[float]], float]]] = {
    "gpu_s": ("gpu_s", sum),
    "encoder_s": ("encoder_s", sum),
    "energy_j": ("energy_j", sum),
    "gpu_util_pct_mean": ("util_mean_pct", max),
    "gpu_util_pct_p50": ("util_p50_pct", max),
    "gpu_util_pct_p95": ("util_p95_pct", max),
    "gpu_util_pct_max": ("util_peak_pct", max),
    "sm_active_pct_mean": ("sm_active_mean_pct", max),
    "encoder_util_pct_mean": ("encoder_mean_pct", max),
    "memory_gib_max": ("memory_peak_gib", max),
}
"""Shares are added over the cards; of levels the card that was used most counts."""

METRIC_NAMES = (*_HOST, *_CARD)
"""Every figure that an expectation may name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """One line of a profile's `[expect]`."""

    stage: str
    metric: str
    sign: str
    bound: float

    def __str__(self) -> str:
        return f"expect.{self.stage}.{self.metric} {self.sign} {self.bound:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What was measured. `met` is `None` when the stage did not run or no sensor could tell."""

    expectation: Expectation
    measured: float | None
    met: bool | None

    def __str__(self) -> str:
        if self.measured is None:
            return f"{self.expectation}: not measured"
        return f"{self.expectation}: {'met' if self.met else 'missed'} ({self.measured:.4g})"


def parse_expectation(text: str) -> Expectation:
    """Read an expectation. Raises `SettingError` for anything that is none, with the nearest
    metric.
    """
    match = _FORM.fullmatch(text.strip())
    if match is None:
        raise SettingError(
            "expect",
            f"{text!r} is no expectation",
            "Write for instance: expect.avatar.gpu_util_pct_mean >= 60",
        )
    if match["metric"] not in METRIC_NAMES:
        near = difflib.get_close_matches(match["metric"], METRIC_NAMES, n=1)
        remedy = f"Did you mean {near[0]}?" if near else f"Known are {', '.join(METRIC_NAMES)}."
        raise SettingError("expect", f"unknown metric {match['metric']!r} in {text!r}", remedy)
    return Expectation(
        stage=match["stage"],
        metric=match["metric"],
        sign=match["sign"],
        bound=float(match["bound"]),
    )


def check_expectations(
    expectations: Sequence[Expectation], uses: Sequence[StageUse]
) -> tuple[Outcome, ...]:
    """Hold expectations to the rows of a run; a stage of several episodes is checked in each."""
    outcomes = []
    for expectation in expectations:
        rows = [use for use in uses if use.stage == expectation.stage]
        for measured in [_measured(expectation.metric, row) for row in rows] or [None]:
            met = None
            if measured is not None:
                met = _SIGNS[expectation.sign](measured, expectation.bound)
            outcomes.append(Outcome(expectation=expectation, measured=measured, met=met))
    return tuple(outcomes)


def _measured(metric: str, use: StageUse) -> float | None:
    if metric in _HOST:
        value: float | None = getattr(use, _HOST[metric])
        return value
    field, combine = _CARD[metric]
    cards: Sequence[CardUse] = use.cards
    if combine is max:
        # the card that the stage used most; where nobody can tell, any card that was read
        cards = sorted(use.cards, key=lambda card: -(card.gpu_s or 0.0))[:1]
    known = [value for card in cards if (value := getattr(card, field)) is not None]
    return combine(known) if known else None
