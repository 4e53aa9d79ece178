"""Speak with a trained model: tokens to a mel, durations the model's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from models.training.loss import encode
from models.training.net import Net, mask_of, spread
from studio.training import ModelSpec

Floats = NDArray[np.float32]


def synthesise(
    net: Net,
    tokens: Sequence[int],
    spec: ModelSpec,
    *,
    speaker: int = 0,
    durations: Sequence[int] | None = None,
) -> tuple[Floats, NDArray[np.int32]]:
    """The log mel `(t, n_mels)` of a sentence and the frames of each of its tokens.

    Args:
        net: the model.
        tokens: ids of the corpus's vocabulary, none of them 0.
        spec: the model's size; bounds each token's length.
        speaker: whose voice, of a corpus with several.
        durations: frames of each token in place of the model's own.

    Raises `ValueError` for an empty sentence.
    """
    if not len(tokens):
        raise ValueError("nothing to say")
    batch: dict[str, Any] = {
        "tokens": tf.constant([list(tokens)], tf.int32),
        "num_tokens": tf.constant([len(tokens)], tf.int32),
        "speaker": tf.constant([speaker], tf.int32),
    }
    state, _, lengths, _ = encode(net, batch)
    if durations is None:
        told = np.rint(np.expm1(lengths.numpy()[0].astype(np.float64)))
        frames = np.clip(told, 0, spec.max_frames_per_token).astype(np.int32)
        # A model that has learnt nothing may give every token no time at all.
        frames[0] = max(int(frames[0]), 1)
    else:
        frames = np.asarray(durations, np.int32)
    total = int(frames.sum())
    owned, places = spread(state, tf.constant(frames[None]), total)
    mask = mask_of(tf.constant([total]), total, state.dtype)
    mel = net.decoder([tf.concat([owned, places], -1), mask])[0] * net.std + net.mean
    return mel.numpy().astype(np.float32), frames
