"""What only a real card can prove. Run with `pytest -m gpu` on a machine that has one, with torch
for CUDA.
"""

from __future__ import annotations

import os
import time

import pytest

from studio.gpu.cards import Survey, load_nvml, survey
from studio.gpu.doctor import examine
from studio.gpu.meter import Meter
from studio.memory_ladder import Rung, rungs_below, step_down

pytestmark = pytest.mark.gpu


@pytest.fixture
def found() -> Survey:
    pytest.importorskip("torch")
    result = survey(load_nvml(), os.environ)
    if not result.cards:
        pytest.skip(result.why)
    return result


def test_every_row_of_the_doctor_passes(found: Survey) -> None:
    assert found.cards
    assert [row for row in examine(load_nvml(), os.environ) if row.passed is False] == []


@pytest.mark.parametrize("duty", [0.25, 0.5, 1.0])
def test_utilisation_of_a_kernel_with_known_gaps_is_right_within_three_points(
    found: Survey, duty: float
) -> None:
    import torch

    # Cycles of two seconds: long against NVML's own window of a sixth of a second to one second.
    work = torch.randn(4096, 4096, device="cuda:0")
    with Meter(found.cards, nvml=load_nvml(), sample_hz=10.0) as meter:
        time.sleep(1.5)
        with meter.stage("kernel") as running:
            for _ in range(10):
                end = time.perf_counter() + 2.0 * duty
                while time.perf_counter() < end:
                    work = (work @ work).clamp_(-1, 1)
                    torch.cuda.synchronize()
                time.sleep(2.0 * (1.0 - duty))
    mean = running.use().cards[0].util_mean_pct
    assert mean == pytest.approx(100.0 * duty, abs=3.0)


def test_a_real_out_of_memory_error_goes_down_the_ladder(found: Survey) -> None:
    import torch

    gib_per_item = found.cards[0].memory_gib / 4.0

    def attempt(rung: Rung) -> int:
        if rung.device == "cuda":
            size = int(rung.batch * gib_per_item * 1024**3)
            torch.empty(size, dtype=torch.uint8, device="cuda:0")
        return rung.batch

    descent = step_down("card", rungs_below(Rung(device="cuda", dtype="fp32", batch=8)), attempt)
    assert descent.value in (1, 2)
    assert len(descent.steps) >= 2
    assert torch.cuda.memory_reserved(0) < found.cards[0].memory_gib * 1024**3
