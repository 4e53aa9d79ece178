"""What to do when a card's memory is not enough: step down, never try the same again.

The steps are declared before the first attempt: smaller batches, then half precision, then weights
kept in host memory, then the CPU. Each step taken is a `Fallback` that the summary and the manifest
show.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Generic, Literal, TypeVar

from studio.errors import EngineUnavailable
from studio.types import Fallback

Value = TypeVar("Value")
Precision = Literal["fp32", "fp16", "bf16"]

_OUT_OF_MEMORY_TYPES = {"OutOfMemoryError", "ResourceExhaustedError"}
"""torch.OutOfMemoryError (also of torch.cuda) and tensorflow.errors.ResourceExhaustedError, known
by name: neither library need be imported to recognise its error.
"""
_OUT_OF_MEMORY_WORDS = (
    "CUDA out of memory",
    "CUDA error: out of memory",
    "CUDA_ERROR_OUT_OF_MEMORY",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "OUT_OF_MEMORY",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """One way to run an engine. `offload`: weights wait in host memory and visit the card layer by
    layer.
    """

    device: Literal["cuda", "cpu"]
    dtype: Precision
    batch: int
    offload: bool = False

    def __str__(self) -> str:
        text = f"{self.device}, {self.dtype}, batch {self.batch}"
        return f"{text}, offloaded" if self.offload else text


@dataclass(frozen=True, slots=True, kw_only=True)
class Descent(Generic[Value]):
    """What came out, on which rung, and every step down to it."""

    value: Value
    rung: Rung
    steps: tuple[Fallback, ...]


def rungs_below(
    first: Rung,
    *,
    half: Precision | None = "fp16",
    can_offload: bool = False,
    can_use_cpu: bool = True,
) -> tuple[Rung, ...]:
    """The ladder: `first`, then halved batches, half precision, offload, CPU; no two rungs alike.

    Args:
        first: how the profile wants it.
        half: the half precision that the engine can run in; `None` if it cannot.
        can_offload: whether the engine can keep its weights in host memory.
        can_use_cpu: whether the engine runs on a CPU at all.
    """
    if first.device == "cpu":
        return (first,)
    rungs = [first]
    while rungs[-1].batch > 1:
        rungs.append(replace(rungs[-1], batch=rungs[-1].batch // 2))
    if half is not None and first.dtype == "fp32":
        rungs.append(replace(rungs[-1], dtype=half))
    if can_offload and not first.offload:
        rungs.append(replace(rungs[-1], offload=True))
    if can_use_cpu:
        # Host memory is another matter: the batch that was asked for, in the precision that every
        # CPU computes in.
        rungs.append(Rung(device="cpu", dtype="fp32", batch=first.batch))
    return tuple(rungs)


def step_down(
    stage: str,
    rungs: Sequence[Rung],
    attempt: Callable[[Rung], Value],
    *,
    need_gib: Callable[[Rung], float] | None = None,
    room_gib: float | None = None,
    refused: MutableMapping[Rung, str] | None = None,
) -> Descent[Value]:
    """Try the rungs in order until one has enough memory. Any other error of an attempt is raised
    as it is.

    Args:
        stage: who asks; part of the record.
        rungs: from `rungs_below`; a rung that came before is not tried again.
        attempt: runs the engine on a rung; must leave nothing on the card when it fails.
        need_gib: what a rung needs on the card by the engine's own declaration.
        room_gib: the most that any card can lend: rungs that need more are stepped over untried.
        refused: rungs that ran out of memory before, and the error's words; stepped over untried,
            and added to.

    Raises:
        EngineUnavailable: the last rung failed too; says what each one met.
    """
    steps: list[Fallback] = []
    tried: list[Rung] = []
    why = ""
    for rung in rungs:
        if rung in tried:
            continue
        if tried:
            steps.append(Fallback(stage=stage, wanted=str(tried[-1]), used=str(rung), why=why))
        tried.append(rung)
        if rung.device == "cuda" and need_gib is not None and room_gib is not None:
            need = need_gib(rung)
            if need > room_gib:
                why = f"it needs {need:.1f} GiB and a card can lend {room_gib:.1f}"
                continue
        if refused is not None and rung in refused:
            why = f"{refused[rung]} (in an earlier use)"
            continue
        shortage = _Shortage()
        with shortage:
            return Descent(value=attempt(rung), rung=rung, steps=tuple(steps))
        why = shortage.words
        if refused is not None:
            refused[rung] = why
        # Here, where the error is gone: while it is being handled it keeps the frames alive that
        # hold the memory.
        free_cached_memory()
    ways = "; ".join(map(str, tried))
    raise EngineUnavailable(
        stage,
        f"memory was not enough on any of {len(tried)} ways to run ({ways}): {why}",
        "Choose a smaller model or a larger card.",
    )


class _Shortage:
    """Ends a block that ran out of memory and keeps the error's words; any other error goes on.

    By the error's own saying, not by its class: TensorFlow's are plain `Exception`s.
    """

    def __init__(self) -> None:
        self.words = ""

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if error is None or not is_out_of_memory(error):
            return False
        self.words = str(error).partition("\n")[0].strip() or type(error).__name__
        return True


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a library's error says that a card's memory was not enough."""
    names = {kind.__name__ for kind in type(error).__mro__}
    return bool(names & _OUT_OF_MEMORY_TYPES) or any(
        words in str(error) for words in _OUT_OF_MEMORY_WORDS
    )


def free_cached_memory() -> None:
    """Give back what torch's allocator keeps for later; touches neither torch nor a card that was
    not in use.
    """
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
