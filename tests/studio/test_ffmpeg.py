import os
import sys
from pathlib import Path

import pytest

from studio.errors import EncodeError, SettingError
from studio.ffmpeg import (
    choose_encoder,
    classify,
    find_ffmpeg,
    first_lines,
    parse_encoder,
    try_encoder,
)

needs_ffmpeg = pytest.mark.skipif(not find_ffmpeg(), reason="no ffmpeg program here")


def test_libx264_works_in_process() -> None:
    trial = try_encoder("pyav:libx264")
    assert trial.works
    assert trial.name == "pyav:libx264"
    assert not trial.remedy


@needs_ffmpeg
def test_libx264_works_in_a_program() -> None:
    trial = try_encoder("ffmpeg:libx264")
    assert trial.works, trial
    assert Path(trial.binary).is_file()


@pytest.mark.skipif(Path("/dev/nvidia0").exists(), reason="this machine has a card")
@pytest.mark.parametrize("encoder", ["h264_nvenc", "hevc_nvenc", "av1_nvenc"])
def test_nvenc_without_a_card_says_why(encoder: str) -> None:
    trial = try_encoder(f"pyav:{encoder}")
    assert trial.cause == "no driver"
    assert "libcuda" in trial.said
    assert "driver" in trial.remedy


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        ("[h264_nvenc @ 0x55] Cannot load libcuda.so.1", "no driver"),
        ("Cannot load libnvidia-encode.so.1", "no driver"),
        ("Driver does not support the required nvenc API version.", "driver too old"),
        ("The minimum required Nvidia driver for nvenc is 610.00 or newer", "driver too old"),
        ("OpenEncodeSessionEx failed: out of memory (10): (no details)", "sessions exhausted"),
        ("OpenEncodeSessionEx failed: incompatible client key (21)", "sessions exhausted"),
        ("OpenEncodeSessionEx failed: unsupported device (2): (no details)", "no NVENC"),
        ("No capable devices found", "no NVENC"),
        ("Codec not supported", "no NVENC"),
        ("Unknown encoder 'h264_nvenc'", "not compiled in"),
        ("something else", "failed"),
    ],
)  # fmt: skip
def test_causes(said: str, cause: str) -> None:
    assert classify(said) == cause


def test_choose_takes_the_first_that_works_and_tells_the_steps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FFMPEG_BINARY", "/nowhere/ffmpeg")
    trial, steps = choose_encoder(["ffmpeg:h264_nvenc", "pyav:libx264", "ffmpeg:libx264"])
    assert trial.name == "pyav:libx264"
    (step,) = steps
    assert (step.stage, step.wanted, step.used) == ("encode", "ffmpeg:h264_nvenc", "pyav:libx264")
    assert step.why.startswith("binary missing")


def test_none_that_works_is_an_error_with_every_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FFMPEG_BINARY", "/nowhere/ffmpeg")
    with pytest.raises(EncodeError) as caught:
        choose_encoder(["ffmpeg:libx264", "ffmpeg:h264_nvenc"])
    assert "ffmpeg:libx264: binary missing" in caught.value.found
    assert "ffmpeg:h264_nvenc: binary missing" in caught.value.found
    assert "imageio-ffmpeg" in caught.value.remedy


@pytest.mark.parametrize("name", ["libx264", "pyav:", "pyav:mpeg2video", "gpu:h264_nvenc", ""])
def test_an_unknown_encoder_is_a_setting_error(name: str) -> None:
    with pytest.raises(SettingError, match="pyav:libx264"):
        parse_encoder(name)


def test_a_program_that_is_no_ffmpeg_fails_with_what_it_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "not ffmpeg"
    program.write_text(f"#!{sys.executable}\nimport sys\nsys.exit('[x @ 0x1f] I refuse')\n")
    program.chmod(0o755)
    monkeypatch.setenv("FFMPEG_BINARY", os.fspath(program))
    trial = try_encoder("ffmpeg:libx264")
    assert trial.cause == "failed"
    assert trial.said == "I refuse"


def test_first_lines_skips_what_says_nothing() -> None:
    text = "\n  \n[vost#0 @ 0x1] [libx264 @ 0x7f00] bad level\nmore\nmore\nlast"
    assert first_lines(text) == "bad level"
    assert first_lines(text, 3) == "bad level; more; last"
    assert first_lines("") == ""
