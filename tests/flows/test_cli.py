"""The command: a bad input is one line with a remedy and its exit code; nothing is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from flows.cli import main
from flows.server import SETTINGS, apply_settings

ROOT = Path(__file__).parents[2]


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "talk.txt"
    path.write_text("# Talk\n\nHello there. This is a talk.\n", encoding="utf-8")
    return path


def _run(
    argv: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[int, str]:
    monkeypatch.setattr(sys, "argv", ["studio", *argv])
    with pytest.raises(SystemExit) as caught:
        main()
    code = caught.value.code
    return (code if isinstance(code, int) else 0), capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--profile", "cpuu"], "cpu"),
        (["--quality", "999p"], "1080p"),
        (["--aspect", "4:3"], "16:9"),
        (["--fps", "0"], "picture.fps"),
        (["--tts-engine", "espeak"], "espeak_ng"),
        (["--visualizer", "wave"], "waveform"),
        (["--set", "picture.qualty=720p"], "quality"),
        (["--set", "mix.duck_db=loud"], "mix.duck_db"),
        (["--music-file", "no such.mp3"], "no such.mp3"),
        (["--background", "no such.png"], "no such.png"),
        (["--avatar-image", "no such.jpg"], "no such.jpg"),
        (["--lexicon", "no such.txt"], "no such.txt"),
        (["-o", "talk.mkv"], ".mp4"),
        (["-o", "talk.mp4", "--audio-only"], ".mp3"),
    ],
)
def test_a_bad_option_is_one_line_and_exit_code_2(
    script: Path,
    tmp_path: Path,
    options: list[str],
    named: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    code, said = _run(["create", str(script), "--out-dir", str(out), *options], monkeypatch, capsys)
    assert code == 2
    assert named in said
    assert len(said.strip().splitlines()) == 1
    assert not out.exists()


def test_brackets_in_names_are_no_markup(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = _run(["create", str(tmp_path / "[bold]x[/].txt")], monkeypatch, capsys)
    assert code == 2
    assert "[bold]x[/].txt" in said


def test_profiles_and_gc_answer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("STUDIO_HOME", str(tmp_path))
    for argv in (["profiles"], ["gc", "--max-gib", "0"]):
        monkeypatch.setattr(sys, "argv", ["studio", *argv])
        with pytest.raises(SystemExit) as caught:
            main()
        assert not caught.value.code


def test_settings_stand_behind_what_the_user_has_set() -> None:
    environ = {"PREFECT_CLIENT_MAX_RETRIES": "3", "STUDIO_HOME": "/s"}
    apply_settings(environ)
    assert environ["PREFECT_CLIENT_MAX_RETRIES"] == "3"
    assert environ["PREFECT_RESULTS_LOCAL_STORAGE_PATH"] == "/s/results"
    assert set(SETTINGS) <= set(environ)


def test_every_setting_is_one_that_prefect_knows() -> None:
    from prefect.settings import Settings

    known = set(Settings().to_environment_variables())
    assert {name for name in SETTINGS if name.startswith("PREFECT_")} <= known


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_in_mid_encode_leaves_no_child_and_no_half_file(
    tmp_path: Path, number: signal.Signals
) -> None:
    script = tmp_path / "long.txt"
    script.write_text("\n\n".join(f"Sentence number {i}." for i in range(120)), encoding="utf-8")
    environ = {
        **os.environ,
        "STUDIO_HOME": str(tmp_path / "store"),
        "PREFECT_HOME": str(tmp_path / "prefect"),
    }
    environ.pop("PREFECT_API_URL", None)
    command = [sys.executable, "-m", "flows.cli", "create", str(script), "--skip-music"]
    process = subprocess.Popen(
        [*command, "--out-dir", str(tmp_path / "out"), "--no-progress"],
        cwd=ROOT,
        env=environ,
        stdout=subprocess.DEVNULL,
    )
    children: list[psutil.Process] = []
    deadline = time.monotonic() + 120
    while not list((tmp_path / "store").glob("drafts/*.mp4")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
    children = psutil.Process(process.pid).children(recursive=True)
    assert children
    process.send_signal(number)
    assert process.wait(timeout=60) == 130
    _, alive = psutil.wait_procs(children, timeout=10)
    assert alive == []
    assert list((tmp_path / "store" / "drafts").iterdir()) == []
    assert not list(tmp_path.glob("out/*/*"))
