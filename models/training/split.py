"""Training and validation clips of a store, and what the model must know of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.corpus import Corpus
from studio.errors import SettingError

_STATISTICS_FRAMES = 200_000
"""About 40 minutes of speech: the mean of a band is then known to 0.01 of its spread."""


def split(corpus: Corpus, validation_pct: float) -> tuple[Corpus, Corpus]:
    """The store's clips for training and for validation, as two views of it.

    A clip's side follows from its content alone: it stays there when clips are added, and no clip
    is ever on both. Both sides have at least one clip.

    Raises `SettingError` for a store of fewer than two clips.
    """
    if len(corpus) < 2:
        remedy = "Training needs a clip to learn from and one to test with"
        raise SettingError(str(corpus.folder), f"{len(corpus)} clips", remedy)
    # 24 bits of each clip's SHA-256 as an even draw.
    key = corpus.rows["key"].astype(np.int64)
    draw = key[:, 0] * 65_536 + key[:, 1] * 256 + key[:, 2]
    held = draw < validation_pct / 100.0 * 2**24
    if not held.any():
        held[np.argmin(draw)] = True
    elif held.all():
        held[np.argmax(draw)] = False
    return (
        corpus.view(np.flatnonzero(~held), "training"),
        corpus.view(np.flatnonzero(held), "validation"),
    )


def spread_of_mel(corpus: Corpus) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and standard deviation of each log mel band `(n_mels,)`, float32.

    Taken over whole clips at even distances through the store, up to 200,000 frames. A band that
    never changes gets a deviation of 1.
    """
    total = int(corpus.num_frames.sum())
    every = max(1, round(total / _STATISTICS_FRAMES))
    sums = np.zeros((2, corpus.spec.mel.n_mels), np.float64)
    count = 0
    for clip in range(0, len(corpus), every):
        mel = corpus.clip_mel(clip).astype(np.float64)
        sums += mel.sum(axis=0), (mel**2).sum(axis=0)
        count += len(mel)
    mean = sums[0] / count
    std = np.sqrt(np.maximum(sums[1] / count - mean**2, 0.0))
    std[std < 1e-3] = 1.0
    return mean.astype(np.float32), std.astype(np.float32)
