"""Book-keeping of one run: each interval between two readings is shared out between the stages that
ran in it.

Between two readings the set of running stages never changes (the meter reads at every start and
end), so an interval belongs to known stages. `studio.gpu.usage` holds the rules and their
arithmetic.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from studio.gpu.processes import ChildReading, HostReading
from studio.gpu.sensors import ProcessShare
from studio.gpu.trace import CardReading
from studio.gpu.usage import Histogram, Tally, card_weights, split

CARD_QUANTITIES = ("gpu_ns", "encoder_ns", "decoder_ns", "energy_mj")


@dataclass(slots=True)
class CardPeaks:
    """What one card looked like while one stage ran."""

    util: Histogram = field(default_factory=Histogram)
    encoder: Histogram = field(default_factory=Histogram)
    sm_active: Histogram = field(default_factory=Histogram)
    memory_ours_mib: float | None = None
    memory_used_mib: float | None = None


@dataclass(frozen=True, slots=True)
class CardLook:
    """A card's reading with what NVML says of processes; both may be silent."""

    reading: CardReading
    shares: Mapping[int, ProcessShare] | None


@dataclass(frozen=True, slots=True)
class Look:
    """Everything read at one moment. `thread_bytes` are the storage counters of the stages' own
    threads.
    """

    at_ns: int
    host: HostReading
    cards: tuple[CardLook, ...]
    python_tids: frozenset[int]
    thread_bytes: dict[int, tuple[int, int]] = field(default_factory=dict)


class Books:
    """The tallies of a run. One thread at a time."""

    def __init__(self) -> None:
        self.cpu_ns, self.read_b, self.write_b = Tally(), Tally(), Tally()
        self.cards: dict[int, dict[str, Tally]] = {}
        self.peaks: defaultdict[str, defaultdict[int, CardPeaks]] = defaultdict(
            lambda: defaultdict(CardPeaks)
        )
        self.rss_peak_b: dict[str, int] = {}
        self.thread_owner: dict[int, str] = {}
        self.child_owner: dict[int, str] = {}
        self.company: dict[str, dict[str, int]] = {}
        """Spans whose thread works for several just now, and the weights of those it works for."""
        self._cpu_seen_ns = 0

    def open(self, first: Look) -> None:
        """The reading from which everything is counted."""
        self._cpu_seen_ns = first.host.cpu_ns

    def interval(
        self,
        before: Look,
        after: Look,
        *,
        active: Sequence[str],
        holders: Mapping[int, Sequence[str]],
    ) -> None:
        """Share out what happened between two readings.

        Args:
            before: the earlier reading.
            after: the later reading.
            active: spans that ran throughout.
            holders: per card, the spans with a lease on it.
        """
        sole = active[0] if len(active) == 1 else None
        self._cpu(before.host, after, sole)
        self._storage(before, after, sole)
        for name in active:
            self.rss_peak_b[name] = max(self.rss_peak_b.get(name, 0), _tree_rss_b(after.host))
        earlier = {look.reading.card: look for look in before.cards}
        # Work for several is its leader's claim first, and shared out at the end.
        led = {name for leader, parts in self.company.items() for name in parts if name != leader}
        for look in after.cards:
            card = look.reading.card
            self._card(
                earlier.get(card),
                look,
                after.at_ns - before.at_ns,
                active=active,
                holders=[name for name in holders.get(card, ()) if name not in led],
            )

    def forget(self, name: str) -> None:
        """A span has ended: its threads are free again, its children live on as its own."""
        self.thread_owner = {tid: who for tid, who in self.thread_owner.items() if who != name}

    def _cpu(self, before: HostReading, after: Look, sole: str | None) -> None:
        wanted: defaultdict[str, int] = defaultdict(int)
        for tid, spent in after.host.threads_ns.items():
            owner = self._thread(tid, tid not in before.threads_ns, after.python_tids, sole)
            if owner is not None:
                wanted[owner] += max(0, spent - before.threads_ns.get(tid, 0))
        for pid, child in after.host.children.items():
            owner = self._child(child, sole)
            earlier = before.children.get(pid)
            if owner is not None:
                wanted[owner] += max(0, child.cpu_ns - (earlier.cpu_ns if earlier else 0))
        self._reaped(before, after.host, wanted, sole)
        seen = max(self._cpu_seen_ns, after.host.cpu_ns)
        self.cpu_ns.add_claims(seen - self._cpu_seen_ns, self._parted(wanted))
        self._cpu_seen_ns = seen

    def _thread(
        self, tid: int, born: bool, python_tids: frozenset[int], sole: str | None
    ) -> str | None:
        """Whose a thread is.

        A thread born while one stage ran alone is that stage's until the stage ends. A thread that
        Python does not know (BLAS, OpenMP, CUDA, codecs) works for whoever calls it: for the only
        running stage, or else nobody knows.
        """
        owner = self.thread_owner.get(tid)
        if owner is None and sole is not None and (born or tid not in python_tids):
            owner = sole
            if born:
                self.thread_owner[tid] = sole
        return owner

    def _child(self, child: ChildReading, sole: str | None) -> str | None:
        owner = self.child_owner.get(child.pid)
        if owner is None:
            started_by = self.thread_owner.get(child.parent_tid) if child.parent_tid else None
            owner = started_by or sole
            if owner is not None:
                self.child_owner[child.pid] = owner
        return owner

    def _reaped(
        self, before: HostReading, after: HostReading, wanted: dict[str, int], sole: str | None
    ) -> None:
        """What children did between their last reading and their end, and children too short-lived
        to be seen.
        """
        gone = [before.children[pid] for pid in before.children.keys() - after.children.keys()]
        late = after.reaped_ns - before.reaped_ns
        owners = set()
        for child in gone:
            owner = self.child_owner.pop(child.pid, None)
            if Path(f"/proc/{child.pid}").exists():
                # It left the tree alive (its parent ended): its time will never be reaped by us.
                self._cpu_seen_ns -= child.cpu_ns
                continue
            late -= child.cpu_ns
            owners.add(owner)
        if not owners:
            owners = {sole}
        whose = owners.pop() if len(owners) == 1 else None
        if late > 0 and whose is not None:
            wanted[whose] = wanted.get(whose, 0) + late

    def _storage(self, before: Look, after: Look, sole: str | None) -> None:
        for index, tally in enumerate((self.read_b, self.write_b)):
            now, then = _storage_b(after.host)[index], _storage_b(before.host)[index]
            if now is None or then is None:
                continue
            whole, wanted = max(0, now - then), defaultdict[str, int](int)
            for tid, counters in after.thread_bytes.items():
                owner = self.thread_owner.get(tid)
                if owner is not None:
                    was = before.thread_bytes.get(tid)
                    if was is not None or tid not in before.host.threads_ns:
                        wanted[owner] += max(0, counters[index] - (was[index] if was else 0))
            for pid, child in after.host.children.items():
                count, earlier = _child_b(child, index), before.host.children.get(pid)
                moved = max(0, count - (_child_b(earlier, index) if earlier else 0))
                whole += moved
                if (owner := self.child_owner.get(pid, sole)) is not None:
                    wanted[owner] += moved
            tally.add_claims(whole, self._parted(wanted))

    def _parted(self, amounts: Mapping[str, int]) -> dict[str, int]:
        """Amounts by span, those of a span that works for several shared out among them."""
        parts: defaultdict[str, int] = defaultdict(int)
        for owner, amount in amounts.items():
            for name, part in split(amount, self.company.get(owner, {owner: 1})).items():
                parts[name] += part
        return dict(parts)

    def _card(
        self,
        earlier: CardLook | None,
        look: CardLook,
        length_ns: int,
        *,
        active: Sequence[str],
        holders: Sequence[str],
    ) -> None:
        reading = look.reading
        amounts = {
            "gpu_ns": _busy_ns(reading.gpu_util_pct, length_ns),
            "encoder_ns": _busy_ns(reading.encoder_util_pct, length_ns),
            "decoder_ns": _busy_ns(reading.decoder_util_pct, length_ns),
            "energy_mj": _energy_mj(earlier.reading if earlier else None, reading, length_ns),
        }
        tallies = self.cards.setdefault(
            reading.card, {quantity: Tally() for quantity in CARD_QUANTITIES}
        )
        for quantity, amount in amounts.items():
            if amount is not None:
                weights = self._weights(look.shares, quantity, active=active, holders=holders)
                tallies[quantity].add(self._parted(split(amount, weights)))
        for name in active:
            _note(self.peaks[name][reading.card], reading, length_ns)

    def _weights(
        self,
        shares: Mapping[int, ProcessShare] | None,
        quantity: str,
        *,
        active: Sequence[str],
        holders: Sequence[str],
    ) -> dict[str, int]:
        if not shares:
            return card_weights(ours_by_stage=None, others=0, own=0, holders=holders, active=active)
        by_stage: defaultdict[str, int] = defaultdict(int)
        own = others = 0
        for pid, share in shares.items():
            amount = round(_part(share, quantity))
            if pid in self.child_owner:
                by_stage[self.child_owner[pid]] += amount
            elif pid == os.getpid():
                own += amount
            else:
                others += amount
        return card_weights(
            ours_by_stage=by_stage, others=others, own=own, holders=holders, active=active
        )


def _part(share: ProcessShare, quantity: str) -> float:
    return {"encoder_ns": share.encoder_pct, "decoder_ns": share.decoder_pct}.get(
        quantity, share.sm_pct
    )


def _busy_ns(percent: float | None, length_ns: int) -> int | None:
    return None if percent is None else round(percent / 100.0 * length_ns)


def _energy_mj(before: CardReading | None, after: CardReading, length_ns: int) -> int | None:
    """From the board's counter; else power over time (trapezium rule): 1 W x 1 ns = 1e-6 mJ."""
    if after.energy_mj is not None and before is not None and before.energy_mj is not None:
        return max(0, after.energy_mj - before.energy_mj)
    if after.power_w is None:
        return None
    start_w = before.power_w if before is not None and before.power_w is not None else after.power_w
    return round((start_w + after.power_w) / 2.0 * length_ns * 1e-6)


def _note(peaks: CardPeaks, reading: CardReading, length_ns: int) -> None:
    for histogram, percent in (
        (peaks.util, reading.gpu_util_pct),
        (peaks.encoder, reading.encoder_util_pct),
        (peaks.sm_active, reading.sm_active_pct),
    ):
        if percent is not None:
            histogram.add(percent, length_ns)
    peaks.memory_ours_mib = _larger(peaks.memory_ours_mib, reading.memory_ours_mib)
    peaks.memory_used_mib = _larger(peaks.memory_used_mib, reading.memory_used_mib)


def _larger(one: float | None, other: float | None) -> float | None:
    known = [value for value in (one, other) if value is not None]
    return max(known) if known else None


def _tree_rss_b(host: HostReading) -> int:
    return host.rss_b + sum(child.rss_b for child in host.children.values())


def _storage_b(host: HostReading) -> tuple[int | None, int | None]:
    return host.read_b, host.write_b


def _child_b(child: ChildReading, index: int) -> int:
    return (child.read_b if index == 0 else child.write_b) or 0
