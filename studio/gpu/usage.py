"""Who used what: whole numbers, shared out so that the rows of a run add up to the whole, exactly.

Amounts are integers (nanoseconds, bytes, millijoules); a share is never rounded away, the rest has
a row of its own. Three rules, from the surest to the humblest: what is known to be a stage's (its
threads' clocks, the children it started, NVML's figures per process) is claimed; what several
stages did with one card that cannot be told apart is split equally between those that hold a lease
on it; everything else is nobody's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

UNATTRIBUTED = "unattributed"
OTHERS = "other programs"


def split(total: int, weights: Mapping[str, int]) -> dict[str, int]:
    """Share `total` in proportion to `weights`; the parts are whole and add up to `total`.

    Largest remainders get the odd units (Hamilton's method), ties in the order of the mapping. With
    no positive weight all of it is unattributed.
    """
    whole = sum(weights.values())
    if whole <= 0:
        return {UNATTRIBUTED: total}
    parts = {name: total * weight // whole for name, weight in weights.items()}
    odd = total - sum(parts.values())
    order = sorted(weights, key=lambda name: -(total * weights[name] % whole))
    for name in order[:odd]:
        parts[name] += 1
    return parts


def claim(total: int, wanted: Mapping[str, int]) -> dict[str, int]:
    """Give each claim what it wants and the rest to nobody; claims beyond `total` are scaled down
    together.

    Clocks are read one after another, so claims may exceed the whole by microseconds.
    """
    asked = sum(wanted.values())
    if asked > total:
        return split(total, wanted)
    return {**wanted, UNATTRIBUTED: wanted.get(UNATTRIBUTED, 0) + total - asked}


def card_weights(
    *,
    ours_by_stage: Mapping[str, int] | None,
    others: int,
    own: int,
    holders: Iterable[str],
    active: Iterable[str],
) -> dict[str, int]:
    """The weights by which one card's interval is shared.

    Args:
        ours_by_stage: utilisation of child processes whose stage is known; `None` where NVML names
            no processes.
        others: utilisation of other programs' processes (0 where unknown).
        own: utilisation of processes of ours whose stage is unknown: this one, with its many
            threads.
        holders: stages with a lease on the card.
        active: all running stages: a single one needs no lease to be known.
    """
    owners = sorted(set(holders))
    running = sorted(set(active))
    if not owners and len(running) == 1:
        owners = running
    if ours_by_stage is None or not (own or others or any(ours_by_stage.values())):
        return dict.fromkeys(owners, 1)
    # scaled by the number of owners so that equal shares stay whole
    scale = max(1, len(owners))
    weights: defaultdict[str, int] = defaultdict(int)
    for stage, amount in ours_by_stage.items():
        weights[stage] += amount * scale
    for stage in owners or [UNATTRIBUTED]:
        weights[stage] += own * scale // max(1, len(owners))
    if others:
        weights[OTHERS] += others * scale
    return dict(weights)


@dataclass(slots=True)
class Tally:
    """One quantity over a run: the whole and its rows. `known` stays false until a sensor has
    answered once.
    """

    whole: int = 0
    known: bool = False
    _lately_unclaimed: int = 0
    rows: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))

    def add(self, parts: Mapping[str, int]) -> None:
        """Add what `split` or `claim` returned."""
        self.known = True
        for name, amount in parts.items():
            self.rows[name] += amount
            self.whole += amount

    def add_claims(self, total: int, wanted: Mapping[str, int]) -> None:
        """Add an interval of a counter whose parts were read a moment before the whole.

        What ran between the two readings is in this interval's whole but in the next one's claims:
        claims beyond the whole are therefore first met from what the interval before left
        unclaimed.
        """
        lent = min(max(0, sum(wanted.values()) - total), self._lately_unclaimed)
        parts = claim(total + lent, wanted)
        self._lately_unclaimed = parts.get(UNATTRIBUTED, 0)
        self.add(parts)
        self.rows[UNATTRIBUTED] -= lent
        self.whole -= lent


class Histogram:
    """Percentages over time in 101 bins weighted by nanoseconds: mean, percentiles and peak in
    constant memory.
    """

    __slots__ = ("_bins", "_sum", "_weight", "peak")

    def __init__(self) -> None:
        self._bins = [0] * 101
        self._sum, self._weight = 0.0, 0
        self.peak: float | None = None

    @classmethod
    def merged(cls, parts: Iterable[Histogram]) -> Histogram:
        """All readings of several histograms in one."""
        whole = cls()
        for part in parts:
            whole._bins = [a + b for a, b in zip(whole._bins, part._bins, strict=True)]
            whole._sum += part._sum
            whole._weight += part._weight
            peaks = [peak for peak in (whole.peak, part.peak) if peak is not None]
            whole.peak = max(peaks, default=None)
        return whole

    def add(self, percent: float, weight_ns: int) -> None:
        """Count a reading that stood for `weight_ns`."""
        self._bins[min(100, max(0, round(percent)))] += weight_ns
        self._sum += percent * weight_ns
        self._weight += weight_ns
        self.peak = percent if self.peak is None else max(self.peak, percent)

    @property
    def mean(self) -> float | None:
        """Mean over time; `None` before the first reading."""
        return self._sum / self._weight if self._weight else None

    def percentile(self, share_pct: float) -> float | None:
        """The percentage (to 1) that is not exceeded during `share_pct` of the time."""
        if not self._weight:
            return None
        target, seen = self._weight * share_pct / 100.0, 0
        for value, weight in enumerate(self._bins):
            seen += weight
            if seen >= target and weight:
                return float(value)
        return 100.0
