"""One take: read, held to the limits, and turned into what the store keeps; or put aside."""

from __future__ import annotations

import hashlib
import io
import json
import math
import struct
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from models.corpus.features import log_mel, pack
from models.corpus.tokens import encode, normalise, phoneme_frames, unknown, vocabulary
from studio.audio import decibels, resample
from studio.corpus import CorpusSpec, LimitSpec, Quarantined, Reason
from studio.types import Phoneme
from tasks.corpus_sources import Take

_STREAMED = 0xFFFFFFFF
"""The length that a program writing WAV to a pipe leaves in the header."""

_MAX_BYTES_PER_S = 8 * 8 * 48_000
"""Eight channels of doubles at 48 kHz. A whole file above this for `max_s` is measured by its
header alone.
"""


class Refused(Exception):
    """A take that is put aside, with the reason's code and what was found."""

    def __init__(self, reason: Reason, found: str) -> None:
        super().__init__(reason, found)
        self.reason: Reason = reason
        self.found = found


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Clip:
    """What the store keeps of a take. `symbols` are the phonemes whose ids only the store knows;
    characters are tokens already.
    """

    take: Take
    key: bytes
    normalised: str
    mel: NDArray[Any]
    tokens: NDArray[np.uint16] | None
    symbols: tuple[str, ...]
    durations: NDArray[np.uint16] | None
    num_samples: int
    level_db: float
    peak_db: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Aside:
    """A take that is put aside. `key` is None when its sound was never read."""

    what: Quarantined
    key: bytes | None = None


@dataclass(slots=True)
class Hashes:
    """Content hashes of long files that many takes are cut from, each read once."""

    known: dict[Path, str] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, path: Path) -> str:
        """The SHA-256 of a file."""
        with self.lock:
            if path not in self.known:
                with path.open("rb") as file:
                    self.known[path] = hashlib.file_digest(file, "sha256").hexdigest()
            return self.known[path]


def take_key(take: Take, sound_sha256: str) -> bytes:
    """SHA-256 of all that determines a clip, beside the store's spec: sound, text, id, speaker."""
    words = (sound_sha256, take.id, take.text, take.said, take.speaker)
    told = (*words, take.start_s, take.length_s, take.ours, take.phonemes)
    return hashlib.sha256(json.dumps(told, ensure_ascii=True).encode()).digest()


def make_clip(
    take: Take, spec: CorpusSpec, hashes: Hashes, known: frozenset[bytes]
) -> tuple[Clip | Aside | bytes, str]:
    """The clip of a take, why it is put aside, or its key when that is among `known`; and the hash
    of its file ("" when it was not read). Never raises for what a recording may hold.
    """
    key, sound_sha256 = None, ""
    try:
        normalised = take_text(take, spec)
        data, sound_sha256 = _read(take, spec.limits, hashes)
        key = take_key(take, sound_sha256)
        if key in known:
            return key, sound_sha256
        samples = _decode(take, data, spec)
        level_db, peak_db = _measure(samples, spec)
        tokens, symbols, durations = _tokens(take, normalised, len(samples), spec)
    except Refused as error:
        what = Quarantined(id=take.id, source=take.source, reason=error.reason, found=error.found)
        return Aside(what=what, key=key), sound_sha256
    made = Clip(
        take=take,
        key=key,
        normalised=normalised,
        mel=pack(log_mel(samples, spec.mel), spec.mel),
        tokens=tokens,
        symbols=symbols,
        durations=durations,
        num_samples=len(samples),
        level_db=level_db,
        peak_db=peak_db,
    )
    return made, sound_sha256


def take_text(take: Take, spec: CorpusSpec) -> str:
    """The normalised text. Raises `Refused` for an empty one and for a sign without a symbol."""
    normalised = normalise(take.said or take.text, spec.tokens)
    if not any(char.isalnum() for char in normalised):
        raise Refused("empty_text", f"nothing to say in {take.text[:40]!r}")
    if spec.tokens.kind == "phonemes":
        if not take.phonemes:
            raise Refused("no_phonemes", "the source gives no phonemes with times")
        count = len(take.phonemes)
    else:
        strange = unknown(normalised, spec.tokens)
        if strange:
            raise Refused("unknown_symbol", f"{strange[:20]!r} is not among the symbols")
        count = len(normalised)
    if count > spec.limits.max_tokens:
        raise Refused("text_too_long", f"{count} tokens, {spec.limits.max_tokens} allowed")
    return normalised


def _tokens(
    take: Take, normalised: str, num_samples: int, spec: CorpusSpec
) -> tuple[NDArray[np.uint16] | None, tuple[str, ...], NDArray[np.uint16] | None]:
    symbols = tuple(normalised)
    if spec.tokens.kind == "phonemes":
        symbols = tuple(symbol for symbol, _, _ in take.phonemes or ())
    seconds = num_samples / spec.mel.sample_rate
    if len(symbols) > spec.limits.max_tokens_per_s * seconds:
        raise Refused("text_too_fast", f"{len(symbols)} tokens in {seconds:.2f} s")
    if spec.tokens.kind == "characters":
        return encode(symbols, vocabulary(spec.tokens)), symbols, None
    rate = spec.mel.sample_rate
    phonemes = tuple(
        Phoneme(symbol=symbol, start=round(start * rate), num_samples=round(length * rate))
        for symbol, start, length in take.phonemes or ()
    )
    frames = spec.mel.frames(num_samples)
    symbols, durations = phoneme_frames(phonemes, num_samples, frames, spec.mel.hop_length)
    return None, symbols, durations


def _read(take: Take, limits: LimitSpec, hashes: Hashes) -> tuple[bytes | None, str]:
    """The bytes of a whole file, None for a stretch of one, and the file's hash."""
    try:
        size = take.path.stat().st_size
        if size == 0:
            raise Refused("empty_file", "0 bytes")
        if take.start_s is not None:
            return None, hashes.of(take.path)
        if size > limits.max_s * _MAX_BYTES_PER_S:
            seconds = soundfile.info(str(take.path)).duration
            raise Refused("too_long", f"{seconds:.0f} s, {limits.max_s:g} s allowed")
        data = take.path.read_bytes()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise Refused("missing", "no such file") from error
    except (OSError, soundfile.SoundFileError) as error:
        raise Refused("undecodable", f"cannot be read ({error})") from error
    return data, hashlib.sha256(data).hexdigest()


def _decode(take: Take, data: bytes | None, spec: CorpusSpec) -> NDArray[np.float32]:
    """Mono samples at the spec's rate."""
    if data is not None:
        wave = _wave_of(data)
        if wave is not None and wave.missing:
            raise Refused("truncated", f"{wave.missing} bytes fewer than its header says")
        if wave is not None and wave.plain and wave.sample_rate == spec.mel.sample_rate:
            # The common case, at a fifth of the cost of a library's file object.
            held = np.frombuffer(data, "<i2", wave.num_bytes // 2, wave.begin)
            _check_length(len(held), wave.sample_rate, spec)
            return held.astype(np.float32) / np.float32(32768.0)
    try:
        with soundfile.SoundFile(take.path if data is None else io.BytesIO(data)) as file:
            first = round((take.start_s or 0.0) * file.samplerate)
            wanted = file.frames - first
            if take.length_s is not None:
                wanted = round(take.length_s * file.samplerate)
            if not take.ours and file.channels != 1:
                raise Refused("not_mono", f"{file.channels} channels")
            if not take.ours and file.samplerate != spec.mel.sample_rate:
                found = f"{file.samplerate} Hz, not {spec.mel.sample_rate} Hz"
                raise Refused("wrong_rate", found)
            _check_length(wanted, file.samplerate, spec)
            file.seek(min(first, file.frames))
            samples = file.read(wanted, dtype="float32", always_2d=True)
            rate = file.samplerate
    except (soundfile.SoundFileError, RuntimeError) as error:
        raise Refused("undecodable", str(error)[:200]) from error
    if len(samples) < wanted:
        raise Refused("truncated", f"{len(samples)} of {wanted} samples")
    mono = np.ascontiguousarray(samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1))
    if take.ours and rate != spec.mel.sample_rate:
        mono = resample(mono, rate, spec.mel.sample_rate)
    return np.asarray(mono, np.float32)


def _check_length(num_samples: int, rate: int, spec: CorpusSpec) -> None:
    if num_samples <= 0:
        raise Refused("empty_file", "no samples")
    seconds = num_samples / rate
    if seconds > spec.limits.max_s:
        raise Refused("too_long", f"{seconds:.2f} s, {spec.limits.max_s:g} s allowed")
    if seconds < spec.limits.min_s:
        raise Refused("too_short", f"{seconds:.2f} s, {spec.limits.min_s:g} s wanted")


def _measure(samples: NDArray[np.float32], spec: CorpusSpec) -> tuple[float, float]:
    """RMS and peak in dBFS. Raises `Refused` for what is not a number and for silence."""
    peak = float(max(samples.max(), -samples.min()))
    if not np.isfinite(peak):
        bad = int(len(samples) - np.isfinite(samples).sum())
        raise Refused("not_finite", f"{bad} samples are NaN or infinite")
    wide = samples.astype(np.float64)
    level_db = decibels(math.sqrt(float(np.dot(wide, wide)) / len(wide)))
    if level_db <= spec.limits.silence_db:
        raise Refused("silent", f"{level_db:.0f} dBFS")
    return level_db, decibels(peak)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wave:
    """What the chunks of a RIFF WAVE file say. `missing`: bytes of sound announced and not there;
    `plain`: one channel of 16-bit PCM, `num_bytes` of it from `begin` on.
    """

    missing: int
    plain: bool = False
    sample_rate: int = 0
    begin: int = 0
    num_bytes: int = 0


def _wave_of(data: bytes) -> _Wave | None:
    """The header of a RIFF WAVE file; None for other kinds."""
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        return None
    at, coding, channels, rate, bits = 12, 0, 0, 0, 0
    while at + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, at)
        at += 8
        if name == b"fmt " and at + 16 <= len(data):
            coding, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", data, at)
        if name == b"data":
            held = len(data) - at if size == _STREAMED else min(size, len(data) - at)
            return _Wave(
                missing=0 if size == _STREAMED else size - held,
                plain=(coding, channels, bits) == (1, 1, 16),
                sample_rate=rate,
                begin=at,
                num_bytes=held - held % 2,
            )
        at += size + size % 2  # chunks are padded to even lengths
    return _Wave(missing=max(0, at - len(data)))
