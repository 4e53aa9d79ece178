from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from models.voice import LineSpec
from models.voice.align import fits_to, spoken
from models.voice.espeak_ng import utter
from models.voice.mel import FEATURE_RATE_HZ
from models.voice.retime import retime
from models.voice.traits import FEWEST_LINES, Acquaintance, pitches_hz, traits_of
from studio.types import VoiceTraits

TEXTS = (
    "We measured the river every morning, and the numbers never agreed with the forecast.",
    "She opened the letter, read it twice, and put it into the fire without a word.",
    "Why did nobody notice the leak until the whole street was under water?",
    "Let us begin with the oldest clock in the city.",
)


@cache
def _traits(voice: str, text: str, semitones: float = 0.0) -> VoiceTraits:
    real = utter(LineSpec(text=text, voice=voice))
    samples = retime(real.samples, real.sample_rate, 1.0, 2.0 ** (semitones / 12.0))
    target = spoken(samples, real.sample_rate, text)
    return traits_of(fits_to(LineSpec(text=text), target)[0], target)


def _acquainted(voice: str) -> Acquaintance:
    speaker = Acquaintance()
    for text in TEXTS[:2]:
        speaker.hear(_traits(voice, text))
    return speaker


@pytest.mark.parametrize("voice", ["bass", "soprano", "mezzo"])
def test_a_voice_is_known_again_in_other_words(voice: str) -> None:
    speaker = _acquainted(voice)
    assert all(speaker.drift(_traits(voice, text)) < 0.8 for text in TEXTS[2:])


@pytest.mark.parametrize(("voice", "other"), [("bass", "mezzo"), ("soprano", "baritone")])
def test_another_voice_is_told_from_the_speaker(voice: str, other: str) -> None:
    speaker = _acquainted(voice)
    assert all(speaker.drift(_traits(other, text)) > 1.0 for text in TEXTS[2:])


def test_the_same_voice_much_higher_is_another_voice() -> None:
    speaker = _acquainted("bass")
    assert speaker.drift(_traits("bass", TEXTS[2], semitones=7.0)) > 1.0


def test_nobody_is_judged_before_he_is_known() -> None:
    speaker = Acquaintance()
    strange = _traits("mezzo", TEXTS[2])
    for text in TEXTS[: FEWEST_LINES - 1]:
        speaker.hear(_traits("bass", text))
    assert speaker.drift(strange) == 0.0
    assert speaker.tempo is None
    speaker.hear(replace(_traits("bass", TEXTS[1]), seconds=0.4))
    assert speaker.drift(strange) == 0.0


def test_later_lines_do_not_move_what_a_speaker_is_measured_by() -> None:
    speaker = _acquainted("bass")
    for text in TEXTS[:3]:
        speaker.hear(_traits("bass", text))
    strange = _traits("mezzo", TEXTS[3])
    before = speaker.drift(strange)
    for _ in range(20):
        speaker.hear(strange)
    assert speaker.drift(strange) == before > 1.0


@pytest.mark.parametrize("frequency_hz", [80.0, 133.0, 260.0])
def test_the_pitch_of_a_buzz_is_its_own_and_noise_has_none(frequency_hz: float) -> None:
    phase = np.arange(FEATURE_RATE_HZ) * frequency_hz / FEATURE_RATE_HZ
    partials = [np.sin(2 * np.pi * n * phase) / n for n in range(1, 12)]
    buzz = np.sum(partials, axis=0).astype(np.float32)
    assert np.median(pitches_hz(buzz)) == pytest.approx(frequency_hz, rel=0.02)
    noise = np.random.default_rng(3).standard_normal(FEATURE_RATE_HZ).astype(np.float32)
    assert len(pitches_hz(noise)) < 5
    assert len(pitches_hz(noise[:100])) == 0
