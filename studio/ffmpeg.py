"""Which encoder works here: one real frame through each candidate, in order.

A candidate is written `LIBRARY:ENCODER`. `pyav` is the FFmpeg inside PyAV, in process; `ffmpeg` is
a program: `$FFMPEG_BINARY`, one on the path, or the wheel `imageio-ffmpeg`. That a build lists an
encoder proves nothing about the driver, the card and its free sessions, so nothing is read from
lists; the reason of a failure is told from what FFmpeg says.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import av.codec.codec
import av.logging

from studio.errors import EncodeError, SettingError
from studio.types import Fallback

Library = Literal["pyav", "ffmpeg"]

ENCODERS = ("libx264", "h264_nvenc", "hevc_nvenc", "av1_nvenc")
"""What the sinks know how to set up."""

TRIAL_PX = 256
"""Side of the trial frame: above the smallest size of every NVENC generation (145 x 49)."""

TRIAL_TIMEOUT_S = 30.0

Cause = Literal[
    "works",
    "binary missing",
    "not compiled in",
    "no driver",
    "driver too old",
    "no NVENC",
    "sessions exhausted",
    "failed",
]

_CAUSES: tuple[tuple[str, Cause], ...] = (
    (r"Cannot load (libcuda|libnvidia-encode|nvcuda|nvEncodeAPI)", "no driver"),
    (r"CUDA_ERROR_(NO_DEVICE|UNKNOWN|SYSTEM_DRIVER)|cuInit.* failed", "no driver"),
    (r"minimum required Nvidia driver|does not support the required nvenc API", "driver too old"),
    (r"OpenEncodeSessionEx failed: (out of memory|incompatible client key)", "sessions exhausted"),
    (r"No (NVENC )?capable devices found|OpenEncodeSessionEx failed", "no NVENC"),
    (r"Codec not supported|does not support", "no NVENC"),
    (r"Unknown encoder|Encoder not found", "not compiled in"),
)

_REMEDIES: dict[Cause, str] = {
    "works": "",
    "binary missing": "Install ffmpeg, or run `pip install imageio-ffmpeg`",
    "not compiled in": "Use another build of FFmpeg, or leave this encoder out of the profile",
    "no driver": "Install the NVIDIA driver, or use pyav:libx264",
    "driver too old": "Update the NVIDIA driver, or try the encoder through the other library",
    "no NVENC": "This card cannot encode (A100, H100 and H200 have no NVENC); use pyav:libx264",
    "sessions exhausted": "Close other programs that encode, or lower gpu.nvenc_sessions",
    "failed": "Run `studio doctor`, or use pyav:libx264",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What came of one candidate. `said` is FFmpeg's own sentence."""

    library: Library
    encoder: str
    binary: str
    cause: Cause
    said: str

    @property
    def name(self) -> str:
        """As the profile writes it."""
        return f"{self.library}:{self.encoder}"

    @property
    def works(self) -> bool:
        """Whether a frame was encoded."""
        return self.cause == "works"

    @property
    def remedy(self) -> str:
        """What to do about it; empty when it works."""
        return _REMEDIES[self.cause]


def parse_encoder(name: str) -> tuple[Library, str]:
    """Split `LIBRARY:ENCODER`. Raises `SettingError` for a name that the sinks cannot set up."""
    library, _, encoder = name.partition(":")
    if encoder in ENCODERS:
        if library == "pyav":
            return "pyav", encoder
        if library == "ffmpeg":
            return "ffmpeg", encoder
    known = ", ".join(f"pyav:{e}, ffmpeg:{e}" for e in ENCODERS)
    raise SettingError("encode.encoder", f"{name!r} is no known encoder", f"Choose from {known}")


def find_ffmpeg() -> str:
    """The path of an ffmpeg program, or an empty string: `$FFMPEG_BINARY`, the path, the wheel."""
    named = os.environ.get("FFMPEG_BINARY", "")
    if named:
        return shutil.which(named) or ""
    found = shutil.which("ffmpeg")
    if found:
        return found
    try:
        import imageio_ffmpeg
    except ImportError:
        return ""
    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())  # type: ignore[attr-defined, no-untyped-call]
    except RuntimeError:
        return ""


def classify(said: str) -> Cause:
    """The cause of a failure from what FFmpeg printed."""
    for pattern, cause in _CAUSES:
        if re.search(pattern, said):
            return cause
    return "failed"


def try_encoder(name: str, *, card: int | None = None) -> Trial:
    """Encode one real frame with `LIBRARY:ENCODER`. Never raises for what the machine lacks.

    `card` names the card whose NVENC is tried, within this process (`pyav`).
    """
    library, encoder = parse_encoder(name)
    match library:
        case "pyav":
            return _try_in_process(encoder, {} if card is None else {"gpu": str(card)})
        case "ffmpeg":
            return _try_program(encoder)


def choose_encoder(names: Sequence[str]) -> tuple[Trial, tuple[Fallback, ...]]:
    """The first candidate that works, and one `Fallback` for each before it.

    Raises `EncodeError` with every reason when none works, `SettingError` for an unknown name.
    """
    for name in names:
        parse_encoder(name)
    failed: list[Trial] = []
    for name in names:
        trial = try_encoder(name)
        if trial.works:
            return trial, tuple(
                Fallback(stage="encode", wanted=t.name, used=name, why=f"{t.cause}: {t.said}")
                for t in failed
            )
        failed.append(trial)
    found = "; ".join(f"{t.name}: {t.cause} ({t.said})" for t in failed) or "no encoder is listed"
    raise EncodeError("encode.encoder", found, failed[-1].remedy if failed else "List pyav:libx264")


def _try_in_process(encoder: str, options: dict[str, str]) -> Trial:
    cause: Cause = "works"
    said = ""
    level = av.logging.get_level()
    # FFmpeg gives its reasons only to its log: it is on for the trial, caught, and off again.
    av.logging.set_level(av.logging.ERROR)
    try:
        with av.logging.Capture() as logged:
            num_bytes = _encode_one_frame(encoder, options)
        if not num_bytes:
            cause, said = "failed", "the encoder gave no data"
    except av.codec.codec.UnknownCodecError:
        cause, said = "not compiled in", f"PyAV's FFmpeg has no {encoder}"
    except av.FFmpegError as error:
        said = first_lines("\n".join(words for _, _, words in logged)) or said_by(error)
        cause = classify(said)
    finally:
        av.logging.set_level(level)
    return Trial(library="pyav", encoder=encoder, binary="", cause=cause, said=said)


def _encode_one_frame(encoder: str, options: dict[str, str]) -> int:
    codec = av.VideoCodecContext.create(encoder, "w")
    if not isinstance(codec, av.VideoCodecContext):
        return 0
    codec.width = codec.height = TRIAL_PX
    codec.pix_fmt = "yuv420p"
    codec.time_base = Fraction(1, 30)
    codec.options = options
    frame = av.VideoFrame(TRIAL_PX, TRIAL_PX, "yuv420p")
    frame.pts = 0
    return sum(packet.size for packet in (*codec.encode(frame), *codec.encode(None)))


def _try_program(encoder: str) -> Trial:
    binary = find_ffmpeg()
    if not binary:
        said = "no ffmpeg on the path and no imageio-ffmpeg"
        return Trial(
            library="ffmpeg", encoder=encoder, binary="", cause="binary missing", said=said
        )
    source = f"color=black:size={TRIAL_PX}x{TRIAL_PX}:rate=1"
    command = [
        binary,
        "-hide_banner",
        "-nostdin",
        "-loglevel",
        "error",
        "-f",
        "lavfi",
        "-i",
        source,
    ]
    command += ["-frames:v", "1", "-c:v", encoder, "-pix_fmt", "yuv420p", "-f", "null", "-"]
    cause: Cause = "works"
    said = ""
    try:
        run = subprocess.run(  # noqa: S603 - a fixed argument list, no shell
            command, capture_output=True, text=True, timeout=TRIAL_TIMEOUT_S, check=False
        )
        if run.returncode:
            said = first_lines(run.stderr) or f"exit status {run.returncode}"
            cause = classify(run.stderr)
    except subprocess.TimeoutExpired:
        cause, said = "failed", f"no answer within {TRIAL_TIMEOUT_S:.0f} s"
    except OSError as error:
        cause, said = "binary missing", f"{Path(binary).name}: {error.strerror or error}"
    return Trial(library="ffmpeg", encoder=encoder, binary=binary, cause=cause, said=said)


def said_by(error: av.FFmpegError) -> str:
    """What FFmpeg logged with an error, or its general words for it."""
    logged: tuple[object, ...] = tuple(error.log or ())
    words = str(logged[-1]).strip() if logged else ""
    return words or error.strerror or str(error)


def first_lines(text: str, count: int = 1) -> str:
    """The first lines that say something, without `[name @ 0x…]`, at most 300 characters."""
    lines = (re.sub(r"^(\[[^\]]* @ 0x[0-9a-f]+\]\s*)+", "", line) for line in text.splitlines())
    said = dict.fromkeys(line.strip() for line in lines if line.strip())
    return "; ".join(itertools.islice(said, count))[:300]
