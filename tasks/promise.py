"""What an episode's files were promised to be, and one figure of the gate that says so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from studio.types import Caption, Chapter, Check, EncodedVideo

AAC_BLOCK = 1024
"""Samples of a frame of AAC; the last one, and the decoder's first, may be padding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What was promised. `spoken` are the lines' `(start, end)` in samples, `master` is the mix.

    `moves` says that something in the picture moves while somebody speaks.
    """

    num_samples: int
    num_channels: int
    loudness_lufs: float
    true_peak_dbtp: float
    audio_kbps: int
    gop_s: float
    master: Path
    video: EncodedVideo | None
    moves: bool
    spoken: tuple[tuple[int, int], ...]
    captions: tuple[Caption, ...]
    chapters: tuple[Chapter, ...]


def check(name: str, measured: str, required: str, passed: bool) -> Check:
    """One figure of the gate."""
    return Check(name=name, measured=measured, required=required, passed=bool(passed))


def near(one: tuple[int, int], spans: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The spans that one touches."""
    return (span for span in spans if span[0] < one[1] and span[1] > one[0])


def overlap(one: tuple[int, int], two: tuple[int, int]) -> int:
    """How many samples two spans share."""
    return max(0, min(one[1], two[1]) - max(one[0], two[0]))
