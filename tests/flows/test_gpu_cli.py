"""`studio gpu`, `studio report`, `studio doctor --gpu`, on this machine as it is."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from flows.cli import main
from studio.gpu.device_setup import SettingRow
from studio.gpu.expectations import check_expectations, parse_expectation
from studio.gpu.run_report import report_of
from studio.types import CardUse, StageUse
from tasks.report_files import write_report
from tests.studio.gpu.demo_run import demo_run

USE = StageUse(
    stage="avatar",
    wall_s=46.0,
    cpu_s=12.0,
    rss_peak_mib=900.0,
    read_mib=1.0,
    write_mib=None,
    cards=(CardUse(card=0, name="NVIDIA GeForce RTX 4090", gpu_s=20.0, util_mean_pct=44.0),),
)


@pytest.fixture
def told(tmp_path: Path) -> Path:
    folder = tmp_path / "out" / "talk"
    folder.mkdir(parents=True)
    report = report_of("A <talk> [b]", demo_run(), (USE,))
    missed = check_expectations((parse_expectation("avatar.gpu_util_pct_mean >= 60"),), (USE,))
    rows = (
        SettingRow(setting="device", requested="auto", effective="cuda"),
        SettingRow(setting="tf32", requested="True", effective="no effect", why="too old a card"),
    )
    return write_report(folder, report, missed, rows, []).parent


def _said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *argv: str
) -> tuple[int, str]:
    monkeypatch.setattr(sys, "argv", ["studio", *argv])
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as caught:
        main()
    captured = capsys.readouterr()
    code = caught.value.code
    return (code if isinstance(code, int) else 0), captured.out + captured.err


def test_a_report_says_first_why_the_card_was_idle_and_what_to_change(
    told: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = _said(monkeypatch, capsys, "report", "--out-dir", str(told.parent))
    assert code == 0
    assert "A <talk> [b]" in said
    assert "was busy" in said
    assert "saves up to" in said
    assert "expect.avatar.gpu_util_pct_mean >= 60: missed (44)" in said
    assert "device.tf32 = True: no effect (too old a card)" in said
    assert "Critical path: script" in said
    assert "a kernel was running" in said


def test_a_page_stands_alone(
    told: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = told / "deep" / "report.html"
    code, _ = _said(monkeypatch, capsys, "report", str(told), "--html", str(page))
    assert code == 0
    text = page.read_text(encoding="utf-8")
    assert "<svg" in text
    assert "A &lt;talk&gt; [b]" in text
    assert "http://" not in text.replace("http://www.w3.org/2000/svg", "")
    assert [path.name for path in page.parent.iterdir()] == ["report.html"]


def test_no_report_is_one_line_and_exit_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = _said(monkeypatch, capsys, "report", "--out-dir", str(tmp_path))
    assert code == 2
    assert len(said.strip().splitlines()) == 1
    blocked = tmp_path / "file"
    blocked.write_text("", encoding="utf-8")
    code, _ = _said(monkeypatch, capsys, "report", str(blocked))
    assert code == 2


def test_the_cards_and_the_ledger_are_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = _said(monkeypatch, capsys, "gpu")
    assert code == 0
    assert "No card" in said or "busy %" in said
    assert "lent" in said.lower()


def test_the_doctor_tries_the_cards_and_says_what_became_of_the_settings(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = _said(monkeypatch, capsys, "doctor", "--gpu", "--profile", "h200")
    assert code == 0
    assert "NVENC" in said
    assert "requested" in said
    assert "fitting profile: " in said
    if "No card" in said or "no NVIDIA driver" in said:
        assert "it is made for a card of 130 GiB" in said
        assert "fitting profile: cpu" in said
        assert "bf16" in said
