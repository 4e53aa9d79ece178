"""The meter against work of known cost, and against NVML that fails as real drivers do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from studio.gpu import processes
from studio.gpu.cards import load_nvml, survey
from studio.gpu.meter import Meter
from studio.gpu.thinning import thin
from studio.gpu.trace import Sample, trace_from_dict, trace_to_dict
from studio.gpu.usage import OTHERS, UNATTRIBUTED
from studio.types import StageUse
from tests.studio.gpu.fake_nvml import GIB, FakeCard, FakeNvml

nvml = load_nvml()


def burn(cpu_s: float) -> None:
    """Use exactly this much CPU time on the calling thread."""
    end = time.thread_time() + cpu_s
    while time.thread_time() < end:
        pass


def metered(fake: FakeNvml, sample_hz: float = 20.0) -> Meter:
    return Meter(survey(fake, {}).cards, nvml=fake, sample_hz=sample_hz)


def by_stage(rows: tuple[StageUse, ...]) -> dict[str, StageUse]:
    return {row.stage: row for row in rows}


def test_two_threads_each_get_their_own_cpu_time() -> None:
    def work(meter: Meter, stage: str, cpu_s: float) -> None:
        with meter.stage(stage):
            burn(cpu_s)

    with Meter(sample_hz=20.0) as meter:
        threads = [
            threading.Thread(target=work, args=(meter, "short", 0.1)),
            threading.Thread(target=work, args=(meter, "long", 0.3)),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    rows = by_stage(meter.uses())
    assert rows["short"].cpu_s == pytest.approx(0.1, abs=0.03)
    assert rows["long"].cpu_s == pytest.approx(0.3, abs=0.03)


def test_a_child_process_belongs_to_the_thread_that_started_it() -> None:
    script = "import time\nwhile time.process_time() < 0.3: pass"

    def idle(meter: Meter, done: threading.Event) -> None:
        with meter.stage("idle"):
            done.wait(20)

    with Meter(sample_hz=20.0) as meter:
        done = threading.Event()
        bystander = threading.Thread(target=idle, args=(meter, done))
        bystander.start()
        with meter.stage("parent"):
            subprocess.run([sys.executable, "-S", "-c", script], check=True)
        done.set()
        bystander.join()
    rows = by_stage(meter.uses())
    parent, idler = rows["parent"].cpu_s, rows["idle"].cpu_s
    assert parent is not None
    assert idler is not None
    assert 0.28 <= parent <= 0.6
    assert idler < 0.05


def test_sums_over_the_rows_are_what_the_process_used() -> None:
    before = time.process_time()
    with Meter(sample_hz=20.0) as meter:
        with meter.stage("one"):
            burn(0.1)
        burn(0.05)
    used = time.process_time() - before
    rows = meter.uses()
    total = sum(row.cpu_s or 0.0 for row in rows)
    assert total == pytest.approx(used, abs=0.02)
    assert by_stage(rows)[UNATTRIBUTED].cpu_s == pytest.approx(used - 0.1, abs=0.03)


def test_gpu_time_is_shared_by_process_then_by_lease_and_strangers_stand_apart() -> None:
    card = FakeCard(gpu=80, shares=[(os.getpid(), 60, 0, 0), (1, 20, 0, 0)], encoder=10)
    with metered(FakeNvml(card)) as meter, meter.stage("avatar"):
        time.sleep(0.3)
    rows = by_stage(meter.uses())
    whole = sum(row.cards[0].gpu_s or 0.0 for row in rows.values())
    mine = rows["avatar"].cards[0].gpu_s
    assert mine is not None
    # However long the sleep lasted on a busy machine: 80 % of it, 60 of 80 parts ours.
    assert mine == pytest.approx(rows["avatar"].wall_s * 0.8 * 0.75, rel=0.05)
    assert rows[OTHERS].cards[0].gpu_s == pytest.approx(mine / 3, rel=0.1)
    assert whole == pytest.approx(0.8 * meter.trace().end_s, rel=0.01)
    assert rows["avatar"].cards[0].util_mean_pct == 80.0


def test_energy_comes_from_the_counter_or_else_from_power_over_time() -> None:
    counted, integrated = FakeCard(energy_mj=1000), FakeCard(uuid="GPU-b", power_mw=200_000)
    with metered(FakeNvml(counted, integrated)) as meter, meter.stage("avatar") as running:
        counted.energy_mj = 4000
        time.sleep(0.2)
    first, second = running.use().cards
    assert first.energy_j == pytest.approx(3.0)
    assert second.energy_j == pytest.approx(200.0 * running.use().wall_s, rel=0.1)


def test_memory_of_ours_and_of_others() -> None:
    card = FakeCard(used=9 * GIB, processes=[(os.getpid(), 5 * GIB), (1, 3 * GIB)])
    with metered(FakeNvml(card)) as meter, meter.stage("avatar") as running:
        time.sleep(0.1)
    assert running.use().cards[0].memory_peak_gib == 5.0
    assert running.use().cards[0].card_memory_peak_gib == 9.0
    reading = meter.trace().samples[-1].card(0)
    assert reading is not None
    assert reading.memory_others_mib == 3 * 1024


def test_inside_a_container_figures_per_process_are_absent_not_zero(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(processes, "processes_visible", lambda: False)
    card = FakeCard(processes=[], shares=[])
    with metered(FakeNvml(card)) as meter, meter.stage("avatar") as running:
        time.sleep(0.1)
    use = running.use().cards[0]
    assert use.memory_peak_gib is None
    assert use.card_memory_peak_gib == 2.0
    assert use.gpu_s == pytest.approx(0.5 * running.use().wall_s, rel=0.1)


@pytest.mark.parametrize(
    ("function", "field"),
    [
        ("nvmlDeviceGetUtilizationRates", "gpu_util_pct"),
        ("nvmlDeviceGetEncoderUtilization", "encoder_util_pct"),
        ("nvmlDeviceGetDecoderUtilization", "decoder_util_pct"),
        ("nvmlDeviceGetMemoryInfo", "memory_used_mib"),
        ("nvmlDeviceGetPowerUsage", "power_w"),
        ("nvmlDeviceGetTemperature", "temperature_c"),
        ("nvmlDeviceGetCurrentClocksEventReasons", "throttle"),
        ("nvmlDeviceGetClockInfo", "sm_clock_mhz"),
    ],
)
@pytest.mark.parametrize(
    "code", [nvml.NVML_ERROR_NOT_SUPPORTED, nvml.NVML_ERROR_NO_PERMISSION, nvml.NVML_ERROR_UNKNOWN]
)
def test_a_sensor_that_refuses_is_none_and_leaves_the_others_alone(
    function: str, field: str, code: int
) -> None:
    card = FakeCard(refuses={function: code})
    fake = FakeNvml(card)
    card.refuses.pop("nvmlDeviceGetMemoryInfo", None)
    cards = survey(fake, {}).cards
    card.refuses[function] = code
    with Meter(cards, nvml=fake, sample_hz=50.0) as meter, meter.stage("avatar"):
        time.sleep(0.05)
    readings = [sample.cards[0] for sample in meter.trace().samples]
    assert {getattr(reading, field) for reading in readings} == {None}
    present = {"gpu_util_pct": 50.0, "power_w": 100.0, "temperature_c": 55}
    for name, value in present.items():
        if name != field:
            assert {getattr(reading, name) for reading in readings} == {value}
    asked_once = code != nvml.NVML_ERROR_UNKNOWN
    before = {"nvmlDeviceGetMemoryInfo": 1, "nvmlDeviceGetClockInfo": 1}.get(function, 0)
    assert (card.calls[function] - before == 1) == asked_once


def test_a_card_lost_in_mid_run_reads_none_from_then_on_and_says_so() -> None:
    card, healthy = FakeCard(energy_mj=10), FakeCard(uuid="GPU-b")
    with metered(FakeNvml(card, healthy)) as meter, meter.stage("avatar") as running:
        time.sleep(0.1)
        card.refuses["*"] = nvml.NVML_ERROR_GPU_IS_LOST
        time.sleep(0.2)
    trace = meter.trace()
    lost, other = trace.samples[-1].cards
    assert (lost.gpu_util_pct, lost.memory_used_mib, lost.energy_mj) == (None, None, None)
    assert other.gpu_util_pct == 50.0
    assert any("card 0" in note for note in trace.notes)
    gpu_s = running.use().cards[0].gpu_s
    assert gpu_s is not None
    # Half of the time until it was lost, which was 0.2 s or more before the end.
    assert 0.0 < gpu_s <= 0.5 * (running.use().wall_s - 0.2) + 0.01


def test_a_sensor_that_never_answered_is_none_in_the_rows() -> None:
    card = FakeCard(refuses={"nvmlDeviceGetEncoderUtilization": nvml.NVML_ERROR_NOT_SUPPORTED})
    with metered(FakeNvml(card)) as meter, meter.stage("avatar") as running:
        time.sleep(0.05)
    assert running.use().cards[0].encoder_s is None
    assert running.use().cards[0].encoder_mean_pct is None
    assert running.use().cards[0].decoder_s == 0.0


def test_throttling_and_gpm_are_read_where_the_card_has_them() -> None:
    figures = {
        nvml.NVML_GPM_METRIC_SM_UTIL: 31.0,
        nvml.NVML_GPM_METRIC_SM_OCCUPANCY: 12.0,
        nvml.NVML_GPM_METRIC_PCIE_TX_PER_SEC: 7.0,
        nvml.NVML_GPM_METRIC_PCIE_RX_PER_SEC: 9.0,
    }
    hopper, older = FakeCard(gpm=figures, reasons=0x04 | 0x01), FakeCard(uuid="GPU-b")
    with metered(FakeNvml(hopper, older), 8.0) as meter, meter.stage("avatar") as running:
        time.sleep(0.45)
    new, old = meter.trace().samples[-1].cards
    assert (new.sm_active_pct, new.sm_occupancy_pct, new.tensor_active_pct) == (31.0, 12.0, None)
    assert (new.pcie_tx_mib_s, new.pcie_rx_mib_s) == (7.0, 9.0)
    assert new.throttle == ("power cap",)
    assert (old.sm_active_pct, old.throttle) == (None, ())
    assert old.pcie_tx_mib_s == 2.0
    assert running.use().cards[0].sm_active_mean_pct == pytest.approx(31.0)


def test_without_cards_the_host_is_still_measured() -> None:
    with Meter(sample_hz=50.0) as meter, meter.stage("mix") as running:
        burn(0.1)
    use = running.use()
    assert use.cards == ()
    assert use.rss_peak_mib is not None
    assert use.rss_peak_mib > 5
    assert use.cpu_s == pytest.approx(0.1, abs=0.03)


@pytest.mark.skipif(sys.platform != "linux", reason="storage counters per thread need /proc")
def test_bytes_written_belong_to_the_stage_that_wrote_them(tmp_path: Path) -> None:
    with Meter(sample_hz=20.0) as meter, meter.stage("writer") as running:
        descriptor = os.open(tmp_path / "bytes", os.O_CREAT | os.O_WRONLY)
        try:
            os.write(descriptor, os.urandom(4 * 1024**2))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    whole = sum(row.write_mib or 0.0 for row in meter.uses())
    if whole == 0.0:
        pytest.skip("this file system counts no storage bytes")
    assert running.use().write_mib == pytest.approx(4.0, abs=0.5)


def test_spans_carry_dependencies_phases_and_runs() -> None:
    with Meter(sample_hz=50.0) as meter:
        with meter.stage("speech", run="one"):
            pass
        after = ("speech", "never-ran")
        with meter.stage("avatar", run="one", after=after) as running, running.phase("load"):
            time.sleep(0.02)
        with meter.stage("avatar", run="one"):
            pass
    spans = {span.id: span for span in meter.trace().spans}
    assert set(spans) == {"one/speech", "one/avatar", "one/avatar#2"}
    assert spans["one/avatar"].after == ("one/speech",)
    (phase,) = spans["one/avatar"].phases
    assert phase.kind == "load"
    assert phase.end_s - phase.start_s >= 0.02


def test_a_trace_survives_json() -> None:
    card = FakeCard(reasons=0x20)
    with metered(FakeNvml(card)) as meter, meter.stage("avatar"):
        time.sleep(0.1)
    trace = meter.trace()
    assert trace_from_dict(json.loads(json.dumps(trace_to_dict(trace)))) == trace


def test_thinning_keeps_time_and_means() -> None:
    samples = [
        Sample(start_s=float(i), end_s=i + 1.0, cpu_cores=float(i), read_mib=1.0) for i in range(9)
    ]
    fewer = thin(samples)
    assert len(fewer) == 5
    assert sum(s.seconds for s in fewer) == 9.0
    assert sum(s.seconds * (s.cpu_cores or 0) for s in fewer) == sum(range(9))
    assert sum(s.read_mib or 0 for s in fewer) == 9.0
    assert replace(fewer[0], cpu_cores=None).end_s == fewer[1].start_s


def test_the_portable_reading_sees_what_the_fast_one_sees() -> None:
    burn(0.05)
    child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(9)"])
    try:
        time.sleep(0.1)
        fast, portable = processes.read_host(), processes.read_host_portably()
    finally:
        child.kill()
        child.wait()
    assert fast.process_ns == pytest.approx(portable.process_ns, rel=0.2)
    assert fast.rss_b == pytest.approx(portable.rss_b, rel=0.2)
    assert child.pid in fast.children
    assert child.pid in portable.children
    assert fast.children[child.pid].rss_b == pytest.approx(
        portable.children[child.pid].rss_b, rel=0.3
    )
