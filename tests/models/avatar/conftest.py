"""Real speech for presenters: espeak's own samples and phoneme times, polished as in an episode."""

from __future__ import annotations

import math

import pytest

from models.avatar import LineSound
from models.voice import LineSpec, open_voice
from models.voice.polish import polish
from studio.specs import DeviceSpec, VoiceSpec
from studio.types import SAMPLE_RATE

TEXTS = (
    "Papa may be mopping up bubbles. My mobile album became a hobby.",
    "Welcome to the show, where we look at how machines learn to speak.",
    "Five very vivid figures moved over the valley, while she sold sea shells.",
)


@pytest.fixture(scope="session")
def spoken() -> list[LineSound]:
    """Three sentences at 25 frames per second."""
    spec = VoiceSpec()
    lines = []
    with open_voice("espeak_ng", spec, DeviceSpec()) as voice:
        names = voice.cast(("HOST",), {})
        asked = [LineSpec(text=text, voice=names["HOST"], seed=1) for text in TEXTS]
        for utterance in voice.say(asked):
            clean = polish(utterance, spec)
            lines.append(
                LineSound(
                    samples=clean.samples,
                    phonemes=clean.phonemes,
                    words=clean.words,
                    num_frames=math.ceil(len(clean.samples) * 25 / SAMPLE_RATE),
                    fps=25,
                    seed=3,
                )
            )
    return lines
