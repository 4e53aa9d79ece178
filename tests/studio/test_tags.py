"""ID3 chapters and covers as players read them."""

import contextlib
import dataclasses
import json
import resource
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import av
import mutagen.id3
import mutagen.mp4
import numpy as np
import pytest

from studio.audio import write_flac
from studio.errors import OutputError
from studio.tags import MAX_CHAPTERS, Tags, capped, write_id3, write_mpeg4_tags
from studio.transcript import transcript_json
from studio.types import SAMPLE_RATE, Blob, Chapter, SpeechTrack, SpokenLine

JPEG = b"\xff\xd8\xff\xe0 not drawn \xff\xd9"
TAGS = Tags(title="Tide 🌊", artist="", show_name="Salt", language="en-GB", cover_jpeg=JPEG)


def sound(path: Path, codec: str) -> Path:
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=SAMPLE_RATE, layout="mono")
        silence = np.zeros((1, SAMPLE_RATE), np.float32)
        frame = av.AudioFrame.from_ndarray(silence, format="fltp", layout="mono")
        frame.sample_rate = SAMPLE_RATE
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def marks(count: int) -> list[Chapter]:
    return [Chapter(title=f"No. {i}", start=i * 4800, num_samples=4800) for i in range(count)]


def test_an_mp3_has_an_ordered_table_of_its_chapters(tmp_path: Path) -> None:
    path = sound(tmp_path / "a.mp3", "libmp3lame")
    write_id3(path, TAGS, marks(3))
    tags: Any = mutagen.id3.ID3(path)  # type: ignore[no-untyped-call]
    (table,) = tags.getall("CTOC")
    assert table.flags == mutagen.id3.CTOCFlags.ORDERED | mutagen.id3.CTOCFlags.TOP_LEVEL
    assert table.child_element_ids == ["chp0", "chp1", "chp2"]
    second = tags["CHAP:chp1"]
    assert (second.start_time, second.end_time) == (100, 200)
    assert second.sub_frames["TIT2"].text == ["No. 1"]
    assert tags["TIT2"].text == ["Tide 🌊"]
    assert tags["TPE1"].text == ["Salt"]
    assert tags["TLAN"].text == ["eng"]
    assert tags["APIC:Cover"].data == JPEG
    with av.open(str(path)) as container:
        assert len(container.chapters()) == 3


@pytest.mark.parametrize("count", [0, 1, MAX_CHAPTERS, MAX_CHAPTERS + 45])
def test_the_table_never_counts_beyond_one_byte(tmp_path: Path, count: int) -> None:
    path = sound(tmp_path / "a.mp3", "libmp3lame")
    write_id3(path, TAGS, marks(count))
    tags: Any = mutagen.id3.ID3(path)  # type: ignore[no-untyped-call]
    assert len(tags.getall("CHAP")) == min(count, MAX_CHAPTERS)
    assert len(tags.getall("CTOC")) == (1 if count else 0)
    kept = capped(marks(count))
    assert sum(chapter.num_samples for chapter in kept) == count * 4800


def test_writing_again_replaces_what_was_there(tmp_path: Path) -> None:
    path = sound(tmp_path / "a.mp3", "libmp3lame")
    write_id3(path, TAGS, marks(5))
    write_id3(path, TAGS, marks(2))
    tags: Any = mutagen.id3.ID3(path)  # type: ignore[no-untyped-call]
    assert len(tags.getall("CHAP")) == 2


def test_an_m4a_shows_title_and_cover_and_still_plays(tmp_path: Path) -> None:
    path = sound(tmp_path / "a.m4a", "aac")
    write_mpeg4_tags(path, TAGS)
    file: Any = mutagen.mp4.MP4(path)  # type: ignore[no-untyped-call]
    assert file["\xa9nam"] == ["Tide 🌊"]
    assert bytes(file["covr"][0]) == JPEG
    with av.open(str(path)) as container:
        assert sum(frame.samples for frame in container.decode(audio=0)) >= SAMPLE_RATE


@pytest.mark.parametrize(("suffix", "codec"), [(".mp3", "libmp3lame"), (".m4a", "aac")])
def test_a_full_disk_is_the_systems_own_error(tmp_path: Path, suffix: str, codec: str) -> None:
    path = sound(tmp_path / f"a{suffix}", codec)
    tags = dataclasses.replace(TAGS, cover_jpeg=JPEG * 4000)
    write = partial(write_id3, chapters=marks(1)) if suffix == ".mp3" else write_mpeg4_tags
    with small_files(path.stat().st_size + 1000), pytest.raises(OSError, match="too large"):
        write(path, tags)


def test_sound_that_finds_no_room_is_an_output_error(tmp_path: Path) -> None:
    noise = np.random.default_rng(3).uniform(-1, 1, 48_000).astype(np.float32)
    with small_files(20_000), pytest.raises(OutputError, match="STUDIO_HOME"):
        write_flac(tmp_path / "a.flac", noise)


@contextlib.contextmanager
def small_files(limit: int) -> Iterator[None]:
    """No file may grow beyond `limit` bytes; writing on is an error, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_the_transcript_for_players() -> None:
    line = SpokenLine(
        index=0, speaker="BOB", text='He said "no".', engine="tone", voice="t",
        audio=Blob(sha256="0" * 64, suffix=".flac", num_bytes=1),
        num_samples=SAMPLE_RATE, words=(), phonemes=(),
    )  # fmt: skip
    speech = SpeechTrack(
        sample_rate=SAMPLE_RATE, num_samples=3 * SAMPLE_RATE, lines=(line,), starts=(24_000,)
    )
    document = json.loads(transcript_json(speech))
    assert document == {
        "version": "1.0.0",
        "segments": [{"speaker": "BOB", "startTime": 0.5, "endTime": 1.5, "body": 'He said "no".'}],
    }
