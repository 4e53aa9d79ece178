"""The ledger with real threads, real processes and real kills."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from studio.errors import EngineUnavailable, OutputError
from studio.gpu.cards import Card
from studio.gpu.lease import Lease
from studio.gpu.ledger import Ledger
from tests.studio.gpu.ledger_worker import CARDS

WORKER = Path(__file__).with_name("ledger_worker.py")
REPOSITORY = Path(__file__).parents[3]
HOLDER = """
import sys, time
from pathlib import Path
from studio.gpu.cards import Card
from studio.gpu.ledger import Ledger
card = Card(index=0, uuid="only", name="only", memory_gib=24.0, nvenc_sessions=2)
lease = Ledger(Path(sys.argv[1]), [card]).lend(stage="holder", need_gib=20.0)
"""
SLEEP = "time.sleep(60)"


def one_card(root: Path, gib: float = 24.0, **more: float) -> Ledger:
    card = Card(index=0, uuid="only", name="only", memory_gib=gib, nvenc_sessions=2)
    return Ledger(root, [card], **more)


def in_thread(ledger: Ledger, need_gib: float, got: list[Lease]) -> threading.Thread:
    thread = threading.Thread(
        target=lambda: got.append(ledger.lend(stage="waiter", need_gib=need_gib, timeout_s=20.0))
    )
    thread.start()
    return thread


def wait_until_waiting(ledger: Ledger, count: int = 1) -> None:
    end = time.monotonic() + 10
    while sum(item.card_uuid is None for item in ledger.holdings()) < count:
        assert time.monotonic() < end
        time.sleep(0.005)


def test_a_lease_is_visible_to_another_process_s_ledger_and_goes_with_its_block(
    tmp_path: Path,
) -> None:
    mine, other = one_card(tmp_path), one_card(tmp_path)
    with mine.lend(stage="avatar", need_gib=8.5, nvenc=1) as lease:
        (holding,) = other.holdings()
        assert (holding.stage, holding.pid, holding.card, holding.gib, holding.nvenc) == (
            "avatar",
            os.getpid(),
            0,
            8.5,
            1,
        )
        assert other.room_gib() == {0: 15.5}
        assert lease.waited_s < 1.0
    assert other.holdings() == ()
    lease.give_back()
    assert other.room_gib() == {0: 24.0}


def test_the_reserve_is_never_lent(tmp_path: Path) -> None:
    ledger = one_card(tmp_path, reserve_gib=2.0)
    assert ledger.room_gib() == {0: 22.0}
    with pytest.raises(EngineUnavailable, match=r"22\.0 GiB"):
        ledger.lend(stage="avatar", need_gib=23.0)


@pytest.mark.parametrize(
    ("need_gib", "nvenc", "card", "words"),
    [
        (25.0, 0, None, "the largest card can lend 24.0 GiB"),
        (1.0, 3, None, "3 encoder session"),
        (1.0, 0, 4, "there is no card 4"),
    ],
)
def test_what_can_never_fit_is_refused_at_once(
    tmp_path: Path, need_gib: float, nvenc: int, card: int | None, words: str
) -> None:
    ledger = one_card(tmp_path)
    with ledger.lend(stage="other", need_gib=24.0):
        start = time.monotonic()
        with pytest.raises(EngineUnavailable, match=words):
            ledger.lend(stage="avatar", need_gib=need_gib, nvenc=nvenc, card=card)
        assert time.monotonic() - start < 1.0
    assert ledger.holdings() == ()


def test_without_cards_the_refusal_names_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable, match=r"no NVIDIA card.*device = 'cpu'"):
        Ledger(tmp_path, []).lend(stage="avatar", need_gib=1.0)


def test_a_folder_that_cannot_be_made_is_the_users_to_mend(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be used"):
        Ledger(tmp_path / "file" / "ledger", [])


def test_the_next_waiter_runs_soon_after_a_return(tmp_path: Path) -> None:
    ledger, delays = one_card(tmp_path), []
    for _ in range(5):
        got: list[Lease] = []
        with ledger.lend(stage="holder", need_gib=20.0) as lease:
            thread = in_thread(ledger, 20.0, got)
            wait_until_waiting(ledger)
        thread.join(20)
        assert lease.returned_ns is not None
        delays.append(got[0].granted_ns - lease.returned_ns)
        got[0].give_back()
    assert min(delays) < 50e6
    assert sorted(delays)[2] < 100e6


def test_a_killed_holder_has_given_back_within_100_ms(tmp_path: Path) -> None:
    script = HOLDER + "print('held', flush=True)\n" + SLEEP
    ledger, delays = one_card(tmp_path), []
    for _ in range(3):
        victim = subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, cwd=REPOSITORY
        )
        assert victim.stdout is not None
        assert victim.stdout.readline() == b"held\n"
        got: list[Lease] = []
        thread = in_thread(ledger, 20.0, got)
        wait_until_waiting(ledger)
        killed_ns = time.monotonic_ns()
        victim.send_signal(signal.SIGKILL)
        thread.join(20)
        victim.wait()
        victim.stdout.close()
        delays.append(got[0].granted_ns - killed_ns)
        got[0].give_back()
    assert min(delays) < 100e6
    assert ledger.holdings() == ()


def test_a_forked_child_does_not_keep_its_dead_parents_lease(tmp_path: Path) -> None:
    script = HOLDER + "import os\nchild = os.fork()\nchild and print(child, flush=True)\n" + SLEEP
    parent = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, cwd=REPOSITORY
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    try:
        parent.kill()
        parent.wait()
        with one_card(tmp_path).lend(stage="heir", need_gib=20.0, timeout_s=10.0) as lease:
            assert lease.gib == 20.0
    finally:
        os.kill(child, signal.SIGKILL)
        parent.stdout.close()


def test_a_big_request_is_served_while_small_ones_keep_coming(tmp_path: Path) -> None:
    ledger, stop = one_card(tmp_path), threading.Event()

    def loop() -> None:
        while not stop.is_set():
            with ledger.lend(stage="small", need_gib=8.0):
                time.sleep(0.03)

    small = [threading.Thread(target=loop) for _ in range(4)]
    for thread in small:
        thread.start()
    time.sleep(0.1)
    try:
        with ledger.lend(stage="big", need_gib=24.0, timeout_s=20.0) as lease:
            assert lease.waited_s < 2.0
    finally:
        stop.set()
        for thread in small:
            thread.join()


def test_a_thread_with_a_lease_is_refused_a_second_one_instead_of_waiting(tmp_path: Path) -> None:
    ledger = one_card(tmp_path)
    with ledger.lend(stage="first", need_gib=20.0):
        with ledger.lend(stage="fits", need_gib=4.0):
            pass
        with pytest.raises(EngineUnavailable, match="holds a lease already"):
            ledger.lend(stage="second", need_gib=8.0)
    with ledger.lend(stage="second", need_gib=8.0) as lease:
        lease.rest()
        assert ledger.holdings()[0].idle
        with pytest.raises(EngineUnavailable, match=r"did not become free within 0\.05 s"):
            ledger.lend(stage="third", need_gib=20.0, timeout_s=0.05)
        lease.resume()
        assert not ledger.holdings()[0].idle


def test_try_lend_never_overtakes_somebody_who_waits(tmp_path: Path) -> None:
    ledger, got = one_card(tmp_path), list[Lease]()
    with ledger.lend(stage="holder", need_gib=20.0):
        thread = in_thread(ledger, 24.0, got)
        wait_until_waiting(ledger)
        assert ledger.somebody_waits()
        assert ledger.try_lend(stage="quick", need_gib=1.0) is None
    thread.join(20)
    got[0].give_back()
    quick = ledger.try_lend(stage="quick", need_gib=1.0)
    assert quick is not None
    quick.give_back()


def test_placement_is_on_the_card_with_most_room(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, CARDS)
    with (
        ledger.lend(stage="a", need_gib=6.0) as first,
        ledger.lend(stage="b", need_gib=16.0) as second,
        ledger.lend(stage="c", need_gib=5.0) as third,
    ):
        assert [first.card_index, second.card_index, third.card_index] == [0, 0, 1]


def test_an_interrupted_wait_leaves_no_ticket(tmp_path: Path) -> None:
    ledger = one_card(tmp_path)

    def interrupt() -> None:
        raise KeyboardInterrupt

    with ledger.lend(stage="holder", need_gib=20.0) as lease:
        lease.rest()
        with pytest.raises(KeyboardInterrupt):
            ledger.lend(stage="waiter", need_gib=20.0, on_wait=interrupt)
        assert len(ledger.holdings()) == 1


@given(seed=st.integers(0, 2**20), kills=st.integers(0, 2))
@settings(
    max_examples=4,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_random_schedules_of_processes_threads_and_kills_never_overlend_nor_hang(
    tmp_path_factory: pytest.TempPathFactory, seed: int, kills: int
) -> None:
    root = tmp_path_factory.mktemp("ledger")
    log = root / "log.jsonl"
    draw = random.Random(seed)  # noqa: S311
    processes = [
        subprocess.Popen(
            [sys.executable, str(WORKER), str(root / "ledger"), str(log), str(number), "3", "9"],
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        )
        for number in range(3)
    ]
    ends: dict[int, float] = {}
    try:
        for victim in processes[:kills]:
            time.sleep(draw.uniform(0.2, 0.5))
            # Before the kill: the kernel frees the victim's locks as it dies, and the next holder
            # may start before this process has heard of the death.
            ends[victim.pid] = time.monotonic()
            victim.kill()
            victim.wait(timeout=30)
        for process in processes[kills:]:
            assert process.wait(timeout=60) == 0
    finally:
        for process in processes:
            process.kill()
            process.wait()
    records = [json.loads(line) for line in log.read_text().splitlines()]
    returned = {item["key"]: item["end"] for item in records if "end" in item}
    loans = [item for item in records if "card" in item]
    assert len(loans) >= (3 - kills) * 27
    for loan in loans:
        loan["end"] = returned.get(loan["key"], ends.get(loan["pid"]))
    assert_never_overlent(loans)
    assert Ledger(root / "ledger", CARDS).holdings() == ()


def assert_never_overlent(loans: list[dict[str, Any]]) -> None:
    for card in CARDS:
        mine = [loan for loan in loans if loan["card"] == card.uuid]
        for moment in sorted(loan["start"] for loan in mine):
            held = [loan for loan in mine if loan["start"] <= moment < loan["end"]]
            assert sum(loan["mib"] for loan in held) <= card.memory_gib * 1024
            assert sum(loan["nvenc"] for loan in held) <= card.nvenc_sessions
