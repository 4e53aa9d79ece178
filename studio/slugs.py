"""File names from titles: any Unicode in, one safe name out."""

from __future__ import annotations

import hashlib
import unicodedata

MAX_BYTES = 96
"""Of UTF-8. File systems allow 255 for a name; suffixes and folders beside it need room."""

_RESERVED = frozenset(
    {"con", "prn", "aux", "nul"} | {f"{port}{n}" for port in ("com", "lpt") for n in range(10)}
)
"""Names that Windows keeps for devices, with any suffix."""


def slug(title: str) -> str:
    """A file name without a suffix: letters, marks and digits of any script, in lower case, with
    single hyphens between them.

    Never empty, never hidden, never a path, never a device's name; at most `MAX_BYTES` long.
    Titles without a letter or digit are named by their hash, so that two of them differ.
    """
    folded = unicodedata.normalize("NFKC", title).lower()
    kept = "".join(char if unicodedata.category(char)[0] in "LNM" else " " for char in folded)
    name = "-".join(kept.split())
    name = name.encode()[:MAX_BYTES].decode(errors="ignore").strip("-")
    if not name or unicodedata.category(name[0])[0] == "M":
        return "episode-" + hashlib.sha256(title.encode(errors="replace")).hexdigest()[:8]
    return f"{name}-episode" if name in _RESERVED else name
