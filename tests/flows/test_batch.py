"""A batch: what fails is told and stops nobody, what stands is left alone, names never clash."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from flows.batch import make_batch
from flows.episode import FLOOR, make_episode
from flows.publish import publish_site
from studio.errors import BatchError, ScriptError
from studio.gathering import Call
from studio.gpu.meter import Meter
from studio.gpu.run_report import report_of
from studio.specs import MusicSpec, VoiceSpec
from studio.types import BatchResult
from tasks.batch import figure_rows, figures_of, read_report, write_report
from tasks.batch_plan import MOST_AHEAD, look_ahead
from tests.tasks.receiver import Receiver, receiving

# A group of its own: the other worker makes single episodes meanwhile, on a server of its own.
pytestmark = pytest.mark.xdist_group("batch")

receiver = pytest.fixture(receiving)

OPTIONS = {"package.audio_only": True, "music.enabled": False, "voice.engine": "tone"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("batch")
    scripts = place / "scripts"
    scripts.mkdir()
    (scripts / "talk.txt").write_text("# One\n\nHello from the first talk.\n")
    (scripts / "talk.md").write_text("# Two\n\nHello from the second talk, which is longer.\n")
    (scripts / "bad.txt").write_text("Title: Bad\nAspect: 4:3\n\nHello.\n")
    (scripts / "worse.txt").write_text("Title: Worse\nVoice: nobody at all\n\nHello.\n")
    return place


def _batch(place: Path, **more: Any) -> list[BatchResult]:
    arguments: dict[str, Any] = {
        "folder": str(place / "scripts"),
        "profile": "draft",
        "out_dir": str(place / "out"),
        "options": OPTIONS,
        "cost_per_hour": 3.6,
    }
    with pytest.raises(BatchError, match="2 of 4 failed"):
        asyncio.run(make_batch(**(arguments | more)))
    return list(read_report(place / "out")[0])


@pytest.fixture(scope="module")
def first(prefect_server: None, place: Path) -> list[BatchResult]:
    return _batch(place)


def test_failures_are_told_and_the_others_are_made(first: list[BatchResult], place: Path) -> None:
    told = {result.name: result for result in first}
    assert set(told) == {"talk.txt", "talk.md", "bad", "worse"}
    assert "4:3" in told["bad"].why
    assert "nobody at all" in told["worse"].why
    folders = {Path(told[name].folder) for name in ("talk.txt", "talk.md")}
    assert len(folders) == 2
    titles = {json.loads((f / "manifest.json").read_text())["title"] for f in folders}
    assert titles == {"One", "Two"}
    assert {p.name for p in (place / "out").iterdir()} == {
        "talk-txt",
        "talk-md",
        "batch-report.json",
    }


def test_the_figures_are_those_of_what_was_made(first: list[BatchResult], place: Path) -> None:
    results, figures, data = read_report(place / "out")
    made = [result for result in results if result.made]
    assert (figures.made, figures.unchanged, figures.failed) == (2, 0, 2)
    assert figures.finished_s == pytest.approx(sum(result.duration_s for result in made))
    # 3.6 an hour is a thousandth a second.
    cost = figures.wall_s / 1000 / (figures.finished_s / 60)
    assert figures.cost_per_finished_min == pytest.approx(cost)
    assert figures.gpu_s_per_finished_min is None
    assert figures.cpu_s is not None
    assert figures.cpu_s > 0
    assert {use["run"] for use in data["stages"] if use["stage"] == "speech"} >= {"talk.txt"}


def test_only_what_changed_is_made_again(first: list[BatchResult], place: Path) -> None:
    media = {p: p.stat().st_mtime_ns for p in (place / "out").rglob("*.mp3")}
    again = {result.name: result for result in _batch(place)}
    assert again["talk.txt"].made == again["talk.md"].made == ()
    assert again["talk.txt"].folder
    assert {p: p.stat().st_mtime_ns for p in media} == media

    (place / "scripts" / "talk.md").write_text("# Two\n\nSomething else is said now.\n")
    third = {result.name: result for result in _batch(place, jobs=1)}
    assert third["talk.txt"].made == ()
    assert {"speech", "mix", "package"} <= set(third["talk.md"].made)


def test_without_only_changed_everything_is_made_anew_and_comes_out_alike(
    first: list[BatchResult], place: Path
) -> None:
    media = {p: p.read_bytes() for p in (place / "out").rglob("*.mp3")}
    again = {result.name: result for result in _batch(place, only_changed=False)}
    assert {"speech", "mix", "package"} <= set(again["talk.txt"].made)
    assert {p: p.read_bytes() for p in media} == media


def test_the_site_of_a_batch_is_published_by_its_flow(
    first: list[BatchResult], place: Path
) -> None:
    done = publish_site(str(place / "out"), "https://example.org", str(place / "site"))
    assert done.episodes == 2
    assert (place / "site" / "feed.xml").is_file()


def test_word_of_a_failed_run_reaches_the_webhook_once(
    prefect_server: None, receiver: Receiver, tmp_path: Path
) -> None:
    with pytest.raises(ScriptError):
        asyncio.run(make_batch(folder=str(tmp_path / "nothing"), out_dir=str(tmp_path / "out")))
    ((_, body),) = receiver.heard
    assert body["event"] == "podcast-studio.nightly-batch.failed"
    assert "no such folder" in body["message"]


class Counted(asyncio.Semaphore):
    """A floor that remembers how crowded it was."""

    def __init__(self, places: int) -> None:
        super().__init__(places)
        self.inside, self.most, self.entered = 0, 0, 0

    async def __aenter__(self) -> None:
        await super().__aenter__()
        self.inside += 1
        self.entered += 1
        self.most = max(self.most, self.inside)

    async def __aexit__(self, *error: object) -> None:
        self.inside -= 1
        self.release()


def test_episodes_ahead_wait_for_the_floor_with_their_speech_done(
    prefect_server: None, place: Path
) -> None:
    async def both() -> Counted:
        floor = Counted(1)
        FLOOR.set(floor)
        scripts = [place / "scripts" / name for name in ("talk.txt", "talk.md")]
        await asyncio.gather(
            *(
                make_episode(
                    str(path), "draft", str(place / "floor"), OPTIONS, name=path.suffix[1:]
                )
                for path in scripts
            )
        )
        return floor

    floor = asyncio.run(both())
    assert (floor.entered, floor.most, floor.inside) == (2, 1, 0)


def test_so_many_are_ahead_as_a_neural_engine_takes_at_once() -> None:
    assert look_ahead(VoiceSpec(), MusicSpec()) == 1
    neural = MusicSpec(engine=("musicgen_hf", "arranger"), batch=4)
    assert look_ahead(VoiceSpec(), neural) == 4
    assert look_ahead(VoiceSpec(), neural.model_copy(update={"enabled": False})) == 1
    assert look_ahead(VoiceSpec(engine=("coqui_tts",), batch=6), neural) == 6
    assert look_ahead(VoiceSpec(), neural.model_copy(update={"batch": 64})) == MOST_AHEAD


def test_what_engines_were_asked_together_is_counted_and_kept(tmp_path: Path) -> None:
    def call(engine: str, parties: str, num_requests: int, num_made: int) -> Call:
        return Call(
            engine=engine,
            num_requests=num_requests,
            num_made=num_made,
            parties=tuple(parties),
            wall_s=0.5,
        )

    calls = [call("voice", "a", 8, 8), call("music", "abc", 5, 3), call("voice", "ab", 6, 6)]
    made = [BatchResult(script="a", made=("speech",), duration_s=60.0)]
    figures = figures_of(
        made, (), wall_s=10.0, cores=2, jobs=1, cost_per_hour=None, calls=[*calls, calls[0]]
    )
    voice, music = figures.engines
    assert (voice.requests, voice.calls, voice.largest, voice.call_s) == (22, 3, 8, 1.5)
    assert (voice.shared_calls, voice.shared_requests, voice.repeated) == (1, 6, 0)
    assert (music.requests, music.shared_requests, music.repeated) == (5, 5, 2)
    rows = {row["figure"]: row["value"] for row in figure_rows(figures)}
    assert rows["voice: asked together"] == "6 of 22 (calls: 3)"
    assert rows["music: asked together"] == "5 of 5 (calls: 1, made once for several: 2)"
    report = report_of("Batch", Meter().trace(), ())
    write_report(tmp_path, made, figures, report)
    assert read_report(tmp_path)[1] == figures


def test_nothing_made_costs_nothing_per_minute() -> None:
    failed = [BatchResult(script="a", why="no")]
    figures = figures_of(failed, (), wall_s=5.0, cores=2, jobs=1, cost_per_hour=1.0)
    assert figures.cost_per_finished_min is None
    assert figures.finished_min_per_hour is None
    assert figures.cpu_busy_pct is None
    assert figures.verdict == "Nothing was made."
