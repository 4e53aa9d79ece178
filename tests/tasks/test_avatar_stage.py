"""Avatar: who is shown, line by line, remembered; frames where the sound is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from studio.errors import EngineUnavailable
from studio.specs import AvatarSpec, MixSpec, PictureSpec, VoiceSpec
from studio.types import Presenters, Rehearsal, SpeechTrack
from tasks.avatar import MOST_SEATS, animate, open_presenter, presenter_fps
from tasks.run import Run
from tasks.script import Order, rehearse
from tasks.speech import speak


def _apart(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Mean difference of two pictures."""
    return float(np.abs(one.astype(int) - other).mean())


def _spoken(path: Path, run: Run) -> tuple[Rehearsal, SpeechTrack]:
    heard = rehearse.fn(Order(script=str(path)), run=run)
    return heard, speak.fn(heard, VoiceSpec(), MixSpec(), 7, run=run)


def _animated(path: Path, run: Run, avatar: AvatarSpec | None = None) -> Presenters:
    heard, speech = _spoken(path, run)
    return animate.fn(heard, speech, avatar or AvatarSpec(), PictureSpec(), 7, run=run)


def test_every_line_is_acted_where_it_is_heard(dialogue: Path, run: Run) -> None:
    heard, speech = _spoken(dialogue, run)
    cast = animate.fn(heard, speech, AvatarSpec(), PictureSpec(), 7, run=run)
    assert [clip.speaker for clip in cast.clips] == ["ALICE", "BOB"]
    parts = {part.line: (part, clip.fps) for clip in cast.clips for part in clip.parts}
    assert sorted(parts) == list(range(len(speech.lines)))
    for line, start in zip(speech.lines, speech.starts, strict=True):
        part, fps = parts[line.index]
        assert abs(part.start_frame / fps - start / 48_000) <= 0.5 / fps
        motion = np.load(run.store.path(part.data))
        assert len(motion) == part.num_frames >= line.num_samples * fps / 48_000


def test_hosts_suit_their_voices_and_are_distinct(dialogue: Path, run: Run) -> None:
    looks = {clip.speaker: clip.look for clip in _animated(dialogue, run).clips}
    assert looks["ALICE"] in {"nova", "juno"}
    assert looks["BOB"] in {"max", "theo"}


def test_the_header_and_the_profile_choose_hosts(dialogue: Path, run: Run) -> None:
    text = dialogue.read_text(encoding="utf-8").replace("# Two voices\n", "")
    dialogue.write_text("Avatar: BOB=iris\n" + text, encoding="utf-8")
    looks = {c.speaker: c.look for c in _animated(dialogue, run, AvatarSpec(host="theo")).clips}
    assert looks == {"ALICE": "theo", "BOB": "iris"}


def test_an_edited_line_is_the_only_one_animated_again(dialogue: Path, run: Run) -> None:
    _animated(dialogue, run)
    known = {p for p in run.store.media() if p.suffix == ".npy"}
    text = dialogue.read_text(encoding="utf-8")
    dialogue.write_text(text.replace("Fine, thank you", "Never better"), encoding="utf-8")
    _animated(dialogue, run)
    assert len({p for p in run.store.media() if p.suffix == ".npy"} - known) == 1


def test_a_presenter_speaks_with_its_mouth_and_listens_without(dialogue: Path, run: Run) -> None:
    clip = _animated(dialogue, run).clips[0]
    part = clip.parts[0]
    frames = range(part.start_frame + 2, part.start_frame + part.num_frames - 2)
    mute = replace(clip, parts=())
    with (
        open_presenter(clip, 128, "front", 1.0, run.store) as speaking,
        open_presenter(mute, 128, "front", 1.0, run.store) as listening,
    ):
        apart = [_apart(speaking.paint(k), listening.paint(k)) for k in frames]
        before = _apart(speaking.paint(0), listening.paint(0))
    assert np.mean(np.array(apart) > 0.02) > 0.5
    assert before < np.mean(apart)


def test_more_speakers_than_seats_are_heard_but_not_shown(tmp_path: Path, run: Run) -> None:
    path = tmp_path / "panel.txt"
    speakers = ["ANN", "BEN", "CAT", "DAN", "EVE", "FAY"]
    path.write_text("".join(f"{name}: Hello, I am here.\n" for name in speakers), encoding="utf-8")
    assert len(_animated(path, run).clips) == MOST_SEATS


def test_without_an_avatar_nobody_is_shown(dialogue: Path, run: Run) -> None:
    assert _animated(dialogue, run, AvatarSpec(enabled=False)).clips == ()


@pytest.mark.parametrize(
    ("fps", "expected"), [(1, 1), (25, 25), (30, 30), (50, 25), (60, 30), (120, 30), (59, 30)]
)
def test_a_presenter_moves_at_a_whole_part_of_the_rate(fps: int, expected: int) -> None:
    assert presenter_fps(fps) == expected


def test_every_speaker_walks_the_list_from_the_engine_that_was_asked_for(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither torch nor weights are needed to be told that they are not there."""
    monkeypatch.setenv("STUDIO_HOME", str(tmp_path / "home"))
    path = tmp_path / "panel.txt"
    looks = "ANN=sadtalker:nova, BEN=wav2lip:max, CAT=iris, DAN=still:theo"
    names = ("ANN", "BEN", "CAT", "DAN")
    lines = "".join(f"{name}: Hello, I am here.\n" for name in names)
    path.write_text(f"Avatar: {looks}\n\n{lines}", encoding="utf-8")
    heard, speech = _spoken(path, run)
    listed = AvatarSpec(engine=("sadtalker", "wav2lip", "viseme", "still"))
    made = animate.fn(heard, speech, listed, PictureSpec(), 7, run=run)
    used = {clip.speaker: (clip.engine, clip.look.split("/")[0]) for clip in made.clips}
    assert used == {
        "ANN": ("viseme", "nova"),
        "BEN": ("viseme", "max"),
        "CAT": ("viseme", "iris"),
        "DAN": ("still", "theo"),
    }
    assert {info.name for info in made.engines} == {"viseme", "still"}
    # Ann and Cat take the same steps, told once; Ben's list begins with his own engine.
    taken = [(step.wanted, step.used) for step in made.fallbacks]
    assert sorted(taken) == sorted(
        [
            ("sadtalker", "wav2lip"),
            ("wav2lip", "viseme"),
            ("wav2lip", "sadtalker"),
            ("sadtalker", "viseme"),
        ]
    )
    assert all(step.stage == "avatar" and step.why for step in made.fallbacks)
    with pytest.raises(EngineUnavailable):
        animate.fn(heard, speech, listed, PictureSpec(), 7, run=replace(run, strict=True))
