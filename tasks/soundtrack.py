"""The mix as listeners get it: AAC or MP3, its peaks verified on what a player decodes.

A lossy codec changes the waveform, so a master at -1 dBTP may play at 0. Each encoding is decoded
again and measured; when its peak is too high, the mix is limited by as much more and encoded anew.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import numpy as np
import soundfile

from models.sound.limiter import GainCurve, limiter_curve
from models.sound.loudness import Loudness, LoudnessMeter
from models.sound.peaks import HopPeaks
from studio.audio import BLOCK, Samples, gain
from studio.errors import EncodeError, OutputError
from studio.keys import code_version, fingerprint
from studio.store import Store
from studio.types import SAMPLE_RATE, Blob, Mix

Codec = Literal["aac", "mp3"]

ENCODERS: dict[Codec, tuple[str, str]] = {"aac": ("aac", ".m4a"), "mp3": ("libmp3lame", ".mp3")}
"""FFmpeg's encoder and the file's suffix."""

_LAME_SCALE = ((160, 0.95), (192, 0.97), (224, 0.98))
"""Up to which kb/s LAME's presets turn the sound down, and by what factor (measured: -0.45, -0.27
and -0.18 dB; none above). It is turned up by as much before, or MP3 and AAC would differ.
"""

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What a full disk, a quota and a limit on file sizes answer."""

MAX_ATTEMPTS = 4
"""Encodings until the peak is right; the second one nearly always is."""

STEP, STEP_DB = 1.3, 0.15
"""The ceiling is lowered by more than a peak was too high, by this factor and this much: a codec's
error does not shrink with the peak, and the next encoding has a new one.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Soundtrack:
    """An encoded mix with the figures of its decoded sound."""

    audio: Blob
    codec: Codec
    kbps: int
    num_samples: int
    num_channels: int
    loudness_lufs: float
    true_peak_dbtp: float


def encode_soundtrack(
    mix: Mix, codec: Codec, kbps: int, *, true_peak_dbtp: float, store: Store
) -> Soundtrack:
    """Encode a mix, `kbps` for all channels together; remembered in the store.

    The true peak of the decoded sound is at most `true_peak_dbtp`, unless four attempts do not
    bring it there (the figures say so). Raises `EncodeError` when the codec fails.
    """
    key = fingerprint(
        "soundtrack",
        code_version("tasks.soundtrack", "models.sound"),
        [mix.audio.sha256, mix.num_samples, codec, kbps, true_peak_dbtp],
    )
    known = store.recall(key, Soundtrack)
    if known is not None:
        return known
    source = store.path(mix.audio)
    encoder, suffix = ENCODERS[codec]
    ceiling_db = mix.true_peak_dbtp
    curve: GainCurve | None = None
    with store.draft(suffix) as draft:
        for attempt in range(MAX_ATTEMPTS):
            if attempt:
                curve = _lower(source, mix.num_channels, ceiling_db)
            _encode(source, draft.path, encoder, kbps, mix.num_channels, curve)
            found = measure_file(draft.path)
            peak_db = found.true_peak_dbtp if found.true_peak_dbtp is not None else -120.0
            if peak_db <= true_peak_dbtp:
                break
            ceiling_db -= STEP * (peak_db - true_peak_dbtp) + STEP_DB
    return store.remember(
        key,
        Soundtrack(
            audio=draft.taken(),
            codec=codec,
            kbps=kbps,
            num_samples=mix.num_samples,
            num_channels=mix.num_channels,
            loudness_lufs=round(found.integrated_lufs, 2),
            true_peak_dbtp=round(peak_db, 2),
        ),
    )


def measure_file(path: Path) -> Loudness:
    """Loudness and true peak of what a player decodes from a file.

    Raises `EncodeError` when it cannot be decoded.
    """
    meter: LoudnessMeter | None = None
    try:
        with av.open(str(path)) as container:
            for frame in container.decode(container.streams.audio[0]):
                block = frame_samples(frame)
                meter = meter or LoudnessMeter(block.shape[1], true_peak=True)
                meter.push(block)
    except av.FFmpegError as error:
        raise EncodeError(
            path.name, f"cannot be decoded ({error.strerror})", "Run again"
        ) from error
    if meter is None:
        raise EncodeError(path.name, "holds no sound", "Run again")
    return meter.finish()


def frame_samples(frame: av.AudioFrame) -> Samples:
    """A decoded frame as `(n, channels)` float32, whatever its sample format."""
    data = frame.to_ndarray()
    channels = len(frame.layout.channels)
    samples = data.T if frame.format.is_planar else data.reshape(-1, channels)
    if samples.dtype.kind == "i":
        return (samples / float(1 << (8 * samples.dtype.itemsize - 1))).astype(np.float32)
    return np.asarray(samples, np.float32)


def mix_blocks(source: Path, curve: GainCurve | None = None) -> Iterator[Samples]:
    """A FLAC of the store as `(n, channels)` blocks, under a gain curve when one is given."""
    start = 0
    with soundfile.SoundFile(source) as file:
        while len(block := file.read(BLOCK, dtype="float32", always_2d=True)):
            samples = np.asarray(block, np.float32)
            yield samples if curve is None else samples * curve.at(start, len(block))[:, None]
            start += len(block)


def _make_up(encoder: str, kbps: int) -> np.float32:
    """The factor that undoes what an encoder takes from the level."""
    if encoder == "libmp3lame":
        for highest, scale in _LAME_SCALE:
            if kbps <= highest:
                return np.float32(1.0 / scale)
    return np.float32(1.0)


def _lower(source: Path, num_channels: int, ceiling_db: float) -> GainCurve:
    """The curve that limits a mix to another ceiling."""
    peaks = HopPeaks(num_channels, floor=0.9 * gain(ceiling_db))
    for block in mix_blocks(source):
        peaks.push(block)
    return limiter_curve(peaks.finish()[0], 1.0, gain(ceiling_db))


def _encode(
    source: Path, path: Path, encoder: str, kbps: int, num_channels: int, curve: GainCurve | None
) -> None:
    layout = "mono" if num_channels == 1 else "stereo"
    options = {"movflags": "+faststart"} if path.suffix == ".m4a" else {}
    try:
        with av.open(str(path), "w", options=options) as container:
            stream = container.add_stream(encoder, rate=SAMPLE_RATE, layout=layout)
            if not isinstance(stream, av.AudioStream):
                raise EncodeError(encoder, "is no encoder of sound", "Install the pinned PyAV")
            stream.bit_rate = kbps * 1000
            position, level = 0, _make_up(encoder, kbps)
            for block in mix_blocks(source, curve):
                planar = np.ascontiguousarray(block.T) * level
                frame = av.AudioFrame.from_ndarray(planar, format="fltp", layout=layout)
                frame.sample_rate = SAMPLE_RATE
                frame.time_base = Fraction(1, SAMPLE_RATE)
                frame.pts = position
                position += len(block)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    except av.FFmpegError as error:
        if error.errno in NO_ROOM:
            remedy = "Free some room, or choose another place with STUDIO_HOME"
            raise OutputError(str(path.parent), error.strerror or "no room", remedy) from error
        found = error.strerror or "it failed"
        raise EncodeError(encoder, found, "Run again; `studio doctor` shows more") from error
