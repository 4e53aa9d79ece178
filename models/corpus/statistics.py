"""What a corpus is like: lengths, levels, speakers, and what each way of batching would waste."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.corpus.buckets import Ints, bucket_of, quantile_caps
from models.corpus.mapped import Corpus
from models.corpus.plan import BLANK, corpus_shapes, plan
from studio.corpus import BatchSpec

CLIPPED_DB = -0.01
"""dBFS from which a peak counts as clipped: the last step of 16 bits lies at -0.0003 dBFS."""

_EPOCHS = 3
"""Epochs that a policy's padding is averaged over: it varies by some hundredths of a percent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """One static shape: its caps, how many clips it is the first to hold, and their padding."""

    frames: int
    tokens: int
    clips: int
    padding: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A way of making batches: its static shapes and the share of frames that would be padding."""

    name: str
    shapes: int
    padding: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusStats:
    """Figures of a store. Quantiles are (5 %, 50 %, 95 %); levels in dBFS."""

    num_clips: int
    hours: float
    seconds: tuple[float, float, float]
    longest_s: float
    level_db: tuple[float, float, float]
    clipped: int
    tokens_per_s: tuple[float, float, float]
    symbols: int
    speakers: tuple[tuple[str, int, float], ...]
    buckets: tuple[Bucket, ...]
    policies: tuple[Policy, ...]


def measure(corpus: Corpus, spec: BatchSpec) -> CorpusStats:
    """The figures of a store for batches as `spec` asks. An empty store has zeros throughout."""
    rate = corpus.spec.mel.sample_rate
    seconds = corpus.rows["num_samples"] / rate
    pace = corpus.num_tokens / np.maximum(seconds, 1e-9)
    speakers = []
    for index, name in enumerate(corpus.speakers):
        mine = corpus.rows["speaker"] == index
        if mine.any():
            speakers.append((name, int(mine.sum()), float(seconds[mine].sum() / 3600)))
    return CorpusStats(
        num_clips=len(corpus),
        hours=float(seconds.sum() / 3600),
        seconds=_quantiles(seconds),
        longest_s=float(seconds.max(initial=0.0)),
        level_db=_quantiles(corpus.rows["level_db"]),
        clipped=int((corpus.rows["peak_db"] >= CLIPPED_DB).sum()),
        tokens_per_s=_quantiles(pace),
        symbols=len(corpus.vocabulary),
        speakers=tuple(speakers),
        buckets=buckets(corpus.num_frames, corpus.num_tokens, spec),
        policies=policies(corpus.num_frames, corpus.num_tokens, spec) if len(corpus) else (),
    )


def buckets(num_frames: Ints, num_tokens: Ints, spec: BatchSpec) -> tuple[Bucket, ...]:
    """The static shapes of a corpus with what each wastes by itself."""
    shapes = corpus_shapes(num_frames, num_tokens, spec)
    where = bucket_of(num_frames, tuple(shape.frames for shape in shapes))
    found = []
    for index, shape in enumerate(shapes):
        mine = num_frames[where == index]
        room = len(mine) * shape.frames
        padding = 1.0 - float(mine.sum()) / room if room else 0.0
        found.append(
            Bucket(frames=shape.frames, tokens=shape.tokens, clips=len(mine), padding=padding)
        )
    return tuple(found)


def policies(num_frames: Ints, num_tokens: Ints, spec: BatchSpec) -> tuple[Policy, ...]:
    """What this plan wastes, leftovers and blank rows included, and what the others would."""
    ours = [plan(num_frames, num_tokens, spec, epoch=epoch).padding for epoch in range(_EPOCHS)]
    longest = int(num_frames.max())
    total = float(num_frames.sum())
    # One bucket, and every batch of it padded to its own longest clip.
    loose = plan(num_frames, num_tokens, spec.model_copy(update={"num_buckets": 1})).rows
    tops = np.where(loose == BLANK, 0, num_frames[loose]).max(axis=(1, 2))
    even = quantile_caps(num_frames, spec.num_buckets, spec.round_to)
    best = tuple(shape.frames for shape in corpus_shapes(num_frames, num_tokens, spec))
    name = f"{spec.num_buckets} buckets"
    return (
        Policy(name=f"this plan, {name}", shapes=len(best), padding=float(np.mean(ours))),
        Policy(name=f"{name}, caps alone", shapes=len(best), padding=_waste(num_frames, best)),
        Policy(name=f"{name} at quantiles", shapes=len(even), padding=_waste(num_frames, even)),
        Policy(
            name="to the batch's longest, any order",
            shapes=len(np.unique(tops)),
            padding=1.0 - total / float(tops.sum() * spec.batch_size),
        ),
        Policy(
            name="to the corpus's longest",
            shapes=1,
            padding=1.0 - total / (longest * len(num_frames)),
        ),
    )


def _waste(num_frames: Ints, caps: tuple[int, ...]) -> float:
    room = np.array(caps, np.int64)[bucket_of(num_frames, caps)].sum()
    return 1.0 - float(num_frames.sum()) / float(room)


def _quantiles(values: NDArray[np.floating]) -> tuple[float, float, float]:
    if not len(values):
        return 0.0, 0.0, 0.0
    low, middle, high = np.quantile(values, (0.05, 0.5, 0.95))
    return float(low), float(middle), float(high)
