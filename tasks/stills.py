"""The pictures beside an episode: cover, poster and contact sheet, as JPEG bytes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import numpy as np
import soundfile
from numpy.typing import NDArray
from PIL import Image as PilImage

from models.picture.colour import Image
from models.picture.cover import NUM_BARS, draw_contact_sheet, draw_cover, unpremultiplied
from studio.audio import BLOCK
from studio.errors import EncodeError
from studio.store import Store
from studio.types import SAMPLE_RATE, AvatarClip, SpeechTrack
from tasks.avatar import open_presenter

SHEET_FRAMES = 16
"""Pictures in a contact sheet of four columns; a short episode has fewer."""

HOST_PX = 1180
"""Size at which a host is drawn for the cover."""

ABOUT_TO_SPEAK_S = 0.35
"""Before a presenter's first word: lips begin to move a tenth of a second before it."""


def jpeg(picture: Image, quality: int = 88) -> bytes:
    """An RGB picture as a JPEG file."""
    buffer = io.BytesIO()
    PilImage.fromarray(picture).save(buffer, "JPEG", quality=quality, optimize=True)
    return buffer.getvalue()


def cover(
    title: str,
    show_name: str,
    author: str,
    sound: Path,
    clips: Sequence[AvatarClip],
    speech: SpeechTrack,
    *,
    colour: str,
    accent: str,
    store: Store,
) -> bytes:
    """The episode's cover: its hosts, or the shape of its sound."""
    with ExitStack() as stack:
        hosts = []
        for seat, clip in enumerate(clips[:2]):
            facing: Literal["left", "front", "right"] = (
                "front" if len(clips) < 2 else "right" if seat == 0 else "left"
            )
            painter = stack.enter_context(open_presenter(clip, HOST_PX, facing, 1.0, store))
            hosts.append(unpremultiplied(painter.paint(_resting_frame(clip, speech))))
    return jpeg(draw_cover(title, show_name, author, levels(sound), hosts, colour, accent))


def levels(sound: Path) -> NDArray[np.float32]:
    """The loudness of `NUM_BARS` equal parts of a recording, 0 (the quietest) to 1."""
    with soundfile.SoundFile(sound) as file:
        power = np.zeros(NUM_BARS)
        edges = np.linspace(0, file.frames, NUM_BARS + 1)
        start = 0
        while len(block := file.read(BLOCK, dtype="float32", always_2d=True)):
            at = np.arange(start, start + len(block))
            bars = np.minimum(np.searchsorted(edges, at, side="right") - 1, NUM_BARS - 1)
            power += np.bincount(bars, np.square(block).mean(axis=1), NUM_BARS)
            start += len(block)
    level_db = 10.0 * np.log10(power / max(1.0, file.frames / NUM_BARS) + 1e-9)
    floor = max(float(level_db.max()) - 24.0, -80.0)
    shape: NDArray[np.float32] = np.clip((level_db - floor) / 24.0, 0.0, 1.0).astype(np.float32)
    return shape


def _resting_frame(clip: AvatarClip, speech: SpeechTrack) -> int:
    """A frame in which the presenter looks up and is about to speak, lips still closed."""
    own = (
        start
        for line, start in zip(speech.lines, speech.starts, strict=True)
        if line.speaker == clip.speaker
    )
    before = next(own, 0) - round(ABOUT_TO_SPEAK_S * SAMPLE_RATE)
    return min(clip.num_frames - 1, max(0, before * clip.fps // SAMPLE_RATE))


def key_frames(video: Path, times_s: Sequence[float]) -> list[tuple[float, Image]]:
    """The key frames nearest before some times: `(its own time, RGB picture)`, rising, none twice.

    A key frame is decoded alone, so an hour costs no more than a minute. Raises `EncodeError`
    when the file cannot be decoded.
    """
    found: dict[float, Image] = {}
    try:
        with av.open(str(video)) as container:
            stream = container.streams.video[0]
            stream.codec_context.skip_frame = "NONKEY"
            base = stream.time_base or Fraction(1, 1000)
            for time_s in times_s:
                container.seek(round(Fraction(time_s) / base), stream=stream)
                frame = next(container.decode(stream), None)
                if frame is not None and frame.time is not None:
                    found.setdefault(
                        frame.time, np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
                    )
    except (av.FFmpegError, IndexError) as error:
        raise EncodeError(video.name, f"has no picture ({error})", "Run again") from error
    if not found:
        raise EncodeError(video.name, "has no picture", "Run again")
    return sorted(found.items(), key=lambda item: item[0])


def contact_sheet(video: Path, duration_s: float) -> bytes:
    """Up to `SHEET_FRAMES` key frames of the whole episode with their times."""
    times = [duration_s * (index + 0.5) / SHEET_FRAMES for index in range(SHEET_FRAMES)]
    shown = key_frames(video, times)
    return jpeg(draw_contact_sheet([picture for _, picture in shown], [at for at, _ in shown]))


def poster(video: Path, speech: SpeechTrack) -> bytes:
    """The key frame before the middle of the first long line: somebody speaks in it."""
    spoken = list(zip(speech.lines, speech.starts, strict=True))[:12]
    length, start = max(((line.num_samples, start) for line, start in spoken), default=(0, 0))
    return jpeg(key_frames(video, [(start + length / 2) / SAMPLE_RATE])[0][1], quality=90)
