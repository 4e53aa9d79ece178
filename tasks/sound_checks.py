"""The release gate's ear: format, length, position, loudness, true peak, silence."""

from __future__ import annotations

from collections.abc import Iterator

from studio.types import SAMPLE_RATE, Check
from tasks.listening import Heard
from tasks.promise import AAC_BLOCK, Expected, check, near, overlap

LOUDNESS_TOLERANCE_LU = 0.5
"""What podcast platforms allow to either side of the target."""

LEAST_RATE = 0.5
"""Share of the bit rate asked for that a stereo track's busiest second must reach. AAC spends less
on plain sounds, and one channel needs half; a track far below was encoded at another rate.
"""

SILENCE_MARGIN_S = 0.6
"""How much longer than the longest pause of the timeline a silence may be: soft beginnings and
endings of words are part of it.
"""

SILENT_SPEECH_S = 1.5
"""A pause inside one spoken line is shorter than this; a longer one is lost sound."""


def check_sound(heard: Heard, expected: Expected, kind: str) -> Iterator[Check]:
    """Format, length, position, loudness, true peak and silences of a decoded sound track."""
    codec = ("mp3",) if kind == ".mp3" else ("aac",)
    name = heard.codec.removesuffix("float")
    what = f"{name} {heard.profile}".strip()
    fits = name in codec and (kind == ".mp3" or heard.profile == "LC")
    yield check("codec", what, "mp3" if kind == ".mp3" else "aac LC", fits)
    shape = f"{heard.sample_rate} Hz, {heard.num_channels} ch"
    wanted = f"{SAMPLE_RATE} Hz, {expected.num_channels} ch"
    yield check("format", shape, wanted, shape == wanted)
    least = LEAST_RATE * expected.audio_kbps * expected.num_channels / 2
    yield check("bit rate", f"{heard.kbps:.0f} kb/s", f">= {least:.0f} kb/s", heard.kbps >= least)
    yield from _check_length(heard, expected)
    low, high = (expected.loudness_lufs + side * LOUDNESS_TOLERANCE_LU for side in (-1, 1))
    level = heard.loudness.integrated_lufs
    yield check(
        "loudness",
        f"{level:.1f} LUFS",
        f"{expected.loudness_lufs:.1f} ±{LOUDNESS_TOLERANCE_LU} LUFS",
        low <= level <= high,
    )
    peak = heard.loudness.true_peak_dbtp
    yield check(
        "true peak",
        "n/a" if peak is None else f"{peak:.2f} dBTP",
        f"<= {expected.true_peak_dbtp:.1f} dBTP",
        peak is not None and peak <= expected.true_peak_dbtp,
    )
    yield from _check_silence(heard, expected)


def _check_length(heard: Heard, expected: Expected) -> Iterator[Check]:
    frame = SAMPLE_RATE / (expected.video.fps if expected.video else 30)
    missing = heard.length - expected.num_samples
    padded = heard.num_decoded - expected.num_samples
    yield check(
        "sound length",
        f"{heard.length / SAMPLE_RATE:.3f} s, {padded:+d} samples decoded",
        f"{expected.num_samples / SAMPLE_RATE:.3f} s ±1 frame",
        abs(missing) <= frame and -frame <= padded <= max(frame, 2 * AAC_BLOCK),
    )
    start_ok = abs(heard.start_s) * SAMPLE_RATE <= frame
    yield check("sound start", f"{heard.start_s * 1000:.1f} ms", "0 ms ±1 frame", start_ok)
    if heard.shifts:
        shown = ", ".join("lost" if s is None else f"{s / 48:+.1f}" for s in heard.shifts)
        held = all(s is not None and abs(s) <= frame for s in heard.shifts)
        yield check("sound position", f"{shown} ms", "0 ms ±1 frame at three lines", held)


def _check_silence(heard: Heard, expected: Expected) -> Iterator[Check]:
    """Longest silence against the timeline's longest pause, and silence within spoken lines."""
    edges = [0, *(sample for span in sorted(expected.spoken) for sample in span)]
    edges.append(expected.num_samples)
    pauses = [after - before for before, after in zip(edges[::2], edges[1::2], strict=True)]
    allowed = max(pauses) / SAMPLE_RATE + SILENCE_MARGIN_S
    longest = max((end - start for start, end in heard.silences), default=0) / SAMPLE_RATE
    yield check("longest silence", f"{longest:.1f} s", f"<= {allowed:.1f} s", longest <= allowed)
    lost = max(
        (overlap(one, line) for one in heard.silences for line in near(one, expected.spoken)),
        default=0,
    )
    yield check(
        "silence in a line",
        f"{lost / SAMPLE_RATE:.1f} s",
        f"<= {SILENT_SPEECH_S} s",
        lost <= SILENT_SPEECH_S * SAMPLE_RATE,
    )
