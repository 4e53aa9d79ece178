from __future__ import annotations

import hashlib
import itertools
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from models.voice import LineSpec, Utterance, open_voice
from models.voice.casting import TIMBRES, cast, library_voice, timbre
from models.voice.espeak_library import phonemise
from models.voice.espeak_ng import utter
from studio.errors import SettingError, SpeechError
from studio.specs import DeviceSpec, VoiceSpec

SENTENCE = "Welcome to the show. It costs $2.5 million — really, Dr. Smith!"

HASHES = """
import hashlib
from models.voice import LineSpec
from models.voice.casting import TIMBRES
from models.voice.espeak_ng import utter
for timbre in TIMBRES:
    line = LineSpec(text="Same bits, please.", voice=timbre.name)
    print(hashlib.sha256(utter(line).samples.tobytes()).hexdigest())
"""


def _hash(voice: str) -> str:
    line = LineSpec(text="Same bits, please.", voice=voice)
    return hashlib.sha256(utter(line).samples.tobytes()).hexdigest()


def test_every_cast_voice_gives_the_same_bits_in_threads_and_processes() -> None:
    names = [entry.name for entry in TIMBRES]
    here = [_hash(name) for name in names]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(_hash, names * 2)) == here * 2
    elsewhere = subprocess.run(
        [sys.executable, "-c", HASHES], capture_output=True, text=True, check=True
    )
    assert elsewhere.stdout.split() == here
    assert len(set(here)) == len(names)


def _check_times(spoken: Utterance, text: str) -> None:
    assert [word.text for word in spoken.words] == text.split()
    ends = [word.start + word.num_samples for word in spoken.words]
    assert all(word.num_samples > 0 for word in spoken.words)
    assert all(end <= word.start for end, word in zip(ends, spoken.words[1:], strict=False))
    starts = [phoneme.start for phoneme in spoken.phonemes]
    stops = [phoneme.start + phoneme.num_samples for phoneme in spoken.phonemes]
    assert starts[0] == 0
    assert stops[-1] == len(spoken.samples)
    assert starts[1:] == stops[:-1]


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en-us", SENTENCE),
        ("en-gb", "Café — naïve “quotes”, it’s 3.5 now & then."),
        ("de", "Das sind 3,5 GB, z.B. im Jahr 1995."),
        ("fr", "C’est l’année 2026 ; voilà !"),
        ("es-MX", "¿Cuánto cuesta? 20 €, señor."),
        ("ja", "こんにちは、世界。"),
        ("ar", "مرحبا بالعالم"),
    ],
)
def test_words_and_phonemes_have_their_times(language: str, text: str) -> None:
    _check_times(utter(LineSpec(text=text, language=language)), text)


def test_word_times_fall_where_the_sound_is() -> None:
    spoken = utter(LineSpec(text="Stop, then go."))
    level = np.abs(spoken.samples)
    for word in spoken.words:
        assert level[word.start : word.start + word.num_samples].mean() > 5 * level[-200:].mean()
    first, second, _ = spoken.words
    gap = level[first.start + first.num_samples + 500 : second.start - 200]
    assert gap.max(initial=0.0) < 0.02


def test_rate_and_pitch_change_speech() -> None:
    slow, fast = (len(utter(LineSpec(text=SENTENCE, rate_wpm=rate)).samples) for rate in (120, 220))
    assert 1.5 < slow / fast < 2.3
    low, high = (_pitch_hz(utter(LineSpec(text="Hello there.", pitch_pct=pct))) for pct in (25, 75))
    assert high > 1.2 * low


def _pitch_hz(spoken: Utterance) -> float:
    vowels = [p for p in spoken.phonemes if p.num_samples > 1200 and set(p.symbol) & set("oəɛeɪʊ")]
    longest = max(vowels, key=lambda p: p.num_samples)
    part = spoken.samples[longest.start : longest.start + longest.num_samples].astype(np.float64)
    correlation = np.fft.irfft(np.abs(np.fft.rfft(part - part.mean(), 8192)) ** 2)
    lags = np.arange(spoken.sample_rate // 400, spoken.sample_rate // 60)
    return float(spoken.sample_rate / lags[correlation[lags].argmax()])


def test_the_lexicon_changes_what_is_heard_not_what_is_written() -> None:
    plain = utter(LineSpec(text="Say Nginx now"))
    said = utter(LineSpec(text="Say Nginx now", lexicon=(("nginx", "[[,EndZIn'Eks]]"),)))
    assert [word.text for word in said.words] == [word.text for word in plain.words]
    assert "dʒ" in [phoneme.symbol for phoneme in said.phonemes]


@pytest.mark.parametrize("text", ["", "…", "🎉 — *"])
def test_a_line_without_sound_is_an_error_that_names_it(text: str) -> None:
    with pytest.raises(SpeechError) as caught:
        utter(LineSpec(text=text))
    assert text in caught.value.where
    assert "lexicon" in caught.value.remedy


def test_unknown_voices_and_languages_name_near_ones() -> None:
    with pytest.raises(SettingError, match="alto"):
        utter(LineSpec(text="x", voice="altoo"))
    with pytest.raises(SettingError, match="en-us"):
        utter(LineSpec(text="x", language="xq-us"))
    with pytest.raises(SettingError, match="soprano"):
        cast(["ALICE"], {"ALICE": "sopranno"})


@pytest.mark.parametrize(
    ("tag", "identifier"),
    [
        ("en", "gmw/en-US"),
        ("en_GB", "gmw/en"),
        ("de-AT", "gmw/de"),
        ("pt-br", "roa/pt-BR"),
        ("zh", "sit/cmn"),
    ],
)
def test_language_tags_find_their_voice(tag: str, identifier: str) -> None:
    assert library_voice(tag) == identifier


def test_an_accent_can_be_asked_for() -> None:
    british, american = (
        utter(LineSpec(text="Not a lot of water", voice=v)) for v in ("en-gb+alto", "alto")
    )
    assert "ɒ" in "".join(p.symbol for p in british.phonemes)
    assert "ɒ" not in "".join(p.symbol for p in american.phonemes)


def test_the_cast_is_distinct_and_wishes_win() -> None:
    speakers = ["ALICE", "BOB", "HOST", "GUEST", "Mrs. Q", "X", "Y", "Z"]
    chosen = cast(speakers, {"guest": "m3", "X": "en-gb+tenor"})
    assert list(chosen) == speakers
    assert chosen["GUEST"] == "m3"
    assert chosen["X"] == "en-gb+tenor"
    free = [voice for speaker, voice in chosen.items() if speaker not in {"GUEST", "X"}]
    assert len(set(free)) == len(free)
    assert timbre(chosen["ALICE"]).sex == timbre(chosen["Mrs. Q"]).sex == "female"
    assert timbre(chosen["BOB"]).sex == "male"
    assert cast(speakers, {"": "bass"})["Y"] == "bass"
    assert cast(speakers, {}) == cast(speakers, {})


def test_the_door_opens_the_embedded_voice() -> None:
    with open_voice("espeak_ng", VoiceSpec(), DeviceSpec()) as voice:
        spoken = list(voice.say([LineSpec(text="One."), LineSpec(text="Two.")]))
        assert [word.text for line in spoken for word in line.words] == ["One.", "Two."]
        assert spoken[0].sample_rate == voice.info.rate


def test_phonemise_gives_clauses() -> None:
    assert phonemise("Hello, world.", "gmw/en-US") == ["h_ə_l_ˈoʊ", "w_ˈɜː_l_d"]
    with pytest.raises(LookupError):
        phonemise("x", "no such voice")


@pytest.mark.parametrize(
    "text",
    ["\u202e\u0627\u0644 x\u200b", "a" * 300, "%{x} $ [[a]] <b>", "ÀÉ\u0301 1e9 ٣٤ ½", "0" * 40],
)
def test_odd_text_is_spoken_or_refused_never_worse(text: str) -> None:
    for language in ("en-us", "de", "ar"):
        try:
            spoken = utter(LineSpec(text=text, language=language))
        except SpeechError:
            continue
        assert len(spoken.words) == len(text.split())


def test_cast_voices_are_told_apart_by_pitch_or_timbre() -> None:
    spoken = [utter(LineSpec(text=SENTENCE, voice=entry.name)) for entry in TIMBRES]
    pitches = [12 * np.log2(_median_pitch_hz(one)) for one in spoken]
    timbres = [_spectrum_db(one) for one in spoken]
    for i in range(len(spoken)):
        for j in range(i):
            apart = float(np.sqrt(((timbres[i] - timbres[j]) ** 2).mean()))
            semitones = abs(pitches[i] - pitches[j])
            assert semitones >= 2 or apart >= 3, (TIMBRES[i].name, TIMBRES[j].name)


def _median_pitch_hz(spoken: Utterance) -> float:
    """Median of the autocorrelation's peaks over loud frames of 40 ms."""
    rate = spoken.sample_rate
    size = rate // 25
    frames = spoken.samples[: len(spoken.samples) // size * size].reshape(-1, size)
    frames = frames[(frames**2).mean(axis=1) > 0.3 * (frames**2).mean()]
    spectra = np.abs(np.fft.rfft(frames * np.hanning(size), 4096, axis=1)) ** 2
    correlation = np.fft.irfft(spectra, axis=1)
    lags = np.arange(rate // 400, rate // 60)
    return float(np.median(rate / lags[correlation[:, lags].argmax(axis=1)]))


def _spectrum_db(spoken: Utterance) -> np.ndarray:
    """Long-term level in 24 mel bands from 100 Hz to 9 kHz, its mean taken out."""
    frames = spoken.samples[: len(spoken.samples) // 1024 * 1024].reshape(-1, 1024)
    power = (np.abs(np.fft.rfft(frames * np.hanning(1024), axis=1)) ** 2).mean(axis=0)
    frequency = np.fft.rfftfreq(1024, 1 / spoken.sample_rate)
    mel = np.linspace(np.log1p(100 / 700), np.log1p(9000 / 700), 25)
    edges = 700 * np.expm1(mel)
    bands = [
        power[(frequency >= low) & (frequency < high)].mean()
        for low, high in itertools.pairwise(edges)
    ]
    level = 10 * np.log10(np.array(bands))
    return np.asarray(level - level.mean())
