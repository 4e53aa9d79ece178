"""Warm engines: loaded once, in turn, and gone when somebody needs their memory."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from studio.engines import EngineKey, EnginePool
from studio.errors import EngineUnavailable
from studio.gpu.cards import Card
from studio.gpu.ledger import Ledger

CARD = Card(index=0, uuid="only", name="only", memory_gib=24.0, nvenc_sessions=2)
ROOT = Path(__file__).parents[2]


class Loader:
    """Opens engines that know their device, and counts."""

    def __init__(self) -> None:
        self.opened: list[str] = []
        self.closed: list[str] = []

    def __call__(self, name: str) -> Callable[[str], AbstractContextManager[str]]:
        @contextmanager
        def open_engine(device: str) -> Iterator[str]:
            self.opened.append(name)
            yield f"{name} on {device}"
            self.closed.append(name)

        return open_engine


def key(name: str, device: str = "cuda") -> EngineKey:
    return EngineKey(kind=name, spec=("weights", 1), device=device)


def use(pool: EnginePool, load: Loader, name: str, need_gib: float = 8.0) -> str:
    with pool.engine(key(name), load(name), need_gib=need_gib) as engine:
        return engine


def test_the_second_use_costs_no_load(tmp_path: Path) -> None:
    load = Loader()
    with EnginePool(Ledger(tmp_path, [CARD])) as pool:
        assert use(pool, load, "voice") == use(pool, load, "voice") == "voice on cuda:0"
        assert pool.loads == {key("voice"): 1}
        assert load.closed == []
    assert (load.opened, load.closed) == (["voice"], ["voice"])


def test_a_warm_engine_keeps_its_lease_and_says_that_it_is_idle(tmp_path: Path) -> None:
    ledger, load = Ledger(tmp_path, [CARD]), Loader()
    with EnginePool(ledger) as pool:
        with pool.engine(key("voice"), load("voice"), need_gib=8.0):
            assert [(item.gib, item.idle) for item in ledger.holdings()] == [(8.0, False)]
        assert [(item.gib, item.idle) for item in ledger.holdings()] == [(8.0, True)]
    assert ledger.holdings() == ()


def test_the_least_recently_used_makes_room(tmp_path: Path) -> None:
    load = Loader()
    with EnginePool(Ledger(tmp_path, [CARD])) as pool:
        for name in ("voice", "music", "voice", "avatar"):
            use(pool, load, name, need_gib=10.0)
        assert load.closed == ["music"]
        assert load.opened == ["voice", "music", "avatar"]


def test_an_engine_in_use_is_never_evicted(tmp_path: Path) -> None:
    ledger, load = Ledger(tmp_path, [CARD]), Loader()
    with EnginePool(ledger) as pool, pool.engine(key("voice"), load("voice"), need_gib=20.0):
        assert not pool.evict_idle()
        with pytest.raises(EngineUnavailable, match="holds a lease already"):
            use(pool, load, "avatar", need_gib=20.0)
        assert load.closed == []


def test_another_process_that_waits_gets_the_room_of_idle_engines(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from studio.gpu.cards import Card;"
        "from studio.gpu.ledger import Ledger;"
        "card = Card(index=0, uuid='only', name='only', memory_gib=24.0, nvenc_sessions=2);"
        "ledger = Ledger(Path(sys.argv[1]), [card]);"
        "lease = ledger.lend(stage='other', need_gib=20.0, timeout_s=20.0);"
        "print(lease.waited_s)"
    )
    load = Loader()
    with EnginePool(Ledger(tmp_path, [CARD])) as pool:
        use(pool, load, "voice", need_gib=10.0)
        use(pool, load, "music", need_gib=10.0)
        done = subprocess.run(
            [sys.executable, "-c", script, str(tmp_path)],
            cwd=ROOT,
            check=True,
            capture_output=True,
            timeout=30,
        )
        assert float(done.stdout) < 5.0
        assert load.closed == ["voice", "music"]


def test_two_users_take_turns_and_copies_are_used_where_allowed() -> None:
    load, at_once, most = Loader(), [], []

    def work(pool: EnginePool, copies: int) -> None:
        with pool.engine(key("voice", "cpu"), load("voice"), copies=copies) as engine:
            at_once.append(engine)
            most.append(len(at_once))
            time.sleep(0.02)
            at_once.pop()

    for copies in (1, 3):
        most.clear()
        load.opened.clear()
        with EnginePool() as pool:
            threads = [threading.Thread(target=work, args=(pool, copies)) for _ in range(6)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(20)
        assert max(most) <= copies
        assert len(load.opened) <= copies
        assert len(most) == 6


def test_a_thread_never_waits_for_a_second_engine() -> None:
    load, entered, leave = Loader(), threading.Event(), threading.Event()

    def hold(pool: EnginePool) -> None:
        with pool.engine(key("voice", "cpu"), load("voice")):
            entered.set()
            leave.wait(20)

    with EnginePool() as pool:
        thread = threading.Thread(target=hold, args=(pool,))
        thread.start()
        assert entered.wait(20)
        with pool.engine(key("music", "cpu"), load("music")):
            second = pool.engine(key("voice", "cpu"), load("voice"))
            with pytest.raises(EngineUnavailable, match="uses another engine already"), second:
                pass
        leave.set()
        thread.join()


def test_an_engine_that_cannot_be_opened_leaves_nothing_behind(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, [CARD])

    @contextmanager
    def broken(device: str) -> Iterator[str]:
        raise OSError("no weights")
        yield device

    with EnginePool(ledger) as pool:
        engine = pool.engine(key("voice"), broken, need_gib=8.0)
        with pytest.raises(OSError, match="no weights"), engine:
            pass
        assert ledger.holdings() == ()
        assert use(pool, Loader(), "voice") == "voice on cuda:0"


def test_without_a_card_cuda_is_refused_with_a_remedy() -> None:
    with pytest.raises(EngineUnavailable, match="no NVIDIA card"), EnginePool() as pool:
        use(pool, Loader(), "voice")


def test_memory_is_free_before_the_lease_is_given_back(tmp_path: Path) -> None:
    ledger, seen = Ledger(tmp_path, [CARD]), list[bool]()

    class Weights:
        pass

    @contextmanager
    def open_weights(device: str) -> Iterator[Weights]:
        weights = Weights()
        weakref.finalize(weights, lambda: seen.append(bool(ledger.holdings())))
        yield weights

    with EnginePool(ledger) as pool:
        with pool.engine(key("voice"), open_weights, need_gib=8.0):
            pass
        assert pool.evict_idle()
        assert seen == [True]
        assert ledger.holdings() == ()


def test_closing_while_in_use_closes_when_the_user_is_done(tmp_path: Path) -> None:
    ledger, load = Ledger(tmp_path, [CARD]), Loader()
    pool = EnginePool(ledger)
    with pool.engine(key("voice"), load("voice"), need_gib=8.0):
        pool.close()
        assert load.closed == []
    assert load.closed == ["voice"]
    assert ledger.holdings() == ()
