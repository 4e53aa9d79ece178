"""One loaded engine for several users at once: loaded once, leased as long as anybody uses it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.engines import EngineKey, EnginePool
from studio.errors import EngineUnavailable
from studio.gathering import OutOfMemoryError
from studio.gpu.cards import Card
from studio.gpu.ledger import Ledger

CARD = Card(index=0, uuid="only", name="only", memory_gib=24.0, nvenc_sessions=2)
KEY = EngineKey(kind="voice", spec="weights", device="cuda")
PATIENCE_S = 60.0


class Opened:
    """Opens engines and counts those that are open."""

    def __init__(self) -> None:
        self.times, self.now = 0, 0
        self._lock = threading.Lock()

    @contextmanager
    def __call__(self, device: str) -> Iterator[str]:
        with self._lock:
            self.times += 1
            self.now += 1
        yield device
        with self._lock:
            self.now -= 1


def run_out() -> None:
    """What an engine does that needs more memory than there is."""
    raise OutOfMemoryError("CUDA out of memory.")


def test_all_users_have_the_one_engine_and_the_last_one_rests_its_lease(tmp_path: Path) -> None:
    ledger, opened = Ledger(tmp_path, [CARD]), Opened()
    all_in, leave = threading.Barrier(4), [threading.Event() for _ in range(3)]

    def use(number: int) -> None:
        with pool.engine(KEY, opened, need_gib=20.0, shared=True):
            all_in.wait(PATIENCE_S)
            assert leave[number].wait(PATIENCE_S)

    with EnginePool(ledger) as pool, ThreadPoolExecutor(3) as threads:
        users = [threads.submit(use, number) for number in range(3)]
        all_in.wait(PATIENCE_S)
        for user, event in zip(users, leave, strict=True):
            # Whoever loaded it may leave first.
            assert [holding.idle for holding in ledger.holdings()] == [False]
            assert not pool.evict_idle()
            event.set()
            user.result(PATIENCE_S)
        assert [holding.idle for holding in ledger.holdings()] == [True]
        assert opened.times == 1
        assert pool.evict_idle()
        assert (opened.now, ledger.holdings()) == (0, ())


def test_whoever_left_a_shared_engine_may_wait_for_another(tmp_path: Path) -> None:
    opened, inside, leave = Opened(), threading.Event(), threading.Event()
    other = EngineKey(kind="music", spec="weights", device="cuda")
    with EnginePool(Ledger(tmp_path, [CARD])) as pool, ThreadPoolExecutor(1) as threads:

        def stays() -> None:
            with pool.engine(KEY, opened, need_gib=20.0, shared=True):
                inside.set()
                assert leave.wait(PATIENCE_S)

        with pool.engine(KEY, opened, need_gib=20.0, shared=True):
            user = threads.submit(stays)
            assert inside.wait(PATIENCE_S)
            second = pool.engine(other, opened, need_gib=20.0, shared=True)
            # A user of one engine must not wait for another.
            with pytest.raises(EngineUnavailable), second:
                pass
        timer = threading.Timer(0.3, leave.set)
        timer.start()
        with pool.engine(other, opened, need_gib=20.0, shared=True) as engine:
            assert engine == "cuda:0"
        user.result(PATIENCE_S)
        timer.join()
    assert opened.now == 0


def test_users_of_a_spent_engine_leave_when_it_is_gone(tmp_path: Path) -> None:
    ledger, opened = Ledger(tmp_path, [CARD]), Opened()
    both_in = threading.Barrier(2)
    closed: list[tuple[int, object]] = []

    def use(late_s: float) -> None:
        with (
            suppress(OutOfMemoryError),
            pool.engine(KEY, opened, need_gib=20.0, shared=True),
        ):
            both_in.wait(PATIENCE_S)
            threading.Event().wait(late_s)
            run_out()
        closed.append((opened.now, ledger.holdings()))

    with EnginePool(ledger) as pool, ThreadPoolExecutor(2) as threads:
        for user in [threads.submit(use, late_s) for late_s in (0.0, 0.3)]:
            user.result(PATIENCE_S)
        assert closed == [(0, ()), (0, ())]
        with pool.engine(KEY, opened, need_gib=20.0, shared=True):
            assert opened.times == 2


@settings(max_examples=15, deadline=None)
@given(st.lists(st.floats(0.0, 0.01), min_size=2, max_size=8), st.booleans())
def test_however_users_come_and_go_nothing_is_left(waits: list[float], short: bool) -> None:
    opened = Opened()

    def use(wait_s: float) -> None:
        threading.Event().wait(wait_s)
        with suppress(OutOfMemoryError), pool.engine(key, opened, shared=True):
            threading.Event().wait(wait_s)
            if short and wait_s > 0.008:
                run_out()

    key = EngineKey(kind="voice", spec="weights", device="cpu")
    with EnginePool() as pool:
        with ThreadPoolExecutor(len(waits)) as threads:
            list(threads.map(use, waits, timeout=PATIENCE_S))
        assert opened.now <= 1
    assert opened.now == 0
