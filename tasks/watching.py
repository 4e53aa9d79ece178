"""What a viewer gets: every packet's times, and the pictures at every key frame.

All packets are read, so the number of frames, their spacing, the distance of key frames and the
order of B-frames are those of the whole file. Pictures are decoded at every key frame (at most two
seconds apart) and, completely, in the last two groups: the end is where truncation shows.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from studio.errors import DeliveryError
from tasks.boxes import Layout, read_layout

CELLS = (64, 36)
"""Columns and rows to which a picture is reduced before two are compared."""

SAME = 0.75
"""Two pictures whose luma differs by less in every cell are the same picture: quantisation noise
of a still picture stays under 0.3, one moving line gives more than 2.
"""

BLACK = 20.0
"""Mean luma of the brightest cell below which a picture is black (16 is black itself)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """Figures of a picture track. Times are in seconds.

    `uneven` counts frames that are not exactly one frame after the one before. `b_frames` is the
    longest run of them, `open_gops` how many key frames have pictures after them in the stream that
    are shown before. `black` and `still` are stretches `(start, end)` between key frames.
    """

    codec: str
    profile: str
    level: int
    pix_fmt: str
    width: int
    height: int
    colours: tuple[int, int, int]
    colour_range: int
    sample_aspect: Fraction | None
    num_frames: int
    start_s: float
    frame_s: Fraction
    uneven: int
    longest_gop: int
    b_frames: int
    open_gops: int
    num_decoded_at_end: int
    num_packets_at_end: int
    black: tuple[tuple[float, float], ...]
    still: tuple[tuple[float, float], ...]
    layout: Layout


def watch(path: Path) -> Watched:
    """Read all packets of a file's picture and decode its key frames and its last groups.

    Raises `DeliveryError` when there is no picture or it cannot be decoded.
    """
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            codec = stream.codec_context
            base = stream.time_base or Fraction(1, 1)
            times: list[int] = []
            keys: list[int] = []
            for packet in container.demux(stream):
                if packet.pts is None:
                    continue
                if packet.is_keyframe:
                    keys.append(len(times))
                times.append(packet.pts)
            if not times or not keys:
                raise DeliveryError(path.name, "holds no picture", "Run again")
            shapes = _shapes(times, keys)
            pts = np.sort(np.array(times))
            steps = np.diff(pts)
            step = int(np.bincount(steps).argmax()) if len(steps) else 1
            seen = _key_pictures(container, stream)
            # The last group may be a single picture: the one before it is decoded as well.
            late = keys[-2:][0]
            last = times[late]
            container.seek(last, stream=stream)
            stream.codec_context.skip_frame = "DEFAULT"
            decoded = sum(1 for frame in container.decode(stream) if (frame.pts or 0) >= last)
            ends = [*(at for at, _ in seen[1:]), float((pts[-1] + step) * base)]
            return Watched(
                codec=codec.name,
                profile=codec.profile or "",
                level=codec.level,
                pix_fmt=codec.pix_fmt or "",
                width=codec.width,
                height=codec.height,
                colours=(int(codec.colorspace), int(codec.color_primaries), int(codec.color_trc)),
                colour_range=int(codec.color_range),
                sample_aspect=stream.sample_aspect_ratio,
                num_frames=len(times),
                start_s=float(pts[0] * base),
                frame_s=step * base,
                uneven=int((steps != step).sum()),
                longest_gop=shapes[0],
                b_frames=shapes[1],
                open_gops=shapes[2],
                num_decoded_at_end=decoded,
                num_packets_at_end=len(times) - late,
                black=_stretches([float(cells.max()) < BLACK for _, cells in seen], seen, ends),
                still=_stretches(_same(seen), seen, ends),
                layout=read_layout(path),
            )
    except (av.FFmpegError, IndexError) as error:
        raise DeliveryError(
            path.name, f"its picture cannot be decoded ({error})", "Run again"
        ) from error


def _shapes(times: list[int], keys: list[int]) -> tuple[int, int, int]:
    """Longest group, longest run of B-frames, number of open groups, from times in stream order."""
    edges = [*keys, len(times)]
    longest = max(after - before for before, after in pairwise(edges))
    longest = max(longest, keys[0])
    run, most, highest = 0, 0, times[0]
    for time in times[1:]:
        # A B-frame is shown before a picture that came before it in the stream.
        run = run + 1 if time < highest else 0
        most, highest = max(most, run), max(highest, time)
    ranges = pairwise(edges)
    opened = sum(1 for first, after in ranges if min(times[first:after]) < times[first])
    return longest, most, opened


def _key_pictures(
    container: av.container.InputContainer, stream: av.VideoStream
) -> list[tuple[float, NDArray[np.float32]]]:
    """Time and luma, reduced to `CELLS`, of every key frame."""
    container.seek(0, stream=stream)
    stream.codec_context.skip_frame = "NONKEY"
    stream.thread_type = "SLICE"
    pictures = []
    for packet in container.demux(stream):
        if packet.is_keyframe or packet.size == 0:
            for frame in packet.decode():
                plane = frame.planes[0]
                rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
                luma = rows[: frame.height, : frame.width]
                cells = cv2.resize(luma, CELLS, interpolation=cv2.INTER_AREA)
                pictures.append((frame.time or 0.0, cells.astype(np.float32)))
    return pictures


def _same(seen: list[tuple[float, NDArray[np.float32]]]) -> list[bool]:
    """For each key picture: whether the next one shows the same."""
    pairs = pairwise(seen)
    return [float(np.abs(a - b).max()) < SAME for (_, a), (_, b) in pairs] + [False]


def _stretches(
    flags: list[bool], seen: list[tuple[float, NDArray[np.float32]]], ends: list[float]
) -> tuple[tuple[float, float], ...]:
    """Successive flagged pictures as stretches of time, each picture lasting to the next."""
    found: list[tuple[float, float]] = []
    for flag, (start, _), end in zip(flags, seen, ends, strict=True):
        if flag and found and found[-1][1] == start:
            found[-1] = (found[-1][0], end)
        elif flag:
            found.append((start, end))
    return tuple(found)
