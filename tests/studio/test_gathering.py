"""Requests that meet at an engine: everybody gets their own, whoever fails fails alone, nobody is
left waiting.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.gathering import Call, Gathering, OutOfMemoryError, Party
from studio.gpu.meter import Meter
from studio.memory_ladder import is_out_of_memory

PATIENCE_S = 60.0
"""Far beyond what anything here takes: a waiter that hangs fails its test."""


class Doubler:
    """An engine that doubles numbers. A negative one is an error, zero its whole memory."""

    def __init__(self, *, most: int = 1000, seconds: float = 0.0) -> None:
        self.calls: list[list[int]] = []
        self.gate = threading.Event()
        self.gate.set()
        self._most, self._seconds, self._inside = most, seconds, threading.Lock()

    def work(self, items: Sequence[int]) -> Iterable[int]:
        assert self._inside.acquire(blocking=False), "two threads at once"
        try:
            self.calls.append(list(items))
            assert len(set(items)) == len(items) <= self._most
            assert self.gate.wait(PATIENCE_S)
            time.sleep(self._seconds)
            if 0 in items:
                raise OutOfMemoryError("CUDA out of memory.")
            for item in items:
                if item < 0:
                    raise ArithmeticError(item)
                yield 2 * item
        finally:
            self._inside.release()


def until(true: Callable[[], bool]) -> None:
    """Wait for what another thread does."""
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def asked(gathering: Gathering[int, int], items: Sequence[int], party: Party) -> list[int]:
    return list(gathering.ask(items, party))


def ask_behind_a_call(
    engine: Doubler, gathering: Gathering[int, int], *askers: tuple[Sequence[int], Party]
) -> list[Future[list[int]]]:
    """The first asker's call goes on until all others wait."""
    engine.gate.clear()
    with ThreadPoolExecutor(len(askers)) as threads:
        futures = []
        for number, (items, party) in enumerate(askers, 1):
            futures.append(threads.submit(asked, gathering, items, party))
            until(lambda number=number: gathering.num_waiting == number)  # type: ignore[misc]
            until(lambda: bool(engine.calls))
        engine.gate.set()
    return futures


def test_what_gathers_during_a_call_is_the_next_call() -> None:
    engine = Doubler()
    gathering = Gathering(engine.work, most=8, name="doubler")
    calls: list[Call] = []
    parties = [Party(name=name, note=calls.append) for name in "abcd"]
    futures = ask_behind_a_call(
        engine, gathering, *(([10 + n, 20 + n], party) for n, party in enumerate(parties))
    )
    assert [future.result() for future in futures] == [[20 + 2 * n, 40 + 2 * n] for n in range(4)]
    first, second = calls
    assert (first.parties, first.num_requests) == (("a",), 2)
    assert (second.parties, second.num_requests) == (("b", "c", "d"), 6)
    assert {call.engine for call in calls} == {"doubler"}
    assert gathering.num_waiting == 0


def test_a_call_is_never_fuller_than_the_engine_takes_and_is_dealt_in_turn() -> None:
    engine = Doubler(most=4)
    gathering = Gathering(engine.work, most=4)
    long, short = list(range(100, 120)), [1, 2]
    futures = ask_behind_a_call(
        engine, gathering, ([7], Party()), (long, Party()), (short, Party())
    )
    assert [future.result() for future in futures][1:] == [[2 * n for n in long], [2, 4]]
    # The one with twenty items does not hold up the one with two.
    assert set(engine.calls[1]) == {100, 101, 1, 2}


def test_equal_requests_are_one_piece_of_work() -> None:
    engine = Doubler(most=2)
    gathering = Gathering(engine.work, most=2)
    calls: list[Call] = []
    futures = ask_behind_a_call(
        engine,
        gathering,
        ([7], Party()),
        *(([1, 2], Party(name=name, note=calls.append)) for name in "abc"),
    )
    assert [future.result() for future in futures[1:]] == [[2, 4]] * 3
    assert engine.calls[1:] == [[1, 2]]
    assert [(call.num_requests, call.num_made) for call in calls] == [(6, 2)]


def test_an_error_is_its_owners_alone() -> None:
    engine = Doubler()
    gathering = Gathering(engine.work, most=8)
    futures = ask_behind_a_call(
        engine, gathering, ([1], Party()), ([2], Party()), ([3, -4], Party()), ([5], Party())
    )
    for future, answer in zip(futures, ([2], [4], None, [10]), strict=True):
        if answer is None:
            with pytest.raises(ArithmeticError, match="-4"):
                future.result()
        else:
            assert future.result() == answer
    assert asked(gathering, [6], Party()) == [12]


def test_out_of_memory_is_everybodys_and_nobody_tries_the_spent_engine_again() -> None:
    engine = Doubler()
    gathering = Gathering(engine.work, most=8)
    futures = ask_behind_a_call(
        engine, gathering, ([1], Party()), ([2], Party()), ([0], Party()), ([3], Party())
    )
    assert futures[0].result() == [2]
    errors = [future.exception() for future in futures[1:]]
    assert all(error is not None and is_out_of_memory(error) for error in errors)
    assert len({id(error) for error in errors}) == 3
    assert len(engine.calls) == 2
    with pytest.raises(OutOfMemoryError):
        asked(gathering, [6], Party())
    assert len(engine.calls) == 2


class Dying(BaseException):
    """What no handler of errors catches, as a thread meets it on Ctrl-C."""


def test_a_leader_that_dies_leaves_its_company_to_the_next() -> None:
    died = threading.Event()

    def work(items: Sequence[int]) -> Iterable[int]:
        calls.append(list(items))
        if len(calls) == 1:
            assert start.wait(PATIENCE_S)
        if len(calls) == 2:
            died.set()
            raise Dying
        return [2 * item for item in items]

    calls: list[list[int]] = []
    start = threading.Event()
    gathering = Gathering(work, most=8)
    with ThreadPoolExecutor(4) as threads:
        futures = []
        for number in (1, 2, 3, 4):
            futures.append(threads.submit(asked, gathering, [number], Party()))
            until(lambda number=number: gathering.num_waiting == number)  # type: ignore[misc]
            until(lambda: bool(calls))
        start.set()
    assert died.is_set()
    met = [future.exception() for future in futures]
    assert [type(error) for error in met].count(Dying) == 1
    for number, (future, error) in enumerate(zip(futures, met, strict=True), 1):
        if error is None:
            assert future.result() == [2 * number]


class Halt(Exception):
    """What a party's check raises."""


def test_one_who_is_to_stop_leaves_while_it_waits_and_holds_up_nobody() -> None:
    engine, stop = Doubler(), threading.Event()

    def check() -> None:
        if stop.is_set():
            raise Halt

    gathering = Gathering(engine.work, most=8)
    engine.gate.clear()
    with ThreadPoolExecutor(3) as threads:
        first = threads.submit(asked, gathering, [1], Party())
        until(lambda: bool(engine.calls))
        leaves = threads.submit(asked, gathering, [2, 3], Party(check=check))
        stays = threads.submit(asked, gathering, [4], Party())
        until(lambda: gathering.num_waiting == 3)
        stop.set()
        # The engine is still at work for the first one.
        assert isinstance(leaves.exception(timeout=PATIENCE_S), Halt)
        engine.gate.set()
        assert (first.result(), stays.result()) == ([2], [8])
    assert engine.calls[1:] == [[4]]


def test_one_who_walks_away_from_its_answers_is_forgotten() -> None:
    engine = Doubler()
    gathering = Gathering(engine.work, most=1)
    answers = gathering.ask([1, 2, 3], Party())
    assert next(answers) == 2
    answers.close()  # type: ignore[attr-defined]
    assert gathering.num_waiting == 0
    assert asked(gathering, [4], Party()) == [8]
    assert engine.calls == [[1], [4]]


def test_engines_that_do_not_mix_work_for_one_at_a_time() -> None:
    engine = Doubler(most=2)
    gathering = Gathering(engine.work, most=2, mixes=False)
    futures = ask_behind_a_call(
        engine, gathering, ([1], Party()), ([2, 3, 4], Party()), ([5], Party())
    )
    assert [future.result() for future in futures] == [[2], [4, 6, 8], [10]]
    assert sorted(engine.calls) == [[1], [2, 3], [4], [5]]


def test_other_work_has_its_turn_between_calls() -> None:
    engine = Doubler()
    gathering = Gathering(engine.work, most=1)
    engine.gate.clear()
    with ThreadPoolExecutor(2) as threads:
        numbers = threads.submit(asked, gathering, [1, 2, 3, 4], Party())
        until(lambda: bool(engine.calls))
        other = threads.submit(gathering.apart, lambda: len(engine.calls), Party())
        until(lambda: gathering.num_waiting == 2)
        engine.gate.set()
        assert other.result(PATIENCE_S) <= 2
        assert numbers.result(PATIENCE_S) == [2, 4, 6, 8]
    with pytest.raises(ZeroDivisionError):
        gathering.apart(lambda: 1 // 0, Party())
    assert asked(gathering, [5], Party()) == [10]


@settings(max_examples=40, deadline=None)
@given(
    parties=st.lists(
        st.tuples(
            st.lists(st.integers(-2, 30).filter(bool), min_size=1, max_size=6),
            st.floats(0.0, 0.004),
        ),
        min_size=1,
        max_size=6,
    ),
    most=st.integers(1, 5),
    mixes=st.booleans(),
)
def test_whoever_comes_whenever_gets_what_it_would_get_alone(
    parties: list[tuple[list[int], float]], most: int, mixes: bool
) -> None:
    engine = Doubler(most=most, seconds=0.001)
    gathering = Gathering(engine.work, most=most, mixes=mixes)

    def come(items: list[int], late_s: float) -> list[int]:
        time.sleep(late_s)
        return asked(gathering, items, Party())

    with ThreadPoolExecutor(len(parties)) as threads:
        futures = [threads.submit(come, items, late_s) for items, late_s in parties]
        for (items, _), future in zip(parties, futures, strict=True):
            bad = [item for item in items if item < 0]
            error = future.exception(timeout=PATIENCE_S)
            if bad:
                assert isinstance(error, ArithmeticError)
                assert error.args[0] in bad
            else:
                assert error is None
                assert future.result() == [2 * item for item in items]
    assert gathering.num_waiting == 0
    # No more calls than everybody alone and in vain, item by item.
    assert len(engine.calls) <= 2 * sum(len(items) for items, _ in parties)


def burn(items: Sequence[int]) -> list[int]:
    """Busy for as long as the calling thread has used 40 ms of a processor per item."""
    until_ns = time.thread_time_ns() + 40_000_000 * len(items)
    while time.thread_time_ns() < until_ns:
        sum(range(1000))
    return [2 * item for item in items]


def test_what_a_call_uses_is_shared_out_among_those_it_works_for() -> None:
    starts, seated = threading.Barrier(3), threading.Event()

    def work(items: Sequence[int]) -> list[int]:
        if 99 in items:
            assert seated.wait(PATIENCE_S)
            return [0]
        return burn(items)

    gathering = Gathering(work, most=8)
    with Meter(sample_hz=20.0) as meter:

        def stage(run: str, items: list[int]) -> None:
            with meter.stage("music", run=run) as running:
                starts.wait(PATIENCE_S)
                if run != "idle":
                    until(lambda: gathering.num_waiting > 0)
                asked(gathering, items, Party(name=run, running=running))

        before = time.process_time()
        with ThreadPoolExecutor(3) as threads:
            done = [
                threads.submit(stage, run, items)
                for run, items in (("idle", [99]), ("a", [1, 2, 3]), ("b", [4]))
            ]
            until(lambda: gathering.num_waiting == 3)
            seated.set()
            for future in done:
                future.result(PATIENCE_S)
        used = time.process_time() - before
    rows = {row.run: row.cpu_s or 0.0 for row in meter.uses() if row.stage == "music"}
    # Four items of 40 ms in one call: three quarters and a quarter, whoever's thread it was.
    assert rows["a"] + rows["b"] >= 0.15
    assert rows["b"] > 0.01
    assert rows["a"] > 1.5 * rows["b"]
    assert sum(row.cpu_s or 0.0 for row in meter.uses()) == pytest.approx(used, abs=0.1)
