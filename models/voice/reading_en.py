"""English text as it is read aloud: numbers, money, dates, times, units, abbreviations, addresses.

Every rule turns one written word into its spoken form, looking at the words beside it, so that
"$2.5 million" is spoken as "two point five" and "million dollars" with each written word keeping
its own time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from models.voice.lexis_en import (
    ABBREVIATIONS,
    BEFORE_NUMBERS,
    MONTH_NAMES,
    MONTH_ORDER,
    MONTHS,
    NUMBERED,
    WHOLE_WORDS,
    Seat,
)
from models.voice.numerals import cardinal, ordinal, plural, roman, year
from models.voice.quantities_en import QUANTITY_RULES, QUANTITY_WORD_RULES


def read_english(words: Sequence[str]) -> list[str]:
    """The spoken form of each of `words`; "" for one that has none."""
    parts = [_split(word) for word in words]
    cores = [core for _, core, _ in parts]
    out = []
    for index, (lead, core, trail) in enumerate(parts):
        seat = Seat(
            core=core,
            before=cores[index - 1] if index else "",
            after=cores[index + 1] if index + 1 < len(cores) else "",
            stopped=trail.startswith("."),
            first=index == 0,
        )
        out.append(_phrase(lead, core, trail, _spoken(seat), last=index == len(parts) - 1))
    return out


def _split(word: str) -> tuple[str, str, str]:
    """Opening punctuation, the word itself, closing punctuation."""
    if word in WHOLE_WORDS:
        return "", word, ""
    found = re.fullmatch(r"([\"'“‘«(¿¡…—–]*)(.*?)([\"'”’»).,;:!?…—–]*)", word, re.DOTALL)
    return found.groups() if found else ("", word, "")  # type: ignore[return-value]


def _phrase(lead: str, core: str, trail: str, spoken: str, *, last: bool) -> str:
    """The spoken word between its punctuation; an abbreviation's full stop ends no sentence."""
    if spoken == core:
        return f"{lead}{core}{trail}"
    abbreviated = trail.startswith(".") and core.rstrip(".").casefold() in _SHORT and not last
    return f"{lead}{spoken}{trail[1:] if abbreviated else trail}"


_SHORT = (
    frozenset(ABBREVIATIONS)
    | frozenset(BEFORE_NUMBERS)
    | frozenset(MONTHS)
    | {"st", "co", "a.m", "p.m", "ph.d"}
)


def _spoken(seat: Seat) -> str:
    # Nearly every word is letters alone, and most rules look for a figure or a sign.
    for rule in _WORD_RULES if seat.core.isalpha() else _RULES:
        if (said := rule(seat)) is not None:
            return said
    return seat.core


def _address(seat: Seat) -> str | None:
    core = seat.core
    if re.fullmatch(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+", core):
        return _dotted(core.replace("@", " at "))
    if re.fullmatch(r"@\w+", core):
        return f"at {core[1:]}"
    if re.match(r"(?:https?://|www\.)\w", core, re.IGNORECASE) or re.fullmatch(
        r"[a-z][\w-]*(?:\.[a-z][\w-]*)*\.(?:com|org|net|io|dev|ai|edu|gov|co|uk|de|fr|tv|fm|me|app)(?:/\S*)?",
        core,
        re.IGNORECASE,
    ):
        bare = re.sub(r"^https?://", "", core, flags=re.IGNORECASE)
        return _dotted(re.sub(r"^www\.", "", bare, flags=re.IGNORECASE).split("?")[0].rstrip("/"))
    return None


def _dotted(text: str) -> str:
    for mark, name in (
        (".", "dot"),
        ("/", "slash"),
        ("-", "dash"),
        ("_", "underscore"),
        ("#", "hash"),
        ("+", "plus"),
    ):
        text = text.replace(mark, f" {name} ")
    return " ".join(text.split())


def _whole(seat: Seat) -> str | None:
    return WHOLE_WORDS.get(seat.core.casefold())


def _abbreviation(seat: Seat) -> str | None:
    key = seat.core.casefold()
    numbered = bool(re.match(r"[\dIVXL]", seat.after))
    if key in MONTHS and (seat.stopped or seat.core.istitle()):
        near = re.match(r"\d", seat.after) or re.match(r"\d", seat.before)
        return MONTHS[key] if near else None
    if key == "st" and seat.stopped:
        return "Saint" if seat.after[:1].isupper() else "Street"
    if key in BEFORE_NUMBERS and numbered and (seat.stopped or key == "nos"):
        return BEFORE_NUMBERS[key]
    if key in ABBREVIATIONS and (seat.stopped or key in {"vs", "e.g", "i.e"}):
        return ABBREVIATIONS[key]
    return None


def _date_or_time(seat: Seat) -> str | None:
    core = seat.core
    if found := re.fullmatch(r"(\d{4})-(\d{2})-(\d{2})", core):
        y, month, day = (int(part) for part in found.groups())
        if 1 <= month <= 12 and 1 <= day <= 31:
            return f"{MONTH_ORDER[month - 1]} {ordinal(day)}, {year(y)}"
    if found := re.fullmatch(r"(\d{1,2}):(\d{2})(?::\d{2})?\s?([ap]m)?", core, re.IGNORECASE):
        hour, minute = int(found[1]), int(found[2])
        if hour < 24 and minute < 60:
            half = found[3] or re.fullmatch(r"[ap]\.?m", seat.after, re.IGNORECASE)
            exact = "" if half else " o'clock"
            rest = (
                exact
                if not minute
                else f" oh {cardinal(minute)}"
                if minute < 10
                else f" {cardinal(minute)}"
            )
            suffix = f" {found[3][0].lower()}.m." if found[3] else ""
            return f"{cardinal(hour)}{rest}{suffix}"
    if found := re.fullmatch(r"(\d{1,2})([ap])\.?m", core, re.IGNORECASE):
        return f"{cardinal(int(found[1]))} {found[2].lower()}.m."
    month_before = seat.before.casefold() in MONTH_NAMES and seat.before != "may"
    if re.fullmatch(r"[12]?\d|3[01]", core) and (month_before or seat.after in MONTH_ORDER):
        return ordinal(int(core))
    return None


def _decade(seat: Seat) -> str | None:
    if found := re.fullmatch(r"['’]?(\d{2}|\d{4})['’]?s", seat.core):
        number = int(found[1])
        if number % 10 == 0:
            words = year(number) if number >= 1000 else cardinal(number)
            return plural(words)
    return None


def _roman(seat: Seat) -> str | None:
    value = roman(seat.core)
    if value is None:
        return None
    if seat.before.casefold() in NUMBERED:
        return cardinal(value)
    if len(seat.core) > 1 and seat.before.istitle() and seat.core != "XL":
        return f"the {ordinal(value)}"
    return None


def _acronym(seat: Seat) -> str | None:
    """Plurals of spelled letters, whose ending engines lose: `LLMs` is "L L Ms"."""
    if found := re.fullmatch(r"([A-Z]{2,5})s", seat.core):
        letters = " ".join(found[1][:-1])
        return f"{letters} {found[1][-1]}'s"
    return None


_RULES: tuple[Callable[[Seat], str | None], ...] = (
    _whole, _address, _abbreviation, _date_or_time, _decade, *QUANTITY_RULES, _roman, _acronym,
)  # fmt: skip

_WORD_RULES: tuple[Callable[[Seat], str | None], ...] = (
    _whole, _abbreviation, *QUANTITY_WORD_RULES, _roman, _acronym,
)  # fmt: skip
"""Those of `_RULES`, in its order, that may read a word of letters alone."""
