"""The mix stage on real files: declared lengths, levels, ducking, loudness, a full disk."""

import resource
import signal
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from models.sound.loudness import measure_loudness
from studio.audio import read_flac, write_flac
from studio.errors import MusicError, OutputError, SpeechError
from studio.specs import MixSpec
from studio.store import Store
from studio.types import (
    SAMPLE_RATE,
    Blob,
    Mix,
    MusicPiece,
    MusicPlacement,
    MusicTrack,
    SpeechTrack,
    SpokenLine,
    Word,
)
from tasks.mix import mix_episode, spoken_spans

LINE = SAMPLE_RATE
STARTS = (2 * SAMPLE_RATE, 4 * SAMPLE_RATE + 11)
TOTAL = 7 * SAMPLE_RATE + 123


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("mix") / "store")


def put(store: Store, samples: NDArray[np.float32]) -> Blob:
    with store.draft(".flac") as draft:
        write_flac(draft.path, samples)
    return draft.taken()


def voice(seed: int) -> NDArray[np.float32]:
    """A buzz in four bursts a second, with the crest of speech."""
    at = np.arange(LINE) / SAMPLE_RATE
    wave = sum(np.cos(2 * np.pi * (120 + seed) * k * at + k * k) / k for k in range(1, 25))
    return (wave * 0.08 * np.sin(np.pi * 4 * at) ** 2).astype(np.float32)


@pytest.fixture(scope="module")
def speech(store: Store) -> SpeechTrack:
    lines = tuple(
        SpokenLine(
            index=index,
            speaker="NARRATOR",
            text="some words",
            engine="tone",
            voice="tone",
            audio=put(store, voice(index)),
            num_samples=LINE,
            words=(Word(text="some", start=0, num_samples=LINE),),
            phonemes=(),
        )
        for index in range(2)
    )
    return SpeechTrack(sample_rate=SAMPLE_RATE, num_samples=TOTAL, lines=lines, starts=STARTS)


@pytest.fixture(scope="module")
def music(store: Store) -> MusicTrack:
    rng = np.random.default_rng(2)
    samples = (rng.standard_normal((4 * SAMPLE_RATE, 2)) * 0.1).astype(np.float32)
    piece = MusicPiece(
        cue=0,
        engine="file",
        prompt="noise",
        audio=put(store, samples),
        hop_samples=len(samples),
        chunk_samples=(len(samples),),
    )
    return MusicTrack(sample_rate=SAMPLE_RATE, pieces=(piece,))


@pytest.fixture(scope="module")
def plain(store: Store, speech: SpeechTrack, music: MusicTrack) -> Mix:
    return mix_episode(speech, music, [placed()], MixSpec(), store=store)


def placed(**changes: Any) -> MusicPlacement:
    values = {"cue": 0, "start": 0, "num_samples": TOTAL, "gain_db": 0.0, "fade_in": 9600}
    return MusicPlacement(**{**values, "fade_out": 48_000, **changes})


def sounds(store: Store, mix: Mix) -> list[NDArray[np.float32]]:
    return [read_flac(store.path(b)) for b in (mix.audio, mix.speech_stem, mix.music_stem)]


def level_db(samples: NDArray[np.float32]) -> float:
    return 10 * float(np.log10(np.mean(np.square(samples, dtype=np.float64)) + 1e-12))


def test_every_file_has_the_declared_samples_and_the_stems_add_up(store: Store, plain: Mix) -> None:
    mix = plain
    assert (mix.num_samples, mix.num_channels, mix.sample_rate) == (TOTAL, 2, SAMPLE_RATE)
    for blob in (mix.audio, mix.speech_stem, mix.music_stem):
        info = soundfile.info(store.path(blob))
        assert (info.frames, info.samplerate, info.subtype) == (TOTAL, SAMPLE_RATE, "PCM_24")
    whole, voices, bed = sounds(store, mix)
    np.testing.assert_allclose(voices[:, None] + bed, whole, atol=4e-7)
    assert not voices[: STARTS[0]].any()
    assert voices[STARTS[0] : STARTS[0] + LINE].any()


@pytest.mark.parametrize(("num_channels", "target"), [(2, -14.0), (1, -19.0)])
def test_loudness_and_true_peak_are_met_and_reported(
    store: Store, speech: SpeechTrack, music: MusicTrack, num_channels: int, target: float
) -> None:
    spec = MixSpec.model_validate({"num_channels": num_channels, "loudness_lufs": target})
    mix = mix_episode(speech, music, [placed()], spec, store=store)
    found = measure_loudness(sounds(store, mix)[0], true_peak=True)
    assert found.integrated_lufs == pytest.approx(target, abs=0.2)
    assert mix.loudness_lufs == pytest.approx(found.integrated_lufs, abs=0.02)
    assert found.true_peak_dbtp is not None
    assert found.true_peak_dbtp <= -1.8
    assert mix.true_peak_dbtp == pytest.approx(found.true_peak_dbtp, abs=0.25)


def test_the_bed_lies_at_its_level_and_is_ducked_under_speech(
    store: Store, speech: SpeechTrack, music: MusicTrack
) -> None:
    # The looped noise has the same level everywhere, so the stem shows the gains alone.
    spec = MixSpec(bed_db=-10.0, duck_db=-12.0)
    mix = mix_episode(speech, music, [placed()], spec, store=store)
    _, voices, bed = sounds(store, mix)
    alone = measure_loudness(bed[9600 : SAMPLE_RATE + 30_000]).integrated_lufs
    spoken = measure_loudness(voices[:, None].repeat(2, axis=1)).integrated_lufs
    assert alone - spoken == pytest.approx(-10.0, abs=0.5)
    ducked = level_db(bed[STARTS[0] : STARTS[0] + LINE])
    assert ducked - level_db(bed[9600 : SAMPLE_RATE + 30_000]) == pytest.approx(-12.0, abs=0.5)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("bed_db", -20.0),
        ("duck_db", -3.0),
        ("duck_attack_s", 1.0),
        ("duck_hold_s", 1.0),
        ("duck_release_s", 3.0),
        ("loudness_lufs", -18.0),
        ("num_channels", 1),
    ],
)
def test_every_option_of_the_mix_changes_its_sound(
    store: Store, speech: SpeechTrack, music: MusicTrack, plain: Mix, field: str, value: float
) -> None:
    spec = MixSpec.model_validate({field: value})
    other = mix_episode(speech, music, [placed()], spec, store=store)
    before, after = sounds(store, plain)[0], sounds(store, other)[0]
    if before.shape == after.shape:
        assert np.abs(before - after).max() > 0.002
    else:
        assert field == "num_channels"


def test_a_lower_ceiling_limits_more(store: Store, speech: SpeechTrack) -> None:
    loud = MixSpec(true_peak_dbtp=-1.0, loudness_lufs=-12.0)
    low = MixSpec(true_peak_dbtp=-8.0, loudness_lufs=-12.0)
    first = mix_episode(speech, None, [], loud, store=store)
    second = mix_episode(speech, None, [], low, store=store)
    assert second.true_peak_dbtp <= -8.9
    assert first.true_peak_dbtp > second.true_peak_dbtp + 1.0


def test_the_same_inputs_give_the_same_bytes(
    store: Store, speech: SpeechTrack, music: MusicTrack, plain: Mix
) -> None:
    assert mix_episode(speech, music, [placed()], MixSpec(), store=store) == plain


def test_two_pieces_cross_fade_and_their_gains_are_kept(
    store: Store, speech: SpeechTrack, music: MusicTrack
) -> None:
    half = 4 * SAMPLE_RATE
    beds = [
        placed(num_samples=half, fade_out=SAMPLE_RATE),
        placed(start=half - SAMPLE_RATE, num_samples=TOTAL - half + SAMPLE_RATE, gain_db=-6.0,
               fade_in=SAMPLE_RATE, fade_out=0),
    ]  # fmt: skip
    spec = MixSpec(duck_db=0.0)
    bed = sounds(store, mix_episode(speech, music, beds, spec, store=store))[2]
    before, after = bed[SAMPLE_RATE : half - SAMPLE_RATE], bed[half : half + 2 * SAMPLE_RATE]
    assert level_db(after) - level_db(before) == pytest.approx(-6.0, abs=0.3)


def test_a_line_shorter_than_it_says_is_named(store: Store, speech: SpeechTrack) -> None:
    lines = (speech.lines[0], replace(speech.lines[1], num_samples=LINE + 1))
    with pytest.raises(SpeechError, match="line 2"):
        mix_episode(replace(speech, lines=lines), None, [], MixSpec(), store=store)


def test_music_that_is_missing_or_cut_short_is_named(
    store: Store, speech: SpeechTrack, music: MusicTrack
) -> None:
    with pytest.raises(MusicError, match="cue 4"):
        mix_episode(speech, music, [placed(cue=3)], MixSpec(), store=store)
    wrong = replace(music.pieces[0], chunk_samples=(5 * SAMPLE_RATE,))
    with pytest.raises(MusicError, match="cue 1"):
        mix_episode(speech, replace(music, pieces=(wrong,)), [placed()], MixSpec(), store=store)


def test_words_say_where_somebody_speaks(speech: SpeechTrack) -> None:
    word = Word(text="late", start=1000, num_samples=500)
    lines = (replace(speech.lines[0], words=(word,)), replace(speech.lines[1], words=()))
    spans = spoken_spans(replace(speech, lines=lines))
    assert spans == [(STARTS[0] + 1000, STARTS[0] + 1500), (STARTS[1], STARTS[1] + LINE)]


@pytest.fixture
def small_files() -> Iterator[None]:
    """A place with room for 64 kB in any file, as a full disk has."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (65_536, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def test_no_room_is_an_error_of_the_output_and_leaves_nothing(
    store: Store, speech: SpeechTrack, music: MusicTrack, small_files: None
) -> None:
    before = set(store.media())
    with pytest.raises(OutputError):
        mix_episode(speech, music, [placed()], MixSpec(), store=store)
    assert set(store.media()) == before
    assert not list((store.root / "drafts").iterdir())
