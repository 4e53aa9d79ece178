"""Requests of several stages for one loaded engine, served together.

While the engine works for one stage, requests of the others gather; whoever gets the engine next
takes along all that has gathered, as many as the engine works on at once, and hands everybody their
own answers (as databases commit in groups: DeWitt et al., "Implementation Techniques for Main
Memory Database Systems", 1984, section 5.2). There is no thread of its own and no waiting for
company: a stage that is alone is served at once.

The answer to a request must not depend on what else is in a call. Then what is dealt together is a
matter of speed alone, and equal requests are answered by one piece of work.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Generic, TypeVar, cast

from studio.gpu.running import Running
from studio.memory_ladder import is_out_of_memory

Item = TypeVar("Item", bound=Hashable)
Answer = TypeVar("Answer")
Value = TypeVar("Value")

_LOOK_S = 0.25
"""How often one who waits looks whether it is to stop."""


class OutOfMemoryError(RuntimeError):
    """What ran out of memory was a call for several: each learns of it with an error of its own.

    `studio.memory_ladder` knows it by its name. It carries words only: the first error's frames
    hold what has to be freed.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of an engine: the requests that it answered, how many pieces of work they were
    (equal ones are one), whose they were, and how long it took.
    """

    engine: str
    num_requests: int
    num_made: int
    parties: tuple[str, ...]
    wall_s: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Party:
    """Who asks.

    Args:
        name: the episode.
        check: called now and then while waiting; raises when the party is to stop.
        note: told of every call that this party's thread made, for whomever.
        running: the metered stage, to which work is booked that others did for it.
    """

    name: str = ""
    check: Callable[[], None] = lambda: None
    note: Callable[[Call], None] = lambda call: None
    running: Running | None = None


@dataclass(slots=True, eq=False)
class _Request:
    items: tuple[Any, ...]
    party: Party
    work: Callable[[Sequence[Any]], Iterable[Any]]
    alone: bool = False
    pending: deque[int] = field(default_factory=deque)
    answers: dict[int, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.pending.extend(range(len(self.items)))


class Gathering(Generic[Item, Answer]):
    """The door to one engine for stages that use it at the same time.

    Args:
        work: makes an answer for each of at most `most` items, in order. One thread at a time is in
            it.
        most: how many items the engine works on at once.
        mixes: whether items of different parties may share a call.
        name: of the engine, for the record of its calls.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Item]], Iterable[Answer]],
        *,
        most: int,
        mixes: bool = True,
        name: str = "",
    ) -> None:
        self._work, self._most, self._mixes, self._name = work, most, mixes, name
        self._turn = threading.Condition()
        self._requests: list[_Request] = []
        self._line: deque[_Request] = deque()
        """Those whose threads are waiting here: the first one makes the next call."""
        self._led = False
        self._spent = ""

    def ask(self, items: Sequence[Item], party: Party) -> Iterator[Answer]:
        """The answers in order, each as soon as it is there. All items gather at the first `next`.

        An error of a call for several parties is no party's yet: each is then served by itself, in
        its own thread, and only the one whose items cannot be made meets the error. Raises what
        `work` raises, what `party.check` raises, and `OutOfMemoryError` after a call of another
        party has run out of memory: the engine is spent then.
        """
        request = _Request(tuple(items), party, self._work, alone=not self._mixes)
        yield from self._served(request)

    def apart(self, work: Callable[[], Value], party: Party) -> Value:
        """Do something with the engine that is no batch work, when its turn comes."""
        request = _Request((None,), party, lambda _: (work(),), alone=True)
        return cast("Value", next(self._served(request)))

    @property
    def num_waiting(self) -> int:
        """How many requests are not answered in full."""
        with self._turn:
            return sum(bool(request.pending) for request in self._requests)

    def _served(self, request: _Request) -> Iterator[Any]:
        with self._turn:
            self._requests.append(request)
        try:
            for place in range(len(request.items)):
                while self._leads(request, place):
                    try:
                        self._call(request)
                    finally:
                        self._give_way()
                yield request.answers.pop(place)
        finally:
            with self._turn:
                self._requests.remove(request)

    def _leads(self, request: _Request, place: int) -> bool:
        """Wait until the answer is there (false) or the caller is the one to make a call (true)."""

        def waits() -> bool:
            first = not self._led and self._line[0] is request
            return place not in request.answers and not self._spent and not first

        with self._turn:
            self._line.append(request)
            try:
                while waits():
                    self._turn.wait(_LOOK_S)
                    request.party.check()
                if place in request.answers:
                    return False
                if self._spent:
                    raise OutOfMemoryError(self._spent)
                request.party.check()
                self._led = True
                return True
            finally:
                self._line.remove(request)
                self._turn.notify_all()

    def _give_way(self) -> None:
        with self._turn:
            self._led = False
            self._turn.notify_all()

    def _call(self, leader: _Request) -> None:
        """Make one call for the leader, and for all who fit in with it."""
        with self._turn:
            made, dealt = self._deal(leader)
        began = time.monotonic()
        answers: dict[Any, Any] = {}
        with _Trial(self._failed, dealt), _worked_for(leader.party.running, dealt):
            answers = dict(zip(made, leader.work(made), strict=True))
        if not answers:
            return
        with self._turn:
            self._hand_out(answers, dealt)
        if leader.work is self._work:
            leader.party.note(
                Call(
                    engine=self._name,
                    num_requests=sum(map(len, dealt.values())),
                    num_made=len(made),
                    parties=tuple(sorted({request.party.name for request in dealt})),
                    wall_s=time.monotonic() - began,
                )
            )

    def _deal(self, leader: _Request) -> tuple[list[Any], dict[_Request, list[int]]]:
        """What the next call works on: an item of each request in turn, until the call is full.

        A request with a hundred items does not hold up one with a single one. The leader comes
        first, then whoever was not served the longest.
        """
        others = [one for one in self._requests if one.pending and not one.alone]
        queue = [leader, *(one for one in others if one is not leader and not leader.alone)]
        dealt: dict[_Request, list[int]] = {one: [] for one in queue}
        made: dict[Any, None] = {}
        while queue:
            for request in tuple(queue):
                places = dealt[request]
                if len(places) == len(request.pending):
                    queue.remove(request)
                    continue
                item = request.items[request.pending[len(places)]]
                if item not in made and len(made) == self._most:
                    queue.remove(request)
                    continue
                made[item] = None
                places.append(request.pending[len(places)])
        return list(made), {request: places for request, places in dealt.items() if places}

    def _failed(self, error: BaseException, dealt: Mapping[_Request, list[int]]) -> bool:
        """Whether an error of a call is settled here. Memory is everybody's, any other error is
        whose items cause it: each of several is tried by itself.
        """
        with self._turn:
            if is_out_of_memory(error):
                self._spent = str(error).partition("\n")[0].strip() or type(error).__name__
                return False
            if len(dealt) == 1 or not isinstance(error, Exception):
                return False
            for request in dealt:
                request.alone = True
            return True

    def _hand_out(self, answers: Mapping[Any, Any], dealt: Mapping[_Request, list[int]]) -> None:
        for request, places in dealt.items():
            for place in places:
                request.answers[place] = answers[request.items[place]]
                request.pending.popleft()
            if request in self._requests:
                self._requests.remove(request)
                self._requests.append(request)
        self._turn.notify_all()


@dataclass(frozen=True, slots=True)
class _Trial:
    """A block whose error `settle` judges: true, and it ends here; false, and it goes on. Errors of
    the libraries behind an engine are of any class.
    """

    settle: Callable[[BaseException, Mapping[_Request, list[int]]], bool]
    dealt: Mapping[_Request, list[int]]

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        return error is not None and self.settle(error, self.dealt)


def _worked_for(
    stage: Running | None, dealt: Mapping[_Request, Sequence[int]]
) -> AbstractContextManager[None]:
    """What the leader's thread uses meanwhile is shared out among those it works for."""
    parts: dict[Running, int] = {}
    for request, places in dealt.items():
        if (owner := request.party.running) is not None:
            parts[owner] = parts.get(owner, 0) + len(places)
    if stage is None or parts.keys() <= {stage}:
        return nullcontext()
    return stage.works_for(parts)
