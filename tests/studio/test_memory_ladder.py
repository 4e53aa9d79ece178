"""The ladder against a card that refuses above its size: always down, never the same again, every
step recorded.
"""

from __future__ import annotations

import contextlib
import weakref
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.errors import EngineUnavailable
from studio.memory_ladder import Rung, is_out_of_memory, rungs_below, step_down

FIRST = Rung(device="cuda", dtype="fp32", batch=16)


class OutOfMemoryError(RuntimeError):
    """Named as torch names its own."""


@dataclass
class RefusingCard:
    """Weights of 20 GiB and 1 GiB per item of a batch, in fp32; refuses what exceeds its size."""

    size_gib: float
    asked: list[Rung] = field(default_factory=list)

    def need_gib(self, rung: Rung) -> float:
        scale = 1.0 if rung.dtype == "fp32" else 0.5
        return scale * (rung.batch + (2.0 if rung.offload else 20.0))

    def render(self, rung: Rung) -> str:
        self.asked.append(rung)
        if rung.device == "cuda" and self.need_gib(rung) > self.size_gib:
            raise OutOfMemoryError(
                f"CUDA out of memory. Tried to allocate {self.need_gib(rung)} GiB"
            )
        return "the same episode"


@pytest.mark.parametrize(
    ("size_gib", "ends_on"),
    [
        (141.0, FIRST),
        (24.0, Rung(device="cuda", dtype="fp32", batch=4)),
        (8.0, Rung(device="cuda", dtype="fp16", batch=1, offload=True)),
        (1.0, Rung(device="cpu", dtype="fp32", batch=16)),
    ],
)
def test_the_same_work_finishes_on_every_card(size_gib: float, ends_on: Rung) -> None:
    card = RefusingCard(size_gib)
    descent = step_down("avatar", rungs_below(FIRST, can_offload=True), card.render)
    assert descent.value == "the same episode"
    assert descent.rung == ends_on == card.asked[-1]
    assert len(descent.steps) == len(card.asked) - 1
    for step, before, after in zip(descent.steps, card.asked, card.asked[1:], strict=False):
        assert (step.stage, step.wanted, step.used) == ("avatar", str(before), str(after))
        assert "out of memory" in step.why


@given(
    st.integers(1, 300),
    st.sampled_from(["fp32", "fp16", "bf16"]),
    st.sampled_from(["fp16", "bf16", None]),
    st.booleans(),
    st.booleans(),
)
def test_no_two_rungs_are_alike(
    batch: int, dtype: str, half: str | None, can_offload: bool, can_use_cpu: bool
) -> None:
    first = Rung(device="cuda", dtype=dtype, batch=batch)  # type: ignore[arg-type]
    rungs = rungs_below(first, half=half, can_offload=can_offload, can_use_cpu=can_use_cpu)  # type: ignore[arg-type]
    assert rungs[0] == first
    assert len(set(rungs)) == len(rungs)
    assert all(rung.batch >= 1 for rung in rungs)
    assert (rungs[-1].device == "cpu") == can_use_cpu


@settings(max_examples=15, deadline=None)
@given(st.floats(0.1, 60.0), st.lists(st.sampled_from(rungs_below(FIRST, can_offload=True))))
def test_an_identical_retry_never_happens(size_gib: float, rungs: list[Rung]) -> None:
    card = RefusingCard(size_gib)
    with contextlib.suppress(EngineUnavailable):
        step_down("avatar", rungs, card.render)
    assert len(set(card.asked)) == len(card.asked)


def test_rungs_that_cannot_fit_are_stepped_over_untried_and_recorded() -> None:
    card = RefusingCard(24.0)
    descent = step_down(
        "avatar", rungs_below(FIRST), card.render, need_gib=card.need_gib, room_gib=24.0
    )
    assert card.asked == [Rung(device="cuda", dtype="fp32", batch=4)]
    assert [step.why for step in descent.steps] == [
        "it needs 36.0 GiB and a card can lend 24.0",
        "it needs 28.0 GiB and a card can lend 24.0",
    ]


def test_with_no_rung_left_the_error_names_every_way() -> None:
    rungs = rungs_below(Rung(device="cuda", dtype="fp16", batch=2), can_use_cpu=False)
    with pytest.raises(EngineUnavailable, match=r"fp16, batch 2; cuda, fp16, batch 1"):
        step_down("avatar", rungs, RefusingCard(1.0).render)


def test_another_error_is_not_the_ladders_business() -> None:
    def broken(rung: Rung) -> None:
        raise RuntimeError("CUDA error: device-side assert triggered")

    with pytest.raises(RuntimeError, match="device-side assert"):
        step_down("avatar", rungs_below(FIRST), broken)


def test_memory_held_by_a_failed_attempt_is_free_before_the_next() -> None:
    class Tensor:
        pass

    held: list[weakref.ref[Tensor]] = []

    def attempt(rung: Rung) -> bool:
        assert all(reference() is None for reference in held)
        tensor = Tensor()
        held.append(weakref.ref(tensor))
        if rung.batch > 4:
            raise OutOfMemoryError("CUDA out of memory")
        return True

    assert step_down("avatar", rungs_below(FIRST), attempt).rung.batch == 4
    assert len(held) == 3


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OutOfMemoryError(""), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"), True),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), False),
        (MemoryError(), False),
        (ValueError("shape"), False),
    ],
)
def test_out_of_memory_is_told_from_other_errors(error: Exception, expected: bool) -> None:
    assert is_out_of_memory(error) is expected


@pytest.mark.slow
def test_torch_s_own_error_is_recognised() -> None:
    torch = pytest.importorskip("torch")
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory."))
