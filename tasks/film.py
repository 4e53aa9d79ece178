"""Frames of a neural presenter, kept per line and shown again by the encode."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from studio.errors import AvatarError, MediaError
from studio.gpu.steps import step
from studio.store import Store
from studio.types import AvatarPart, Blob
from tasks.intake import fed

IDLE_LINE = -1
"""The `line` of the part that shows a presenter listening."""

_QP = "8"
"""Quantiser of the stored frames: 4:4:4 at 8 is beyond what the final encode can show."""

_CORNER = 0.06
"""Radius of a filmed presenter's corners, as a share of its width: it stands there as a card."""


def record(chunks: Iterable[NDArray[np.uint8]], fps: int, store: Store) -> tuple[Blob, int]:
    """Store frames `(n, h, w, 3)` RGB as they come; returns the file and how many there were."""
    num_frames = 0
    with store.draft(".mkv") as draft, av.open(str(draft.path), "w", format="matroska") as reel:
        stream = reel.add_stream("libx264", rate=fps)
        stream.pix_fmt = "yuv444p"
        stream.options = {"qp": _QP, "preset": "ultrafast"}
        for chunk in chunks:
            for pixels in chunk:
                if not num_frames:
                    stream.height, stream.width = pixels.shape[:2]
                with step("storing frames"):
                    frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(
                        format="yuv444p", dst_colorspace="ITU709", dst_color_range="MPEG"
                    )
                    frame.pts, frame.time_base = num_frames, Fraction(1, fps)
                    reel.mux(stream.encode(frame))
                num_frames += 1
        reel.mux(stream.encode(None))
    return draft.taken(), num_frames


def film_frames(
    path: Path, fps: int, longest_s: float, largest_px: int
) -> Iterator[NDArray[np.uint8]]:
    """A film's frames (h, w, 3), RGB, at `fps`: each as the film shows it at that time, for its
    first `longest_s` seconds. Raises `MediaError` where the file holds no film.
    """
    shown: NDArray[np.uint8] | None = None
    made, most, begins_s = 0, round(longest_s * fps), 0.0
    try:
        with av.open(str(path)) as film:
            lasts_s = 1.0 / float(film.streams.video[0].average_rate or fps)
            first_s: float | None = None
            for frame in film.decode(video=0):
                if first_s is None:
                    first_s = float(frame.time or 0.0)
                begins_s = float(frame.time or 0.0) - first_s
                while shown is not None and made < most and made / fps < begins_s:
                    yield shown
                    made += 1
                if made >= most:
                    return
                scale = min(1.0, largest_px / max(frame.width, frame.height))
                size = [max(2, round(side * scale)) for side in (frame.width, frame.height)]
                scaled = frame.reformat(width=size[0], height=size[1], format="rgb24")
                shown = np.asarray(scaled.to_ndarray(), np.uint8)
    except (av.FFmpegError, IndexError) as error:
        raise MediaError(path.name, f"no film ({error})", "Give an MP4, MOV or MKV") from error
    if shown is None:
        raise MediaError(path.name, "a film without a picture", "Give an MP4, MOV or MKV")
    # A millisecond is what containers round times to.
    while made < most and made / fps < begins_s + lasts_s - 1e-3:
        yield shown
        made += 1


class Reel:
    """Paints a filmed presenter: its lines where they are spoken, its idle film to and fro between.

    Frames are asked for in rising order; the picture is a card with rounded corners.
    """

    def __init__(self, parts: Sequence[AvatarPart], store: Store) -> None:
        self._parts = [part for part in parts if part.line != IDLE_LINE]
        self._store = store
        idle = next(part for part in parts if part.line == IDLE_LINE)
        self._idle = list(fed(_frames(store.path(idle.data))))
        if not self._idle:
            raise AvatarError("avatar", "the listening film is empty", "Run again")
        height, width = self._idle[0].shape[1:]
        self._alpha = _card(height, width)
        self._drawn = np.zeros((4, height, width), np.uint8)
        self._drawn[3] = self._alpha
        self._open: tuple[int, Iterator[NDArray[np.uint8]]] | None = None
        self._shown = (-1, -1)
        self._anew = False

    @property
    def changed(self) -> tuple[int, int, int, int]:
        """See `models.avatar.Painter.changed`."""
        height, width = self._drawn.shape[1:]
        return (0, 0, width if self._anew else 0, height)

    @property
    def size_px(self) -> int:
        """Width of a frame."""
        return self._drawn.shape[2]

    def paint(self, frame: int) -> NDArray[np.uint8]:
        """See `models.avatar.Painter.paint`."""
        self._anew = False
        part = next(
            (p for p in self._parts if p.start_frame <= frame < p.start_frame + p.num_frames), None
        )
        if part is None:
            last = len(self._idle) - 1
            place = frame % (2 * last) if last else 0
            self._draw(self._idle[min(place, 2 * last - place) if last else 0])
            return self._drawn
        wanted = (part.line, frame - part.start_frame)
        if wanted == self._shown:
            return self._drawn
        if self._open is None or self._open[0] != part.line or wanted[1] < self._shown[1]:
            self._open = (part.line, fed(_frames(self._store.path(part.data))))
            self._shown = (part.line, -1)
        for _ in range(wanted[1] - self._shown[1]):
            planes = next(self._open[1], None)
            if planes is not None:
                self._draw(planes)
        self._shown = wanted
        return self._drawn

    def _draw(self, planes: NDArray[np.uint8]) -> None:
        self._anew = True
        for channel in range(3):
            cv2.multiply(planes[channel], self._alpha, dst=self._drawn[channel], scale=1 / 255)


def _frames(path: Path) -> Iterator[NDArray[np.uint8]]:
    """The stored planes `(3, h, w)`: Y, Cb, Cr, limited range, BT.709."""
    with av.open(str(path)) as reel:
        for frame in reel.decode(video=0):
            yield np.asarray(frame.to_ndarray(format="yuv444p"), np.uint8)


def _card(height: int, width: int) -> NDArray[np.uint8]:
    """Opaque inside a rounded rectangle, drawn four times as large for its edge."""
    large = np.zeros((4 * height, 4 * width), np.uint8)
    radius = round(4 * width * _CORNER)
    bottom, right = 4 * height - 1, 4 * width - 1
    cv2.rectangle(large, (radius, 0), (right - radius, bottom), 255, -1)
    cv2.rectangle(large, (0, radius), (right, bottom - radius), 255, -1)
    for corner in ((radius, radius), (right - radius, radius)):
        cv2.circle(large, corner, radius, 255, -1)
        cv2.circle(large, (corner[0], bottom - radius), radius, 255, -1)
    return np.asarray(cv2.resize(large, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
