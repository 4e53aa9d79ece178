"""Music: a piece for every cue that plays; recordings where the script or the user names them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from studio.audio import read_flac
from studio.errors import MediaError
from studio.specs import MixSpec, MusicSpec, VoiceSpec
from studio.types import SAMPLE_RATE, MusicTrack
from tasks.music import score
from tasks.run import Run
from tasks.script import Order, rehearse, without_music
from tasks.speech import speak

SCRIPT = "[MUSIC: calm piano]\nOne.\n[MUSIC: stop]\nTwo.\n[MUSIC: fast drums]\nThree.\n"


def _scored(
    tmp_path: Path, run: Run, script: str = SCRIPT, music: str = "", spec: MusicSpec | None = None
) -> MusicTrack:
    path = tmp_path / "script.txt"
    path.write_text(script, encoding="utf-8")
    heard = rehearse.fn(Order(script=str(path), music=music), run=run)
    told = spec or MusicSpec(engine=("hum",))
    return score.fn(heard, VoiceSpec(), told, MixSpec(), 7, run=run)


@pytest.mark.parametrize("engine", ["arranger", "hum"])
def test_declared_samples_are_the_samples_in_the_file(
    tmp_path: Path, run: Run, engine: str
) -> None:
    track = _scored(tmp_path, run, spec=MusicSpec.model_validate({"engine": [engine]}))
    assert [piece.cue for piece in track.pieces] == [0, 2]
    for piece in track.pieces:
        samples = read_flac(run.store.path(piece.audio))
        assert samples.shape == (sum(piece.chunk_samples) + piece.ending_samples, 2)
        assert np.abs(samples).max() > 0.01


def test_a_piece_is_made_once(tmp_path: Path, run: Run) -> None:
    first = _scored(tmp_path, run)
    known = set(run.store.media())
    # A line before it moves the cue; it stays the same music.
    again = _scored(tmp_path, run, SCRIPT.replace("One.", "One.\n[MUSIC: stop]\n"))
    assert {piece.audio for piece in again.pieces} <= {piece.audio for piece in first.pieces} | {
        piece.audio for piece in again.pieces if piece.cue != 0
    }
    assert again.pieces[0] == first.pieces[0]
    assert known <= set(run.store.media())


def _tone(path: Path, seconds: float = 1.0) -> Path:
    phase = 2 * np.pi * 330 * np.arange(int(44100 * seconds)) / 44100
    soundfile.write(path, 0.3 * np.sin(phase), 44100)
    return path


def test_a_recording_replaces_every_composed_piece(tmp_path: Path, run: Run) -> None:
    theme = _tone(tmp_path / "theme 'one'.wav")
    track = _scored(tmp_path, run, music=str(theme))
    assert [piece.engine for piece in track.pieces] == ["recording", "recording"]
    assert track.pieces[0].audio == track.pieces[1].audio
    assert track.pieces[0].hop_samples == sum(track.pieces[0].chunk_samples)


def test_an_offset_shortens_it_and_one_beyond_its_end_is_an_error(tmp_path: Path, run: Run) -> None:
    theme = str(_tone(tmp_path / "theme.wav"))
    whole = _scored(tmp_path, run, music=theme)
    late = _scored(tmp_path, run, music=theme, spec=MusicSpec(file_offset_s=0.5))
    assert whole.pieces[0].hop_samples - late.pieces[0].hop_samples == 24_000
    with pytest.raises(MediaError, match="cue 1"):
        _scored(tmp_path, run, music=theme, spec=MusicSpec(file_offset_s=5.0))


def test_a_cue_may_name_a_recording_of_its_own(tmp_path: Path, run: Run) -> None:
    _tone(tmp_path / "sting.wav")
    track = _scored(tmp_path, run, SCRIPT.replace("fast drums", "file=sting.wav"))
    assert [piece.engine for piece in track.pieces] == ["hum", "recording"]


def test_without_music_no_piece_is_made_and_nothing_waits_for_one(tmp_path: Path, run: Run) -> None:
    path = tmp_path / "script.txt"
    path.write_text(SCRIPT, encoding="utf-8")
    heard = rehearse.fn(Order(script=str(path)), run=run)
    silent = without_music(heard)
    spec = MusicSpec(engine=("hum",))
    assert score.fn(silent, VoiceSpec(), spec, MixSpec(), 7, run=run).pieces == ()
    tone = VoiceSpec(engine=("tone",))
    lead_in = round(MixSpec().lead_in_s * SAMPLE_RATE)
    assert speak.fn(heard, tone, MixSpec(), 7, run=run).starts[0] >= lead_in
    assert speak.fn(silent, tone, MixSpec(), 7, run=run).starts[0] < lead_in
