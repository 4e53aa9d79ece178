"""Encoded packets into another file, without encoding them again."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from studio.errors import EncodeError, OutputError
from studio.sinks import MOVFLAGS
from studio.types import SAMPLE_RATE, Chapter
from tasks.soundtrack import NO_ROOM


def remux_sound(source: Path, target: Path, title: str, chapters: Sequence[Chapter]) -> None:
    """The AAC of an MP4 or M4A as an M4A with `moov` first, a title and chapters.

    Raises `EncodeError` when the source cannot be read, `OutputError` when there is no room.
    """
    with _both(source, target, "+faststart") as (origin, result):
        track = origin.streams.audio[0]
        copy = result.add_stream_from_template(track)
        _name(result, title, chapters)
        for packet in origin.demux(track):
            if packet.dts is not None:
                packet.stream = copy
                result.mux_one(packet)


def replace_sound(
    video: Path, sound: Path, target: Path, title: str, chapters: Sequence[Chapter]
) -> None:
    """The picture of one file with the sound of another. Raises as `remux_sound` does."""
    with _both(video, target, MOVFLAGS) as (seen, result), _opened(sound) as heard:
        tracks = (seen.streams.video[0], heard.streams.audio[0])
        copies = [result.add_stream_from_template(track) for track in tracks]
        _name(result, title, chapters)
        streams = [
            _timed(origin, track) for origin, track in zip((seen, heard), tracks, strict=True)
        ]
        # In the order of time, so that no player has to look far ahead for the other track.
        for _, which, packet in heapq.merge(
            *(_numbered(which, stream) for which, stream in enumerate(streams)),
            key=lambda item: item[:2],
        ):
            packet.stream = copies[which]
            result.mux_one(packet)


def _numbered(
    which: int, stream: Iterator[tuple[Fraction, Any]]
) -> Iterator[tuple[Fraction, int, Any]]:
    return ((at, which, packet) for at, packet in stream)


def _timed(container: av.container.InputContainer, track: Any) -> Iterator[tuple[Fraction, Any]]:
    """A track's packets with the time at which each is decoded."""
    base = track.time_base or Fraction(1, 1)
    for packet in container.demux(track):
        if packet.dts is not None:
            yield packet.dts * base, packet


def _name(container: av.container.OutputContainer, title: str, chapters: Sequence[Chapter]) -> None:
    container.metadata["title"] = title
    container.set_chapters(
        [
            {
                "id": index,
                "start": chapter.start,
                "end": chapter.start + chapter.num_samples,
                "time_base": Fraction(1, SAMPLE_RATE),
                "metadata": {"title": chapter.title},
            }
            for index, chapter in enumerate(chapters)
        ]
    )


@contextmanager
def _opened(path: Path) -> Iterator[av.container.InputContainer]:
    with av.open(str(path)) as container:
        yield container


@contextmanager
def _both(
    source: Path, target: Path, movflags: str
) -> Iterator[tuple[av.container.InputContainer, av.container.OutputContainer]]:
    try:
        with (
            av.open(str(source)) as origin,
            av.open(str(target), "w", format="mp4", options={"movflags": movflags}) as result,
        ):
            yield origin, result
    except (av.FFmpegError, IndexError) as error:
        if isinstance(error, av.FFmpegError) and error.errno in NO_ROOM:
            remedy = "Free some room, or choose another place with --out-dir"
            raise OutputError(str(target.parent), "no room left", remedy) from error
        raise EncodeError(source.name, f"cannot be copied ({error})", "Run again") from error
