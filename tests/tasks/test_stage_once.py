"""A stage that two runs need at the same moment is made by one of them."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from studio.remote import Remote
from studio.shared import Shared
from studio.store import Store
from studio.types import Blob
from tasks.run import Desk, Run, Stopped
from tasks.stage import stage

MADE: list[str] = []
BEGUN, GO_ON = threading.Event(), threading.Event()


@stage("speech", tags=("cpu",), made_by=("studio.keys",))
def utter(text: str, *, run: Run) -> Blob:
    """Make something of a text, once it may."""
    MADE.append(text)
    BEGUN.set()
    assert GO_ON.wait(30)
    return run.store.put_bytes(text.encode(), ".txt")


@pytest.fixture(autouse=True)
def _forget() -> None:
    MADE.clear()
    BEGUN.clear()
    GO_ON.clear()


def _run(store: Store, desk: Desk | None = None) -> Run:
    return Run(store=store, out_dir=store.root, desk=desk or Desk())


def _begin(run: Run, answers: list[Blob]) -> threading.Thread:
    thread = threading.Thread(target=lambda: answers.append(utter.fn("hello", run=run)))
    thread.start()
    return thread


@pytest.mark.parametrize("machines", [1, 2])
def test_one_of_two_makes_it(tmp_path: Path, machines: int) -> None:
    stores = [
        Store(tmp_path / str(n % machines), shared=Shared(Remote(f"file://{tmp_path}/nas")))
        for n in range(2)
    ]
    answers: list[Blob] = []
    threads = [_begin(_run(stores[0]), answers)]
    assert BEGUN.wait(30)
    threads.append(_begin(_run(stores[1]), answers))
    GO_ON.set()
    for thread in threads:
        thread.join()
    assert MADE == ["hello"]
    assert answers[0] == answers[1]
    assert stores[1].path(answers[0]).read_bytes() == b"hello"


def test_one_who_waits_for_another_can_be_stopped(tmp_path: Path) -> None:
    answers: list[Blob] = []
    thread = _begin(_run(Store(tmp_path)), answers)
    assert BEGUN.wait(30)
    desk = Desk()
    desk.stop.set()
    with pytest.raises(Stopped):
        utter.fn("hello", run=_run(Store(tmp_path), desk))
    GO_ON.set()
    thread.join()
    assert MADE == ["hello"]


def test_a_run_that_makes_all_anew_waits_for_nobody(tmp_path: Path) -> None:
    GO_ON.set()
    utter.fn("hello", run=_run(Store(tmp_path)))
    utter.fn("hello", run=_run(Store(tmp_path)))
    utter.fn("hello", run=_run(Store(tmp_path, recalls=False)))
    assert MADE == ["hello", "hello"]
