"""English quantities in words: money, measures, ratios, versions, years and plain numbers."""

from __future__ import annotations

import re
from collections.abc import Callable

from models.voice.lexis_en import (
    CASE_SENSITIVE_UNITS,
    CURRENCIES,
    FRACTIONS,
    LETTERS_BY_THEMSELVES,
    NUMBER,
    SCALE_LETTERS,
    SCALE_WORDS,
    UNITS,
    YEAR_LEADS,
    Seat,
)
from models.voice.numerals import cardinal, decimal, digits, ordinal, pairs, year


def _money(seat: Seat) -> str | None:
    found = re.fullmatch(rf"([+\-−~]?)([$€£¥₹])({NUMBER})(k|K|M|m|bn|B|b|T)?(?:/(\w+))?", seat.core)
    if found is None:
        return None
    sign, symbol, amount, scale, per = found.groups()
    unit, fraction = CURRENCIES[symbol]
    lead = {"-": "minus ", "−": "minus ", "~": "about "}.get(sign, "")
    tail = f" per {per}" if per else ""
    if seat.after.casefold() in SCALE_WORDS and not scale:
        return lead + decimal(amount)  # the unit follows the scale word, see `_scale_word`
    if scale:
        return f"{lead}{decimal(amount)} {SCALE_LETTERS[scale.casefold()]} {_many(unit)}{tail}"
    whole, _, cents = amount.replace(",", "").partition(".")
    if len(cents) == 2 and fraction:
        parts = [f"{cardinal(int(whole))} {_count(unit, int(whole))}"] if int(whole or 0) else []
        parts += [f"{cardinal(int(cents))} {_count(fraction, int(cents))}"] if int(cents) else []
        return lead + (" ".join(parts) or f"zero {_many(unit)}") + tail
    singular = amount == "1"
    return f"{lead}{decimal(amount)} {unit if singular else _many(unit)}{tail}"


def _many(unit: str) -> str:
    return {"penny": "pence", "yen": "yen", "paisa": "paise", "foot": "feet", "inch": "inches"}.get(
        unit, f"{unit}s"
    )


def _count(unit: str, number: int) -> str:
    return unit if number == 1 else _many(unit)


def _scale_word(seat: Seat) -> str | None:
    if seat.core.casefold() in SCALE_WORDS and (
        found := re.match(r"[+\-−~]?([$€£¥₹])\d", seat.before)
    ):
        return f"{seat.core} {_many(CURRENCIES[found[1]][0])}"
    return None


def _ratio(seat: Seat) -> str | None:
    if found := re.fullmatch(r"(\d+):(\d+)", seat.core):
        return f"{cardinal(int(found[1]))} to {cardinal(int(found[2]))}"
    if found := re.fullmatch(r"(\d+)[x×](\d+)", seat.core):
        wide, high = (
            _model_number(int(side), side) if len(side) == 4 else decimal(side)
            for side in (found[1], found[2])
        )
        return f"{wide} by {high}"
    if found := re.fullmatch(r"(\d)['’′](\d{1,2})", seat.core):
        return f"{cardinal(int(found[1]))} foot {cardinal(int(found[2]))}"
    if found := re.fullmatch(r"(\d+)/(\d+)", seat.core):
        above, below = int(found[1]), int(found[2])
        if above == 0 or below < 2 or below > 20 or above >= below:
            return f"{cardinal(above)} over {cardinal(below)}"
        one, many = FRACTIONS.get(below, (ordinal(below), f"{ordinal(below)}s"))
        return f"{cardinal(above)} {one if above == 1 else many}"
    if found := re.fullmatch(rf"({NUMBER})[–—-]({NUMBER})(.*)", seat.core):
        unit = _unit(found[3], many=True) if found[3] else ""
        if unit is not None:
            low, high = (_year_or_number(part, found[1], found[2]) for part in (found[1], found[2]))
            return f"{low} to {high} {unit}".strip()
    return None


def _year_or_number(text: str, *both: str) -> str:
    years = all(re.fullmatch(r"(?:1[1-9]|20)\d\d", part) for part in both)
    return year(int(text)) if years else decimal(text)


def _ordinal(seat: Seat) -> str | None:
    if found := re.fullmatch(r"(\d{1,3}(?:,\d{3})+|\d+)(?:st|nd|rd|th)", seat.core, re.IGNORECASE):
        return ordinal(int(found[1].replace(",", "")))
    return None


def _version(seat: Seat) -> str | None:
    """Versions, addresses of machines, power terms, and names with a number in them."""
    core = seat.core
    if found := re.fullmatch(r"[vV](\d+(?:\.\d+)*)", core):
        return f"version {' point '.join(cardinal(int(part)) for part in found[1].split('.'))}"
    if re.fullmatch(r"\d+(?:\.\d+){2,}", core):
        long = core.count(".") == 3 and any(len(part) == 3 for part in core.split("."))
        return (" dot " if long else " point ").join(
            digits(part) if long else cardinal(int(part)) for part in core.split(".")
        )
    if found := re.fullmatch(r"(\d+)\^(\d+)", core):
        return f"{cardinal(int(found[1]))} to the {ordinal(int(found[2]))}"
    if found := re.fullmatch(r"#(\d+)", core):
        return f"number {cardinal(int(found[1]))}"
    if found := re.fullmatch(r"([A-Za-z]+)[-.](\d{1,4}[a-z]?)", core):
        letters, number = found.groups()
        tail = number if not number.isdigit() else _model_number(int(number), number)
        return f"{letters} {tail}"
    return None


def _model_number(number: int, text: str) -> str:
    if text.startswith("0"):
        return digits(text)
    if len(text) == 4 and number % 1000:
        return pairs(number)
    if len(text) == 3 and number % 100:
        head, rest = divmod(number, 100)
        return f"{cardinal(head)} " + (f"oh {cardinal(rest)}" if rest < 10 else cardinal(rest))
    return cardinal(number)


def _quantity(seat: Seat) -> str | None:
    """A number with its unit against it: `5kg`, `1080p`, `50%`, `-16dB`, `100k`."""
    found = re.fullmatch(rf"([+\-−~±]?)({NUMBER})([%°µμA-Za-z][°A-Za-z/]*)", seat.core)
    if found is None:
        return None
    sign, amount, symbol = found.groups()
    lead = {"-": "minus ", "−": "minus ", "~": "about ", "±": "plus or minus ", "+": "plus "}.get(
        sign, ""
    )
    if symbol == "p" and amount.isdigit() and len(amount) > 2:
        number = int(amount)
        return f"{lead}{pairs(number) if len(amount) == 4 else _model_number(number, amount)} P"
    if symbol in {"k", "M", "B", "bn"}:
        return f"{lead}{decimal(amount)} {SCALE_LETTERS[symbol.casefold()]}"
    unit = _unit(symbol, many=amount != "1")
    if unit is None:
        return None
    return f"{lead}{decimal(amount)} {unit}"


def _unit_word(seat: Seat) -> str | None:
    """A unit by itself behind a number: "3.5" "GB"."""
    if not seat.follows_number:
        return None
    if seat.core in CURRENCIES:
        unit = CURRENCIES[seat.core][0]
        return unit if seat.before == "1" else _many(unit)
    key = seat.core
    if key.casefold() in LETTERS_BY_THEMSELVES and key not in {
        "m",
        "s",
        "h",
        "g",
        "W",
        "V",
        "K",
        "min",
        "mi",
    }:
        return None
    return _unit(key, many=seat.before not in {"1", "-1"})


def _unit(symbol: str, *, many: bool) -> str | None:
    """The name of a unit, or of a quotient of two; None for what is no unit."""
    above, slash, below = symbol.partition("/")
    name = CASE_SENSITIVE_UNITS.get(above) or UNITS.get(above.casefold())
    if name is None:
        return None
    if slash:
        per = CASE_SENSITIVE_UNITS.get(below) or UNITS.get(below.casefold())
        if per is None:
            return None
        return f"{_several(name)} per {per}"
    return _several(name) if many else name


def _several(name: str) -> str:
    """The plural of a unit's name; names that hold several words, letters or no plural stay."""
    kept = name.endswith(
        ("hertz", "percent", "s", "K", "P", "M", "I", "scale", "peak", "Celsius", "Fahrenheit")
    )
    per = " per " in name
    return name if kept or per else _many(name)


def _number(seat: Seat) -> str | None:
    found = re.fullmatch(rf"([+\-−~±]?)({NUMBER})", seat.core)
    if found is None:
        return None
    sign, text = found.groups()
    lead = {"-": "minus ", "−": "minus ", "~": "about ", "±": "plus or minus ", "+": "plus "}.get(
        sign, ""
    )
    if len(text) > 1 and text.startswith("0") and text.isdigit():
        return lead + digits(text)
    if re.fullmatch(r"\d{4}", text) and not sign:
        number = int(text)
        if re.fullmatch(r"[A-Z][A-Z0-9]+", seat.before) and not seat.first and number % 1000:
            return pairs(number)
        unit = _unit(seat.after, many=True) if seat.after else None
        if unit is None and _is_year(number, seat):
            return year(number)
    return lead + decimal(text)


def _is_year(number: int, seat: Seat) -> bool:
    if 1900 <= number < 2100:
        return True
    return (
        1100 <= number < 1900
        and seat.before.casefold() in YEAR_LEADS
        and not seat.after.endswith("s")
    )


QUANTITY_RULES: tuple[Callable[[Seat], str | None], ...] = (
    _money, _scale_word, _ratio, _ordinal, _version, _quantity, _unit_word, _number,
)  # fmt: skip
"""Each reads one kind of word and gives None for any other; the first to read a word decides."""

QUANTITY_WORD_RULES = (_scale_word, _unit_word)
"""Those that may read a word of letters alone; the others need a figure in it."""
