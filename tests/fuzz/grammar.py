"""Inputs as people, editors and broken disks make them: from a grammar, then damaged.

Every function takes a seeded `random.Random`: an input is named by its seed.
"""

from __future__ import annotations

import copy
import json
import math
import random
from collections.abc import Sequence
from typing import Any

WORDS = (
    "the", "card", "waits", "Dr.", "3.5", "1999", "e.g.", "GPU", "50 %", "über", "漢字", "नमस्ते",
    "مرحبا", "naïve", "🎉", "a\u0301", "o'clock", "semi-colon;", "(aside)", "[aside]", "well…",
    "$5", "https://example.org/?a=b", "%{x}", "{{y}}", "${z}", "<b>bold</b>", "`code`", "\\n", "--",
    "“q”",
)  # fmt: skip

MUSIC = (
    "calm piano", "bright drums, 120 bpm", "fade out", "stop", "underlay", "none", "-12dB", "+99dB",
    "file=a.mp3", 'file="a, b.ogg", 1:30', "file=../x.wav", "file=", "in C minor", "10s", "1:99",
    "for 3 hours", "harp and strings, slow", "", "fade in 2s, fade out 9s", "resume", "louder",
)  # fmt: skip

HEADERS = (
    "Title: {}", "Runtime: {}", "Tone: {}", "Language: {}", "Voice: {}", "Voice: ALICE={}",
    "Avatar: {}", "Avatar: ALICE={}, BOB=", "Music: {}", "Background: {}", "Aspect: {}", "Seed: {}",
    "Langauge: {}", "Style: {}", "{}: {}",
)  # fmt: skip

VALUES = (
    "x", "de", "pt-br", "German", "3:00", "~3 minutes", "2-3 min", "90 s", "0", "-1", "1e309",
    "16:9", "9:16", "7:5", "nova", "en-us+f4", "coqui_tts:p226", "a.jpg", "../a.jpg", "/etc/passwd",
    "none", "", "=", ",", ":", "\u202e", "A" * 3000, "\x00", "true", "[1, 2]", "nan",
)  # fmt: skip

NOISE = (
    "\x00",
    "\ufeff",
    "\u2028",
    "\r",
    "\t",
    "\u200d",
    "\x1b[31m",
    "\ud7ff",
    "￾",
    "]",
    "[",
    "(",
    "*",
    "#",
)


def script(draw: random.Random) -> bytes:
    """A script of both dialects, with mistakes."""
    lines: list[str] = []
    if draw.random() < 0.5:
        lines += [_header(draw) for _ in range(draw.randint(1, 6))]
        lines += [""] if draw.random() < 0.8 else []
    lines += [_line(draw) for _ in range(draw.randint(0, 30))]
    newline = draw.choice(["\n", "\n", "\n", "\r\n", "\r", "\n\n"])
    text = newline.join(lines)
    encoding = draw.choice(
        ["utf-8"] * 12 + ["utf-8-sig", "utf-16", "utf-16-le", "latin-1", "cp1252"]
    )
    return text.encode(encoding, "replace")


def _header(draw: random.Random) -> str:
    form = draw.choice(HEADERS)
    return form.format(*[draw.choice(VALUES) for _ in range(form.count("{}"))])


def _line(draw: random.Random) -> str:
    words = " ".join(draw.choices(WORDS, k=draw.randint(1, 14)))
    match draw.randrange(14):
        case 0:
            return ""
        case 1:
            return f"{draw.choice(['#', '##', '###### '])} {words}"
        case 2:
            return f"[{draw.choice(['MUSIC', 'music', 'SFX', 'Pause', ''])}: {draw.choice(MUSIC)}]"
        case 3:
            return draw.choice(
                ["(pause 0.5s)", "[pause 99s]", "(pause)", "[pause x]", "[beat]", "…"]
            )
        case 4:
            return f"<Person{draw.randint(1, 3)}>{words}</Person{draw.randint(1, 3)}>"
        case 5:
            return f"**{draw.choice(['ALICE', 'Bob', 'X Y'])}:** {words}"
        case 6:
            return f"{draw.choice(['- ', '> ', '* ', '1. ', '---', '```', '    '])}{words}"
        case 7:
            return f"<!-- {words} {draw.choice(['-->', ''])}"
        case 8:
            return _header(draw)
        case 9:
            return words + "".join(draw.choices(NOISE, k=3)) + words
        case _:
            speaker = draw.choice(["ALICE: ", "BOB: ", "Dr. Who: ", "", "", ""])
            return f"{speaker}{words}{draw.choice('.!?,')}"


def value(draw: random.Random, depth: int = 0) -> Any:
    """Any JSON value, small numbers and strange ones."""
    match draw.randrange(9 if depth < 3 else 6):
        case 0:
            return draw.choice([0, 1, -1, 2**31, -(2**63), 10**40])
        case 1:
            return draw.choice([0.5, -0.0, 1e308, math.inf, -math.inf, math.nan])
        case 2 | 3:
            return draw.choice(VALUES)
        case 4:
            return draw.choice([True, False])
        case 5:
            return None
        case 6:
            return [value(draw, depth + 1) for _ in range(draw.randint(0, 4))]
        case _:
            return {draw.choice(VALUES): value(draw, depth + 1) for _ in range(draw.randint(0, 3))}


def changed(draw: random.Random, document: Any, names: Sequence[str] = ()) -> Any:
    """A document with one to four values replaced, removed, doubled or added anywhere in it."""
    document = copy.deepcopy(document)
    for _ in range(draw.randint(1, 4)):
        place = document
        while isinstance(place, dict | list) and place and draw.random() < 0.75:
            key = draw.choice(list(place) if isinstance(place, dict) else range(len(place)))
            if not isinstance(place[key], dict | list) or not place[key]:
                break
            place = place[key]
        if isinstance(place, dict):
            key = draw.choice([*place, *names, draw.choice(VALUES)])
            if draw.random() < 0.25:
                place.pop(key, None)
            else:
                place[key] = value(draw)
        elif isinstance(place, list):
            place.insert(draw.randint(0, len(place)), value(draw))
            if draw.random() < 0.3:
                place.pop(draw.randrange(len(place)))
    return value(draw) if draw.random() < 0.02 else document


def as_json(document: Any) -> bytes:
    """As a careless program writes it: NaN and Infinity are let through."""
    return json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogatepass")


def as_toml(document: dict[str, Any]) -> bytes:
    """A TOML document; what TOML has no form for is written as the word that stands for it."""
    lines = [f"{_key(key)} = {_toml(item)}" for key, item in document.items() if not _table(item)]
    for key, item in document.items():
        if _table(item):
            lines.append(f"[{_key(key)}]")
            lines += [f"{_key(name)} = {_toml(inner)}" for name, inner in item.items()]
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def _table(item: object) -> bool:
    return isinstance(item, dict)


def _key(key: str) -> str:
    return key if key.isidentifier() and key.isascii() else json.dumps(key)


def _toml(item: Any) -> str:
    match item:
        case None:
            return '"none"'
        case bool():
            return str(item).lower()
        case float():
            return str(item)
        case dict():
            return "{" + ", ".join(f"{_key(k)} = {_toml(v)}" for k, v in item.items()) + "}"
        case list() | tuple():
            return "[" + ", ".join(_toml(one) for one in item) + "]"
        case _:
            return json.dumps(item)


def damaged(draw: random.Random, data: bytes) -> bytes:
    """The same bytes after an accident: cut, doubled, zeroed, swapped, or a bit flipped."""
    if not data:
        return bytes(draw.randrange(256) for _ in range(draw.randint(0, 64)))
    buffer = bytearray(data)
    start = draw.randrange(len(buffer))
    end = min(len(buffer), start + draw.choice([1, 4, 64, 4096]))
    match draw.randrange(7):
        case 0:
            del buffer[start:]
        case 1:
            del buffer[start:end]
        case 2:
            buffer[start:end] = bytes(end - start)
        case 3:
            buffer[start:start] = buffer[start:end]
        case 4:
            buffer[start] ^= 1 << draw.randrange(8)
        case 5:
            buffer[start:end] = bytes(draw.randrange(256) for _ in range(end - start))
        case _:
            buffer = buffer[start:] + buffer[:start]
    return bytes(buffer)
