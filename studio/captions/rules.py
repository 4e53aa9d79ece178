"""What a caption must keep to, and the check of it for the release gate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from studio.text_width import columns
from studio.types import SAMPLE_RATE, Caption

MAX_COLUMNS: Final = 42
"""Columns of one line; a Chinese, Japanese or Korean character and an emoji take two."""

MAX_LINES: Final = 2
MAX_CPS: Final = 20
"""Characters a second that viewers can read, spaces included, a line break counted as a space."""

SHORTEST: Final = 5 * SAMPLE_RATE // 6
"""Samples of 5/6 s, 20 frames of film: less is a flash."""

LONGEST: Final = 7 * SAMPLE_RATE
"""Samples of 7 s: more is read twice."""

_MILLISECOND: Final = SAMPLE_RATE // 1000
"""Tolerance of the check: files hold whole milliseconds."""


def characters(caption: Caption) -> int:
    """Characters of a caption as a reader takes them in."""
    return len(" ".join(caption.lines))


def spoken_cps(caption: Caption) -> float:
    """Characters a second at which the caption's own words are spoken; 0 without word times."""
    if not caption.words:
        return 0.0
    end = max(word.start + word.num_samples for word in caption.words)
    spoken = end - caption.words[0].start
    return characters(caption) * SAMPLE_RATE / spoken if spoken > 0 else 0.0


def check_captions(captions: Sequence[Caption]) -> tuple[str, ...]:
    """Violations of the rules, one sentence each; empty when all is well.

    Where speech itself is faster than `MAX_CPS`, its caption may be as fast as its words are
    spoken: slower would fall behind the voice, shorter would lose words. The shortest and the
    longest time and the order of captions have no exception.
    """
    found = []
    for number, caption in enumerate(captions, start=1):
        when = f"{caption.start / SAMPLE_RATE:.2f} s"
        found += [f"caption {number} ({when}): {problem}" for problem in _problems(caption)]
        if number > 1:
            before = captions[number - 2]
            if caption.start < before.start + before.num_samples:
                found.append(f"caption {number} begins before caption {number - 1} ends")
    return tuple(found)


def _problems(caption: Caption) -> list[str]:
    problems = []
    if not 1 <= len(caption.lines) <= MAX_LINES:
        problems.append(f"{len(caption.lines)} lines (1 to {MAX_LINES})")
    problems += [
        f"a line of {columns(line)} columns (at most {MAX_COLUMNS}): {line!r}"
        for line in caption.lines
        if columns(line) > MAX_COLUMNS
    ]
    if any(not line.strip() or "\n" in line for line in caption.lines):
        problems.append("an empty line")
    seconds = caption.num_samples / SAMPLE_RATE
    if caption.num_samples < SHORTEST - _MILLISECOND:
        problems.append(f"{seconds:.3f} s on screen (at least {SHORTEST / SAMPLE_RATE:.3f})")
    if caption.num_samples > LONGEST + _MILLISECOND:
        problems.append(f"{seconds:.3f} s on screen (at most {LONGEST / SAMPLE_RATE:g})")
    allowed = max(float(MAX_CPS), spoken_cps(caption))
    count = characters(caption)
    if count * SAMPLE_RATE > allowed * (caption.num_samples + _MILLISECOND):
        rate = count * SAMPLE_RATE / max(1, caption.num_samples)
        problems.append(f"{rate:.1f} characters a second (at most {allowed:.1f})")
    return problems
