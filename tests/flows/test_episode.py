"""The golden episode: a real draft, made by the flow, looked at from all sides.

What is checked here is checked on the finished files, decoded, with tools that did not make them.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import mutagen
import mutagen.id3
import numpy as np
import pytest

from flows.episode import make_episode
from flows.remembered import standing_episode
from profiles import load_profile, settle
from studio.errors import DeliveryError, ScriptError, SettingError, StudioError
from studio.types import Episode, Header
from tasks.run import DESK, Desk, open_run
from tasks.script import Order

pytestmark = pytest.mark.xdist_group("prefect")

SCRIPT = """\
Title: Golden: 100 % "real" [draft]
Language: en

[MUSIC: calm piano, fade in 1s]

ALICE: Welcome. This is a very short episode, and it is real.
(pause 0.5s)
BOB: [laughs] Then let us keep it short.

## The end

[MUSIC: bright drums]
ALICE: Good night.
[MUSIC: fade out]
"""


def _make(script: Path, out: Path, **rest: Any) -> Episode:
    episode: Episode = asyncio.run(
        make_episode(script=str(script), profile="draft", out_dir=str(out), **rest)
    )
    return episode


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("golden")


@pytest.fixture(scope="module")
def script(place: Path) -> Path:
    path = place / "golden episode.txt"
    path.write_text(SCRIPT, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def golden(prefect_server: None, script: Path, place: Path) -> Episode:
    return _make(script, place / "out")


@pytest.fixture
def folder(golden: Episode) -> Path:
    return Path(golden.folder)


def _video(folder: Path) -> Path:
    return next(folder.glob("*.mp4"))


def _mean_levels(path: Path) -> Iterator[float]:
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            yield float(np.abs(frame.to_ndarray()).mean())


def test_the_package_is_complete_and_nothing_half_lies_beside_it(
    golden: Episode, folder: Path
) -> None:
    suffixes = {path.suffix for path in folder.iterdir()}
    assert {".mp4", ".mp3", ".m4a", ".srt", ".vtt", ".json", ".jpg", ".md", ".txt"} <= suffixes
    assert set(golden.files) <= {p.relative_to(folder).as_posix() for p in folder.rglob("*")}
    assert all(path.stat().st_size > 0 for path in folder.rglob("*") if path.is_file())
    assert [p.name for p in folder.parent.iterdir()] == [folder.name]


def test_every_check_of_the_gate_passed_and_says_its_figure(golden: Episode) -> None:
    assert len(golden.checks) > 10
    assert all(check.passed and check.measured and check.required for check in golden.checks)


def test_picture_and_sound_are_as_long_as_the_timeline(golden: Episode, folder: Path) -> None:
    with av.open(str(_video(folder))) as container:
        stream = container.streams.video[0]
        fps = int(stream.average_rate or 0)
        frames = sum(1 for _ in container.decode(stream))
    with av.open(str(_video(folder))) as container:
        samples = sum(frame.samples for frame in container.decode(audio=0))
    assert fps == 15
    assert abs(frames / fps - golden.duration_s) <= 1 / fps
    assert abs(samples / 48_000 - golden.duration_s) <= 1 / fps


def test_the_picture_moves_and_the_sound_sounds(folder: Path) -> None:
    levels = list(_mean_levels(_video(folder)))
    assert np.mean(np.array(levels) > 1e-3) > 0.8
    with av.open(str(_video(folder))) as container:
        frames = [f.to_ndarray(format="gray").astype(int) for f in container.decode(video=0)]
    changed = [np.abs(a - b).mean() for a, b in pairwise(frames)]
    assert np.mean(np.array(changed) > 0.01) > 0.9
    assert all(frame.mean() > 8 for frame in frames)


def test_no_direction_is_spoken_or_captioned(folder: Path) -> None:
    captions = next(folder.glob("*.srt")).read_text(encoding="utf-8")
    spoken = captions.replace("\n", " ")
    for word in ("Welcome.", "real.", "short.", "Good night."):
        assert word in spoken
    for direction in ("laughs", "pause", "MUSIC", "calm piano", "ALICE:"):
        assert direction not in captions


def test_chapters_stand_in_every_file_that_can_hold_them(folder: Path) -> None:
    listed = json.loads((folder / "chapters.json").read_text(encoding="utf-8"))
    titles = [chapter["title"] for chapter in listed["chapters"]]
    assert titles[-1] == "The end"
    for suffix in ("*.mp4", "*.m4a"):
        with av.open(str(next(folder.glob(suffix)))) as container:
            assert [c["metadata"]["title"] for c in container.chapters()] == titles
    tags = mutagen.id3.ID3(next(folder.glob("*.mp3")))  # type: ignore[no-untyped-call]
    assert len(tags.getall("CHAP")) == len(titles)  # type: ignore[no-untyped-call]


def test_the_manifest_names_what_was_used_and_no_path_of_this_machine(folder: Path) -> None:
    text = (folder / "manifest.json").read_text(encoding="utf-8")
    found = json.loads(text)
    assert found["title"] == 'Golden: 100 % "real" [draft]'
    assert {speaker["voice_engine"] for speaker in found["speakers"]} == {"espeak_ng"}
    assert "GPL-3.0" in text
    assert str(folder.parent) not in text


def test_stages_were_measured_and_the_sums_are_whole(golden: Episode, folder: Path) -> None:
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    stages = {use["stage"] for use in report["uses"]}
    assert report["schema"] == "podcast-studio.report/1"
    assert report["verdict"]["headline"]
    assert [step["stage"] for step in report["verdict"]["critical_path"]][-1] == "package"
    assert report["expectations"] == []
    assert {"parse", "speech", "music", "avatar", "mix", "encode", "package"} <= stages
    encode = next(use for use in golden.uses if use.stage == "encode")
    assert encode.cpu_s
    assert encode.cpu_s > 0
    assert encode.cards == ()


def test_a_second_run_does_nothing_again_and_gives_the_same_bytes(
    golden: Episode, script: Path, place: Path
) -> None:
    before = {p.name: p.read_bytes() for p in Path(golden.folder).glob("*.m*")}
    again = _make(script, place / "again")
    ran = {use.stage for use in again.uses}
    assert not ran & {"speech", "music", "avatar", "mix", "encode"}
    after = {p.name: p.read_bytes() for p in Path(again.folder).glob("*.m*")}
    assert after == before


def test_a_package_that_stands_is_left_alone_and_a_damaged_one_is_made_whole(
    golden: Episode, script: Path, place: Path
) -> None:
    folder = Path(golden.folder)
    before = {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in folder.glob("*.m*")}
    _make(script, place / "out")
    assert {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in before} == before
    _video(folder).write_bytes(b"cut")
    _make(script, place / "out")
    assert {p: p.read_bytes() for p in before} == {p: data for p, (_, data) in before.items()}


def test_an_episode_that_stands_needs_no_flow(golden: Episode, script: Path, place: Path) -> None:
    wanted = settle(load_profile("draft"), Header(), {})
    order = Order(script=str(script))
    with open_run(str(place / "out"), device=wanted.device, gpu=wanted.gpu) as run:
        known = standing_episode(run, order, wanted, {})
        assert known is not None
        assert known.folder == golden.folder
        louder = {"mix.loudness_lufs": -14.0}
        assert standing_episode(run, order, settle(wanted, Header(), louder), louder) is None
    with open_run(str(place / "elsewhere"), device=wanted.device, gpu=wanted.gpu) as run:
        assert standing_episode(run, order, wanted, {}) is None


def test_a_stage_whose_media_is_gone_is_made_again_alike(
    golden: Episode, script: Path, place: Path, studio_home: Path
) -> None:
    before = _video(Path(golden.folder)).read_bytes()
    for media in studio_home.glob("[0-9a-f][0-9a-f]/*.mp4"):
        media.unlink()
    again = _make(script, place / "anew")
    assert "encode" in {use.stage for use in again.uses}
    assert "speech" not in {use.stage for use in again.uses}
    assert _video(Path(again.folder)).read_bytes() == before


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"profile_": "nothing"}, SettingError),
        ({"options": {"picture.fsp": 1}}, SettingError),
        ({"music_file": "absent.mp3"}, StudioError),
        ({"script_": "absent.txt"}, ScriptError),
        ({"options": {"mix.loudness_lufs": -8.0, "mix.true_peak_dbtp": -9.0}}, DeliveryError),
    ],
)
def test_what_is_wrong_is_said_and_the_finished_episode_stays(
    golden: Episode, script: Path, place: Path, change: dict[str, Any], error: type[StudioError]
) -> None:
    before = _video(Path(golden.folder)).read_bytes()
    order: dict[str, Any] = {
        "script": str(script),
        "profile": "draft",
        "out_dir": str(place / "out"),
    }
    order |= {key.rstrip("_"): value for key, value in change.items()}
    with pytest.raises(error) as caught:
        asyncio.run(make_episode(**order))
    assert "\n" not in str(caught.value)
    assert _video(Path(golden.folder)).read_bytes() == before
    assert [p.name for p in (place / "out").iterdir()] == [Path(golden.folder).name]


def test_a_run_that_is_told_to_stop_ends_and_keeps_what_was_done(
    golden: Episode, script: Path, place: Path
) -> None:
    from tasks.run import Stopped

    def stop_in_encode(stage: str, done: int, _total: int) -> None:
        if stage == "encode" and done > 10:
            desk.stop.set()

    desk = Desk(report=stop_in_encode)
    token = DESK.set(desk)
    try:
        with pytest.raises(Stopped):
            _make(script, place / "stopped", options={"encode.crf": 35.0})
    finally:
        DESK.reset(token)
    assert not (place / "stopped").exists() or not list((place / "stopped").iterdir())
    shutil.rmtree(place / "stopped", ignore_errors=True)


def test_an_episode_that_is_only_heard(golden: Episode, script: Path, place: Path) -> None:
    heard = _make(script, place / "heard", options={"package.audio_only": True})
    suffixes = {path.suffix for path in Path(heard.folder).iterdir()}
    assert ".mp4" not in suffixes
    assert {".mp3", ".m4a"} <= suffixes
    assert "encode" not in {use.stage for use in heard.uses}
    sound = mutagen.File(next(Path(heard.folder).glob("*.m4a")))
    assert sound.tags["covr"]
