"""Text and phonemes as tokens."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.corpus.tokens import decode, encode, normalise, phoneme_frames, unknown, vocabulary
from studio.corpus import TokenSpec
from studio.types import Phoneme


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        (
            "Dr. Smith paid $3.50 — “really”?",
            'doctor smith paid three dollars fifty cents, "really"?',
        ),
        ("A  café\tin   São Paulo…", "a cafe in sao paulo."),
        ("[aside] it’s 1080p", "aside it's ten eighty p"),
    ],
)
def test_text_becomes_what_is_spoken_in_plain_signs(written: str, spoken: str) -> None:
    assert normalise(written, TokenSpec()) == spoken


def test_a_mark_stays_where_the_symbols_have_it() -> None:
    spec = TokenSpec(symbols=" abcdefghijklmnopqrstuvwxyzäöüß.,", language="de")
    assert normalise("Größe über café", spec) == "größe über cafe"


def test_what_no_symbol_stands_for_is_named() -> None:
    spec = TokenSpec()
    assert unknown(normalise("я and ツ", spec), spec) == "яツ"
    assert unknown(normalise("plain", spec), spec) == ""


def test_normalising_twice_changes_nothing() -> None:
    once = normalise("Mr. Jones, aged 42, ran 3.2 km!", TokenSpec())
    assert normalise(once, TokenSpec()) == once


@given(st.text(alphabet=TokenSpec().symbols, max_size=60))
def test_tokens_tell_the_text_and_never_use_the_padding(text: str) -> None:
    known = vocabulary(TokenSpec())
    tokens = encode(text, known)
    assert "".join(decode(tokens.tolist(), known)) == text
    assert not len(tokens) or tokens.min() > 0


def test_a_symbol_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="twice"):
        TokenSpec(symbols="aba")


@settings(max_examples=60)
@given(st.lists(st.integers(1, 4000), min_size=1, max_size=40), st.integers(1, 600))
def test_phoneme_lengths_add_up_and_are_right_to_a_frame(lengths: list[int], hop: int) -> None:
    starts = np.concatenate([[0], np.cumsum(lengths)])
    num_samples = int(starts[-1])
    phonemes = [
        Phoneme(symbol=str(index % 7), start=int(start), num_samples=length)
        for index, (start, length) in enumerate(zip(starts[:-1], lengths, strict=True))
    ]
    num_frames = num_samples // hop + 1
    symbols, frames = phoneme_frames(phonemes, num_samples, num_frames, hop)
    assert symbols == tuple(phoneme.symbol for phoneme in phonemes)
    assert frames.sum() == num_frames
    ends = np.cumsum(frames)
    # A boundary is off by less than a hop; the last frame may be centred on the very end.
    assert np.abs(ends * hop - starts[1:]).max() <= hop
