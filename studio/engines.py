"""Engines that stay warm: across stages, episodes and a batch, as long as nobody else needs their
memory.

An engine is known by what it is, its spec and its device. It has one user at a time; a second one
gets another copy if copies are allowed, else its turn. Users that see to their turns themselves
(`studio.gathering`) share one. A warm engine that nobody uses keeps its lease, marked idle; when
anybody on the host waits for memory, the least recently used idle engine is closed and its lease
given back.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Hashable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self, TypeVar, cast

import psutil

from studio.errors import EngineUnavailable
from studio.gpu.lease import Lease
from studio.gpu.ledger import Ledger
from studio.gpu.running import Running
from studio.gpu.trace import PhaseKind
from studio.memory_ladder import free_cached_memory, is_out_of_memory

Engine = TypeVar("Engine")

_LEAST_HOST_GIB = 3.0
"""Below this, idle engines on the CPU leave before another is loaded: room for it (XTTS takes
2 GiB) and for the encoder.
"""

_LOOK_S = 0.05
"""How often the pool asks whether somebody waits, while it has idle engines on a card."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineKey:
    """What makes two engines the same: kind ("voice:coqui_tts"), its spec, and the device it was
    asked for.
    """

    kind: str
    spec: Hashable
    device: str


@dataclass(slots=True, eq=False)
class _Warm:
    key: EngineKey
    context: AbstractContextManager[Any]
    engine: Any
    lease: Lease | None
    users: int = 1
    spent: bool = False
    last_used: float = field(default_factory=time.monotonic)


class EnginePool:
    """Warm engines of this process. Close it, or leave its `with` block, to free them all.

    Args:
        ledger: where memory of cards is borrowed; `None` on a machine without cards.
    """

    def __init__(self, ledger: Ledger | None = None) -> None:
        self._ledger = ledger
        self._turn = threading.Condition()
        self._warm: list[_Warm] = []
        self._loading: dict[EngineKey, int] = {}
        self._users: dict[int, int] = {}
        self._closing: set[int] = set()
        self._closed = False
        self._watcher: threading.Thread | None = None
        self._stop = threading.Event()
        self.loads: dict[EngineKey, int] = {}
        """How often each engine was loaded: 1 however often it was used, unless it had to make
        room.
        """

    @contextmanager
    def engine(
        self,
        key: EngineKey,
        open_engine: Callable[[str], AbstractContextManager[Engine]],
        *,
        need_gib: float = 0.0,
        copies: int = 1,
        shared: bool = False,
        running: Running | None = None,
    ) -> Iterator[Engine]:
        """A warm engine, or a new one.

        Args:
            key: which one; `key.device` "cuda" borrows memory from the ledger, anything else does
                not.
            open_engine: opens it on a device such as "cuda:1" or "cpu".
            need_gib: memory to borrow.
            copies: most engines of this key at one time.
            shared: all users of this key have the one engine at the same time.
            running: the metered stage that uses it: it learns of the card, of waiting and of
                loading.

        Raises:
            EngineUnavailable: it does not fit on any card; or the calling thread uses an engine
                already and would have to wait for this one, which could last for ever.

        An engine that ran out of memory is closed, not kept; its users leave when it is gone.
        """
        warm = self._idle_or_none(key, copies, running, shared=shared)
        if warm is None:
            warm = self._load(key, open_engine, need_gib, running)
        elif warm.lease is not None and running is not None:
            running.holds(warm.lease)
        if shared and warm.lease is not None and self._ledger is not None:
            # It is no thread's own: the first user may leave before the others.
            self._ledger.unbind(warm.lease)
        self._count_user(+1)
        memory = _MemoryWatch()
        try:
            with memory:
                yield cast("Engine", warm.engine)
        finally:
            self._count_user(-1)
            self._put_back(warm, spent=memory.spent)

    def evict_idle(self, *, on_card: bool = True) -> bool:
        """Close the least recently used idle engine that holds a lease (or, off the card, none).
        Whether there was one.
        """
        with self._turn:
            idle = [
                warm
                for warm in self._warm
                if not warm.users and (warm.lease is not None) == on_card
            ]
            if not idle:
                return False
            oldest = min(idle, key=lambda warm: warm.last_used)
            self._warm.remove(oldest)
            self._turn.notify_all()
        _close(oldest)
        return True

    def close(self) -> None:
        """Close every idle engine now and each busy one when its user is done."""
        self._stop.set()
        with self._turn:
            self._closed = True
            idle = [warm for warm in self._warm if not warm.users]
            self._warm = [warm for warm in self._warm if warm.users]
            watcher, self._watcher = self._watcher, None
            self._turn.notify_all()
        for warm in idle:
            _close(warm)
        if watcher is not None and watcher is not threading.current_thread():
            watcher.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _idle_or_none(
        self, key: EngineKey, copies: int, running: Running | None, *, shared: bool
    ) -> _Warm | None:
        """An engine of this key to use, or `None` when the caller is to load one."""
        with self._turn:
            while True:
                same = [warm for warm in self._warm if warm.key == key]
                for warm in same:
                    if shared or not warm.users:
                        warm.users += 1
                        first = warm.users == 1
                        break
                else:
                    if len(same) + self._loading.get(key, 0) < copies:
                        self._loading[key] = self._loading.get(key, 0) + 1
                        return None
                    if self._users.get(threading.get_ident()):
                        raise EngineUnavailable(
                            key.kind,
                            "it is in use, and this thread uses another engine already",
                            "Close one engine before asking for the next, or allow more copies.",
                        )
                    # All users of a shared engine wait for nothing but its loading.
                    kind: PhaseKind = "load" if shared else "lease"
                    with nullcontext() if running is None else running.phase(kind):
                        self._turn.wait()
                    continue
                break
        if warm.lease is not None and first:
            warm.lease.resume()
        return warm

    def _load(
        self,
        key: EngineKey,
        open_engine: Callable[[str], AbstractContextManager[Any]],
        need_gib: float,
        running: Running | None,
    ) -> _Warm:
        lease, warm = None, None
        try:
            lease = self._borrow(key, need_gib)
            if lease is not None and running is not None:
                running.holds(lease)
            while lease is None and _host_is_short() and self.evict_idle(on_card=False):
                pass
            device = key.device if lease is None else f"cuda:{lease.card_index}"
            with nullcontext() if running is None else running.phase("load"):
                context = open_engine(device)
                warm = _Warm(key, context, context.__enter__(), lease)
        finally:
            if warm is None and lease is not None:
                lease.give_back()
            self._loaded(key, warm)
        return warm

    def _loaded(self, key: EngineKey, warm: _Warm | None) -> None:
        with self._turn:
            self._loading[key] -= 1
            if warm is not None:
                self._warm.append(warm)
                self.loads[key] = self.loads.get(key, 0) + 1
            self._turn.notify_all()

    def _borrow(self, key: EngineKey, need_gib: float) -> Lease | None:
        if not key.device.startswith("cuda"):
            return None
        if self._ledger is None:
            raise EngineUnavailable(
                key.kind, "there is no NVIDIA card on this machine", "Use device = 'cpu'."
            )
        _, _, number = key.device.partition(":")
        card = int(number) if number else None
        lease = self._ledger.try_lend(stage=key.kind, need_gib=need_gib, card=card)
        while lease is None and self.evict_idle():
            lease = self._ledger.try_lend(stage=key.kind, need_gib=need_gib, card=card)
        if lease is not None:
            return lease
        # Whoever uses an engine must not wait for another: others may wait for the first.
        patience_s = 0.0 if self._users.get(threading.get_ident()) else None
        return self._ledger.lend(
            stage=key.kind,
            need_gib=need_gib,
            card=card,
            timeout_s=patience_s,
            on_wait=self.evict_idle,
        )

    def _put_back(self, warm: _Warm, *, spent: bool) -> None:
        gone = self._leave(warm, spent=spent)
        if gone:
            try:
                _close(warm)
            finally:
                with self._turn:
                    self._closing.discard(id(warm))
                    self._turn.notify_all()
        elif spent:
            # What it holds is free when its last user has left: another way to run begins then.
            with self._turn:
                self._turn.wait_for(lambda: id(warm) not in self._closing)

    def _leave(self, warm: _Warm, *, spent: bool) -> bool:
        """One user less. Whether the caller is to close the engine.

        The last one marks the lease idle before it lets go, and takes that back if somebody has
        come in meanwhile: nobody can evict an engine whose mark is being changed.
        """
        rests = False
        while True:
            with self._turn:
                if spent and not warm.spent:
                    warm.spent = True
                    self._closing.add(id(warm))
                    self._warm.remove(warm)
                last = warm.users == 1
                if last == rests or warm.lease is None:
                    warm.users -= 1
                    warm.last_used = time.monotonic()
                    gone = not warm.users and (self._closed or warm.spent)
                    if gone and not warm.spent:
                        self._warm.remove(warm)
                    self._start_watching(warm)
                    self._turn.notify_all()
                    return gone
            if last:
                warm.lease.rest()
            else:
                warm.lease.resume()
                if self._ledger is not None:
                    self._ledger.unbind(warm.lease)
            rests = last

    def _start_watching(self, warm: _Warm) -> None:
        if warm.users or warm.lease is None or self._closed or self._watcher is not None:
            return
        self._watcher = threading.Thread(target=self._watch, name="engines", daemon=True)
        self._watcher.start()

    def _watch(self) -> None:
        """Make room for others on the host: one idle engine per look, as long as somebody waits."""
        ledger = self._ledger
        while ledger is not None and not self._stop.wait(_LOOK_S):
            with self._turn:
                idle = any(not warm.users and warm.lease is not None for warm in self._warm)
            if idle and ledger.somebody_waits():
                self.evict_idle()

    def _count_user(self, step: int) -> None:
        with self._turn:
            me = threading.get_ident()
            self._users[me] = self._users.get(me, 0) + step
            if not self._users[me]:
                del self._users[me]


class _MemoryWatch:
    """Tells whether the block ran out of memory; its error goes on."""

    def __init__(self) -> None:
        self.spent = False

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.spent = error is not None and is_out_of_memory(error)
        if self.spent:
            # Frames that have ended keep their tensors as long as the error is on its way.
            traceback.clear_frames(trace)


def _host_is_short() -> bool:
    return bool(psutil.virtual_memory().available < _LEAST_HOST_GIB * 2**30)


def _close(warm: _Warm) -> None:
    """Close an engine, free its memory, then give back its lease: in this order, whatever closing
    says.

    The pool lets go of the engine first: memory is free when nothing refers to it any more.
    """
    context, warm.engine, warm.context = warm.context, None, nullcontext()
    try:
        context.__exit__(None, None, None)
    finally:
        del context
        if warm.lease is not None:
            free_cached_memory()
            warm.lease.give_back()
