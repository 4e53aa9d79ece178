"""`Avatar:` of a script: hosts, pictures beside it, engines, for one speaker or for all."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from studio.errors import MediaError, NoFaceError, SettingError
from studio.specs import AvatarSpec, MixSpec, PictureSpec, VoiceSpec
from studio.types import Presenters
from tasks.avatar import animate
from tasks.looks import Look, look_of, read_look
from tasks.run import Run
from tasks.script import Order, rehearse
from tasks.seat import host_picture
from tasks.speech import speak

LINES = "\nALICE: Hello there.\nBOB: Good evening.\n"


def _picture(path: Path, host: str) -> bytes:
    Image.fromarray(host_picture(host, 192, 7)).save(path)
    return path.read_bytes()


def _animated(folder: Path, run: Run, header: str, **order: str) -> Presenters:
    path = folder / "talk.txt"
    path.write_text(f"{header}\n{LINES}", encoding="utf-8")
    heard = rehearse.fn(Order(script=str(path), **order), run=run)
    speech = speak.fn(heard, VoiceSpec(), MixSpec(), 7, run=run)
    return animate.fn(heard, speech, AvatarSpec(), PictureSpec(), 7, run=run)


@pytest.mark.parametrize(
    ("value", "look"),
    [
        ("nova/teal", Look(host="nova/teal")),
        ("my face.JPG", Look(picture="my face.JPG")),
        ("sadtalker:me.png", Look(engine="sadtalker", picture="me.png")),
        ("viseme: max", Look(engine="viseme", host="max")),
        ("still:", Look(engine="still")),
    ],
)
def test_a_look_is_a_host_a_picture_an_engine(value: str, look: Look) -> None:
    assert read_look("ALICE", value) == look


def test_a_speakers_own_look_wins_over_everybodys() -> None:
    looks = {"": "max", "ALICE": "me.png"}
    assert look_of(looks, "Alice").picture == "me.png"
    assert look_of(looks, "BOB").host == "max"
    with pytest.raises(SettingError, match=r"avatar of ALICE.*Known engines: viseme"):
        read_look("ALICE", "sadtalkr:me.png")


def test_every_speaker_may_have_a_picture(tmp_path: Path, run: Run) -> None:
    alice, bob = _picture(tmp_path / "a.png", "juno"), _picture(tmp_path / "b.png", "theo")
    made = _animated(tmp_path, run, "Avatar: ALICE=a.png, BOB=b.png")
    shown = {clip.speaker: clip.portrait for clip in made.clips}
    for speaker, data in (("ALICE", alice), ("BOB", bob)):
        blob = shown[speaker]
        assert blob is not None
        assert run.store.path(blob).read_bytes() == data


def test_a_picture_and_a_host_and_an_engine_side_by_side(tmp_path: Path, run: Run) -> None:
    _picture(tmp_path / "a.png", "juno")
    made = _animated(tmp_path, run, "Avatar: ALICE=a.png, BOB=still:max")
    alice, bob = made.clips
    assert (alice.engine, alice.portrait is not None) == ("viseme", True)
    assert (bob.engine, bob.look, bob.portrait) == ("still", "max", None)


def test_the_command_lines_picture_wins_for_who_speaks_first(tmp_path: Path, run: Run) -> None:
    _picture(tmp_path / "all.png", "juno")
    mine = _picture(tmp_path / "mine.png", "max")
    made = _animated(tmp_path, run, "Avatar: all.png", portrait=str(tmp_path / "mine.png"))
    alice, bob = (clip.portrait for clip in made.clips)
    assert alice is not None
    assert bob is not None
    assert run.store.path(alice).read_bytes() == mine
    assert bob != alice


def test_landmarks_beside_a_speakers_picture_are_used(tmp_path: Path, run: Run) -> None:
    _picture(tmp_path / "a.png", "juno")
    (tmp_path / "a.landmarks.json").write_text("{}", encoding="utf-8")
    with pytest.raises(MediaError, match="points"):
        _animated(tmp_path, run, "Avatar: ALICE=a.png")


@pytest.mark.parametrize(
    ("header", "error", "said"),
    [
        ("Avatar: ALICE=none such.png", MediaError, "none such.png"),
        ("Avatar: ALICE=wall.png", NoFaceError, "wall.png"),
        ("Avatar: ALICE=zelda", SettingError, "zelda"),
        ("Avatar: ALICE=blender:max", SettingError, "blender"),
    ],
)
def test_what_cannot_be_shown_is_said_before_any_work(
    tmp_path: Path, run: Run, header: str, error: type[Exception], said: str
) -> None:
    Image.new("RGB", (256, 256), "tan").save(tmp_path / "wall.png")
    (tmp_path / "talk.txt").write_text(f"{header}\n{LINES}", encoding="utf-8")
    with pytest.raises(error, match=said):
        rehearse.fn(Order(script=str(tmp_path / "talk.txt")), run=run)
