from __future__ import annotations

import numpy as np
import pytest

from models.voice import LineSpec
from models.voice.align import spoken
from models.voice.espeak_ng import utter
from models.voice.gaps import CLEAR, SUSPECT, Gaps, find_gaps

TEXT = "The train left at seven, the rain began at eight, and by nine the bridge was gone."
LINE = LineSpec(text=TEXT)


def _found(said: str, voice: str = "soprano", rate_wpm: int = 165) -> Gaps:
    real = utter(LineSpec(text=said, voice=voice, rate_wpm=rate_wpm))
    return find_gaps(LINE, spoken(real.samples, real.sample_rate, TEXT))


@pytest.mark.parametrize(("voice", "rate_wpm"), [("bass", 130), ("mezzo", 165), ("soprano", 210)])
def test_the_right_words_have_no_gap_in_any_voice_at_any_tempo(voice: str, rate_wpm: int) -> None:
    found = _found(TEXT, voice, rate_wpm)
    assert max(found.left_out, found.added) < SUSPECT


@pytest.mark.parametrize(
    "said",
    [
        "The train left at seven, and by nine the bridge was gone.",
        "The rain began at eight, and by nine the bridge was gone.",
        "The train left at seven, the rain began at eight.",
    ],
)
def test_a_clause_left_out_anywhere_is_found(said: str) -> None:
    found = _found(said, "bass")
    assert found.left_out > CLEAR
    assert found.left_out > found.added


@pytest.mark.parametrize(
    "said",
    [
        TEXT.replace("the rain began at eight, ", "the rain began at eight, " * 2),
        TEXT + " The bridge was gone.",
        "Well, you know, I mean, the green ones. " + TEXT,
    ],
)
def test_a_clause_said_twice_or_added_is_found(said: str) -> None:
    found = _found(said)
    assert found.added > CLEAR
    assert found.added > found.left_out


def test_a_single_word_left_out_shows() -> None:
    found = _found(TEXT.replace("bridge ", ""))
    assert found.left_out > max(_found(TEXT).left_out, 1.0)


def test_what_it_finds_does_not_depend_on_level_or_rate() -> None:
    real = utter(LineSpec(text=TEXT.replace("the rain began at eight, ", ""), voice="bass"))
    loud = find_gaps(LINE, spoken(real.samples, real.sample_rate, TEXT))
    quiet = find_gaps(LINE, spoken(real.samples * np.float32(0.1), real.sample_rate, TEXT))
    assert quiet.left_out == pytest.approx(loud.left_out, rel=0.1)
