"""Work pools: one per class of machine, named like the profile that is made for it."""

from __future__ import annotations

from collections.abc import Sequence

from profiles import load_profile, profile_names, suggest
from studio.errors import SettingError
from studio.gpu.cards import Card

ANYWHERE = "cpu"
"""The pool of what needs no card. Every machine serves it."""


def pools() -> dict[str, str]:
    """Every pool and what its machines are, as the profiles say it."""
    known = [load_profile(name) for name in profile_names()]
    made_for_cards = {one.name: one.summary for one in known if one.fits.cards}
    return {ANYWHERE: "Any computer: no card is needed.", **made_for_cards}


def pools_here(cards: Sequence[Card]) -> tuple[str, ...]:
    """The pools that a machine with these cards serves: that of its class, and what needs none."""
    return tuple(dict.fromkeys((ANYWHERE, suggest(cards))))


def check_pool(name: str) -> str:
    """The name, if there is such a pool. Raises `SettingError` otherwise."""
    if name not in pools():
        raise SettingError(f"--pool {name}", "no such pool", f"Choose of {', '.join(pools())}")
    return name
