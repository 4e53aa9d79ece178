"""How wide a text is, in columns of a fixed-width grid."""

from __future__ import annotations

import unicodedata


def columns(text: str) -> int:
    """Characters, with Chinese, Japanese, Korean and emoji counted twice (Unicode Annex 11)."""
    if text.isascii():
        return len(text)
    return len(text) + sum(unicodedata.east_asian_width(one) in {"W", "F"} for one in text)
