"""Speech: every line once, at integer places, remembered line by line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from studio.audio import read_flac
from studio.errors import SettingError
from studio.specs import MixSpec, VoiceSpec
from studio.store import Store
from studio.types import Rehearsal
from tasks.run import Run
from tasks.script import Order, rehearse
from tasks.speech import speak

TONE = VoiceSpec(engine=("tone",))


def _heard(path: Path, run: Run) -> Rehearsal:
    return rehearse.fn(Order(script=str(path)), run=run)


@pytest.mark.parametrize("engine", ["espeak_ng", "tone"])
def test_declared_samples_are_the_samples_in_the_file(
    dialogue: Path, run: Run, engine: str
) -> None:
    heard = _heard(dialogue, run)
    track = speak.fn(heard, VoiceSpec.model_validate({"engine": [engine]}), MixSpec(), 7, run=run)
    assert len(track.lines) == len(track.starts) == len(heard.script.segments)
    end = 0
    for line, start in zip(track.lines, track.starts, strict=True):
        samples = read_flac(run.store.path(line.audio))
        assert samples.shape == (line.num_samples,)
        assert np.abs(samples).max() > 0.05
        assert start >= end
        end = start + line.num_samples
        assert [word.text for word in line.words] == line.text.split()
        assert all(w.start + w.num_samples <= line.num_samples for w in line.words)
    assert track.num_samples >= end


def test_speakers_have_voices_of_their_own(dialogue: Path, run: Run) -> None:
    track = speak.fn(_heard(dialogue, run), VoiceSpec(), MixSpec(), 7, run=run)
    voices = {line.speaker: line.voice for line in track.lines}
    assert set(voices) == {"ALICE", "BOB"}
    assert voices["ALICE"] != voices["BOB"]


def test_an_edited_line_is_the_only_one_spoken_again(dialogue: Path, run: Run) -> None:
    before = speak.fn(_heard(dialogue, run), VoiceSpec(), MixSpec(), 7, run=run)
    known = set(run.store.media())
    dialogue.write_text(
        dialogue.read_text(encoding="utf-8").replace("Fine, thank you", "Never better"),
        encoding="utf-8",
    )
    after = speak.fn(_heard(dialogue, run), VoiceSpec(), MixSpec(), 7, run=run)
    assert len(set(run.store.media()) - known) == 1
    assert [line.audio for line in after.lines[:-1]] == [line.audio for line in before.lines[:-1]]
    assert after.lines[-1].audio != before.lines[-1].audio


def test_two_stores_hold_the_same_bits(dialogue: Path, run: Run, tmp_path: Path) -> None:
    other = replace(run, store=Store(tmp_path / "other"))
    one = speak.fn(_heard(dialogue, run), VoiceSpec(), MixSpec(), 7, run=run)
    two = speak.fn(_heard(dialogue, other), VoiceSpec(), MixSpec(), 7, run=other)
    assert one == two


@pytest.mark.parametrize(
    "change",
    [
        {"rate_wpm": 220},
        {"pitch_pct": 80},
        {"highpass_hz": 200.0},
        {"compression_ratio": 8.0},
        {"voice": "bass"},
    ],
)
def test_every_option_changes_the_sound(
    dialogue: Path, run: Run, change: dict[str, object]
) -> None:
    heard = _heard(dialogue, run)
    plain = speak.fn(heard, VoiceSpec(), MixSpec(), 7, run=run)
    other = speak.fn(heard, VoiceSpec.model_validate(change), MixSpec(), 7, run=run)
    assert plain.lines[0].audio != other.lines[0].audio


@pytest.mark.parametrize("pause", ["sentence_pause_s", "paragraph_pause_s", "speaker_pause_s"])
def test_every_pause_moves_the_lines_behind_it(dialogue: Path, run: Run, pause: str) -> None:
    heard = _heard(dialogue, run)
    plain = speak.fn(heard, TONE, MixSpec(), 7, run=run)
    slow = speak.fn(heard, TONE.model_copy(update={pause: 2.0}), MixSpec(), 7, run=run)
    assert slow.num_samples > plain.num_samples


def test_a_dialogue_may_mix_engines(dialogue: Path, run: Run) -> None:
    text = "Voice: ALICE=tone:alto, BOB=bass\n" + dialogue.read_text(encoding="utf-8")
    dialogue.write_text(text.replace("# Two voices\n", ""), encoding="utf-8")
    heard = _heard(dialogue, run)
    track = speak.fn(heard, VoiceSpec(), MixSpec(), 7, run=run)
    assert {(line.speaker, line.engine) for line in track.lines} == {
        ("ALICE", "tone"),
        ("BOB", "espeak_ng"),
    }
    assert {line.voice for line in track.lines if line.speaker == "BOB"} == {"bass"}


def test_an_unknown_engine_or_voice_names_the_known_ones(dialogue: Path, run: Run) -> None:
    heard = _heard(dialogue, run)
    for voice in ("espeek:bass", "basss"):
        with pytest.raises(SettingError, match=r"bass|espeak_ng"):
            speak.fn(heard, VoiceSpec(voice=voice), MixSpec(), 7, run=run)
