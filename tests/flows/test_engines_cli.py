"""`studio engines`, and `--weights` of `studio create`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from flows.cli import main
from flows.engines_cli import weights_options
from studio.errors import SettingError


def _run(
    argv: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["studio", *argv])
    with pytest.raises(SystemExit) as caught:
        main()
    code = caught.value.code
    out, err = capsys.readouterr()
    return (code if isinstance(code, int) else 0), out, err


def test_the_list_is_readable_by_people_and_by_programs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = _run(["engines", "list", "--json"], monkeypatch, capsys)
    assert code == 0
    rows = {row["name"]: row for row in json.loads(out)}
    assert rows["viseme"]["runs"] is True
    assert rows["wav2lip"]["commercial"] is False
    code, out, _ = _run(["engines", "list"], monkeypatch, capsys)
    assert "no commercial use" in out
    assert "DID_API_KEY" in out


def test_fetching_shows_the_licence_and_wants_a_yes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STUDIO_HOME", str(tmp_path))
    code, out, err = _run(["engines", "fetch", "sadtalker"], monkeypatch, capsys)
    assert code == 2
    assert "derived from Wav2Lip" in out
    assert "--accept-licence" in err
    assert not list(tmp_path.iterdir())


def test_offline_and_unknown_names_are_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    argv = ["engines", "fetch", "gfpgan", "--accept-licence"]
    code, _, err = _run(argv, monkeypatch, capsys)
    assert (code, len(err.strip().splitlines())) == (3, 1)
    code, _, err = _run(["engines", "fetch", "sadtalkr"], monkeypatch, capsys)
    assert (code, "sadtalker" in err) == (2, True)
    code, _, err = _run(["engines", "install", "coqui"], monkeypatch, capsys)
    assert (code, "audiocraft" in err) == (2, True)


def test_weights_choose_the_engine_that_reads_them(tmp_path: Path) -> None:
    (tmp_path / "SadTalker_V0.0.2_256.safetensors").touch()
    options = weights_options(tmp_path, "cpu")
    assert options == {
        "avatar.weights_dir": str(tmp_path),
        "avatar.engine": ["sadtalker", "viseme"],
    }
    with pytest.raises(SettingError, match="cpu"):
        weights_options(tmp_path, "cpuu")


def test_a_folder_without_weights_is_refused_before_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "talk.txt").write_text("Hello there.\n", encoding="utf-8")
    argv = ["create", str(tmp_path / "talk.txt"), "--weights", str(tmp_path)]
    code, _, err = _run(argv, monkeypatch, capsys)
    assert code == 2
    assert "--weights" in err
