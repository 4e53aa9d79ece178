"""Durations as people write them: `3s`, `0,5 sec`, `8 seconds`, `1:30`, `half a second`, `~3
minutes`.
"""

from __future__ import annotations

import re
from typing import Final

_NUMBER: Final = r"[0-9]{1,7}(?:[.,][0-9]{1,6})?"
_WORDS: Final = {
    "half a": 0.5,
    "a": 1.0,
    "an": 1.0,
    "one": 1.0,
    "two": 2.0,
    "three": 3.0,
    "four": 4.0,
    "five": 5.0,
    "six": 6.0,
    "seven": 7.0,
    "eight": 8.0,
    "nine": 9.0,
    "ten": 10.0,
    "fifteen": 15.0,
    "twenty": 20.0,
    "thirty": 30.0,
}
_UNIT: Final = (
    r"milliseconds?|ms|seconds?|secs?|s|segundos?|secondes?|sekunden?|秒|minutes?|mins?|m"
)
DURATION: Final = (
    r"(?:[0-9]{1,3}:[0-9]{2}(?::[0-9]{2})?(?![0-9:])"
    rf"|{_NUMBER}[\s-]?(?:{_UNIT})(?![A-Za-z])"
    rf"|\b(?:{'|'.join(_WORDS)})\s(?:seconds?|minutes?)(?![A-Za-z]))"
)
"""Regular-expression source of one duration with its unit (case-insensitive); holds no groups
that capture.
"""

_EXACT: Final = re.compile(DURATION, re.IGNORECASE)
_PARTS: Final = re.compile(rf"({_NUMBER}|{'|'.join(_WORDS)})[\s-]?({_UNIT})", re.IGNORECASE)
_RANGE: Final = re.compile(
    rf"({_NUMBER})\s*(?:-|–|—|to)\s*({_NUMBER})\s*({_UNIT})(?![A-Za-z])", re.IGNORECASE
)
_ROUGH: Final = re.compile(
    r"^(?:~|≈|about|approx(?:\.|imately)?|around|circa|ca\.)\s*", re.IGNORECASE
)


def seconds(duration: str) -> float:
    """Seconds in text that `DURATION` matches, e.g. `"1:30"` -> 90.0.

    Raises:
        ValueError: the text is not a duration.
    """
    text = duration.strip()
    if not _EXACT.fullmatch(text):
        raise ValueError(f"not a duration: {text!r}")
    if ":" in text:
        total = 0
        for part in text.split(":"):
            total = total * 60 + int(part)
        return float(total)
    parts = _PARTS.fullmatch(text)
    if parts is None:  # pragma: no cover - DURATION is made of the same parts
        raise ValueError(f"not a duration: {text!r}")
    return _amount(parts[1]) * _unit_s(parts[2])


def runtime_s(text: str) -> float:
    """Seconds in a header's `Runtime:`; `~`, "about" and ranges ("2-3 minutes": the middle) are
    understood.

    Raises:
        ValueError: no duration is recognised.
    """
    stripped = _ROUGH.sub("", text.strip().rstrip("."))
    span = _RANGE.fullmatch(stripped)
    if span:
        return (_amount(span[1]) + _amount(span[2])) / 2 * _unit_s(span[3])
    pieces = stripped.replace(" and ", " ").split()
    if len(pieces) > 2 and len(pieces) % 2 == 0:  # "3 minutes 20 seconds"
        pairs = zip(pieces[::2], pieces[1::2], strict=True)
        return sum(seconds(f"{number} {unit}") for number, unit in pairs)
    return seconds(stripped)


def _amount(text: str) -> float:
    word = _WORDS.get(text.lower())
    return float(text.replace(",", ".")) if word is None else word


def _unit_s(unit: str) -> float:
    lowered = unit.lower()
    if lowered in {"ms", "millisecond", "milliseconds"}:
        return 0.001
    return 60.0 if lowered.startswith("m") else 1.0
