"""Sound as arrays: decibels, resampling, reading any recording, writing FLAC.

Arrays are float32 with full scale at ±1: mono `(num_samples,)`, stereo `(num_samples, 2)`.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import soundfile
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

from studio.errors import MediaError, OutputError
from studio.types import SAMPLE_RATE

Samples = NDArray[np.float32]

BLOCK = SAMPLE_RATE * 4
"""Samples that a stream handles at once: four seconds, 1.5 MB of stereo, long enough for numpy to
pay.
"""

SILENCE_DB = -120.0
"""What a level of exactly zero is called; below the noise of 24-bit audio (-144 dB is its last
bit).
"""


def gain(level_db: float) -> float:
    """The amplitude factor of a level in dB."""
    return float(10.0 ** (level_db / 20.0))


def decibels(amplitude: float) -> float:
    """The level in dB of an amplitude factor; `SILENCE_DB` at or below that level."""
    return max(SILENCE_DB, 20.0 * float(np.log10(max(amplitude, 1e-12))))


def resample(samples: Samples, from_rate: int, to_rate: int = SAMPLE_RATE) -> Samples:
    """Mono or stereo samples at another rate, `round(n * to / from)` of them, by libswresample.

    A sound too short to fill the filter (a few samples) comes out as silence of the right length.
    Worked in blocks: beside the sound itself memory does not grow with its length.
    """
    if from_rate == to_rate:
        return samples
    layout = "stereo" if samples.ndim == 2 else "mono"
    made = np.zeros((round(len(samples) * to_rate / from_rate), *samples.shape[1:]), np.float32)
    resampler, done = AudioResampler("flt", layout, to_rate), 0
    for first in (*range(0, len(samples), BLOCK), None):
        frame = None
        if first is not None:
            packed = np.ascontiguousarray(samples[first : first + BLOCK], np.float32)
            frame = av.AudioFrame.from_ndarray(packed.reshape(1, -1), format="flt", layout=layout)
            frame.sample_rate = from_rate
        for out in resampler.resample(frame):
            block = out.to_ndarray().reshape(-1, *samples.shape[1:])[: len(made) - done]
            made[done : done + len(block)] = block
            done += len(block)
    return made


def decode_audio(path: Path, start_s: float = 0.0) -> Iterator[Samples]:
    """The sound of any recording as stereo blocks at `SAMPLE_RATE`, from `start_s` on.

    Raises `MediaError` when the file is missing, has no sound or cannot be decoded.
    """
    remedy = "Give a WAV, FLAC, MP3, M4A or OGG file"
    if not path.is_file():
        raise MediaError(str(path), "no such file", remedy)
    skip = round(start_s * SAMPLE_RATE)
    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                raise MediaError(str(path), "holds no sound", remedy)
            resampler = AudioResampler("flt", "stereo", SAMPLE_RATE)
            frames = container.decode(container.streams.audio[0])
            for frame in itertools.chain(frames, (None,)):
                for out in resampler.resample(frame):
                    block = out.to_ndarray().reshape(-1, 2).astype(np.float32, copy=False)
                    dropped = min(skip, len(block))
                    skip -= dropped
                    if dropped < len(block):
                        yield block[dropped:]
    except av.FFmpegError as error:
        raise MediaError(str(path), f"cannot be decoded ({error.strerror})", remedy) from error


_SYSTEM_ERROR = 2
"""libsndfile's SF_ERR_SYSTEM: a read or write that the operating system refused."""


@contextlib.contextmanager
def open_flac(path: Path, num_channels: int) -> Iterator[soundfile.SoundFile]:
    """A 24-bit FLAC file at `SAMPLE_RATE`, open for writing block by block.

    Raises `OutputError` where the system stops the writing: libsndfile keeps the reason to itself.
    """
    try:
        with soundfile.SoundFile(
            path, "w", SAMPLE_RATE, num_channels, subtype="PCM_24", format="FLAC"
        ) as file:
            yield file
    except soundfile.LibsndfileError as error:
        if error.code != _SYSTEM_ERROR:
            raise
        remedy = "Free some room there, or choose another STUDIO_HOME"
        raise OutputError(str(path.parent), "no room left for sound", remedy) from error


def write_flac(path: Path, samples: Samples) -> None:
    """Write mono or stereo samples as 24-bit FLAC."""
    with open_flac(path, 1 if samples.ndim == 1 else 2) as file:
        file.write(samples)


def read_flac(path: Path, start: int = 0, num_samples: int = -1) -> Samples:
    """Read samples from a file of the store: mono `(n,)` or stereo `(n, 2)`."""
    with soundfile.SoundFile(path) as file:
        file.seek(start)
        return np.asarray(file.read(num_samples, dtype="float32"), np.float32)
