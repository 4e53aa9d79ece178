"""The edit loop, without a server: quick pictures of a part, a voice, a board, a watched file."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from PIL import Image

from flows.edit_cli import follow
from flows.preview import Part, preview, say, storyboard
from studio.errors import OutputError, ScriptError, SettingError
from tasks.script import Order

TONE = {"voice.engine": "tone", "music.enabled": False}
TEXT = "# Talk\n\nANNA: The first line.\n\n## Two\n\nBEN: The second line is longer.\n"


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "talk.txt"
    path.write_text(TEXT)
    return path


def test_a_preview_is_a_small_video_of_the_part(script: Path, tmp_path: Path) -> None:
    target = tmp_path / "new" / "p.mp4"
    options = {**TONE, "avatar.enabled": False, "picture.visualizer": "none"}
    length_s = preview(Order(script=str(script)), "cpu", options, Part(chapter=2), target)
    with av.open(str(target)) as container:
        stream = container.streams.video[0]
        assert (stream.height, float(stream.average_rate or 0)) == (480, 15.0)
        assert [c["metadata"]["title"] for c in container.chapters()] == ["Two"]
        assert container.duration is not None
        assert container.duration / av.time_base == pytest.approx(length_s, abs=0.1)
    assert [path.name for path in target.parent.iterdir()] == ["p.mp4"]


def test_a_preview_that_is_only_heard_is_the_mix(script: Path, tmp_path: Path) -> None:
    target = tmp_path / "p.flac"
    whole_s = preview(Order(script=str(script)), "cpu", TONE, Part(), target, audio_only=True)
    assert soundfile.info(str(target)).duration == pytest.approx(whole_s)
    part = Part(seconds=0.1)
    part_s = preview(Order(script=str(script)), "cpu", TONE, part, target, audio_only=True)
    assert part_s < whole_s


@pytest.mark.parametrize("kind", ["wav", "flac", "mp3", "ogg"])
def test_say_writes_every_sentence(tmp_path: Path, kind: str) -> None:
    target = tmp_path / f"s.{kind}"
    short_s = say("One.", "cpu", TONE, target)
    long_s = say("One. And then another sentence: it is longer.", "cpu", TONE, target)
    sound, rate = soundfile.read(str(target))
    assert rate == 48_000
    assert len(sound) / rate == pytest.approx(long_s, abs=0.1)
    assert long_s > short_s
    assert np.abs(sound).max() > 0.05


def test_say_refuses_what_it_cannot_do(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="wav"):
        say("One.", "cpu", TONE, tmp_path / "s.xyz")
    (tmp_path / "d.wav").mkdir()
    with pytest.raises(OutputError, match="folder"):
        say("One.", "cpu", TONE, tmp_path / "d.wav")
    with pytest.raises(SettingError, match="nobody"):
        say("One.", "cpu", {"voice.voice": "nobody"}, tmp_path / "s.wav")
    with pytest.raises(ScriptError):
        say("  ", "cpu", TONE, tmp_path / "s.wav")


def test_a_storyboard_shows_each_speaker_and_grows_with_the_script(
    script: Path, tmp_path: Path
) -> None:
    target = tmp_path / "board.png"
    short_s = storyboard(Order(script=str(script)), "cpu", {}, target)
    with Image.open(target) as image:
        short_px = image.height
        colours = {colour for _, colour in image.getcolors(1 << 20) or ()}
    assert {(0xFF, 0xB4, 0x54), (0x7C, 0xC7, 0xFF)} <= colours
    script.write_text(TEXT + "\n\n".join(f"ANNA: Line {i}.\n\nBEN: Yes." for i in range(60)))
    assert storyboard(Order(script=str(script)), "cpu", {}, target) > short_s
    with Image.open(target) as image:
        assert short_px < image.height < 10_000


def test_a_saved_file_is_followed_once_and_a_missing_one_waited_for(tmp_path: Path) -> None:
    path, seen = tmp_path / "a.txt", list[str]()
    path.write_text("one")
    stop = threading.Event()
    thread = threading.Thread(
        target=follow,
        args=([path], lambda: seen.append(path.read_text() if path.exists() else "gone")),
        kwargs={"going_on": lambda: not stop.is_set(), "poll_s": 0.02},
    )
    thread.start()

    def until(count: int) -> None:
        deadline = time.monotonic() + 20
        while len(seen) < count and time.monotonic() < deadline:
            time.sleep(0.01)

    until(1)
    path.unlink()
    time.sleep(0.1)
    path.write_text("two, longer")
    until(2)
    time.sleep(0.2)
    stop.set()
    thread.join()
    assert seen == ["one", "two, longer"]
