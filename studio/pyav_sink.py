"""The encoder in process: no pipe, no copy but the encoder's own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import av
import numpy as np
import soundfile
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc

from studio.errors import EncodeError
from studio.ffmpeg import Trial, said_by
from studio.sinks import MOVFLAGS, Job, PlaneArrays, Sink, failure, video_options
from studio.specs import EncodeSpec
from studio.types import SAMPLE_RATE, Chapter

if TYPE_CHECKING:
    from av.container.core import Chapter as ChapterEntry

SOUND_BLOCK = 16_384
"""Samples read from the mix at a time: 341 ms, sixteen frames of AAC."""


@contextlib.contextmanager
def open_pyav_sink(trial: Trial, spec: EncodeSpec, job: Job, path: Path) -> Iterator[Sink]:
    """See `studio.encoders.open_sink`."""
    options = {"movflags": MOVFLAGS}
    try:
        with av.open(str(path), "w", format="mp4", options=options) as container:
            video = _video_stream(container, trial.encoder, spec, job)
            with _open_sound(job.sound, container, spec) as sound:
                sink = _PyavSink(job, container, video, sound)
                yield sink
                sink.finish()
    except av.FFmpegError as error:
        raise failure(trial.name, said_by(error), error.errno) from error
    except soundfile.LibsndfileError as error:
        raise failure(trial.name, f"the mix cannot be read ({error})") from error


class _PyavSink:
    """Encodes picture and sound side by side, so that neither waits in memory for the other."""

    planes: PlaneArrays

    def __init__(
        self,
        job: Job,
        container: av.container.OutputContainer,
        video: av.VideoStream,
        sound: _Sound,
    ) -> None:
        self._job, self._container, self._video, self._sound = job, container, video, sound
        container.metadata["title"] = job.title
        container.set_chapters([_chapter(index, c) for index, c in enumerate(job.chapters)])
        self._sent = 0
        self._frame = av.VideoFrame(job.width, job.height, "yuv420p")
        self._frame.time_base = Fraction(1, job.fps)
        self._frame.color_range = ColorRange.MPEG
        self._frame.colorspace = Colorspace.ITU709
        self.planes = _views(self._frame)

    def send(self) -> None:
        """Encode the planes as the next frame, then the sound up to its end."""
        self._frame.pts = self._sent
        self._container.mux(self._video.encode(self._frame))
        self._sent += 1
        self._sound.mux_until(self._sent * SAMPLE_RATE // self._job.fps)

    def finish(self) -> None:
        """Send the rest of the sound and what the encoder holds back."""
        if self._sent != self._job.num_frames:
            found = f"{self._sent} of {self._job.num_frames} frames were drawn"
            raise EncodeError(
                self._video.name or "video", found, "Report this: the stage lost frames"
            )
        self._container.mux(self._video.encode(None))
        self._sound.mux_rest()


class _Sound(Protocol):
    """The sound on its way into the file."""

    def mux_until(self, sample: int) -> None:
        """Mux at least up to a sample."""
        ...

    def mux_rest(self) -> None:
        """Mux all that is left."""
        ...


@contextlib.contextmanager
def _open_sound(
    path: Path, container: av.container.OutputContainer, spec: EncodeSpec
) -> Iterator[_Sound]:
    if path.suffix == ".m4a":
        with av.open(str(path)) as source:
            yield _CopiedSound(source, container)
    else:
        with soundfile.SoundFile(path) as sound:
            yield _EncodedSound(sound, container, spec.audio_kbps)


class _CopiedSound:
    """Packets of an M4A file, copied with their times."""

    def __init__(
        self, source: av.container.InputContainer, container: av.container.OutputContainer
    ) -> None:
        stream = source.streams.audio[0]
        self._packets = source.demux(stream)
        self._stream = container.add_stream_from_template(stream)
        self._container, self._muxed = container, 0

    def mux_until(self, sample: int) -> None:
        """See `_Sound`."""
        while self._muxed < sample:
            packet = next(self._packets, None)
            if packet is None:
                return
            if packet.dts is None or packet.time_base is None:
                continue
            self._muxed = round(
                (packet.dts + (packet.duration or 0)) * packet.time_base * SAMPLE_RATE
            )
            packet.stream = self._stream
            self._container.mux(packet)

    def mux_rest(self) -> None:
        """See `_Sound`."""
        self.mux_until(1 << 62)


class _EncodedSound:
    """PCM, encoded as AAC-LC."""

    def __init__(
        self, sound: soundfile.SoundFile, container: av.container.OutputContainer, kbps: int
    ) -> None:
        self._sound, self._container = sound, container
        self._layout = "mono" if sound.channels == 1 else "stereo"
        self._stream = container.add_stream("aac", rate=SAMPLE_RATE, layout=self._layout)
        self._stream.codec_context.bit_rate = kbps * 1000
        self._heard = 0

    def mux_until(self, sample: int) -> None:
        """See `_Sound`."""
        while self._heard < min(sample, self._sound.frames):
            block = self._sound.read(SOUND_BLOCK, dtype="float32", always_2d=True)
            if not len(block):
                raise failure("the mix", "it is shorter than its header says")
            planar = np.ascontiguousarray(block.T, np.float32)
            frame = av.AudioFrame.from_ndarray(planar, format="fltp", layout=self._layout)
            frame.sample_rate = SAMPLE_RATE
            frame.pts = self._heard
            frame.time_base = Fraction(1, SAMPLE_RATE)
            self._container.mux(self._stream.encode(frame))
            self._heard += len(block)

    def mux_rest(self) -> None:
        """See `_Sound`."""
        self.mux_until(self._sound.frames)
        self._container.mux(self._stream.encode(None))


def _video_stream(
    container: av.container.OutputContainer, encoder: str, spec: EncodeSpec, job: Job
) -> av.VideoStream:
    options = video_options(encoder, spec, job)
    tag = options.pop("tag", "")
    stream = container.add_stream(encoder, rate=job.fps, options=options)
    if not isinstance(stream, av.VideoStream):
        raise EncodeError(encoder, "encodes no picture", "Use pyav:libx264")
    codec = stream.codec_context
    codec.width, codec.height, codec.pix_fmt = job.width, job.height, "yuv420p"
    codec.time_base = Fraction(1, job.fps)
    codec.sample_aspect_ratio = Fraction(1, 1)
    codec.color_range, codec.colorspace = ColorRange.MPEG, Colorspace.ITU709
    codec.color_primaries, codec.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
    codec.thread_count = spec.threads
    if tag:
        codec.codec_tag = tag
    return stream


def _chapter(index: int, chapter: Chapter) -> ChapterEntry:
    return {
        "id": index,
        "start": chapter.start,
        "end": chapter.start + chapter.num_samples,
        "time_base": Fraction(1, SAMPLE_RATE),
        "metadata": {"title": chapter.title},
    }


def _views(frame: av.VideoFrame) -> PlaneArrays:
    """The frame's own memory as arrays; the encoder reads what is drawn there."""
    views = []
    for plane in frame.planes:
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
        views.append(rows[: plane.height, : plane.width])
    y, u, v = views
    y.fill(16)
    u.fill(128)
    v.fill(128)
    return y, u, v
