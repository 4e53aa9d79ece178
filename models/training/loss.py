"""What the model is asked to bring down, over what really lies in a batch: never its padding."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from models.training.align import scores, search
from models.training.net import Net, mask_of, spread

DURATION_WEIGHT = 0.1
"""The durations have layers of their own: the weight sets only their share of a clipped gradient.
"""


def losses(net: Net, batch: dict[str, Any]) -> dict[str, Any]:
    """Scalars of one batch in float32: `total`, and its parts.

    `mel` is the L1 of the decoded, normalised mel, `guess` half the squared error of the tokens'
    means, `duration` the squared error of log durations. A batch of blank rows has losses 0.

    Args:
        net: the model.
        batch: an element of `models.corpus.dataset`, all shapes static.
    """
    cap = batch["mel"].shape[1]
    num_frames, num_tokens = batch["num_frames"], batch["num_tokens"]
    wanted = normalised(net, batch["mel"], num_frames)
    state, means, lengths, token_mask = encode(net, batch)
    durations = batch.get("durations")
    if durations is None:
        free = tf.stop_gradient(means)
        durations = search(scores(wanted, free, num_frames, num_tokens), num_frames, num_tokens)
    frames, places = spread(state, durations, cap)
    guess, _ = spread(means, durations, cap)
    heard = mask_of(num_frames, cap, state.dtype)
    mel = net.decoder([tf.concat([frames, places], -1), heard])
    weight = tf.cast(heard, tf.float32)
    told = tf.cast(token_mask[:, :, 0], tf.float32)
    target = tf.math.log1p(tf.cast(durations, tf.float32))
    parts = {
        "mel": _mean(tf.abs(mel - wanted), weight),
        "guess": 0.5 * _mean((guess - wanted) ** 2, weight),
        "duration": _mean((lengths - target) ** 2, told),
    }
    return {
        "total": parts["mel"] + parts["guess"] + DURATION_WEIGHT * parts["duration"],
        **parts,
    }


def encode(net: Net, batch: dict[str, Any]) -> tuple[Any, Any, Any, Any]:
    """Hidden states, means, log durations and the token mask of a batch."""
    tokens = batch["tokens"]
    mask = mask_of(batch["num_tokens"], tokens.shape[1], net.encoder.compute_dtype)
    state, means, lengths = net.encoder([tokens, batch["speaker"], mask])
    return state, means, lengths, mask


def normalised(net: Net, mel: Any, num_frames: Any) -> Any:
    """The mel in units of the corpus's spread, zero behind each clip's end."""
    scaled = (tf.cast(mel, tf.float32) - net.mean) / net.std
    return scaled * mask_of(num_frames, mel.shape[1], "float32")


def _mean(values: Any, weight: Any) -> Any:
    """Mean over what the weight keeps; values `(b, t)` or `(b, t, m)`, 0 when it keeps nothing."""
    count = tf.reduce_sum(tf.broadcast_to(weight, tf.shape(values)))
    return tf.reduce_sum(values * weight) / tf.maximum(count, 1.0)
