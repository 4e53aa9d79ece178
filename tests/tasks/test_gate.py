"""The release gate passes what is right and catches every way to be wrong, on real files."""

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from studio.audio import gain, open_flac, read_flac
from studio.errors import DeliveryError
from studio.sinks import Job
from studio.store import Store
from studio.timeline import frame_count
from studio.types import SAMPLE_RATE, Caption
from tasks.boxes import read_layout
from tasks.gate import check_release
from tasks.listening import listen, same_sound
from tasks.package import Contents, expected_of, package_episode
from tasks.promise import Expected
from tasks.soundtrack import encode_soundtrack
from tasks.watching import watch
from tests.tasks.small_episode import (
    FPS,
    HEIGHT,
    WIDTH,
    draw,
    shared_contents,
    shared_store,
    small_brief,
)

NAME = "tide"


@pytest.fixture(scope="module")
def store() -> Store:
    return shared_store()


@pytest.fixture(scope="module")
def contents() -> Contents:
    return shared_contents()


@pytest.fixture(scope="module")
def expected(store: Store, contents: Contents) -> Expected:
    return expected_of(contents, small_brief(), store)


@pytest.fixture(scope="module")
def good(store: Store, contents: Contents, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out_dir = tmp_path_factory.mktemp("good")
    made = package_episode(contents, small_brief(), out_dir=out_dir, store=store, name=NAME)
    return Path(made.folder)


@pytest.fixture
def folder(good: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(good, tmp_path / "copy"))


def figures(folder: Path, expected: Expected) -> str:
    """What the gate says of a package that it refuses."""
    with pytest.raises(DeliveryError) as caught:
        check_release(folder, NAME, expected)
    assert caught.value.exit_code == 4
    return caught.value.found


def again(
    store: Store, contents: Contents, folder: Path, sound: Callable[[np.ndarray[Any, Any]], Any]
) -> None:
    """Encode the video anew with a changed sound."""
    samples = read_flac(store.path(contents.mix.audio))
    changed = folder / "changed.flac"
    with open_flac(changed, 2) as file:
        file.write(np.ascontiguousarray(sound(samples), np.float32))
    draw(job(contents, changed), folder / f"{NAME}.mp4")


def job(contents: Contents, sound: Path, **changes: Any) -> Job:
    values: dict[str, Any] = {
        "width": WIDTH,
        "height": HEIGHT,
        "fps": FPS,
        "num_frames": frame_count(contents.mix.num_samples, FPS),
        "sound": sound,
        "title": "x",
        "chapters": contents.chapters,
    }
    return Job(**{**values, **changes})


def test_a_good_package_passes(good: Path, expected: Expected) -> None:
    checks = check_release(good, NAME, expected)
    assert all(check.passed for check in checks)
    names = {check.name for check in checks}
    for needed in ("loudness", "true peak", "sound position", "frames", "frozen picture"):
        assert f"mp4 {needed}" in names


def test_speech_cut_short_is_caught(
    store: Store, contents: Contents, folder: Path, expected: Expected
) -> None:
    # What once became a video of a second and was called a success.
    again(store, contents, folder, lambda samples: samples[:SAMPLE_RATE])
    said = figures(folder, expected)
    assert "mp4 sound length 1.000 s" in said
    assert "lost" in said


def test_a_picture_that_ends_early_is_caught(
    store: Store, contents: Contents, folder: Path, expected: Expected
) -> None:
    path = store.path(contents.mix.audio)
    draw(job(contents, path, num_frames=100), folder / f"{NAME}.mp4")
    said = figures(folder, expected)
    assert "mp4 frames 100, 0 uneven" in said
    assert "picture against sound -2" in said


@pytest.mark.parametrize("suffix", [".mp4", ".m4a", ".mp3"])
def test_a_truncated_file_is_caught(folder: Path, expected: Expected, suffix: str) -> None:
    path = folder / f"{NAME}{suffix}"
    os.truncate(path, path.stat().st_size * 3 // 5)
    assert figures(folder, expected)


@pytest.mark.parametrize("suffix", [".mp4", ".m4a", ".mp3", ".srt", ".vtt"])
def test_a_missing_or_empty_file_is_caught(folder: Path, expected: Expected, suffix: str) -> None:
    path = folder / f"{NAME}{suffix}"
    path.write_bytes(b"")
    assert figures(folder, expected)
    path.unlink()
    assert figures(folder, expected) == "is missing"


def test_wrong_loudness_is_caught(
    store: Store, contents: Contents, folder: Path, expected: Expected
) -> None:
    again(store, contents, folder, lambda samples: samples * gain(-2.0))
    said = figures(folder, expected)
    assert "mp4 loudness -18.0 LUFS (must be -16.0 ±0.5 LUFS)" in said
    assert "true peak" not in said


def test_a_peak_between_samples_is_caught(
    store: Store, contents: Contents, folder: Path, expected: Expected
) -> None:
    def spike(samples: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        changed = samples.copy()
        at = np.arange(-400, 400)
        changed[100_000:100_800] += (1.05 * np.exp(-((at / 90) ** 2)) * np.cos(at * 0.3))[:, None]
        return changed

    again(store, contents, folder, spike)
    assert "mp4 true peak" in figures(folder, expected)


@pytest.mark.parametrize("shift_ms", [60, -60])
def test_sound_that_comes_early_or_late_is_caught(
    store: Store, contents: Contents, folder: Path, expected: Expected, shift_ms: int
) -> None:
    again(store, contents, folder, lambda samples: np.roll(samples, shift_ms * 48, axis=0))
    assert f"mp4 sound position {shift_ms:+.1f}" in figures(folder, expected)


def test_speech_lost_in_the_middle_is_caught(
    store: Store, contents: Contents, folder: Path, expected: Expected
) -> None:
    start, end = expected.spoken[1]

    def mute(samples: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        changed = samples.copy()
        changed[start - 12_000 : end + 12_000] = 0.0
        return changed

    again(store, contents, folder, mute)
    said = figures(folder, expected)
    assert "mp4 longest silence 2." in said
    assert "mp4 silence in a line 1.6" in said


def test_black_and_frozen_pictures_are_caught_only_where_something_should_move(
    store: Store, contents: Contents, folder: Path, expected: Expected
) -> None:
    sound = store.path(contents.mix.audio)
    draw(job(contents, sound), folder / f"{NAME}.mp4", black=True)
    assert "mp4 black picture 6.0 s" in figures(folder, expected)
    # The small episode is shorter than the patience of the gate with a real one.
    long = tuple((start, start + 3 * SAMPLE_RATE) for start, _ in expected.spoken)
    draw(job(contents, sound), folder / f"{NAME}.mp4", frozen=True)
    assert "mp4 frozen picture" in figures(folder, replace(expected, spoken=long))
    still = watch(folder / f"{NAME}.mp4").still
    assert still[0][1] - still[0][0] >= 4.0
    assert check_release(folder, NAME, replace(expected, moves=False))


def test_wrong_chapters_are_caught(folder: Path, expected: Expected) -> None:
    marks = (replace(expected.chapters[0], title="Other"), expected.chapters[1])
    said = figures(folder, replace(expected, chapters=marks))
    for kind in ("mp4", "m4a", "mp3"):
        assert f"{kind} chapters 2, others than planned" in said


def test_captions_that_break_the_rules_or_do_not_match_are_caught(
    folder: Path, expected: Expected
) -> None:
    wide = Caption(speaker="A", lines=("x" * 60,), start=0, num_samples=200_000)
    said = figures(folder, replace(expected, captions=(wide, *expected.captions[1:])))
    assert "60 columns" in said
    said = figures(folder, replace(expected, captions=expected.captions[:-1]))
    assert "srt cues" in said
    assert "vtt cues" in said


def remade(folder: Path, movflags: str, **stream: str) -> None:
    """Encode the picture anew without the care of the encode stage; keep its sound."""
    source, target = folder / f"{NAME}.mp4", folder / "other.mp4"
    with (
        av.open(str(source)) as old,
        av.open(str(target), "w", options={"movflags": movflags} if movflags else {}) as new,
    ):
        video: Any = new.add_stream("libx264", rate=FPS, options=stream)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        video.codec_context.time_base = Fraction(1, FPS)
        audio = new.add_stream_from_template(old.streams.audio[0])
        for frame in old.decode(video=0):
            plain = frame.reformat(format="yuv420p")
            plain.pict_type = 0
            new.mux(video.encode(plain))
        new.mux(video.encode(None))
        old.seek(0)
        for packet in old.demux(audio=0):
            if packet.dts is not None:
                packet.stream = audio
                new.mux(packet)
    target.replace(source)


def test_structure_that_players_stumble_over_is_caught(folder: Path, expected: Expected) -> None:
    options = {"preset": "ultrafast", "profile": "baseline", "level": "2.1", "g": "250"}
    remade(folder, "", **options, **{"x264-params": "scenecut=0"})
    said = figures(folder, expected)
    for name in ("codec h264", "colour tags", "pixel aspect", "groups of pictures 151"):
        assert f"mp4 {name}" in said
    assert "mp4 index last" in said


def test_an_edit_list_that_moves_the_picture_is_caught(folder: Path, expected: Expected) -> None:
    # B-frames without negative composition offsets: the muxer starts the picture by an edit.
    remade(folder, "+faststart", bf="2", g="25")
    edits = dict(read_layout(folder / f"{NAME}.mp4").edits)
    assert edits["vide"][0][1] > 0
    assert "mp4 edit lists vide" in figures(folder, expected)


def test_an_unlikely_file_has_no_boxes(tmp_path: Path) -> None:
    path = tmp_path / "x.mp4"
    path.write_bytes(b"\0\0\0\x02moov" + bytes(range(256)))
    assert read_layout(path).edits == ()
    assert not read_layout(path).moov_first


def test_the_m4a_is_not_measured_twice_unless_it_differs(good: Path, folder: Path) -> None:
    video = good / f"{NAME}.mp4"
    assert same_sound(video, good / f"{NAME}.m4a")
    assert not same_sound(video, good / f"{NAME}.mp3")
    data = bytearray((folder / f"{NAME}.m4a").read_bytes())
    data[-2000] ^= 0xFF
    (folder / f"{NAME}.m4a").write_bytes(data)
    assert not same_sound(video, folder / f"{NAME}.m4a")


def test_a_track_at_another_bit_rate_is_caught(
    store: Store, contents: Contents, folder: Path, expected: Expected
) -> None:
    low = encode_soundtrack(contents.mix, "mp3", 64, true_peak_dbtp=-1.0, store=store)
    shutil.copyfile(store.path(low.audio), folder / f"{NAME}.mp3")
    assert "mp3 bit rate 64 kb/s" in figures(folder, expected)


def test_sound_without_a_master_is_still_measured(good: Path) -> None:
    heard = listen(good / f"{NAME}.mp3")
    assert heard.shifts == ()
    assert heard.codec.startswith("mp3")
