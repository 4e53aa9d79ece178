"""Who gets which card: a pure function of what is held and who waits, the same in every process.

First come, first served. A request that fits nowhere yet reserves the card on which most of what it
needs is free: what comes later may not use that card, but may use the others. A reserved card only
ever gains room, and the reservation moves only to a card with still more of it, so a big request is
served after the leases before it have ended, however many small ones keep coming.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class Share:
    """An amount of a card: memory in MiB (whole, so that sums are exact) and encoder sessions."""

    mib: int
    nvenc: int

    def minus(self, other: Share) -> Share:
        """What is left after `other` is taken."""
        return Share(self.mib - other.mib, self.nvenc - other.nvenc)

    def holds(self, need: Share) -> bool:
        """Whether `need` fits."""
        return self.mib >= need.mib and self.nvenc >= need.nvenc


@dataclass(frozen=True, slots=True)
class Request:
    """Somebody who waits: what for, and which cards (with their whole capacity) would do."""

    ticket: str
    need: Share
    cards: Mapping[str, Share]


def plan(held: Iterable[tuple[str, Share]], waiting: Sequence[Request]) -> dict[str, str]:
    """Which waiting tickets may start now, and on which card.

    Args:
        held: a card and a share for every lease.
        waiting: requests, oldest first.
    """
    free: dict[str, Share] = {}
    for request in waiting:
        for card, capacity in request.cards.items():
            known = free.get(card, capacity)
            free[card] = Share(min(known.mib, capacity.mib), min(known.nvenc, capacity.nvenc))
    for card, share in held:
        if card in free:
            free[card] = free[card].minus(share)
    granted: dict[str, str] = {}
    reserved: set[str] = set()
    for request in waiting:
        open_cards = [
            card
            for card, capacity in request.cards.items()
            if card not in reserved and capacity.holds(request.need)
        ]
        fitting = [card for card in open_cards if free[card].holds(request.need)]
        if fitting:
            # The most room wins; equal rooms go to the first card of the request.
            card = max(fitting, key=lambda card: (free[card].mib, free[card].nvenc))
            free[card] = free[card].minus(request.need)
            granted[request.ticket] = card
        elif open_cards:
            reserved.add(max(open_cards, key=lambda card: readiness(free[card], request.need)))
    return granted


def readiness(free: Share, need: Share) -> Fraction:
    """How much of what is needed is free, 0 to 1: the scarcer of memory and encoder sessions
    decides.
    """
    parts = [
        Fraction(max(0, have), want)
        for have, want in ((free.mib, need.mib), (free.nvenc, need.nvenc))
        if want
    ]
    return min([Fraction(1), *parts])
