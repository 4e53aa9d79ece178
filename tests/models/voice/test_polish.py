from __future__ import annotations

import itertools

import numpy as np
import pytest

from models.voice import LineSpec, Utterance
from models.voice.casting import TIMBRES
from models.voice.espeak_ng import utter
from models.voice.polish import CEILING_DBFS, LINE_LUFS, fade_edges, limit, loudness_lufs, polish
from studio.audio import gain
from studio.errors import SpeechError
from studio.specs import VoiceSpec
from studio.types import SAMPLE_RATE, Phoneme, Word

SPEC = VoiceSpec()


def _utterance(samples: np.ndarray, rate: int = SAMPLE_RATE) -> Utterance:
    return Utterance(
        samples=samples.astype(np.float32),
        sample_rate=rate,
        words=(Word(text="x", start=0, num_samples=len(samples)),),
        phonemes=(Phoneme(symbol="ɑ", start=0, num_samples=len(samples)),),
    )


def _band_db(samples: np.ndarray, low_hz: float, high_hz: float) -> float:
    power = np.abs(np.fft.rfft(samples)) ** 2
    frequency = np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE)
    inside = (frequency >= low_hz) & (frequency < high_hz)
    return float(10 * np.log10(power[inside].sum() / power.sum()))


def test_loudness_of_the_standards_reference_tone() -> None:
    # A 997 Hz sine of 0 dBFS in one channel reads -3.01 LKFS: ITU-R BS.1770-4, annex 1.
    tone = np.sin(2 * np.pi * 997 * np.arange(5 * SAMPLE_RATE) / SAMPLE_RATE)
    assert loudness_lufs(tone) == pytest.approx(-3.01, abs=0.02)
    assert loudness_lufs(tone * 0.1) == pytest.approx(-23.01, abs=0.02)


@pytest.mark.parametrize("text", ["No.", "Welcome to the show. Is $3.50 too much, or isn't it?"])
def test_all_speakers_are_equally_loud_without_clipping_or_offset(text: str) -> None:
    for entry in TIMBRES:
        line = polish(utter(LineSpec(text=text, voice=entry.name)), SPEC)
        sound = line.samples.astype(np.float64)
        assert loudness_lufs(sound) == pytest.approx(LINE_LUFS, abs=0.5), entry.name
        assert np.abs(sound).max() <= gain(CEILING_DBFS) + 1e-6
        assert abs(sound.mean()) < 1e-3
        assert abs(sound[0]) < 1e-4
        assert abs(sound[-1]) < 1e-4


def test_times_stay_on_the_sound() -> None:
    raw = utter(LineSpec(text="One, two three."))
    line = polish(raw, SPEC)
    assert line.sample_rate == SAMPLE_RATE
    assert [word.text for word in line.words] == ["One,", "two", "three."]
    spans = [(phoneme.start, phoneme.start + phoneme.num_samples) for phoneme in line.phonemes]
    assert spans[0][0] == 0
    assert spans[-1][1] == len(line.samples)
    assert all(a[1] == b[0] for a, b in itertools.pairwise(spans))
    # The word's own samples, at both rates, have the same envelope.
    for before, after in zip(raw.words, line.words, strict=True):
        assert after.num_samples == pytest.approx(
            before.num_samples * SAMPLE_RATE / raw.sample_rate, abs=700
        )
        inside = np.abs(line.samples[after.start : after.start + after.num_samples])
        assert inside.mean() > 0.02


def test_dead_air_is_trimmed() -> None:
    silence = np.zeros(SAMPLE_RATE)
    tone = 0.2 * np.sin(2 * np.pi * 300 * np.arange(SAMPLE_RATE) / SAMPLE_RATE)
    line = polish(_utterance(np.concatenate([silence, tone, silence])), SPEC)
    assert len(line.samples) == pytest.approx(SAMPLE_RATE * 1.07, abs=SAMPLE_RATE * 0.03)


def test_highpass_removes_rumble_and_can_be_off() -> None:
    time = np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE
    voice = _utterance(0.2 * np.sin(2 * np.pi * 30 * time) + 0.2 * np.sin(2 * np.pi * 400 * time))
    filtered, open_ = (
        polish(voice, VoiceSpec(highpass_hz=cutoff, compression_ratio=1)) for cutoff in (90.0, 0.0)
    )
    assert _band_db(filtered.samples, 0, 60) < -30
    assert _band_db(open_.samples, 0, 60) > -4


def test_compression_narrows_the_range_of_levels() -> None:
    raw = utter(
        LineSpec(text="Loud and QUIET words go up and down; some more, some less, you know?")
    )
    spread = []
    for ratio in (1.0, 2.5, 8.0):
        sound = polish(raw, VoiceSpec(compression_ratio=ratio)).samples
        frames = sound[: len(sound) // 960 * 960].reshape(-1, 960)
        level = 10 * np.log10((frames**2).mean(axis=1) + 1e-12)
        loud = level[level > level.max() - 30]
        spread.append(float(loud.max() - np.median(loud)))
    assert spread[0] > spread[1] > spread[2]


def test_the_limiter_ducks_peaks_and_leaves_the_rest() -> None:
    sound = 0.3 * np.sin(2 * np.pi * 200 * np.arange(SAMPLE_RATE) / SAMPLE_RATE)
    sound[24_000:24_100] *= 5
    out = limit(sound)
    assert np.abs(out).max() <= gain(CEILING_DBFS)
    assert np.array_equal(out[:20_000], sound[:20_000])
    assert np.array_equal(limit(sound * 0.1), sound * 0.1)


def test_fades_join_without_a_click() -> None:
    faded = fade_edges(np.ones(4800))
    assert faded[0] == 0.0
    assert faded[-1] == 0.0
    assert np.abs(np.diff(faded)).max() < 0.01
    assert len(fade_edges(np.ones(3))) == 3


def test_polish_is_repeatable_and_refuses_silence() -> None:
    raw = utter(LineSpec(text="Again and again."))
    assert np.array_equal(polish(raw, SPEC).samples, polish(raw, SPEC).samples)
    for bad in (np.zeros(1000), np.array([0.1, np.nan] * 500), np.zeros(0)):
        with pytest.raises(SpeechError):
            polish(_utterance(bad), SPEC)
