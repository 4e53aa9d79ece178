"""Where finished frames go: an encoder in process, or an ffmpeg program behind one pipe.

Both take the same planes and the same sound and write the same kind of MP4: `moov` first, BT.709
tags, square pixels, closed GOPs, 2 B-frames, chapters, AAC-LC beside the picture. The picture track
has no edit list (composition offsets may be negative instead); the sound track's only skips the
1024 samples of silence that AAC puts first, so both start at zero.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from studio.errors import EncodeError, EncoderStopped, OutputError
from studio.specs import EncodeSpec
from studio.types import Chapter

PlaneArrays = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]

MOVFLAGS = "+faststart+negative_cts_offsets"
"""The index before the media, and no edit list for the delay of the B-frames."""

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What a full disk, a quota and a limit on file sizes answer."""

AAC_BLOCK = 1024
"""Samples in a frame of AAC-LC."""

_LEVELS: tuple[tuple[str, int, int], ...] = (
    ("1.1", 3_000, 396),
    ("2.1", 19_800, 792),
    ("3.0", 40_500, 1_620),
    ("3.1", 108_000, 3_600),
    ("3.2", 216_000, 5_120),
    ("4.0", 245_760, 8_192),
    ("4.2", 522_240, 8_704),
    ("5.0", 589_824, 22_080),
    ("5.1", 983_040, 36_864),
    ("5.2", 2_073_600, 36_864),
    ("6.0", 4_177_920, 139_264),
    ("6.1", 8_355_840, 139_264),
)
"""ITU-T H.264, table A-1: level, macroblocks a second, macroblocks a frame."""


def h264_level(width: int, height: int, fps: int) -> str:
    """The lowest level that allows the size and rate."""
    blocks = -(-width // 16) * -(-height // 16)
    for level, per_second, per_frame in _LEVELS:
        if blocks <= per_frame and blocks * fps <= per_second:
            return level
    return "6.2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is to be encoded: the picture's size and length, the sound, the words in the file.

    `sound` is AAC in an M4A file, whose packets are copied, or PCM that soundfile reads (FLAC),
    which is encoded on the way. `card` is the one whose NVENC encodes, as CUDA numbers it.
    """

    width: int
    height: int
    fps: int
    num_frames: int
    sound: Path
    title: str
    chapters: tuple[Chapter, ...]
    card: int | None = None


class Sink(Protocol):
    """Takes frames in order: `planes` is the one frame to draw into, `send` encodes it."""

    planes: PlaneArrays

    def send(self) -> None:
        """Encode the planes as the next frame."""
        ...


def video_options(encoder: str, spec: EncodeSpec, job: Job) -> dict[str, str]:
    """The encoder's options, by FFmpeg's names, the same for both libraries."""
    gop = max(1, round(spec.gop_s * job.fps))
    # Cards before Turing refuse B-frames in HEVC; H.264 has them everywhere.
    options = {"g": str(gop), "bf": "0" if encoder in ("hevc_nvenc", "av1_nvenc") else "2"}
    match encoder:
        case "libx264":
            options |= {
                "preset": spec.preset,
                "crf": f"{spec.crf:g}",
                "profile": "high",
                "level": h264_level(job.width, job.height, job.fps),
                # ultrafast turns the 8x8 transform off, without which the stream is Main profile.
                "x264-params": "open-gop=0:b-pyramid=none:8x8dct=1:bframes=2",
            }
        case "h264_nvenc":
            options |= _nvenc(spec) | {
                "profile": "high",
                "level": h264_level(job.width, job.height, job.fps),
                "b_ref_mode": "disabled",
            }
        case "hevc_nvenc":
            options |= _nvenc(spec) | {"profile": "main", "tag": "hvc1"}
        case _:
            options |= _nvenc(spec)
    if job.card is not None and encoder.endswith("_nvenc"):
        options["gpu"] = str(job.card)
    return options


_NVENC_PRESETS = {
    "ultrafast": "p1", "superfast": "p2", "veryfast": "p3", "faster": "p4",
    "fast": "p4", "medium": "p5", "slow": "p6", "slower": "p7",
}  # fmt: skip
"""NVENC's seven presets in the order of x264's."""


def _nvenc(spec: EncodeSpec) -> dict[str, str]:
    # Constant quality: a variable rate without a target, steered by `cq` alone.
    return {
        "preset": _NVENC_PRESETS[spec.preset],
        "tune": "hq",
        "rc": "vbr",
        "cq": f"{spec.crf:g}",
        "b": "0",
        "strict_gop": "1",
        "forced-idr": "1",
        "spatial-aq": "1",
    }


def tells_no_room(said: str) -> bool:
    """Whether an encoder's words name a full disk."""
    return any(os.strerror(number) in said for number in NO_ROOM)


def failure(where: str, said: str, number: int | None = None) -> EncodeError | OutputError:
    """The error for what an encoder said."""
    if number in NO_ROOM or tells_no_room(said):
        remedy = "Free some room on the disk of STUDIO_HOME, or choose another one there"
        return OutputError(where, f"no room left ({said})" if said else "no room left", remedy)
    return EncoderStopped(
        where,
        said or "the encoder stopped",
        "Run the same command again: all earlier work is kept; `studio doctor` tries encoders",
    )
