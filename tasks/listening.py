"""What a listener gets: one decoding pass over a file's sound, measured as it goes by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import zip_longest
from pathlib import Path

import av
import numpy as np
import soundfile
from numpy.typing import NDArray

from models.sound.loudness import Loudness, LoudnessMeter
from studio.audio import Samples
from studio.errors import DeliveryError
from studio.types import SAMPLE_RATE
from tasks.promise import AAC_BLOCK
from tasks.soundtrack import frame_samples

QUIET = 10.0 ** (-60.0 / 20.0)
"""Below -60 dBFS a listener at speech level hears nothing."""

SLICE = SAMPLE_RATE // 100
"""Silence is looked for in slices of 10 ms."""

WINDOW = SAMPLE_RATE
"""Samples that are compared with the master: one second holds several syllables."""

SEARCH = SAMPLE_RATE // 2
"""How far to either side the master's sound is looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """Figures of a decoded sound track.

    `kbps` is the bit rate of the busiest second, `start_s` is when the first sample is played,
    `length` what the container says, in samples, `num_decoded` what came out of the decoder (a last
    block may be padded). `silences` are `(start, end)` in samples. `shifts` are by how many samples
    the sound lies late, one per place where it was compared with the master, None where it was not
    found again.
    """

    codec: str
    profile: str
    sample_rate: int
    num_channels: int
    kbps: float
    start_s: float
    length: int
    num_decoded: int
    loudness: Loudness
    silences: tuple[tuple[int, int], ...]
    shifts: tuple[int | None, ...]


def listen(path: Path, master: Path | None = None, places: Sequence[int] = ()) -> Heard:
    """Decode and measure a file's sound; compare it with `master` at the samples `places`.

    Raises `DeliveryError` when there is no sound or it cannot be decoded to its end.
    """
    try:
        with av.open(str(path)) as container:
            return _measure(container, master, places if master else ())
    except (av.FFmpegError, IndexError) as error:
        found = f"its sound cannot be decoded ({error})"
        raise DeliveryError(path.name, found, "Run again") from error


def same_sound(one: Path, two: Path) -> bool:
    """Whether two files hold the same packets at the same times and are equally long: what was
    measured of one holds for the other.
    """
    try:
        with av.open(str(one)) as first, av.open(str(two)) as second:
            tracks = [first.streams.audio[0], second.streams.audio[0]]
            lengths = {(t.duration or 0) * (t.time_base or 0) for t in tracks}
            pairs = zip_longest(_timed(first, tracks[0]), _timed(second, tracks[1]))
            return len(lengths) == 1 and all(a == b for a, b in pairs)
    except (av.FFmpegError, IndexError):
        return False


def _timed(
    container: av.container.InputContainer, track: av.AudioStream
) -> Iterator[tuple[Fraction, bytes]]:
    base = track.time_base or Fraction(1, 1)
    for packet in container.demux(track):
        if packet.pts is not None:
            yield packet.pts * base, bytes(packet)


def _measure(
    container: av.container.InputContainer, master: Path | None, places: Sequence[int]
) -> Heard:
    stream = container.streams.audio[0]
    codec = stream.codec_context
    meter = LoudnessMeter(codec.channels, true_peak=True)
    quiet = _Silences(codec.channels)
    cuts = [_Cut(max(0, place - SEARCH)) for place in places]
    track = _Track(container, stream)
    num_decoded = 0
    for block in track.blocks():
        meter.push(block)
        quiet.push(block)
        for cut in cuts:
            cut.push(num_decoded, block)
        num_decoded += len(block)
    # An MP3's first time stamp counts the encoder's delay, which players skip: it starts at 0.
    start_s = 0.0 if codec.name.startswith("mp3") else track.first_s
    return Heard(
        codec=codec.name,
        profile=codec.profile or "",
        sample_rate=codec.sample_rate,
        num_channels=codec.channels,
        kbps=_busiest_kbps(track.sizes, codec.frame_size or AAC_BLOCK, codec.sample_rate),
        start_s=start_s,
        length=round((stream.duration or 0) * (stream.time_base or 0) * SAMPLE_RATE),
        num_decoded=num_decoded,
        loudness=meter.finish(),
        silences=tuple(quiet.finish()),
        shifts=tuple(_shift(cut, place, master) for cut, place in zip(cuts, places, strict=True)),
    )


class _Track:
    """A decoded track in blocks of a second; notes its packets' sizes on the way."""

    def __init__(self, container: av.container.InputContainer, stream: av.AudioStream) -> None:
        self._container, self._stream = container, stream
        self.sizes: list[int] = []
        self.first_s = 0.0

    def blocks(self) -> Iterator[Samples]:
        waiting: list[Samples] = []
        count = 0
        first = True
        for packet in self._container.demux(self._stream):
            if packet.size:
                self.sizes.append(packet.size)
            for frame in packet.decode():
                if first:
                    self.first_s, first = frame.time or 0.0, False
                waiting.append(frame_samples(frame))
                count += len(waiting[-1])
            if count >= SAMPLE_RATE:
                yield np.concatenate(waiting)
                waiting, count = [], 0
        if waiting:
            yield np.concatenate(waiting)


def _busiest_kbps(sizes: Sequence[int], frame_size: int, sample_rate: int) -> float:
    """The bit rate of the busiest second: pauses need few bits at any rate."""
    count = max(1, min(len(sizes), sample_rate // frame_size))
    total = np.concatenate(([0], np.cumsum(sizes)))
    most = int((total[count:] - total[:-count]).max()) if sizes else 0
    return most * 8 / 1000 * sample_rate / (count * frame_size)


class _Silences:
    """Stretches of at least a quarter of a second in which nothing is heard."""

    SHORTEST = 25

    def __init__(self, num_channels: int) -> None:
        self._rest = np.zeros((0, num_channels), np.float32)
        self._quiet: list[NDArray[np.bool_]] = []

    def push(self, block: Samples) -> None:
        data = np.concatenate((self._rest, block))
        slices = len(data) // SLICE
        if slices:
            body = data[: slices * SLICE].reshape(slices, -1)
            self._quiet.append((body.max(axis=1) < QUIET) & (body.min(axis=1) > -QUIET))
        self._rest = data[slices * SLICE :]

    def finish(self) -> list[tuple[int, int]]:
        flags = np.concatenate([[False], *self._quiet, [False]]).astype(np.int8)
        steps = np.diff(flags)
        starts, ends = np.flatnonzero(steps > 0), np.flatnonzero(steps < 0)
        return [
            (int(start) * SLICE, int(end) * SLICE)
            for start, end in zip(starts, ends, strict=True)
            if end - start >= self.SHORTEST
        ]


class _Cut:
    """Keeps the stretch around one place while the sound goes by, in mono."""

    def __init__(self, start: int) -> None:
        self.start = start
        self._parts: list[Samples] = []

    def push(self, position: int, block: Samples) -> None:
        end = self.start + WINDOW + 2 * SEARCH
        if position < end and position + len(block) > self.start:
            part = block[max(0, self.start - position) : end - position]
            self._parts.append(part.mean(axis=1))

    def samples(self) -> Samples:
        return np.concatenate(self._parts) if self._parts else np.zeros(0, np.float32)


def _shift(cut: _Cut, place: int, master: Path | None) -> int | None:
    """By how many samples a second of the master lies late, by normalised cross-correlation."""
    if master is None:
        return None
    with soundfile.SoundFile(master) as file:
        if place >= file.frames:
            return None
        file.seek(place)
        wanted = np.asarray(file.read(WINDOW, dtype="float32", always_2d=True)).mean(axis=1)
    found = cut.samples()
    if len(found) < len(wanted) or not len(wanted) or float(np.abs(wanted).max()) < QUIET:
        return None
    size = 1 << (len(found) + len(wanted) - 1).bit_length()
    spectrum = np.fft.rfft(found, size) * np.conj(np.fft.rfft(wanted, size))
    matches = np.fft.irfft(spectrum, size)[: len(found) - len(wanted) + 1]
    power = np.concatenate(([0.0], np.cumsum(np.square(found, dtype=np.float64))))
    energy = power[len(wanted) :] - power[: len(power) - len(wanted)]
    likeness = matches / np.sqrt(np.maximum(energy, 1e-9) * float(np.square(wanted).sum()))
    best = int(np.argmax(likeness))
    return cut.start + best - place if likeness[best] > 0.7 else None
