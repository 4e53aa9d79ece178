"""A word of English in its place, and the tables that say how it is read."""

from __future__ import annotations

import re
from dataclasses import dataclass


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


NUMBER = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+|\d+,\d{1,2}"
CURRENCIES = {
    "$": ("dollar", "cent"), "€": ("euro", "cent"), "£": ("pound", "penny"), "¥": ("yen", ""),
    "₹": ("rupee", "paisa"),
}  # fmt: skip
SCALE_LETTERS = {
    "k": "thousand", "m": "million", "b": "billion", "bn": "billion", "t": "trillion",
}  # fmt: skip
SCALE_WORDS = frozenset({"hundred", "thousand", "million", "billion", "trillion"})
UNITS = {
    "%": "percent", "°c": "degrees Celsius", "°f": "degrees Fahrenheit", "°": "degree",
    "kb": "kilobyte", "mb": "megabyte", "gb": "gigabyte", "tb": "terabyte", "pb": "petabyte",
    "kib": "kibibyte", "mib": "mebibyte", "gib": "gibibyte", "tib": "tebibyte", "hz": "hertz",
    "khz": "kilohertz", "mhz": "megahertz", "ghz": "gigahertz", "ns": "nanosecond",
    "µs": "microsecond", "μs": "microsecond", "ms": "millisecond", "s": "second", "sec": "second",
    "min": "minute", "h": "hour", "hr": "hour", "hrs": "hour", "mm": "millimetre",
    "cm": "centimetre", "m": "metre", "km": "kilometre", "mi": "mile", "ft": "foot", "in": "inch",
    "mg": "milligram", "g": "gram", "kg": "kilogram", "lb": "pound", "lbs": "pound", "oz": "ounce",
    "ml": "millilitre", "l": "litre", "w": "watt", "kw": "kilowatt", "mw": "megawatt",
    "gw": "gigawatt", "wh": "watt hour", "kwh": "kilowatt hour", "v": "volt",
    "mah": "milliamp hour", "db": "decibel", "dbfs": "decibels full scale",
    "dbtp": "decibels true peak", "lufs": "luffs", "px": "pixel", "fps": "frames per second",
    "mph": "miles per hour", "rpm": "R P M", "wpm": "words per minute", "bpm": "beats per minute",
    "dpi": "D P I", "tflops": "teraflops", "pt": "point", "p": "P", "x": "times",
}  # fmt: skip
"""Unit symbols in lower case and their singular; see `_unit` for plurals and for quotients such as
`GB/s`.
"""

CASE_SENSITIVE_UNITS = {
    "K": "K", "kbps": "kilobits per second", "Mbps": "megabits per second",
    "Gbps": "gigabits per second", "Mbit": "megabit", "Gbit": "gigabit", "MP": "megapixel",
    "W": "watt", "A": "amp",
}  # fmt: skip
LETTERS_BY_THEMSELVES = _words("in m s l p x a h v w k g min mi pt")
"""Symbols that are also words or letters: units only when written against the number, or
capitalless after it.
"""

MONTHS = {
    "jan": "January", "feb": "February", "mar": "March", "apr": "April", "jun": "June",
    "jul": "July", "aug": "August", "sep": "September", "sept": "September", "oct": "October",
    "nov": "November", "dec": "December",
}  # fmt: skip
MONTH_NAMES = _words("""
    january february march april may june july august september october november december
""") | frozenset(MONTHS)
MONTH_ORDER = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
ABBREVIATIONS = {
    "dr": "Doctor", "mr": "Mister", "mrs": "Missus", "ms": "Mizz", "prof": "Professor",
    "jr": "Junior", "sr": "Senior", "vs": "versus", "etc": "et cetera", "e.g": "for example",
    "eg": "for example", "i.e": "that is", "cf": "compare", "approx": "approximately",
    "inc": "Incorporated", "ltd": "Limited", "corp": "Corporation", "dept": "department",
    "gov": "Governor", "gen": "General", "sen": "Senator",
    "rep": "Representative", "capt": "Captain", "lt": "Lieutenant", "sgt": "Sergeant",
    "rev": "Reverend", "ave": "Avenue", "blvd": "Boulevard", "mt": "Mount",
    "ca": "circa",
}  # fmt: skip
"""Read so when a full stop follows (it does not end the sentence then)."""
BEFORE_NUMBERS = {
    "no": "number", "nos": "numbers", "fig": "figure", "vol": "volume", "ch": "chapter",
    "p": "page", "pp": "pages", "sec": "section", "ep": "episode", "v": "version",
}  # fmt: skip
WHOLE_WORDS = {
    "w/": "with", "w/o": "without", "b/c": "because", "c#": "C sharp", "f#": "F sharp",
    "c++": "C plus plus", "&": "and", "+": "plus", "=": "equals", "×": "times", "%": "percent",
    "@": "at", "→": "to", "~": "about", "±": "plus or minus", "≈": "about", "≤": "at most",
    "≥": "at least", "<": "less than", ">": "more than", "24/7": "twenty-four seven",
    "°c": "degrees Celsius", "°f": "degrees Fahrenheit", ".net": "dot net",
}  # fmt: skip
YEAR_LEADS = (
    _words("""
    in since by from until till before after around circa during year early late mid of between
    and to spring summer autumn fall winter
""")
    | MONTH_NAMES
)
NUMBERED = _words("""
    chapter part volume act book section war type phase title episode season scene appendix
    figure level stage mark class tier article
""")
FRACTIONS = {2: ("half", "halves"), 4: ("quarter", "quarters")}


@dataclass(frozen=True, slots=True)
class Seat:
    """A word without its punctuation, and its neighbours likewise; `stopped` when a full stop
    follows it.
    """

    core: str
    before: str
    after: str
    stopped: bool
    first: bool

    @property
    def follows_number(self) -> bool:
        """Whether the word before is a plain number or a range of two."""
        return bool(re.fullmatch(rf"[+\-−~±]?(?:(?:{NUMBER})[–—-])?(?:{NUMBER})", self.before))
