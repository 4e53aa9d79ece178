"""Neural engines through the stages: real code paths with small or random weights, on a CPU."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from models.voice import take
from studio.audio import read_flac
from studio.errors import EngineUnavailable, SpeechError
from studio.specs import AvatarSpec, DeviceSpec, MixSpec, MusicSpec, PictureSpec, VoiceSpec
from studio.store import Store
from studio.types import SAMPLE_RATE, Presenters, Rehearsal, SpeechTrack
from tasks.avatar import animate, open_presenter
from tasks.film import IDLE_LINE
from tasks.music import score
from tasks.run import Run
from tasks.script import Order, rehearse
from tasks.speech import speak
from tests.tasks.small_presenter import save_portrait, save_wav2lip

pytestmark = pytest.mark.slow

CPU = DeviceSpec(device="cpu", threads=1)
PORTRAIT_PX = 160


@pytest.fixture
def run(run: Run) -> Run:
    return replace(run, device=CPU)


@pytest.fixture(scope="session")
def vits(tmp_path_factory: pytest.TempPathFactory) -> str:
    pytest.importorskip("TTS")
    from tests.models.voice.tiny_coqui import make_vits

    return str(make_vits(tmp_path_factory.mktemp("vits"), speakers=3))


@pytest.fixture(scope="session")
def musicgen(tmp_path_factory: pytest.TempPathFactory) -> str:
    pytest.importorskip("transformers")
    from tests.models.music.tiny_musicgen import save_tiny_musicgen

    return str(save_tiny_musicgen(tmp_path_factory.mktemp("musicgen")))


@pytest.fixture(scope="session")
def wav2lip(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A checkpoint of the published form and size; no face detector: the portrait has its marks."""
    return str(save_wav2lip(tmp_path_factory.mktemp("wav2lip")))


@pytest.fixture
def gibberish_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random weights speak no words: the bar that good takes pass is put out of the way."""
    monkeypatch.setattr(take, "HIGHEST_COST", 99.0)
    monkeypatch.setattr(take, "HIGHEST_STRAIN", 9.0)


def _media(run: Run) -> set[Path]:
    return set(run.store.media())


def _twice(run: Run, work: Callable[[], object]) -> object:
    """The same values again, and nothing written for them."""
    first = work()
    before = {path: path.stat().st_ino for path in _media(run)}
    assert work() == first
    assert {path: path.stat().st_ino for path in _media(run)} == before
    return first


def _heard(path: Path, run: Run) -> Rehearsal:
    return rehearse.fn(Order(script=str(path)), run=run)


@pytest.mark.usefixtures("gibberish_passes")
def test_coqui_speaks_the_lines_and_not_again(dialogue: Path, run: Run, vits: str) -> None:
    heard = _heard(dialogue, run)
    spec = VoiceSpec(engine=("coqui_tts",), weights_dir=vits)
    track = _twice(run, lambda: speak.fn(heard, spec, MixSpec(), 7, run=run))
    assert isinstance(track, SpeechTrack)
    assert {line.engine for line in track.lines} == {"coqui_tts"}
    assert len({line.voice for line in track.lines}) == 2
    assert not track.fallbacks
    for line in track.lines:
        assert len(read_flac(run.store.path(line.audio))) == line.num_samples
        assert [word.text for word in line.words] == line.text.split()


def test_speech_that_is_none_steps_down_with_its_cause(
    dialogue: Path, run: Run, vits: str, tmp_path: Path
) -> None:
    heard = _heard(dialogue, run)
    spec = VoiceSpec(engine=("coqui_tts", "espeak_ng"), weights_dir=vits, max_takes=2)
    track = speak.fn(heard, spec, MixSpec(), 7, run=run)
    assert {line.engine for line in track.lines} == {"espeak_ng"}
    (step,) = track.fallbacks
    assert (step.wanted, step.used) == ("coqui_tts", "espeak_ng")
    assert "does not sound like its words" in step.why
    strict = replace(run, strict=True, store=Store(tmp_path / "another"))
    with pytest.raises(SpeechError, match="failed 2 takes"):
        speak.fn(heard, spec, MixSpec(), 7, run=strict)


def test_weights_of_unknown_terms_are_refused_for_commercial_use(
    dialogue: Path, run: Run, vits: str
) -> None:
    heard = _heard(dialogue, run)
    spec = VoiceSpec(engine=("coqui_tts",), weights_dir=vits)
    with pytest.raises(EngineUnavailable, match="forbid commercial use"):
        speak.fn(heard, spec, MixSpec(), 7, run=replace(run, commercial=True))


@pytest.mark.usefixtures("gibberish_passes")
def test_a_dialogue_mixes_engines(dialogue: Path, run: Run, vits: str) -> None:
    text = dialogue.read_text(encoding="utf-8").replace("# Two voices\n", "")
    dialogue.write_text(f"Voice: ALICE=coqui_tts:p227\n{text}", encoding="utf-8")
    spec = VoiceSpec(weights_dir=vits)
    track = speak.fn(_heard(dialogue, run), spec, MixSpec(), 7, run=run)
    spoken = {line.speaker: (line.engine, line.voice) for line in track.lines}
    assert spoken["ALICE"] == ("coqui_tts", "p227")
    assert spoken["BOB"][0] == "espeak_ng"
    assert {info.name for info in track.engines} == {"coqui_tts", "espeak_ng"}


def test_musicgen_composes_the_cues_and_not_again(dialogue: Path, run: Run, musicgen: str) -> None:
    heard = _heard(dialogue, run)
    spec = MusicSpec(engine=("musicgen_hf",), weights_dir=musicgen, max_generated_s=2.0)
    track = _twice(run, lambda: score.fn(heard, VoiceSpec(), spec, MixSpec(), 7, run=run))
    (piece,) = track.pieces  # type: ignore[attr-defined]
    assert piece.engine == "musicgen_hf"
    assert sum(piece.chunk_samples) == 2 * SAMPLE_RATE
    sound = read_flac(run.store.path(piece.audio))
    assert sound.shape == (2 * SAMPLE_RATE, 2)
    assert np.abs(sound).max() > 0.01


def test_music_without_weights_steps_down_to_the_arranger(
    dialogue: Path, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("transformers")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    heard = _heard(dialogue, run)
    engines = ("musicgen_hf", "arranger")
    spec = MusicSpec(engine=engines, model="stereo-melody-large", max_piece_s=8.0)  # type: ignore[arg-type]
    track = score.fn(heard, VoiceSpec(), spec, MixSpec(), 7, run=run)
    assert {piece.engine for piece in track.pieces} == {"arranger"}
    (step,) = track.fallbacks
    assert "studio engines fetch musicgen-stereo-melody-large" in step.why


def test_music_for_commercial_use_is_composed_by_the_arranger(
    dialogue: Path, run: Run, musicgen: str
) -> None:
    heard = _heard(dialogue, run)
    spec = MusicSpec(engine=("musicgen_hf", "arranger"), weights_dir=musicgen, max_piece_s=8.0)
    track = score.fn(heard, VoiceSpec(), spec, MixSpec(), 7, run=replace(run, commercial=True))
    assert {piece.engine for piece in track.pieces} == {"arranger"}
    assert "commercial" in track.fallbacks[0].why


def _spoken(folder: Path, run: Run, text: str) -> tuple[Rehearsal, SpeechTrack]:
    path = folder / "talk.txt"
    path.write_text(text, encoding="utf-8")
    heard = _heard(path, run)
    return heard, speak.fn(heard, VoiceSpec(rate_wpm=260), MixSpec(), 7, run=run)


def test_wav2lip_films_a_portrait_and_not_again(tmp_path: Path, run: Run, wav2lip: str) -> None:
    save_portrait(tmp_path, PORTRAIT_PX)
    heard, speech = _spoken(tmp_path, run, "Avatar: ALICE=me.png\n\nALICE: Yes.\nBOB: No.\n")
    spec = AvatarSpec(engine=("wav2lip", "viseme"), weights_dir=wav2lip, size_px=PORTRAIT_PX)
    picture = PictureSpec(fps=12)
    made = _twice(run, lambda: animate.fn(heard, speech, spec, picture, 7, run=run))
    assert isinstance(made, Presenters)
    alice, bob = made.clips
    assert (alice.engine, alice.kind) == ("wav2lip", "frames")
    # Without its own marks a drawn host needs the detector, whose weights are not there.
    assert (bob.engine, bob.kind) == ("viseme", "motion")
    (step,) = made.fallbacks
    assert (step.wanted, step.used) == ("wav2lip", "viseme")
    assert "s3fd" in step.why
    assert {part.line for part in alice.parts} == {IDLE_LINE, 0}
    line = next(part for part in alice.parts if part.line == 0)
    assert line.num_frames == -(-speech.lines[0].num_samples * 12 // SAMPLE_RATE)
    with open_presenter(alice, PORTRAIT_PX, "front", 1.0, run.store) as painter:
        assert painter.size_px == alice.width_px == PORTRAIT_PX
        shown = [painter.paint(f).copy() for f in range(line.start_frame + line.num_frames)]
    assert shown[0].shape == (4, PORTRAIT_PX, PORTRAIT_PX)
    spoken = np.stack(shown[line.start_frame :])[:, 0].astype(int)
    moves = np.abs(np.diff(spoken, axis=0)).max(axis=(0, 2))
    # The lower face moves with the sound; above it the portrait stands.
    assert moves[PORTRAIT_PX // 2 : 3 * PORTRAIT_PX // 4].max() > 0
    assert moves[: PORTRAIT_PX // 5].max() == 0


def test_another_seed_or_engine_list_films_nothing_again(
    tmp_path: Path, run: Run, wav2lip: str
) -> None:
    save_portrait(tmp_path, PORTRAIT_PX)
    heard, speech = _spoken(tmp_path, run, "Avatar: me.png\n\nYes.\n")
    picture = PictureSpec(fps=12)
    spec = AvatarSpec(engine=("wav2lip",), weights_dir=wav2lip)
    first = animate.fn(heard, speech, spec, picture, 7, run=run)
    films = {path for path in _media(run) if path.suffix == ".mkv"}
    listed = spec.model_copy(update={"engine": ("wav2lip", "viseme")})
    again = animate.fn(heard, speech, listed, picture, 8, run=run)
    assert {path for path in _media(run) if path.suffix == ".mkv"} == films
    assert [part.data for part in again.clips[0].parts] == [p.data for p in first.clips[0].parts]


def test_presenters_without_weights_step_down_and_say_so(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STUDIO_HOME", str(tmp_path / "home"))
    heard, speech = _spoken(tmp_path, run, "Yes.\n")
    spec = AvatarSpec(engine=("sadtalker", "wav2lip", "viseme"))
    made = animate.fn(heard, speech, spec, PictureSpec(fps=12), 7, run=run)
    assert [clip.engine for clip in made.clips] == ["viseme"]
    assert [(step.wanted, step.used) for step in made.fallbacks] == [
        ("sadtalker", "wav2lip"),
        ("wav2lip", "viseme"),
    ]
    assert all("studio engines fetch" in step.why for step in made.fallbacks)
    with pytest.raises(EngineUnavailable, match="weights_dir"):
        animate.fn(heard, speech, spec, PictureSpec(), 7, run=replace(run, strict=True))


def test_presenters_for_commercial_use_are_drawn(tmp_path: Path, run: Run, wav2lip: str) -> None:
    save_portrait(tmp_path, PORTRAIT_PX)
    heard, speech = _spoken(tmp_path, run, "Avatar: wav2lip:me.png\n\nYes.\n")
    spec = AvatarSpec(weights_dir=wav2lip)
    allowed = animate.fn(heard, speech, spec, PictureSpec(fps=6), 7, run=run)
    assert allowed.clips[0].engine == "wav2lip"
    refused = animate.fn(
        heard, speech, spec, PictureSpec(fps=6), 7, run=replace(run, commercial=True)
    )
    assert refused.clips[0].engine == "viseme"
    assert "non-commercial" in refused.fallbacks[0].why
