"""Parts of a script: every line in one of them, music that plays on, recordings that follow."""

from __future__ import annotations

import pytest

from studio.errors import SettingError
from studio.excerpt import chapter_lines, excerpt, first_seconds
from studio.script import parse_script
from studio.specs import MixSpec, VoiceSpec
from studio.storyboard import board_of
from studio.types import Assets, Blob, Rehearsal, Script

TEXT = """# A day

[MUSIC: calm piano]

ANNA: Before any heading. It goes on.

## Morning

BEN: Good morning.

[MUSIC: bright drums]

ANNA: Coffee is ready.

## Night

[MUSIC: fade out 2s]

BEN: Good night.
"""


@pytest.fixture
def script() -> Script:
    return parse_script(TEXT, "day.txt")


def _part(script: Script, number: int) -> Script:
    files = tuple(
        (cue.index, Blob(sha256=str(cue.index), suffix=".mp3", num_bytes=1)) for cue in script.cues
    )
    whole = Rehearsal(script=script, assets=Assets(cue_files=files))
    part = excerpt(whole, *chapter_lines(script, number))
    played = {int(blob.sha256): number for number, blob in part.assets.cue_files}
    for old, new in played.items():
        assert script.cues[old].prompt == part.script.cues[new].prompt
    assert [cue.index for cue in part.script.cues] == list(range(len(part.script.cues)))
    return part.script


def test_chapters_together_are_the_script(script: Script) -> None:
    parts = [_part(script, number) for number in (1, 2, 3)]
    said = [segment.text for part in parts for segment in part.segments]
    assert said == [segment.text for segment in script.segments]
    for part in parts:
        assert [segment.index for segment in part.segments] == list(range(len(part.segments)))
    marks = [[(mark.title, mark.at) for mark in part.chapters] for part in parts]
    assert marks == [[], [("Morning", 0)], [("Night", 0)]]


def test_music_that_is_playing_plays_from_the_beginning_of_the_part(script: Script) -> None:
    morning = _part(script, 2)
    assert [(cue.prompt, cue.at) for cue in morning.cues][:1] == [("calm piano", 0)]
    assert morning.cues[1].prompt == "bright drums"
    night = _part(script, 3)
    assert night.cues[0].prompt == "bright drums"
    assert night.cues[0].at == 0
    assert night.cues[1].action == "fade_out"


def test_a_chapter_that_is_not_there_is_refused(script: Script) -> None:
    for number in (0, 4):
        with pytest.raises(SettingError, match="has 3"):
            chapter_lines(script, number)


def test_seconds_take_whole_lines_and_at_least_one(script: Script) -> None:
    assert first_seconds(script, 0.01, 165) == (0, 1)
    assert first_seconds(script, 1e6, 165) == (0, len(script.segments))
    slow, fast = first_seconds(script, 4.0, 80)[1], first_seconds(script, 4.0, 400)[1]
    assert slow < fast


def test_every_part_can_be_laid_out(script: Script) -> None:
    for number in (1, 2, 3):
        board = board_of(_part(script, number), VoiceSpec(), MixSpec())
        assert board.lines
        assert all(0 <= strip.start_s < strip.end_s <= board.duration_s for strip in board.music)


def test_a_board_has_all_that_is_said_in_order(script: Script) -> None:
    board = board_of(script, VoiceSpec(), MixSpec())
    assert [line.label for line in board.lines] == [segment.text for segment in script.segments]
    starts = [line.start_s for line in board.lines]
    assert starts == sorted(starts)
    assert {strip.label for strip in board.music} == {"calm piano", "bright drums"}
    assert [chapter.label for chapter in board.chapters] == ["A day", "Morning", "Night"]
    assert board.chapters[-1].end_s == board.duration_s
    slower = board_of(script, VoiceSpec(rate_wpm=100), MixSpec())
    assert slower.duration_s > board.duration_s
