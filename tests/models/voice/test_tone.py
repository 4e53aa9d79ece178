from __future__ import annotations

import numpy as np
import pytest

from models.voice import LineSpec, open_voice
from studio.errors import SpeechError
from studio.specs import DeviceSpec, VoiceSpec


def test_tones_have_the_times_of_words() -> None:
    with open_voice("tone", VoiceSpec(), DeviceSpec()) as voice:
        cast = voice.cast(["ALICE", "BOB"], {})
        lines = [LineSpec(text="Hello wonderful world, it is $5.", voice=v) for v in cast.values()]
        alice, bob = voice.say(lines)
    assert [word.text for word in alice.words] == lines[0].text.split()
    assert alice.words[1].num_samples > alice.words[0].num_samples
    assert sum(p.num_samples for p in alice.phonemes) == len(alice.samples)
    assert alice.samples.dtype == np.float32
    assert 0.1 < np.abs(alice.samples).max() < 0.6
    assert not np.array_equal(alice.samples, bob.samples)
    pause = next(p for p in alice.phonemes if not p.symbol)
    assert not alice.samples[pause.start : pause.start + pause.num_samples].any()


def test_rate_sets_the_length_and_silence_is_an_error() -> None:
    with open_voice("tone", VoiceSpec(), DeviceSpec()) as voice:
        slow, fast = voice.say([LineSpec(text="a b c", rate_wpm=rate) for rate in (100, 200)])
        assert len(slow.samples) == pytest.approx(2 * len(fast.samples), abs=5)
        with pytest.raises(SpeechError):
            list(voice.say([LineSpec(text="…")]))
