"""Steps of a stage: heard by its own meter, added up by name, shown in every report."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable

import pytest

from studio.gpu.meter import Meter
from studio.gpu.report_html import report_html
from studio.gpu.report_rows import step_rows
from studio.gpu.run_report import report_from_dict, report_of, report_to_dict
from studio.gpu.steps import LISTENER, step
from studio.types import StageUse, StepUse


def _stages(meter: Meter) -> dict[str, StageUse]:
    return {f"{use.run}/{use.stage}": use for use in meter.uses()}


def test_steps_are_added_up_by_stage_and_name() -> None:
    with Meter() as meter:
        with meter.stage("avatar", run="one"):
            with step("rendering"):
                time.sleep(0.02)
            with step("paste"):
                pass
            with step("rendering"):
                time.sleep(0.02)
        with meter.stage("avatar", run="one"), step("rendering"):
            pass
        with meter.stage("avatar", run="two"), step("paste"):
            pass
        used = _stages(meter)
    rendering, paste = used["one/avatar"].steps
    assert (rendering.step, rendering.times, rendering.gpu_s) == ("rendering", 3, None)
    assert 0.04 <= rendering.wall_s <= used["one/avatar"].wall_s
    assert (paste.step, paste.times) == ("paste", 1)
    assert [row.step for row in used["two/avatar"].steps] == ["paste"]
    assert used["/unattributed"].steps == ()


def test_a_step_outside_a_stage_or_in_anothers_thread_is_nobodys() -> None:
    with Meter() as meter:
        with meter.stage("music") as running:
            other = threading.Thread(target=_quietly(step("paste")))
            other.start()
            other.join()
            assert running.use().steps == ()
        with step("rendering"):
            pass
        assert all(use.steps == () for use in meter.uses())


def _quietly(said: object) -> Callable[[], None]:
    def work() -> None:
        with said:  # type: ignore[attr-defined]
            pass

    return work


def test_a_step_that_fails_is_not_counted_and_the_listener_goes_with_its_stage() -> None:
    with Meter() as meter:
        with pytest.raises(ValueError, match="no"), meter.stage("avatar"), step("paste"):
            raise ValueError("no")
        assert LISTENER.get() is None
        (row, _) = meter.uses()
    assert row.steps == ()


def test_threads_that_write_at_once_lose_nothing() -> None:
    with Meter() as meter, meter.stage("avatar") as running:
        add = running.steps.add
        threads = [
            threading.Thread(target=lambda: [add("paste", 2, 3) for _ in range(500)])
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        (row,) = running.use().steps
    assert row.times == 2000
    assert row.wall_s == pytest.approx(4e-6)
    assert row.gpu_s == pytest.approx(6e-6)


def test_reports_show_the_steps_and_keep_them() -> None:
    steps = (
        StepUse(step="detection", times=1, wall_s=0.5),
        StepUse(step="<rendering>", times=40, wall_s=0.1, gpu_s=6.0),
    )
    use = StageUse(
        stage="avatar",
        run="one",
        wall_s=8.0,
        cpu_s=3.0,
        rss_peak_mib=None,
        read_mib=None,
        write_mib=None,
        steps=steps,
    )
    with Meter() as meter:
        pass
    report = report_of("Steps", meter.trace(), (use,))
    first, second = step_rows(report.uses)
    assert (first["stage"], first["GPU s"], first["GPU % of stage"]) == (
        "one: avatar",
        "n/a",
        "n/a",
    )
    assert (second["times"], second["GPU s"], second["GPU % of stage"]) == ("40", "6.00", "75")
    page = report_html(report)
    assert "&lt;rendering&gt;" in page
    assert "<rendering>" not in page
    again = report_from_dict(json.loads(json.dumps(report_to_dict(report))))
    assert again.uses[0].steps == steps
    # A report of before steps were told still reads.
    older = report_to_dict(report)
    for row in older["uses"]:
        del row["steps"]
    assert report_from_dict(older).uses[0].steps == ()
