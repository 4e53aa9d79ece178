"""Engines at work: borrowed memory, warm engines, steps down where memory or an engine is missing.

A weightless engine is opened and used. A neural one goes through the machine's pool: it takes what
it declares on the card with most room before it loads, stays warm for whoever comes next, and walks
the ladder (smaller batch, half precision, offload, CPU) when memory is not enough. Every step is a
`Fallback`. Stages of several episodes may have one loaded engine together (`Post.sharing`): their
requests meet in its calls.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, MutableMapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Generic, TypeVar

from studio.engines import EngineKey
from studio.errors import EngineUnavailable
from studio.gathering import Call, Gathering, OutOfMemoryError, Party
from studio.gpu.device_setup import effective_device, on_card
from studio.memory_ladder import Precision, Rung, is_out_of_memory, rungs_below, step_down
from studio.specs import DeviceSpec
from studio.types import Fallback
from tasks.machine import Machine
from tasks.run import Run
from tasks.sharing import Sharing

Engine = TypeVar("Engine")
Made = TypeVar("Made")


@dataclass(frozen=True, slots=True, kw_only=True)
class Post(Generic[Engine]):
    """An engine that a stage may use.

    Args:
        name: as the profile writes it.
        family: "voice", "music" or "avatar".
        spec: what makes two engines of this name the same, apart from how they run.
        open_at: opens it on a device with a batch.
        neural: whether it runs networks; the rest is of no meaning without.
        need_gib: what it takes on a card, by how it runs.
        batch: how much it works on at once.
        half: the half precision that saves it memory; `None` if none does.
        can_offload: whether its weights can wait in host memory.
        sharing: how stages use it at the same time; `None`: one after another.
    """

    name: str
    family: str
    spec: Hashable
    open_at: Callable[[DeviceSpec, int], AbstractContextManager[Engine]]
    neural: bool = False
    need_gib: Callable[[Rung], float] = lambda rung: 0.0
    batch: int = 1
    half: Precision | None = "fp16"
    can_offload: bool = False
    sharing: Sharing[Engine] | None = None


@dataclass(frozen=True, slots=True)
class _Seated(Generic[Engine]):
    """A loaded engine, the device it was loaded on, and where requests for it gather."""

    engine: Engine
    device: str
    gathering: Gathering[Any, Any] | None


def first_that_serves(
    run: Run,
    stage: str,
    posts: Sequence[Post[Engine]],
    use: Callable[[Engine], Made],
) -> tuple[Made, tuple[Fallback, ...]]:
    """What `use` makes with the first engine that runs here, and every step down to it.

    Raises the first engine's own `EngineUnavailable` when the run is strict, the last one's when
    no alternative is left.
    """
    steps: list[Fallback] = []
    for place, post in enumerate(posts):
        try:
            made, taken = _employ(run, stage, post, use)
        except EngineUnavailable as error:
            if run.strict or place == len(posts) - 1:
                raise
            why = f"{error.found}. {error.remedy}"
            wanted, used = post.name, posts[place + 1].name
            steps.append(Fallback(stage=stage, wanted=wanted, used=used, why=why))
        else:
            return made, (*steps, *taken)
    raise EngineUnavailable(stage, "the profile lists no engine", "List one under `engine`")


def _employ(
    run: Run, stage: str, post: Post[Engine], use: Callable[[Engine], Made]
) -> tuple[Made, tuple[Fallback, ...]]:
    if not post.neural or run.machine is None:
        with post.open_at(run.device, post.batch) as engine:
            return use(engine), ()
    machine = run.machine
    machine.set_up(run.device)
    device, _ = effective_device(run.device, machine.found.cards)
    rungs = _rungs(device, post)
    place = EngineKey(kind=f"{post.family}:{post.name}", spec=post.spec, device=_where(device))
    descent = step_down(
        stage,
        rungs[:1] if run.strict else rungs,
        lambda rung: _attempt(run, machine, post, place, device, rung, use),
        need_gib=post.need_gib,
        room_gib=machine.room_gib(device.card),
        refused=machine.refused.setdefault(_alike(place, post), {}),
    )
    return descent.value, tuple(
        replace(s, wanted=f"{post.name}, {s.wanted}") for s in descent.steps
    )


def _alike(place: EngineKey, post: Post[Engine]) -> EngineKey:
    """Engines that take the same memory, whoever they speak for or show: where one ran out, the
    next would.
    """
    smallest = Rung(device="cuda", dtype="fp32", batch=1)
    need_gib = post.need_gib(smallest) if place.device != "cpu" else 0.0
    return replace(place, spec=need_gib)


def _rungs(device: DeviceSpec, post: Post[Engine]) -> tuple[Rung, ...]:
    on_cpu = device.device == "cpu"
    first = Rung(
        device="cpu" if on_cpu else "cuda",
        dtype=device.dtype,
        batch=post.batch,
        offload=device.offload and post.can_offload and not on_cpu,
    )
    return rungs_below(first, half=post.half, can_offload=post.can_offload)


def _where(device: DeviceSpec) -> str:
    if device.device != "cuda" or device.card is None:
        return device.device
    return f"cuda:{device.card}"


def _attempt(
    run: Run,
    machine: Machine,
    post: Post[Engine],
    place: EngineKey,
    wanted: DeviceSpec,
    rung: Rung,
    use: Callable[[Engine], Made],
) -> Made:
    device = wanted.model_copy(
        update={"device": rung.device, "dtype": rung.dtype, "offload": rung.offload}
    )
    refused = machine.refused.setdefault(place, {})

    @contextmanager
    def opened(where: str) -> Iterator[_Seated[Engine]]:
        if rung in refused:
            # It ran out of memory for others while this stage was on its way here.
            raise OutOfMemoryError(refused[rung])
        kind, _, number = where.partition(":")
        settled = device.model_copy(
            update={"device": kind, "card": int(number) if number else None}
        )
        with ExitStack() as stack:
            with on_card(where):
                engine = stack.enter_context(post.open_at(settled, rung.batch))
            yield _Seated(engine, where, _gathering(post, engine, rung))

    need_gib = post.need_gib(rung) if rung.device == "cuda" else 0.0
    key = EngineKey(
        kind=place.kind,
        spec=(place.spec, rung, device.compile, device.threads),
        device=place.device if rung.device == "cuda" else "cpu",
    )
    with (
        machine.pool.engine(
            key,
            opened,
            need_gib=need_gib,
            shared=post.sharing is not None,
            running=run.running(),
        ) as seated,
        on_card(seated.device),
        _Noted(refused, rung),
    ):
        if post.sharing is None or seated.gathering is None:
            return use(seated.engine)
        return use(post.sharing.view(seated.engine, seated.gathering, _party(run)))


@dataclass(frozen=True, slots=True)
class _Noted:
    """Notes at once that a way to run has run out of memory: whoever comes while the engine is
    being closed must not load it again.
    """

    refused: MutableMapping[Rung, str]
    rung: Rung

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None and is_out_of_memory(error):
            words = str(error).partition("\n")[0].strip() or type(error).__name__
            self.refused.setdefault(self.rung, words)


def _gathering(post: Post[Engine], engine: Engine, rung: Rung) -> Gathering[Any, Any] | None:
    if post.sharing is None:
        return None
    return Gathering(
        post.sharing.work(engine),
        most=post.sharing.most or rung.batch,
        mixes=post.sharing.mixes,
        name=post.name,
    )


def _party(run: Run) -> Party:
    def note(call: Call) -> None:
        if run.calls is not None:
            run.calls.append(call)

    return Party(name=run.name, check=run.check, note=note, running=run.running())
