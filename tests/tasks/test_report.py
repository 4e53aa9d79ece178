"""What a run leaves to be read: the JSON, the artifacts, an event for what was missed."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prefect import flow

from studio.errors import MediaError, OutputError
from studio.gpu.excerpt import trace_of_run
from studio.gpu.expectations import parse_expectation
from studio.gpu.meter import Meter
from studio.gpu.steps import step
from studio.specs import DeviceSpec
from studio.types import EngineInfo, Episode, Fallback, StageUse
from tasks.report import MISSED_EVENT, report_run, stage_rows
from tasks.report_files import find_report, read_report
from tasks.run import Run
from tests.studio.gpu.demo_run import demo_run
from tests.tasks.fake_card import machine_with

EXPECT = tuple(
    parse_expectation(text)
    for text in ("mix.wall_s < 0.001", "mix.wall_s < 60", "avatar.gpu_util_pct_mean >= 60")
)


VISEME = EngineInfo(
    name="viseme",
    code_licence="the project's own",
    weights_licence="none",
    commercial=True,
    memory_gib=0.1,
    rate=0,
)


def _episode(folder: Path) -> Episode:
    folder.mkdir(parents=True, exist_ok=True)
    return Episode(
        title="A [talk] about 100 %",
        folder=str(folder),
        files=("a.mp4",),
        manifest_sha256="",
        duration_s=1.0,
        loudness_lufs=-16.0,
        true_peak_dbtp=-1.0,
        checks=(),
        fallbacks=(
            Fallback(stage="avatar", wanted="sadtalker", used="viseme", why="no [weights] | here"),
        ),
        engines=(VISEME,),
    )


async def _told(run: Run, name: str, folder: Path) -> Episode:
    with Meter() as meter:
        run = replace(run, meter=meter, name=name)
        for stage in ("speech", "mix"):
            with meter.stage(stage, run=name), step("rendering"):
                time.sleep(0.01)
        with meter.stage("encode", run="another"):
            time.sleep(0.01)
        episode: Episode = await report_run.fn(_episode(folder), run, EXPECT)
        return episode


async def _events() -> list[dict[str, Any]]:
    """Our events on the server; they are stored a moment after they are sent."""
    from prefect.client.orchestration import get_client

    wanted = {"filter": {"event": {"name": [MISSED_EVENT]}}}
    async with get_client() as client:
        for _ in range(100):
            answer = await client._client.post("/events/filter", json=wanted)
            events: list[dict[str, Any]] = answer.json()["events"]
            if events:
                return events
            await asyncio.sleep(0.1)
    return []


async def _artifacts() -> dict[str, Any]:
    from prefect.client.orchestration import get_client

    async with get_client() as client:
        # Oldest first, so that the newest of each key stays: other tests share the server.
        found = await client.read_artifacts(limit=200)
        found.sort(key=lambda artifact: str(artifact.created))
        return {artifact.key or "": artifact.data for artifact in found}


def test_a_report_is_written_published_and_what_was_missed_is_an_event(
    prefect_server: None, run: Run, tmp_path: Path
) -> None:
    machine = machine_with(tmp_path / "ledger", 24.0)
    assert machine.ledger is not None
    device = DeviceSpec(device="cpu", tf32=True)
    machine.set_up(device)
    run = replace(run, machine=machine, device=device)
    with machine.ledger.lend(stage="training", need_gib=3.0):

        @flow(persist_result=False)
        async def talk() -> Episode:
            return await _told(run, "talk", tmp_path / "talk")

        episode = asyncio.run(talk())
    data = json.loads((tmp_path / "talk" / "report.json").read_text(encoding="utf-8"))
    assert data["schema"] == "podcast-studio.report/1"
    assert [span["stage"] for span in data["trace"]["spans"]] == ["speech", "mix"]
    assert [row["met"] for row in data["expectations"]] == [False, True, None]
    assert data["ledger"][0]["stage"] == "training"
    assert {row["setting"] for row in data["device"]} >= {"device", "dtype"}
    assert {use.stage for use in episode.uses if use.run} == {"speech", "mix"}

    told = read_report(tmp_path / "talk" / "report.json")
    assert told.missed[0].startswith("expect.mix.wall_s < 0.001: missed (")
    assert told.unmeasured == ("expect.avatar.gpu_util_pct_mean >= 60: not measured",)
    assert told.report.verdict.headline == data["verdict"]["headline"]

    artifacts = asyncio.run(_artifacts())
    assert {"stages", "verdict", "timeline", "leases", "release-gate"} <= set(artifacts)
    assert "A \\[talk\\] about" in artifacts["verdict"]
    assert "missed" in artifacts["verdict"]
    assert artifacts["timeline"].startswith("data:image/svg+xml;base64,")
    assert "training" in artifacts["leases"]
    told_steps = json.loads(artifacts["steps"])
    assert [(row["stage"], row["step"]) for row in told_steps] == [
        ("talk: speech", "rendering"),
        ("talk: mix", "rendering"),
    ]
    assert "- viseme" in artifacts["package"]
    assert "| avatar | sadtalker | viseme | no \\[weights\\] \\| here |" in artifacts["package"]

    (event,) = asyncio.run(_events())
    assert event["resource"]["prefect.resource.id"] == "podcast-studio.episode.talk"
    assert event["resource"]["podcast-studio.stage"] == "mix"
    assert event["payload"]["expectation"] == "expect.mix.wall_s < 0.001"
    assert event["payload"]["measured"] > 0.001


def test_the_latest_report_is_found_and_no_report_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no episode"):
        find_report("latest", tmp_path)
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "report.json").write_text("{}", encoding="utf-8")
    import os

    os.utime(tmp_path / "old" / "report.json", (1, 1))
    assert find_report("latest", tmp_path) == tmp_path / "new" / "report.json"
    assert find_report(str(tmp_path / "old"), tmp_path) == tmp_path / "old" / "report.json"
    with pytest.raises(OutputError):
        find_report(str(tmp_path / "absent"), tmp_path)
    for text in ("{}", "not JSON", '{"schema": "podcast-studio.report/1"}'):
        (tmp_path / "new" / "report.json").write_text(text, encoding="utf-8")
        with pytest.raises(MediaError):
            read_report(tmp_path / "new" / "report.json")


def test_a_run_cut_out_of_a_trace_begins_at_zero_and_keeps_its_proportions() -> None:
    trace = demo_run()
    moved = replace(
        trace,
        spans=tuple(
            replace(span, run="late" if span.start_s > 20 else "early") for span in trace.spans
        ),
    )
    late = trace_of_run(moved, "late")
    whole = [span for span in moved.spans if span.run == "late"]
    zero_s = min(span.start_s for span in whole)
    assert min(span.start_s for span in late.spans) == 0.0
    assert [span.wall_s for span in late.spans] == pytest.approx([span.wall_s for span in whole])
    assert [len(span.phases) for span in late.spans] == [len(span.phases) for span in whole]
    assert late.samples[0].start_s == 0.0
    assert late.samples[-1].end_s >= late.end_s - 1e-6
    assert len(late.samples) == sum(sample.end_s > zero_s for sample in trace.samples)
    assert trace_of_run(moved, "nobody").spans == ()


def test_a_stage_that_did_not_run_was_remembered() -> None:
    use = StageUse(
        stage="mix", wall_s=2.0, cpu_s=None, rss_peak_mib=10.0, read_mib=None, write_mib=None
    )
    rows = {row["stage"]: row for row in stage_rows((use,))}
    assert rows["mix"]["wall s"] == "2.0"
    assert rows["mix"]["CPU s"] == "n/a"
    assert rows["mix"][""] == ""
    assert rows["encode"][""] == "remembered"
