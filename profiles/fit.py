"""Which profile fits a machine, and what a machine lacks for a profile."""

from __future__ import annotations

from collections.abc import Sequence

from profiles.loader import Profile, load_profile, profile_names
from studio.gpu.cards import Card


def shortfall(profile: Profile, cards: Sequence[Card]) -> str:
    """What the machine lacks for the profile, in words; empty where it has everything.

    The profile runs all the same: engines step down the ladder or to the alternatives it lists.
    """
    wanted = profile.fits
    if not wanted.cards:
        return ""
    if not cards:
        return f"it is made for {_words(wanted.cards, wanted.card_gib)}, and there is no card"
    enough = [card for card in cards if card.memory_gib >= wanted.card_gib]
    if len(enough) < wanted.cards:
        found = ", ".join(f"{card.name} with {card.memory_gib:.1f} GiB" for card in cards)
        return f"it is made for {_words(wanted.cards, wanted.card_gib)}, and there is {found}"
    if wanted.nvenc and not any(card.nvenc_sessions for card in cards):
        return "it is made for a card that encodes (NVENC), and there is none"
    return ""


def suggest(cards: Sequence[Card]) -> str:
    """The name of the most demanding profile that the machine can serve whole."""
    profiles = [load_profile(name) for name in profile_names()]
    fitting = [one for one in profiles if not shortfall(one, cards) and one.name != "draft"]
    return max(fitting, key=lambda one: (one.fits.card_gib, one.fits.cards)).name


def _words(count: int, gib: float) -> str:
    return f"a card of {gib:g} GiB" if count == 1 else f"{count} cards of {gib:g} GiB"
