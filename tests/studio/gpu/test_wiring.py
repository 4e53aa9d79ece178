"""Ledger, meter, engines and verdict together, as a run uses them; only the card is imagined."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from itertools import count, pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.engines import EngineKey, EnginePool
from studio.gpu.cards import survey
from studio.gpu.ledger import Ledger
from studio.gpu.meter import Meter
from studio.gpu.report_html import report_html
from studio.gpu.run_report import report_of
from studio.gpu.running import paired
from tests.studio.gpu.fake_nvml import FakeCard, FakeNvml


@contextmanager
def slow_to_load(device: str) -> Iterator[str]:
    time.sleep(0.3)
    yield device


def test_a_run_with_waits_loads_and_warm_engines_is_told_as_it_was(tmp_path: Path) -> None:
    fake = FakeNvml(FakeCard(gpu=60))
    found = survey(fake, {})
    ledger = Ledger(tmp_path, found.cards)
    key = EngineKey(kind="avatar:test", spec=1, device="cuda")

    def music(meter: Meter, holding: threading.Event) -> None:
        with meter.stage("music") as running, ledger.lend(stage="music", need_gib=20.0) as lease:
            running.holds(lease)
            holding.set()
            time.sleep(0.5)

    with EnginePool(ledger) as pool, Meter(found.cards, nvml=fake, sample_hz=20.0) as meter:
        holding = threading.Event()
        other = threading.Thread(target=music, args=(meter, holding))
        other.start()
        assert holding.wait(20)
        for _ in range(2):
            with (
                meter.stage("avatar", after=("avatar",)) as running,
                pool.engine(key, slow_to_load, need_gib=10.0, running=running) as device,
            ):
                assert device == "cuda:0"
                time.sleep(0.2)
        other.join()
    assert pool.loads == {key: 1}
    report = report_of("wiring", meter.trace(), meter.uses())
    first, second = (span for span in report.trace.spans if span.stage == "avatar")
    wait, load = first.phases
    assert (wait.kind, load.kind) == ("lease", "load")
    assert load.end_s - load.start_s >= 0.3
    assert wait.end_s - wait.start_s == pytest.approx(0.5, abs=0.25)
    assert second.phases == ()
    assert second.holds[0].card == 0
    assert second.after == (first.id,)
    savings = {change.what: change.saves_s for change in report.verdict.changes}
    assert (savings["load the engine of avatar once for several runs"] or 0.0) >= 0.3
    assert savings["make room for avatar: more memory, or smaller needs"] == pytest.approx(
        0.5, abs=0.3
    )
    assert [step.stage for step in report.verdict.critical_path][-1] == "avatar"
    assert "make room for avatar" in report_html(report).lower()
    assert ledger.holdings() == ()


def test_an_engine_used_twice_in_a_stage_was_waited_for_once(tmp_path: Path) -> None:
    fake = FakeNvml(FakeCard())
    found = survey(fake, {})
    ledger = Ledger(tmp_path, found.cards)
    key = EngineKey(kind="avatar:test", spec=1, device="cuda")
    with (
        EnginePool(ledger) as pool,
        Meter(found.cards, nvml=fake) as meter,
        meter.stage("avatar") as running,
    ):
        for _ in range(2):
            with pool.engine(key, nullcontext, need_gib=10.0, running=running):
                pass
    (span,) = meter.trace().spans
    assert len(span.holds) == 1
    assert [phase.kind for phase in span.phases] == ["lease", "load"]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=40))
def test_phases_that_are_merged_keep_their_sum_their_order_and_their_place(
    gaps_and_lengths: list[tuple[int, int]],
) -> None:
    phases, now = [], 0
    for gap, length in gaps_and_lengths:
        phases.append((now + gap, now + gap + length))
        now += gap + length
    fewer = paired(phases)
    assert len(fewer) == (len(phases) + 1) // 2
    assert sum(end - start for start, end in fewer) == sum(end - start for start, end in phases)
    assert all(one[1] <= next_[0] for one, next_ in pairwise(fewer))
    assert not fewer or (fewer[0][0] == phases[0][0] and fewer[-1][1] <= phases[-1][1])


def test_a_loop_of_many_short_waits_leaves_a_report_of_bounded_size() -> None:
    ticks = count(0, 1000)
    with Meter(now_ns=lambda: next(ticks)) as meter, meter.stage("training") as running:
        for _ in range(5000):
            with running.phase("input"):
                pass
    (span,) = meter.trace().spans
    assert len(span.phases) <= 1024
    assert sum(phase.end_s - phase.start_s for phase in span.phases) == pytest.approx(5000 * 1e-6)
