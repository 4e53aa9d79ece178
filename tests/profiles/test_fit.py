"""Profiles and machines: the fitting one is suggested, and what is lacking is said."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

import profiles
from models.needs import NEURAL, avatar_need_gib, music_need_gib
from profiles import load_profile, profile_names, settle, shortfall, suggest
from studio.errors import SettingError
from studio.gpu.cards import Card
from studio.memory_ladder import Rung
from studio.types import Header

ADA = Card(index=0, uuid="a", name="RTX 4090", memory_gib=23.99, nvenc_sessions=3)
LAPTOP = replace(ADA, name="RTX 4060", memory_gib=7.99)
H100 = replace(ADA, name="H100", memory_gib=79.6, nvenc_sessions=0)
H200 = replace(H100, name="H200", memory_gib=139.8)
WITH_CARDS = [name for name in profile_names() if load_profile(name).fits.cards]


@pytest.mark.parametrize(
    ("cards", "name"),
    [
        ((), "cpu"),
        ((replace(LAPTOP, memory_gib=4.0),), "cpu"),
        ((LAPTOP,), "laptop-8gb"),
        ((ADA,), "workstation-24gb"),
        ((ADA, replace(ADA, index=1, uuid="b")), "dual-24gb"),
        ((ADA, LAPTOP), "workstation-24gb"),
        ((H100,), "server-80gb"),
        ((H200,), "h200"),
        ((replace(H100, memory_gib=44.0),), "cpu"),
    ],
)
def test_the_most_demanding_profile_that_is_served_whole_is_suggested(
    cards: tuple[Card, ...], name: str
) -> None:
    assert suggest(cards) == name
    assert shortfall(load_profile(name), cards) == ""


def test_what_a_machine_lacks_is_said_in_words() -> None:
    dual = load_profile("dual-24gb")
    assert "there is no card" in shortfall(dual, ())
    assert "RTX 4060 with 8.0 GiB" in shortfall(dual, (LAPTOP,))
    assert "encodes" in shortfall(load_profile("laptop-8gb"), (H100,))


@pytest.mark.parametrize("name", WITH_CARDS)
def test_what_a_profile_asks_for_fits_the_card_it_is_made_for(name: str) -> None:
    profile = load_profile(name)
    room_gib = profile.fits.card_gib - profile.gpu.reserve_gib
    music = Rung(device="cuda", dtype=profile.device.dtype, batch=profile.music.batch)
    avatar = replace(music, batch=profile.avatar.batch)
    assert 0 < music_need_gib(profile.music.engine[0], profile.music, music) < room_gib
    assert 0 < avatar_need_gib(profile.avatar.engine[0], profile.avatar, avatar) < room_gib


@pytest.mark.parametrize("name", profile_names())
def test_every_engine_list_ends_with_one_that_runs_everywhere(name: str) -> None:
    profile = load_profile(name)
    lasts = [spec.engine[-1] for spec in (profile.voice, profile.music, profile.avatar)]
    assert not set(lasts) & NEURAL
    assert profile.encode.encoder[-1].endswith("libx264")


@pytest.mark.parametrize("name", WITH_CARDS)
def test_every_figure_of_a_gpu_profile_says_where_it_comes_from(name: str) -> None:
    text = (Path(profiles.__file__).parent / f"{name}.toml").read_text(encoding="utf-8")
    figures = [line for line in text.splitlines() if re.match(r"\w+ = [\d.]+|\w+ = \">", line)]
    assert figures
    for line in figures:
        if not line.startswith("cards ="):
            assert re.search(r"# .*(estimate|measured|choice)", line), line


def test_expectations_are_read_checked_and_may_come_from_the_command_line(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    head = 'name = "mine"\nsummary = "s"\n[expect.avatar]\n'
    path.write_text(head + 'gpu_util_pct_mean = ">= 60"\n', encoding="utf-8")
    told = settle(load_profile(str(path)), Header(), {"expect.encode.wall_s": "< 90"})
    assert [str(one) for one in told.expectations] == [
        "expect.avatar.gpu_util_pct_mean >= 60",
        "expect.encode.wall_s < 90",
    ]
    for wrong, named in (
        ('gpu_util_pct_meen = ">= 60"', "gpu_util_pct_mean"),
        ('gpu_util_pct_mean = "about 60"', "no expectation"),
    ):
        path.write_text(head + wrong + "\n", encoding="utf-8")
        with pytest.raises(SettingError, match=named):
            load_profile(str(path))
    path.write_text(head.replace("avatar", "avatars") + 'wall_s = "< 9"\n', encoding="utf-8")
    with pytest.raises(SettingError, match="avatars"):
        load_profile(str(path))
