"""English numbers in words, as they are read aloud (American style, without "and")."""

from __future__ import annotations

import re

ONES = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
    "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
TENS = (
    "zero", "ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety",
)  # fmt: skip
SCALES = ((10**12, "trillion"), (10**9, "billion"), (10**6, "million"), (1000, "thousand"))
LARGEST = 10**15 - 1
IRREGULAR_ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}
ROMAN = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}


def digits(text: str) -> str:
    """Each digit by itself: `"401"` is "four zero one"."""
    return " ".join(ONES[int(digit)] for digit in text)


def cardinal(number: int) -> str:
    """`2026` is "two thousand twenty-six"; beyond `LARGEST` digit by digit. Negative numbers begin
    with "minus".
    """
    if number < 0:
        return f"minus {cardinal(-number)}"
    if number > LARGEST:
        return digits(str(number))
    if number < 20:
        return ONES[number]
    if number < 100:
        tens, ones = divmod(number, 10)
        return TENS[tens] + (f"-{ONES[ones]}" if ones else "")
    if number < 1000:
        hundreds, rest = divmod(number, 100)
        return f"{ONES[hundreds]} hundred" + (f" {cardinal(rest)}" if rest else "")
    scale, name = next(entry for entry in SCALES if number >= entry[0])
    count, rest = divmod(number, scale)
    return f"{cardinal(count)} {name}" + (f" {cardinal(rest)}" if rest else "")


def ordinal(number: int) -> str:
    """`22` is "twenty-second"."""
    words = cardinal(number)
    cut = max(words.rfind(" "), words.rfind("-")) + 1
    head, last = words[:cut], words[cut:]
    if last in IRREGULAR_ORDINALS:
        return head + IRREGULAR_ORDINALS[last]
    return head + (f"{last[:-1]}ieth" if last.endswith("y") else f"{last}th")


def decimal(text: str) -> str:
    """A written number with sign, thousands commas and decimals: `"-1,203.50"`, also `"3,50"`."""
    sign = "minus " if text[:1] in "-−" else ""
    if re.fullmatch(r"\D?\d+,\d{1,2}", text):
        text = text.replace(",", ".")
    whole, point, fraction = text.lstrip("+-−").replace(",", "").partition(".")
    spoken = cardinal(int(whole or "0"))
    return sign + spoken + (f" point {digits(fraction)}" if point and fraction else "")


def pairs(number: int) -> str:
    """Four digits read by twos: `4090` is "forty ninety", `1905` "nineteen oh five", `1900`
    "nineteen hundred".
    """
    high, low = divmod(number, 100)
    if low == 0:
        return f"{cardinal(high)} hundred"
    return f"{cardinal(high)} " + (f"oh {ONES[low]}" if low < 10 else cardinal(low))


def year(number: int) -> str:
    """`1995` is "nineteen ninety-five", `2005` "two thousand five", `2026` "twenty twenty-six"."""
    if number < 1000 or number % 1000 < 10:
        return cardinal(number)
    return pairs(number)


def plural(words: str) -> str:
    """The plural of the last word: for decades ("nineteen nineties")."""
    return (
        f"{words[:-1]}ies"
        if words.endswith("y")
        else f"{words}{'es' if words.endswith('x') else 's'}"
    )


def roman(text: str) -> int | None:
    """The value of a well-formed Roman numeral below 100 in capitals, else None."""
    if not text or set(text) - set("IVXLC"):
        return None
    values = [ROMAN[letter] for letter in text]
    following = [*values[1:], 0]
    total = sum(-a if a < b else a for a, b in zip(values, following, strict=True))
    return total if 0 < total < 100 and _as_roman(total) == text else None


def _as_roman(number: int) -> str:
    table = ((90, "XC"), (50, "L"), (40, "XL"), (10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I"))
    out = ""
    for value, letters in table:
        while number >= value:
            out += letters
            number -= value
    return out
