"""Sharing out: every row is fair, and the rows are the whole, to the last unit."""

from __future__ import annotations

import os
from collections.abc import Mapping
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from studio.gpu.books import Books, CardLook, Look
from studio.gpu.processes import ChildReading, HostReading
from studio.gpu.sensors import ProcessShare
from studio.gpu.stage_uses import rows_of
from studio.gpu.trace import CardReading
from studio.gpu.usage import OTHERS, UNATTRIBUTED, Histogram, Tally, card_weights, claim, split

AMOUNT = st.integers(0, 10**15)
NAMES = st.sampled_from(["speech", "music", "avatar", "mix", "encode"])


@given(AMOUNT, st.dictionaries(NAMES, st.integers(0, 10**6)))
def test_split_is_exact_and_within_one_unit_of_fair(total: int, weights: dict[str, int]) -> None:
    parts = split(total, weights)
    assert sum(parts.values()) == total
    whole = sum(weights.values())
    if whole:
        for name, weight in weights.items():
            assert abs(parts[name] * whole - total * weight) < whole
    else:
        assert parts == {UNATTRIBUTED: total}


@given(AMOUNT, st.dictionaries(NAMES, AMOUNT))
def test_claims_are_met_in_full_when_they_fit(total: int, wanted: dict[str, int]) -> None:
    parts = claim(total, wanted)
    assert sum(parts.values()) == total
    assert all(part >= 0 for part in parts.values())
    if sum(wanted.values()) <= total:
        assert all(parts[name] == amount for name, amount in wanted.items())


@given(st.lists(st.tuples(AMOUNT, st.dictionaries(NAMES, AMOUNT))))
def test_a_tally_of_claims_is_the_sum_of_its_wholes(
    intervals: list[tuple[int, dict[str, int]]],
) -> None:
    tally = Tally()
    for total, wanted in intervals:
        tally.add_claims(total, wanted)
    assert tally.whole == sum(total for total, _ in intervals) == sum(tally.rows.values())
    assert all(amount >= 0 for amount in tally.rows.values())


def test_what_ran_between_two_clocks_is_not_lost_to_its_stage() -> None:
    tally = Tally()
    tally.add_claims(30, {"speech": 20})
    tally.add_claims(10, {"speech": 20})
    assert dict(tally.rows) == {"speech": 40, UNATTRIBUTED: 0}


def test_equal_shares_by_lease_when_nvml_names_nobody() -> None:
    weights = card_weights(
        ours_by_stage=None,
        others=0,
        own=0,
        holders=("speech", "music"),
        active=("speech", "music", "mix"),
    )
    assert weights == {"speech": 1, "music": 1}


def test_without_leases_a_single_stage_is_known_and_two_are_not() -> None:
    one = card_weights(ours_by_stage=None, others=0, own=0, holders=(), active=("speech",))
    two = card_weights(ours_by_stage=None, others=0, own=0, holders=(), active=("speech", "mix"))
    assert (one, two) == ({"speech": 1}, {})


def test_known_children_and_strangers_get_theirs_and_the_rest_is_shared() -> None:
    weights = card_weights(
        ours_by_stage={"encode": 10}, others=30, own=60, holders=("speech", "avatar"), active=()
    )
    parts = split(1000, weights)
    assert parts == {"encode": 100, "speech": 300, "avatar": 300, OTHERS: 300}


@st.composite
def looks(draw: st.DrawFn) -> list[Look]:
    """A run of readings with growing counters, threads and children that come and go."""
    result, cpu, tids = [], 0, [1]
    threads: dict[int, int] = {1: 0}
    reaped = energy = 0
    children: dict[int, int] = {}
    for index in range(draw(st.integers(2, 7))):
        for tid in tids:
            threads[tid] += draw(st.integers(0, 10**9))
        if draw(st.booleans()):
            tids.append(len(threads) + 1)
            threads[tids[-1]] = 0
        if draw(st.booleans()):
            children[2_000_000_000 + index] = draw(st.integers(0, 10**9))
        elif len(children) > 0 and draw(st.booleans()):
            reaped += children.pop(next(iter(children))) + draw(st.integers(0, 10**6))
        children = {pid: spent + draw(st.integers(0, 10**9)) for pid, spent in children.items()}
        cpu = sum(threads.values()) + draw(st.integers(0, 10**6))
        energy += draw(st.integers(0, 10**6))
        host = HostReading(
            threads_ns=dict(threads),
            process_ns=cpu,
            reaped_ns=reaped,
            rss_b=1,
            read_b=index * 7,
            write_b=index * 3,
            children={pid: ChildReading(pid, 1, spent, 1, 0, 0) for pid, spent in children.items()},
        )
        reading = CardReading(
            card=0,
            gpu_util_pct=draw(st.none() | st.floats(0, 100)),
            encoder_util_pct=draw(st.none() | st.floats(0, 100)),
            energy_mj=energy,
        )
        share = st.builds(ProcessShare, *[st.floats(0, 100)] * 3)
        pids = st.sampled_from([os.getpid(), 7, *children])
        shares = draw(st.none() | st.dictionaries(pids, share))
        result.append(
            Look((index + 1) * 10**9, host, (CardLook(reading, shares),), frozenset(tids))
        )
    return result


class _Span:
    def __init__(self, name: str) -> None:
        self.id = self.stage = name
        self.run, self.start_ns, self.end_ns = "", 0, 10**9


@given(looks(), st.data())
def test_the_rows_of_a_whole_run_add_up_exactly(run: list[Look], data: st.DataObject) -> None:
    books = Books()
    books.open(run[0])
    for before, after in pairwise(run):
        active = data.draw(st.lists(NAMES, unique=True, max_size=3))
        holders = [name for name in active if data.draw(st.booleans())]
        for tid, name in zip(after.host.threads_ns, active, strict=False):
            books.thread_owner[tid] = name
        books.interval(before, after, active=active, holders={0: holders})
    names = ["speech", "music", "avatar", "mix", "encode"]
    rows = rows_of(books, [_Span(name) for name in names], {0: "card"}, origin_ns=0, now_ns=10**9)

    def total_ns(values: list[float | None]) -> int:
        return sum(round(value * 1e9) for value in values if value is not None)

    assert total_ns([row.cpu_s for row in rows]) == books.cpu_ns.whole
    assert books.cpu_ns.whole == sum(books.cpu_ns.rows.values())
    gpu = books.cards[0]["gpu_ns"]
    assert total_ns([row.cards[0].gpu_s for row in rows]) == gpu.whole
    known = [look.cards[0].reading.gpu_util_pct for look in run[1:]]
    assert gpu.whole == sum(round(pct * 1e7) for pct in known if pct is not None)
    energy = books.cards[0]["energy_mj"]
    last, first = run[-1].cards[0].reading.energy_mj, run[0].cards[0].reading.energy_mj
    assert last is not None
    assert first is not None
    assert sum(energy.rows.values()) == last - first
    assert min(_amounts(books)) >= 0


def _amounts(books: Books) -> list[int]:
    tallies: list[Mapping[str, int]] = [books.cpu_ns.rows, books.read_b.rows, books.write_b.rows]
    tallies += [tally.rows for tally in books.cards[0].values()]
    return [0, *(amount for rows in tallies for amount in rows.values())]


@given(st.lists(st.tuples(st.floats(0, 100), st.integers(1, 10**9)), min_size=1))
def test_a_histogram_agrees_with_its_readings(readings: list[tuple[float, int]]) -> None:
    histogram = Histogram()
    for percent, weight in readings:
        histogram.add(percent, weight)
    whole = sum(weight for _, weight in readings)
    mean = sum(percent * weight for percent, weight in readings) / whole
    assert histogram.mean is not None
    assert abs(histogram.mean - mean) < 1e-6
    assert histogram.peak == max(percent for percent, _ in readings)
    middle = histogram.percentile(50.0)
    assert middle is not None
    below = sum(weight for percent, weight in readings if round(percent) <= middle)
    assert below * 2 >= whole
