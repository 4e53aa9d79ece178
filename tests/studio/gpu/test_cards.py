"""Which cards a process may use, after CUDA's rules."""

from __future__ import annotations

from pathlib import Path

import pytest

from studio.gpu.cards import load_nvml, survey
from studio.gpu.ledger import Ledger
from studio.gpu.meter import Meter
from studio.gpu.verdict import judge
from tests.studio.gpu.fake_nvml import GIB, FakeCard, FakeNvml

nvml = load_nvml()


def two() -> FakeNvml:
    return FakeNvml(FakeCard(uuid="GPU-aa11"), FakeCard(uuid="GPU-bb22"))


@pytest.mark.parametrize(
    ("visible", "uuids"),
    [
        (None, ["GPU-aa11", "GPU-bb22"]),
        ("0,1", ["GPU-aa11", "GPU-bb22"]),
        ("1,0", ["GPU-bb22", "GPU-aa11"]),
        ("1", ["GPU-bb22"]),
        ("", []),
        ("-1", []),
        ("0,7,1", ["GPU-aa11"]),
        ("0,-1,1", ["GPU-aa11"]),
        ("GPU-bb", ["GPU-bb22"]),
        ("GPU-", []),
        ("0,0", []),
    ],
)
def test_cuda_visible_devices_is_read_as_cuda_reads_it(
    visible: str | None, uuids: list[str]
) -> None:
    environ = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    found = survey(two(), environ)
    assert [card.uuid for card in found.cards] == uuids
    assert [card.index for card in found.cards] == list(range(len(uuids)))
    assert bool(found.why) == (len(uuids) < len((visible or "0,1").split(",")) or visible == "")


def test_a_slice_stands_for_its_card_and_has_no_encoder() -> None:
    slices = [FakeCard(uuid="MIG-1", total=10 * GIB), FakeCard(uuid="MIG-2", total=20 * GIB)]
    fake = FakeNvml(FakeCard(uuid="GPU-aa", slices=slices), FakeCard(uuid="GPU-bb"))
    assert [card.uuid for card in survey(fake, {}).cards] == ["MIG-1", "GPU-bb"]
    (named,) = survey(fake, {"CUDA_VISIBLE_DEVICES": "MIG-2"}).cards
    assert (named.memory_gib, named.mig, named.nvenc_sessions) == (20.0, True, 0)


def test_a_slice_named_by_its_uuid_is_lent_and_measured_without_utilisation(tmp_path: Path) -> None:
    """As NVML answers for a slice: memory and processes, no utilisation, no power."""
    refused = nvml.NVML_ERROR_NOT_SUPPORTED
    silent = ("UtilizationRates", "EncoderUtilization", "PowerUsage", "ProcessUtilization")
    part = FakeCard(
        uuid="MIG-52f1b1a5-0f7c",
        total=20 * GIB,
        refuses={f"nvmlDeviceGet{name}": refused for name in silent},
    )
    fake = FakeNvml(FakeCard(uuid="GPU-aa", slices=[FakeCard(uuid="MIG-0"), part]))
    cards = survey(fake, {"CUDA_VISIBLE_DEVICES": "MIG-52f1b1a5-0f7c"}).cards
    ledger = Ledger(tmp_path, cards)
    with (
        Meter(cards, nvml=fake) as meter,
        meter.stage("music") as running,
        ledger.lend(stage="music", need_gib=19.0) as lease,
    ):
        running.holds(lease)
        assert lease.card_index == 0
    (used,) = running.use().cards
    assert (used.gpu_s, used.energy_j, used.card_memory_peak_gib) == (None, None, 2.0)
    (card,) = judge(meter.trace()).cards
    assert card.finding == "inconclusive"
    assert "never read" in card.sentence


def test_a_card_without_an_encoder_has_no_sessions_to_lend() -> None:
    with_encoder, without = survey(
        FakeNvml(FakeCard(uuid="GPU-a"), FakeCard(uuid="GPU-b", nvenc=False)), {}, nvenc_sessions=5
    ).cards
    assert (with_encoder.nvenc_sessions, without.nvenc_sessions) == (5, 0)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (nvml.NVML_ERROR_LIBRARY_NOT_FOUND, "no NVIDIA driver"),
        (nvml.NVML_ERROR_DRIVER_NOT_LOADED, "not loaded"),
        (nvml.NVML_ERROR_NO_PERMISSION, "no permission"),
        (nvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH, "restart"),
        (nvml.NVML_ERROR_UNKNOWN, "does not answer"),
    ],
)
def test_a_machine_without_a_working_driver_says_why(code: int, words: str) -> None:
    found = survey(FakeNvml(FakeCard(), init_error=code), {})
    assert found.cards == ()
    assert words in found.why


def test_a_driver_without_a_card_says_so() -> None:
    found = survey(FakeNvml(), {})
    assert found.cards == ()
    assert "no card" in found.why
    assert found.driver == "570.1"


def test_unlike_cards_in_cudas_own_order_are_doubtful() -> None:
    fake = FakeNvml(FakeCard(uuid="GPU-a", name="big"), FakeCard(uuid="GPU-b", name="small"))
    assert "CUDA_DEVICE_ORDER" in survey(fake, {}).why
    assert survey(fake, {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}).why == ""


def test_the_real_binding_answers_on_every_machine() -> None:
    found = survey(nvml, {})
    assert found.cards or found.why
