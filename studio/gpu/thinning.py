"""Samples from readings, and fewer samples from many: a long run keeps its means, not its every
reading.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from studio.gpu.books import Look
from studio.gpu.trace import CardReading, Sample

MIB = 1024**2
_KEPT_LAST = {"card", "energy_mj", "start_s", "end_s", "cards", "throttle"}
_ADDED = {"read_mib", "write_mib"}


def sample_between(before: Look, after: Look, origin_ns: int) -> Sample:
    """The sample for the time between two readings."""
    length_ns = after.at_ns - before.at_ns
    host, earlier = after.host, before.host
    spent = [
        used - earlier.threads_ns.get(tid, 0)
        for tid, used in host.threads_ns.items()
        if tid in earlier.threads_ns
    ]
    for pid, child in host.children.items():
        if pid in earlier.children:
            spent.append(child.cpu_ns - earlier.children[pid].cpu_ns)
    busiest = max(spent, default=0)
    return Sample(
        start_s=(before.at_ns - origin_ns) * 1e-9,
        end_s=(after.at_ns - origin_ns) * 1e-9,
        cpu_cores=max(0, host.cpu_ns - earlier.cpu_ns) / length_ns,
        busiest_thread_pct=min(100.0, 100.0 * busiest / length_ns),
        rss_mib=(host.rss_b + sum(child.rss_b for child in host.children.values())) / MIB,
        read_mib=_moved_mib(earlier.read_b, host.read_b),
        write_mib=_moved_mib(earlier.write_b, host.write_b),
        io_stall_pct=_share_pct(earlier.io_stall_ns, host.io_stall_ns, length_ns),
        cpu_stall_pct=_share_pct(earlier.cpu_stall_ns, host.cpu_stall_ns, length_ns),
        cards=tuple(look.reading for look in after.cards),
    )


def thin(samples: Sequence[Sample]) -> list[Sample]:
    """Half as many samples: neighbours merged, means weighted by their length, amounts added."""
    merged = [_merge(samples[at], samples[at + 1]) for at in range(0, len(samples) - 1, 2)]
    return merged + list(samples[len(merged) * 2 :])


def _merge(one: Sample, two: Sample) -> Sample:
    weights = (one.seconds, two.seconds)
    values: dict[str, Any] = {
        field.name: _mean(getattr(one, field.name), getattr(two, field.name), weights)
        for field in fields(Sample)
        if field.name not in _KEPT_LAST | _ADDED
    }
    sums: dict[str, Any] = {
        name: _sum(getattr(one, name), getattr(two, name)) for name in sorted(_ADDED)
    }
    cards = tuple(
        _merge_cards(one.card(reading.card) or reading, reading, weights) for reading in two.cards
    )
    return Sample(start_s=one.start_s, end_s=two.end_s, cards=cards, **values, **sums)


def _merge_cards(one: CardReading, two: CardReading, weights: tuple[float, float]) -> CardReading:
    values: dict[str, Any] = {
        field.name: _mean(getattr(one, field.name), getattr(two, field.name), weights)
        for field in fields(CardReading)
        if field.name not in _KEPT_LAST
    }
    for whole in ("sm_clock_mhz", "mem_clock_mhz", "temperature_c"):
        values[whole] = None if values[whole] is None else round(values[whole])
    held = None
    if one.throttle is not None or two.throttle is not None:
        held = tuple(sorted({*(one.throttle or ()), *(two.throttle or ())}))
    return CardReading(card=two.card, energy_mj=two.energy_mj, throttle=held, **values)


def _mean(one: float | None, two: float | None, weights: tuple[float, float]) -> float | None:
    if one is None or two is None:
        return two if one is None else one
    return (one * weights[0] + two * weights[1]) / (weights[0] + weights[1])


def _sum(one: float | None, two: float | None) -> float | None:
    known = [value for value in (one, two) if value is not None]
    return sum(known) if known else None


def _share_pct(before: int | None, after: int | None, length_ns: int) -> float | None:
    if before is None or after is None:
        return None
    return min(100.0, max(0.0, 100.0 * (after - before) / length_ns))


def _moved_mib(before: int | None, after: int | None) -> float | None:
    return None if before is None or after is None else max(0, after - before) / MIB
