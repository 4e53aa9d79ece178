"""Scripts that cannot be read: each error in one line, with where, what and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from studio.errors import ScriptError, SettingError
from studio.script import parse_script, read_script


@pytest.mark.parametrize(
    ("text", "where", "found"),
    [
        ("", "s.txt", "empty"),
        (" \n\t\n", "s.txt", "empty"),
        ("[MUSIC: x]\n(beat)\n[laughs]", "s.txt", "nothing to speak"),
        ("# Only a title", "s.txt", "nothing to speak"),
        ("🎉 … —", "s.txt", "nothing to speak"),
        ("Hi.\n\n[MUSIC: ]", "s.txt, line 3", "empty music cue"),
        ("Hi.\n[music:", "s.txt, line 2", "empty music cue"),
        ("Hi.\n[MUSIC: file=]", "s.txt, line 2", "no file name"),
        ("Hi.\n[MUSIC: x, -200dB]", "s.txt, line 2", "-200 dB"),
        ("Hi.\n(pause 61s)", "s.txt, line 2", "61 s"),
        ("Hi. [pause 2 minutes]", "s.txt, line 1", "120 s"),
    ],
)
def test_script_errors_say_where_and_what(text: str, where: str, found: str) -> None:
    with pytest.raises(ScriptError) as caught:
        parse_script(text, "s.txt")
    assert caught.value.where == where
    assert found in caught.value.found
    assert caught.value.remedy
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "line",
    ["Runtime: soon", "Aspect: 4:3", "Language: no such tongue", "Voice: =x", "Avatar: ALICE="],
)
def test_header_values_are_checked(line: str) -> None:
    with pytest.raises(SettingError, match=r"s\.txt, line 1"):
        parse_script(f"{line}\n\nHello.", "s.txt")


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (None, "no such file"),
        (b"", "empty"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00", "binary"),
        ("Hello there, all of you.".encode("utf-16-le"), "UTF-16 without"),
        ("Hello there, all of you.".encode("utf-16-be"), "UTF-16 without"),
        ("One.\nCaf\xe9.".encode("latin-1"), "not text in UTF-8"),
        (b"a" * 10_000_000, "10.0 MB"),
        (b"[MUSIC: a]\n[only directions]", "nothing to speak"),
    ],
)
def test_files_that_are_no_scripts(tmp_path: Path, data: bytes | None, found: str) -> None:
    path = tmp_path / "my script: 100%.txt"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(ScriptError) as caught:
        read_script(path)
    assert str(path) in caught.value.where
    assert found in caught.value.found
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_folder_is_no_script(tmp_path: Path) -> None:
    with pytest.raises(ScriptError, match="folder"):
        read_script(tmp_path)


def test_marked_utf16_is_read(tmp_path: Path) -> None:
    path = tmp_path / "s.txt"
    path.write_bytes("Größe: naïve.".encode("utf-16"))
    assert read_script(path).segments[0].text == "Größe: naïve."


def test_warnings_on_length() -> None:
    assert any("under 100" in warning for warning in parse_script("Hi there.", "s").warnings)
    assert any("over 50000" in one for one in parse_script("Hi there. " * 6000, "s").warnings)
    assert not parse_script("Hello there, everybody. " * 10, "s").warnings


def test_warning_for_a_voice_without_a_speaker() -> None:
    warnings = parse_script("Voice: ALCE=x\n\nALICE: Hi.", "s").warnings
    assert any("'ALCE' never speaks" in warning for warning in warnings)


def test_a_folder_and_a_file_too_long_are_said_once(tmp_path: Path) -> None:
    long = tmp_path / "long.txt"
    long.write_bytes(b"words " * 1_000_000)
    for path, found in ((tmp_path, "this is a folder"), (long, "too long for a script")):
        with pytest.raises(ScriptError) as caught:
            read_script(path)
        assert caught.value.where == str(path)
        assert caught.value.found.count(path.name) == 0
        assert found in caught.value.found
