"""The doctor on a machine without a card, and what of it needs none."""

from __future__ import annotations

import pytest

from studio.gpu.cards import load_nvml, survey
from studio.gpu.doctor import build_supports, examine, probe_cards, trial_encoder
from tests.studio.gpu.fake_nvml import FakeCard, FakeNvml

nvml = load_nvml()


@pytest.mark.parametrize(
    ("targets", "arch", "supported"),
    [
        (["sm_80", "sm_86", "sm_90"], (8, 6), True),
        (["sm_80"], (8, 9), True),
        (["sm_89"], (8, 6), False),
        (["sm_80", "sm_90"], (12, 0), False),
        (["sm_80", "compute_90"], (12, 0), True),
        (["compute_120"], (9, 0), False),
        (["sm_90a"], (9, 0), True),
        (["sm_90a"], (9, 1), False),
        (["compute_90a"], (10, 0), False),
        ([], (8, 6), False),
        (["nonsense"], (8, 6), False),
    ],
)
def test_code_for_a_capability(targets: list[str], arch: tuple[int, int], supported: bool) -> None:
    assert build_supports(targets, arch) is supported


def test_without_a_driver_the_first_row_says_so_with_a_remedy() -> None:
    fake = FakeNvml(init_error=nvml.NVML_ERROR_LIBRARY_NOT_FOUND)
    (row,) = probe_cards(fake, survey(fake, {}))
    assert "no NVIDIA driver" in row.found
    assert row.passed is None
    assert row.remedy


def test_cards_and_their_silent_sensors_are_named() -> None:
    card = FakeCard(refuses={"nvmlDeviceGetPowerUsage": nvml.NVML_ERROR_NOT_SUPPORTED})
    fake = FakeNvml(card, FakeCard(uuid="GPU-b", nvenc=False))
    rows = {row.what: row for row in probe_cards(fake, survey(fake, {}))}
    assert "24.0 GiB, compute capability 8.9, 3 encoder sessions" in rows["card 0"].found
    assert "no encoder" in rows["card 1"].found
    assert "power_w" in rows["card 0 sensors"].found
    assert "power_w" not in rows["card 1 sensors"].found
    assert "sm_active_pct" in rows["card 1 sensors"].found


def test_hidden_cards_are_a_finding() -> None:
    fake = FakeNvml(FakeCard(), FakeCard(uuid="GPU-b"))
    rows = list(probe_cards(fake, survey(fake, {"CUDA_VISIBLE_DEVICES": "0,9"})))
    assert any(row.passed is False and "hides" in row.found for row in rows)


def test_the_encoder_is_tried_not_listed() -> None:
    (row,) = trial_encoder([])
    if row.passed:
        assert row.found == "one frame encoded"
    else:
        assert row.passed is None
        assert "libx264" in row.remedy


def test_every_card_that_has_an_encoder_must_encode() -> None:
    fake = FakeNvml(FakeCard(), FakeCard(uuid="GPU-b", nvenc=False), FakeCard(uuid="GPU-c"))
    rows = list(trial_encoder(survey(fake, {}).cards))
    assert [row.what for row in rows] == ["card 0 NVENC", "card 2 NVENC"]
    for row in rows:
        assert row.passed is (row.found == "one frame encoded")
        assert bool(row.remedy) is not row.passed


def test_the_whole_examination_runs_on_any_machine() -> None:
    rows = examine(nvml, {})
    assert {"NVENC", "torch", "TensorFlow"} <= {row.what for row in rows}
    assert all(row.found for row in rows)
    assert all(row.remedy for row in rows if row.passed is False)
