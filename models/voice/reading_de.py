"""German text where the embedded voice reads figures by their digits: dates, years and times."""

from __future__ import annotations

import re
from collections.abc import Sequence

ONES = (
    "null", "eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun", "zehn",
    "elf", "zwölf", "dreizehn", "vierzehn", "fünfzehn", "sechzehn", "siebzehn", "achtzehn",
    "neunzehn",
)  # fmt: skip
TENS = (
    "", "zehn", "zwanzig", "dreißig", "vierzig", "fünfzig", "sechzig", "siebzig", "achtzig",
    "neunzig",
)  # fmt: skip
MONTHS = (
    "Januar", "Jänner", "Februar", "März", "April", "Mai", "Juni", "Juli", "August",
    "September", "Oktober", "November", "Dezember",
)  # fmt: skip
IRREGULAR_ORDINALS = {1: "erst", 3: "dritt", 7: "siebt", 8: "acht"}
WEAK_LEADS = frozenset(
    ["am", "dem", "vom", "zum", "beim", "den", "ab", "bis", "seit", "nach", "vor", "der", "die"]
)
"""After these an ordinal ends in -n or -e; see `_ordinal`."""


def read_german(words: Sequence[str]) -> list[str]:
    """The spoken form of each of `words`; everything but dates, years and times stays as it is."""
    out = []
    for index, word in enumerate(words):
        before = words[index - 1].casefold() if index else ""
        after = words[index + 1] if index + 1 < len(words) else ""
        out.append(_read(word, before, after))
    return out


def _read(word: str, before: str, after: str) -> str:
    if (found := re.fullmatch(r"(\d{1,2})\.", word)) and after.strip(".,;:!?") in MONTHS:
        return _ordinal(int(found[1]), before)
    if found := re.fullmatch(r"(\d{1,2}):(\d{2})([.,;:!?]*)", word):
        hour, minute = int(found[1]), int(found[2])
        if hour < 25 and minute < 60:
            rest = f" {small(minute)}" if minute else ""
            # A written "Uhr" is spoken before the minutes; its punctuation stays behind them.
            close = after[3:] if after.startswith("Uhr") else found[3]
            return f"{small(hour).replace('eins', 'ein')} Uhr{rest}{close}"
    if word.startswith("Uhr") and re.fullmatch(r"\d{1,2}:\d{2}", before):
        return ""
    if found := re.fullmatch(r"(1[1-9])(\d{2})([.,;:!?]*)", word):
        rest = small(int(found[2])) if found[2] != "00" else ""
        return f"{small(int(found[1]))}hundert{rest}{found[3]}"
    return word


def small(number: int) -> str:
    """`21` is "einundzwanzig"; 0 to 99."""
    if number < 20:
        return ONES[number]
    tens, ones = divmod(number, 10)
    lead = f"{'ein' if ones == 1 else ONES[ones]}und" if ones else ""
    return lead + TENS[tens]


def _ordinal(number: int, before: str) -> str:
    """`3` is "dritten" after "am", "dritte" after "der", "dritter" by itself."""
    stem = IRREGULAR_ORDINALS.get(number) or small(number) + ("t" if number < 20 else "st")
    ending = "e" if before in {"der", "die"} else "en" if before in WEAK_LEADS else "er"
    return stem + ending
