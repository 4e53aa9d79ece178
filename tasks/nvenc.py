"""An encoder session of a card, borrowed for the time of an encode."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from studio.errors import EngineUnavailable
from studio.ffmpeg import Trial, choose_encoder
from studio.gpu.lease import Lease
from studio.types import Fallback
from tasks.run import Run

CONTEXT_GIB, MEGAPIXEL_GIB = 0.35, 0.1
"""An estimate: CUDA's context, and some twenty surfaces (NV12 and references) per megapixel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The encoder that works here, the card whose NVENC it is, and the steps down to it."""

    trial: Trial
    card: int | None
    steps: tuple[Fallback, ...]


@contextmanager
def open_encoder(names: Sequence[str], width: int, height: int, run: Run) -> Iterator[Chosen]:
    """The first encoder that encodes a frame here, with its session held until the block ends.

    The session is borrowed before the trial: a trial takes one too. A candidate of NVENC that the
    ledger can never serve is left out, with a `Fallback`. Raises as `choose_encoder` does.
    """
    names = tuple(names[:1] if run.strict else names)
    lease, refused = _borrow(names, CONTEXT_GIB + MEGAPIXEL_GIB * width * height / 1e6, run)
    try:
        if refused is not None:
            names = tuple(name for name in names if not _on_card(name))
        trial, steps = choose_encoder(names)
        if lease is not None and not _on_card(trial.name):
            lease.give_back()
            lease = None
        if refused is not None:
            why = f"{refused.found}. {refused.remedy}"
            steps = (Fallback(stage="encode", wanted="NVENC", used=trial.name, why=why), *steps)
        card = None if lease is None else lease.card_index
        yield Chosen(trial=trial, card=card, steps=steps)
    finally:
        if lease is not None:
            lease.give_back()


def _borrow(
    names: Sequence[str], need_gib: float, run: Run
) -> tuple[Lease | None, EngineUnavailable | None]:
    machine = run.machine
    if machine is None or machine.ledger is None or not machine.encodes():
        return None, None
    if not any(map(_on_card, names)):
        return None, None
    try:
        lease = machine.ledger.lend(
            stage="encode",
            need_gib=need_gib,
            nvenc=1,
            card=run.device.card,
            on_wait=machine.pool.evict_idle,
        )
    except EngineUnavailable as error:
        if run.strict or all(map(_on_card, names)):
            raise
        return None, error
    if (running := run.running()) is not None:
        running.holds(lease)
    return lease, None


def _on_card(name: str) -> bool:
    return name.endswith("_nvenc")
