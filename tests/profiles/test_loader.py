"""Profiles: each loads, headers and options lie over it in order, the unknown is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from profiles import load_profile, profile_names, settle
from studio.errors import SettingError
from studio.types import Header


@pytest.mark.parametrize("name", profile_names())
def test_every_profile_loads_under_its_own_name(name: str) -> None:
    profile = load_profile(name)
    assert profile.name == name
    assert profile.summary


def test_command_line_wins_over_header_wins_over_profile() -> None:
    profile = load_profile("cpu")
    header = Header(aspect="9:16")
    assert profile.picture.aspect == "16:9"
    assert settle(profile, header, {}).picture.aspect == "9:16"
    assert settle(profile, header, {"picture.aspect": "1:1"}).picture.aspect == "1:1"


def test_text_from_the_command_line_becomes_what_the_key_wants() -> None:
    overrides = {
        "picture.fps": "25",
        "voice.engine": "espeak_ng,tone",
        "picture.visualizer": "none",
        "music.enabled": "false",
        "mix.bed_db": "-20.5",
    }
    settled = settle(load_profile("cpu"), Header(), overrides)
    assert settled.picture.fps == 25
    assert settled.voice.engine == ("espeak_ng", "tone")
    assert settled.picture.visualizer is None
    assert settled.music.enabled is False
    assert settled.mix.bed_db == -20.5


def test_a_number_among_allowed_values_may_come_as_text() -> None:
    overrides = {"mix.num_channels": "1", "avatar.sadtalker.size_px": "512"}
    settled = settle(load_profile("cpu"), Header(), overrides)
    assert settled.mix.num_channels == 1
    assert settled.avatar.sadtalker.size_px == 512


def test_an_option_of_a_part_switched_off_switches_it_on() -> None:
    off = settle(load_profile("cpu"), Header(), {"picture.visualizer": "none"})
    on = settle(off, Header(), {"picture.visualizer.style": "bars"})
    assert on.picture.visualizer is not None
    assert on.picture.visualizer.style == "bars"


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ({"picture.qualty": "720p"}, "'quality'"),
        ({"pictur.quality": "720p"}, "'picture'"),
        ({"picture.fps": "999"}, "picture.fps"),
        ({"voice.engine": "espeak"}, "Did you mean 'espeak_ng'"),
        ({"picture.fps": "999"}, "^option 'picture.fps'"),
        ({"encode.encoder": "pyav:x264"}, "pyav:libx264"),
        ({"voice.engine": ""}, "at least 1 item"),
        ({"picture.aspect": "4:3"}, "16:9"),
    ],
)
def test_what_is_unknown_names_the_key_and_what_is_near(
    overrides: dict[str, object], expected: str
) -> None:
    with pytest.raises(SettingError, match=expected):
        settle(load_profile("cpu"), Header(), overrides)


def test_a_users_file_with_a_misspelt_key_names_file_key_and_nearest(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('name = "mine"\nsummary = "s"\n[picture]\nqualiti = "720p"\n', encoding="utf-8")
    with pytest.raises(SettingError, match=r"mine\.toml.*picture\.qualiti.*'quality'"):
        load_profile(str(path))


def test_broken_toml_and_missing_profiles_are_one_line(tmp_path: Path) -> None:
    path = tmp_path / "broken.toml"
    path.write_text("name = ", encoding="utf-8")
    for name in (str(path), "cpuu", str(tmp_path / "absent.toml")):
        with pytest.raises(SettingError) as caught:
            load_profile(name)
        assert "\n" not in str(caught.value)
