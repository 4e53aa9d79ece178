"""Cards are lent: memory in GiB and encoder sessions, first come, first served, to all processes of
a host.

A lease is a kernel lock: whoever ends, in whatever way, has given back. A waiter runs within
milliseconds of a return and within some 40 ms of a `kill -9`. What fits on no card is refused at
once. A thread that holds a lease never waits for a second one (it is granted now or refused), so no
two stages can wait for each other.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from studio.errors import EngineUnavailable
from studio.gpu.cards import Card
from studio.gpu.folder_watch import ExitWatch
from studio.gpu.lease import Holding, Lease
from studio.gpu.placement import Request, Share, plan
from studio.gpu.tickets import Ticket, TicketFile, TicketFolder

_SWEEP_FIRST_S, _SWEEP_LATER_S = 0.03, 0.25
"""A return, and the end of a holder's process, wake a waiter at once where the kernel tells of
both. Otherwise dead holders are looked for: by the oldest waiter and by the others this often; the
oldest one's sweep wakes the others.
"""


def host_folder(environ: Mapping[str, str]) -> Path:
    """Where this user's ledger of this host lies: in `XDG_RUNTIME_DIR`, else in `TMPDIR` or /tmp.

    Never on a network file system: kernel locks, and cards, are local to a host.
    """
    runtime = environ.get("XDG_RUNTIME_DIR")
    if runtime:
        return Path(runtime) / "podcast-studio" / "ledger"
    return Path(environ.get("TMPDIR", "/tmp")) / f"podcast-studio-{os.getuid()}" / "ledger"  # noqa: S108


class Ledger:
    """The ledger of this host, as this process sees it.

    Args:
        root: a folder on a local disk, the same for every process of the host.
        cards: cards that may be lent, from `studio.gpu.cards.survey`.
        reserve_gib: memory of each card that is never lent (the desktop, other programs).
    """

    def __init__(self, root: Path, cards: Sequence[Card], *, reserve_gib: float = 0.0) -> None:
        self._folder = TicketFolder(root)
        self._cards = {card.uuid: card for card in cards}
        self._capacity = {
            card.uuid: Share(
                max(0, math.floor((card.memory_gib - reserve_gib) * 1024)), card.nvenc_sessions
            )
            for card in cards
        }
        self._bound: dict[int, int] = {}
        self._threads: dict[int, int] = {}
        self._lock = threading.Lock()

    def lend(
        self,
        *,
        stage: str,
        need_gib: float,
        nvenc: int = 0,
        card: int | None = None,
        timeout_s: float | None = None,
        on_wait: Callable[[], object] | None = None,
    ) -> Lease:
        """A share of the card with most room; waits its turn. Use it in a `with` statement.

        Args:
            stage: who asks; shown to others.
            need_gib: memory, in GiB.
            nvenc: encoder sessions on the same card.
            card: only this card (as CUDA numbers it).
            timeout_s: longest wait; `None` waits for as long as it takes.
            on_wait: called once per look at the ledger while waiting.

        Raises:
            EngineUnavailable: no card is that large, the time is up, or the calling thread holds a
                lease already and the share is not free at this moment.
        """
        lease = self._take(stage, need_gib, nvenc, card, _Patience(timeout_s, on_wait))
        if lease is None:
            raise self._too_late(stage, need_gib, nvenc, timeout_s)
        return lease

    def try_lend(
        self, *, stage: str, need_gib: float, nvenc: int = 0, card: int | None = None
    ) -> Lease | None:
        """The same without waiting: `None` when it is not free now, or when somebody waits who came
        first.
        """
        return self._take(stage, need_gib, nvenc, card, _Patience(0.0, None))

    def holdings(self) -> tuple[Holding, ...]:
        """Everybody who holds or waits on this host, in order of arrival."""
        with self._folder.locked():
            tickets = self._folder.read()
        now = time.time()
        return tuple(
            Holding(
                stage=ticket.stage,
                pid=ticket.pid,
                card=self._cards[ticket.card].index if ticket.card in self._cards else None,
                card_uuid=ticket.card,
                gib=ticket.need_mib / 1024.0,
                nvenc=ticket.nvenc,
                seconds=max(0.0, now - ticket.since),
                idle=ticket.idle,
            )
            for ticket in tickets.values()
        )

    def room_gib(self) -> dict[int, float]:
        """Memory that could be lent at this moment, by card."""
        left = {uuid: share.mib / 1024.0 for uuid, share in self._capacity.items()}
        for holding in self.holdings():
            if holding.card_uuid in left:
                left[holding.card_uuid] -= holding.gib
        return {self._cards[uuid].index: gib for uuid, gib in left.items()}

    def capacity_gib(self) -> dict[int, float]:
        """Memory that can ever be lent, by card."""
        return {
            self._cards[uuid].index: share.mib / 1024.0 for uuid, share in self._capacity.items()
        }

    def somebody_waits(self) -> bool:
        """Whether anybody on this host waits for a card."""
        return any(holding.card_uuid is None for holding in self.holdings())

    def card(self, uuid: str) -> Card:
        """A card of this ledger."""
        return self._cards[uuid]

    def bind(self, lease: Lease) -> None:
        """Count a lease as held by the calling thread."""
        with self._lock:
            me = threading.get_ident()
            self._bound[id(lease)] = me
            self._threads[me] = self._threads.get(me, 0) + 1

    def unbind(self, lease: Lease) -> None:
        """Count it as held by no thread."""
        with self._lock:
            thread = self._bound.pop(id(lease), None)
            if thread is not None:
                self._threads[thread] -= 1
                if not self._threads[thread]:
                    del self._threads[thread]

    def rewrite(self, file: TicketFile, ticket: Ticket) -> None:
        """Change what an own ticket says."""
        with self._folder.locked():
            file.write(ticket)

    def _take(
        self, stage: str, need_gib: float, nvenc: int, card: int | None, patience: _Patience
    ) -> Lease | None:
        need = Share(math.ceil(need_gib * 1024), nvenc)
        cards = self._suitable(stage, need, card)
        if patience.timeout_s != 0.0 and self._threads.get(threading.get_ident()):
            patience = _Patience(0.0, None)
        asked_ns = time.monotonic_ns()
        ticket = Ticket(
            stage=stage,
            pid=os.getpid(),
            need_mib=need.mib,
            nvenc=nvenc,
            cards={uuid: (share.mib, share.nvenc) for uuid, share in cards.items()},
            since=time.time(),
        )
        with self._folder.locked():
            file = self._folder.draw(ticket)
        granted = None
        try:
            granted = self._wait(file, ticket, patience)
        finally:
            if granted is None:
                file.remove()
        if granted is None:
            return None
        lease = Lease(self, file, granted, asked_ns)
        self.bind(lease)
        return lease

    def _wait(self, file: TicketFile, ticket: Ticket, patience: _Patience) -> Ticket | None:
        deadline = patience.deadline(time.monotonic())
        exits = ExitWatch()
        with self._folder.watch() as watch, closing(exits):
            while True:
                with self._folder.locked():
                    tickets = self._folder.read()
                    card = _turn_of(file.name, tickets)
                    if card is not None:
                        granted = replace(ticket, card=card, since=time.time())
                        file.write(granted)
                        return granted
                left_s = deadline - time.monotonic()
                if left_s <= 0.0:
                    return None
                if patience.on_wait is not None:
                    patience.on_wait()
                ends = exits.of(other.pid for other in tickets.values())
                oldest = next(name for name, other in tickets.items() if other.card is None)
                told = watch.by_kernel and exits.complete
                first = oldest == file.name and not told
                watch.wait(min(left_s, _SWEEP_FIRST_S if first else _SWEEP_LATER_S), ends)

    def _suitable(self, stage: str, need: Share, card: int | None) -> dict[str, Share]:
        """The cards that could ever hold it. Raises `EngineUnavailable` for none."""
        asked = _words(need)
        wanted = {
            uuid: share
            for uuid, share in self._capacity.items()
            if card is None or self._cards[uuid].index == card
        }
        if not wanted:
            found = "no NVIDIA card can be used" if card is None else f"there is no card {card}"
            raise EngineUnavailable(stage, f"{found}, it asks for {asked}", "Use device = 'cpu'.")
        suitable = {uuid: share for uuid, share in wanted.items() if share.holds(need)}
        if not suitable:
            largest = max(wanted.values(), key=lambda share: (share.mib, share.nvenc))
            raise EngineUnavailable(
                stage,
                f"it asks for {asked}, the largest card can lend {_words(largest)}",
                "Choose a smaller batch or model, half precision, or device = 'cpu'.",
            )
        return suitable

    def _too_late(
        self, stage: str, need_gib: float, nvenc: int, timeout_s: float | None
    ) -> EngineUnavailable:
        asked = _words(Share(math.ceil(need_gib * 1024), nvenc))
        holders = [
            f"{item.stage} holds {item.gib:.1f} GiB (process {item.pid})"
            for item in self.holdings()
            if item.card_uuid is not None
        ]
        who = "; ".join(holders) or "nobody holds anything"
        if self._threads.get(threading.get_ident()):
            return EngineUnavailable(
                stage,
                f"{asked} more are not free now and this thread holds a lease already ({who})",
                "Ask for everything a stage needs in one lease.",
            )
        return EngineUnavailable(
            stage,
            f"{asked} did not become free within {timeout_s or 0.0:g} s ({who})",
            "Wait for the other runs to end, or allow more time.",
        )


@dataclass(frozen=True, slots=True)
class _Patience:
    """How long to wait and what to do meanwhile."""

    timeout_s: float | None
    on_wait: Callable[[], object] | None

    def deadline(self, now: float) -> float:
        return math.inf if self.timeout_s is None else now + self.timeout_s


def _turn_of(name: str, tickets: Mapping[str, Ticket]) -> str | None:
    """The card that this ticket may take now."""
    held = [
        (ticket.card, Share(ticket.need_mib, ticket.nvenc))
        for ticket in tickets.values()
        if ticket.card is not None
    ]
    waiting = [
        Request(
            waiter,
            Share(ticket.need_mib, ticket.nvenc),
            {uuid: Share(mib, nvenc) for uuid, (mib, nvenc) in ticket.cards.items()},
        )
        for waiter, ticket in tickets.items()
        if ticket.card is None
    ]
    return plan(held, waiting).get(name)


def _words(share: Share) -> str:
    text = f"{share.mib / 1024:.1f} GiB"
    return text if not share.nvenc else f"{text} and {share.nvenc} encoder session(s)"
