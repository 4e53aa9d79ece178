"""Exact times from a model that knows how long each of its symbols lasts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from models.voice.reading import Reading, place_words
from studio.types import Phoneme, Word

STRESS = "ˈˌ"
LENGTH = "ːˑ"
"""Marks written before and after the letter they belong to; they sound with it."""

SHORTEST_PAUSE_S = 0.045
"""A space or comma shorter than this is no pause: models put a few frames on each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Symbol:
    """A symbol that a model spoke, "" for one that is not written, and how many samples it took."""

    text: str
    num_samples: int


def symbol_times(
    symbols: Sequence[Symbol], reading: Reading, num_samples: int, sample_rate: int
) -> tuple[tuple[Word, ...], tuple[Phoneme, ...]] | None:
    """Words and phonemes from a model's `symbols`, which last `num_samples` together.

    None when the model's symbols fall into another number of words than the text that it was given:
    phonemisers join short words, and then only an alignment can tell them apart.
    """
    phonemes = _phonemes(symbols, num_samples, sample_rate)
    groups = _word_starts(symbols)
    words = [found.start() for found in re.finditer(r"\S*\w\S*", reading.text)]
    if len(groups) != len(words) or not phonemes:
        return None
    pauses = [(p.start, p.start + p.num_samples) for p in phonemes if not p.symbol]
    marks = list(zip(words, groups, strict=True))
    return place_words(reading, marks, pauses, num_samples), phonemes


def _word_starts(symbols: Sequence[Symbol]) -> list[int]:
    """Where each run of letters between spaces begins, in samples."""
    starts: list[int] = []
    now, inside = 0, False
    for symbol in symbols:
        if symbol.text.isspace():
            inside = False
        elif not inside and _sounds(symbol.text):
            starts.append(now)
            inside = True
        now += symbol.num_samples
    return starts


def _sounds(text: str) -> bool:
    return any(char.isalpha() or char in STRESS for char in text)


def _phonemes(symbols: Sequence[Symbol], num_samples: int, sample_rate: int) -> tuple[Phoneme, ...]:
    """Letters with their marks; unwritten symbols and short silences go with what sounds before."""
    out: list[Phoneme] = []
    now, carried, mark = 0, 0, ""
    for symbol in symbols:
        length = symbol.num_samples
        if symbol.text and symbol.text in STRESS:
            mark, carried = symbol.text, carried + length
        elif _sounds(symbol.text) and not (symbol.text in LENGTH and out and out[-1].symbol):
            out.append(
                Phoneme(
                    symbol=mark + symbol.text, start=now - carried, num_samples=carried + length
                )
            )
            mark, carried = "", 0
        elif symbol.text in LENGTH and symbol.text and out:
            out[-1] = _longer(out[-1], symbol.text, length)
        elif symbol.text and length >= SHORTEST_PAUSE_S * sample_rate and not carried:
            out.append(Phoneme(symbol="", start=now, num_samples=length))
        elif out and not carried:
            out[-1] = _longer(out[-1], "", length)
        else:
            carried += length
        now += length
    if out and now < num_samples:
        out[-1] = _longer(out[-1], "", num_samples - now)
    return tuple(phoneme for phoneme in out if phoneme.num_samples > 0)


def _longer(phoneme: Phoneme, text: str, num_samples: int) -> Phoneme:
    return Phoneme(
        symbol=phoneme.symbol + text,
        start=phoneme.start,
        num_samples=phoneme.num_samples + num_samples,
    )
