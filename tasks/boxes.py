"""The boxes of an MP4 file (ISO/IEC 14496-12), as far as the release gate asks about them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_CONTAINERS = frozenset({b"moov", b"trak", b"edts", b"mdia"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Whether the index comes before the media, and each track's edits.

    `edits` are `(handler, ((duration, media_time), ...))`: duration in the movie's time scale,
    media time in the track's own; -1 stands for an empty edit.
    """

    moov_first: bool
    edits: tuple[tuple[str, tuple[tuple[int, int], ...]], ...]


def read_layout(path: Path) -> Layout:
    """Read the boxes of a file. A file that is none gives an empty layout."""
    order: list[bytes] = []
    tracks: list[tuple[str, tuple[tuple[int, int], ...]]] = []
    with path.open("rb") as file:
        end = path.stat().st_size
        for kind, start, stop in _boxes(file, 0, end):
            order.append(kind)
            if kind == b"moov":
                tracks = [_track(file, *span) for span in _tracks(file, start, stop)]
    known = [kind for kind in order if kind in (b"moov", b"mdat")]
    return Layout(moov_first=known[:1] == [b"moov"], edits=tuple(tracks))


def _boxes(file: BinaryIO, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Kind, first byte of the content and end of each box between two offsets."""
    while start + 8 <= end:
        file.seek(start)
        size, kind = int.from_bytes(file.read(4), "big"), file.read(4)
        header = 8
        if size == 1:
            size, header = int.from_bytes(file.read(8), "big"), 16
        stop = end if size == 0 else start + size
        if stop < start + header:
            return
        yield kind, start + header, min(stop, end)
        start = stop


def _tracks(file: BinaryIO, start: int, stop: int) -> list[tuple[int, int]]:
    return [(first, last) for kind, first, last in _boxes(file, start, stop) if kind == b"trak"]


def _track(file: BinaryIO, start: int, stop: int) -> tuple[str, tuple[tuple[int, int], ...]]:
    handler, edits = "", tuple[tuple[int, int], ...]()
    waiting = [(start, stop)]
    while waiting:
        for kind, first, last in _boxes(file, *waiting.pop()):
            if kind in _CONTAINERS:
                waiting.append((first, last))
            elif kind == b"hdlr":
                file.seek(first + 8)
                handler = file.read(4).decode("latin-1")
            elif kind == b"elst":
                edits = _edits(file, first, last)
    return handler, edits


def _edits(file: BinaryIO, start: int, stop: int) -> tuple[tuple[int, int], ...]:
    file.seek(start)
    head = file.read(8)
    size = 8 if head[0] == 1 else 4
    found = []
    for _ in range(min(int.from_bytes(head[4:], "big"), (stop - start - 8) // (2 * size + 4))):
        duration = int.from_bytes(file.read(size), "big")
        found.append((duration, int.from_bytes(file.read(size), "big", signed=True)))
        file.read(4)
    return tuple(found)
