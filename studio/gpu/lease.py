"""What a stage holds, and a line of the ledger."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Protocol, Self

from studio.gpu.cards import Card
from studio.gpu.tickets import Ticket, TicketFile


class Lender(Protocol):
    """What a lease needs of the ledger that granted it."""

    def card(self, uuid: str) -> Card:
        """A card by its UUID."""

    def bind(self, lease: Lease) -> None:
        """Count a lease as held by the calling thread."""

    def unbind(self, lease: Lease) -> None:
        """Count it as held by no thread."""

    def rewrite(self, file: TicketFile, ticket: Ticket) -> None:
        """Change what a ticket says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """A line of the ledger: who holds, or waits for, what. `card` is `None` while waiting.

    `idle` marks memory of a warm engine that nobody uses now and that is given up when somebody
    waits.
    """

    stage: str
    pid: int
    card: int | None
    card_uuid: str | None
    gib: float
    nvenc: int
    seconds: float
    idle: bool = False


class Lease:
    """A share of a card. Give it back with `give_back` or leave its `with` block; twice does no
    harm.

    The times are those of `time.monotonic_ns`.
    """

    def __init__(self, ledger: Lender, file: TicketFile, ticket: Ticket, asked_ns: int) -> None:
        self._ledger, self._file, self._ticket = ledger, file, ticket
        self.card = ledger.card(ticket.card or "")
        self.card_index = self.card.index
        self.stage, self.gib, self.nvenc = ticket.stage, ticket.need_mib / 1024.0, ticket.nvenc
        self.asked_ns, self.granted_ns = asked_ns, time.monotonic_ns()
        self.returned_ns: int | None = None

    @property
    def waited_s(self) -> float:
        """How long it was waited for."""
        return (self.granted_ns - self.asked_ns) * 1e-9

    def rest(self) -> None:
        """Nobody uses it now, though its memory is still taken (a warm engine)."""
        self._mark(idle=True)
        self._ledger.unbind(self)

    def resume(self) -> None:
        """The calling thread uses it again."""
        self._mark(idle=False)
        self._ledger.bind(self)

    def give_back(self) -> None:
        """Return it, after the memory is really free."""
        if self.returned_ns is None:
            self.returned_ns = time.monotonic_ns()
            self._ledger.unbind(self)
            self._file.remove()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.give_back()

    def _mark(self, *, idle: bool) -> None:
        self._ticket = replace(self._ticket, idle=idle)
        self._ledger.rewrite(self._file, self._ticket)
