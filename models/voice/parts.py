"""Lines longer than an engine takes at once: cut where a reader would breathe."""

from __future__ import annotations

import re


def split_text(text: str, longest: int) -> list[str]:
    """`text` in parts of at most `longest` characters, cut at punctuation, else between words."""
    parts: list[str] = []
    rest = text.strip()
    while len(rest) > longest:
        head = rest[: longest + 1]
        stops = [found.end() for found in re.finditer(r"[,;:.!?](?=\s)", head)]
        stop = max([at for at in stops if at > longest // 3], default=0)
        cut = stop or head.rfind(" ")
        cut = cut if cut > 0 else longest
        parts.append(rest[:cut].strip())
        rest = rest[cut:].strip()
    return [part for part in (*parts, rest) if part]
