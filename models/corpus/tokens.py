"""Text as a model reads it: normalised, then token ids; phonemes with their lengths in frames.

Token 0 is padding in every vocabulary and never occurs in a clip.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.voice.reading import read
from studio.corpus import TokenSpec
from studio.types import Phoneme

PAUSE = ""
"""The symbol of a pause among phonemes."""

_PLAIN = str.maketrans(
    {
        "‘": "'", "’": "'", "‚": "'", "′": "'", "`": "'",
        "“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "″": '"',
        "–": "-", "—": "-", "‐": "-", "‑": "-", "−": "-",
        "…": ".", "[": "(", "]": ")", "{": "(", "}": ")",
    }
)  # fmt: skip
"""Typographic signs and the plain ones that mean the same to a reader."""


def normalise(text: str, spec: TokenSpec) -> str:
    """`text` with figures and abbreviations as spoken words, plain signs, single spaces, in lower
    case where the spec says so.

    A letter with a mark that the vocabulary lacks loses the mark ("café" -> "cafe" in English); one
    that it has keeps it. Signs that nobody speaks and no symbol stands for are left for `encode` to
    refuse.
    """
    said = read(text, spec.language, phonemes=False).text if spec.read_out else text
    plain = unicodedata.normalize("NFC", said).translate(_PLAIN)
    if spec.lower_case:
        plain = plain.lower()
    known = set(spec.symbols)
    kept = "".join(char if char in known else _unmarked(char) for char in plain)
    return " ".join(kept.split())


def _unmarked(char: str) -> str:
    apart = unicodedata.normalize("NFKD", char)
    return "".join(part for part in apart if not unicodedata.combining(part))


def vocabulary(spec: TokenSpec) -> tuple[str, ...]:
    """The symbols of characters: symbol i is token i + 1."""
    return tuple(spec.symbols)


def unknown(normalised: str, spec: TokenSpec) -> str:
    """The characters of a normalised text that the vocabulary lacks, each once, sorted."""
    return "".join(sorted(set(normalised) - set(spec.symbols)))


def encode(symbols: Sequence[str], known: Sequence[str]) -> NDArray[np.uint16]:
    """Token ids of symbols. Raises `KeyError` with the first that `known` lacks."""
    ids = {symbol: index + 1 for index, symbol in enumerate(known)}
    return np.array([ids[symbol] for symbol in symbols], np.uint16)


def decode(tokens: Sequence[int], known: Sequence[str]) -> tuple[str, ...]:
    """The symbols of token ids; padding is left out."""
    return tuple(known[token - 1] for token in tokens if token)


def phoneme_frames(
    phonemes: Sequence[Phoneme], num_samples: int, num_frames: int, hop_length: int
) -> tuple[tuple[str, ...], NDArray[np.uint16]]:
    """Symbols and their lengths in frames, which add up to `num_frames`.

    A phoneme owns the frames whose centres (`t * hop_length`) lie in it; times are samples of the
    clip. Phonemes shorter than a hop may own none and stay, with length 0: a model that expands by
    length skips them, one that aligns by attention does not. What lies before the first and behind
    the last phoneme counts as their own.
    """
    symbols = tuple(phoneme.symbol for phoneme in phonemes)
    ends = [min(phoneme.start + phoneme.num_samples, num_samples) for phoneme in phonemes]
    bounds = np.array([0, *ends], np.int64)
    # Frame t belongs to the phoneme with bounds[i] <= t * hop < bounds[i + 1].
    first = np.maximum.accumulate(-(-bounds // hop_length))
    first = np.minimum(first, num_frames)
    first[-1] = num_frames
    return symbols, np.diff(first).astype(np.uint16)
