"""A small corpus spoken by the embedded voice, in memory."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from models.corpus import Corpus, log_mel
from models.corpus.features import pack
from models.corpus.mapped import identity
from models.corpus.tokens import encode, normalise, phoneme_frames, vocabulary
from models.voice import LineSpec, Utterance
from models.voice.espeak_ng import utter
from studio.corpus import CorpusSpec, MelSpec, TokenSpec, layout

_WHO = ("The baker", "A sailor", "My sister", "Old Tom", "The doctor", "Nobody")
_DOES = ("sold", "found", "wanted", "carried home", "forgot")
_WHAT = ("seven loaves.", "a blue lamp.", "the last letter.", "two grey horses.", "some tea.")
SENTENCES = tuple(f"{who} {does} {what}" for who in _WHO for does in _DOES for what in _WHAT)
SMALL = MelSpec(n_mels=40, n_fft=512, win_length=512, hop_length=256)


def corpus_of(
    utterances: list[tuple[str, Utterance]], *, timed: bool, mel: MelSpec = SMALL
) -> Corpus:
    """A store in memory, as `studio corpus prepare` would have written it."""
    spec = CorpusSpec(mel=mel, tokens=TokenSpec(kind="phonemes" if timed else "characters"))
    symbols = {p.symbol for _, said in utterances for p in said.phonemes}
    known = tuple(sorted(symbols)) if timed else vocabulary(spec.tokens)
    rows = np.zeros(len(utterances), layout.ROW)
    mels, tokens, durations = [], [], []
    frame = token = 0
    for row, (text, said) in zip(rows, utterances, strict=True):
        values = log_mel(said.samples, mel)
        if timed:
            letters, lengths = phoneme_frames(
                said.phonemes, len(said.samples), len(values), mel.hop_length
            )
            durations.append(lengths)
            ids = encode(letters, known)
        else:
            ids = encode(normalise(text, spec.tokens), known)
        row["key"] = np.frombuffer(hashlib.sha256(text.encode()).digest(), "u1")
        row["frame"], row["num_frames"] = frame, len(values)
        row["token"], row["num_tokens"] = token, len(ids)
        frame, token = frame + len(values), token + len(ids)
        mels.append(pack(values, mel))
        tokens.append(ids)
    names: dict[str, object] = {"vocabulary": list(known), "speakers": ["alto"]}
    return Corpus(
        folder=Path("memory"),
        spec=spec,
        sha256=identity(spec, rows, names),
        rows=rows,
        mel=np.concatenate(mels),
        tokens=np.concatenate(tokens),
        durations=np.concatenate(durations) if timed else None,
        vocabulary=known,
        speakers=("alto",),
        num_bytes={},
    )


def _spoken(count: int) -> list[tuple[str, Utterance]]:
    chosen = SENTENCES[:: max(1, len(SENTENCES) // count)][:count]
    return [(text, utter(LineSpec(text=text, voice="alto"))) for text in chosen]


@pytest.fixture(scope="session")
def timed_corpus() -> Corpus:
    """48 sentences as phonemes with their own durations."""
    return corpus_of(_spoken(48), timed=True)


@pytest.fixture(scope="session")
def lettered_corpus() -> Corpus:
    """48 sentences as letters without times."""
    return corpus_of(_spoken(48), timed=False)
