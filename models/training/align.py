"""Which frames belong to which token, found while training: monotonic alignment search.

For a corpus whose tokens come without times. The most likely monotone alignment under the model's
own per-token means is found by dynamic programming (Kim et al., "Glow-TTS", 2020, algorithm 1) and
serves as the durations of this step; no gradient flows through it.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

_UNREACHABLE = -1e9

PRIOR_WIDTH = 0.2
"""Standard deviation of the diagonal prior, as a share of the clip: before the means know anything
the prior alone decides, and speech runs within about a fifth of an even pace (the guided attention
of Tachibana et al., "Efficiently Trainable Text-to-Speech System", 2018, uses g = 0.2)."""


def scores(mel: Any, means: Any, num_frames: Any, num_tokens: Any) -> Any:
    """Log likelihood `(b, t, n)` of each frame under each token, with the diagonal prior.

    Args:
        mel: normalised frames `(b, t, m)` float32.
        means: predicted means `(b, n, m)` float32; unit variance.
        num_frames: `(b,)` int32.
        num_tokens: `(b,)` int32.
    """
    squares = (
        tf.reduce_sum(mel**2, -1)[:, :, None]
        + tf.reduce_sum(means**2, -1)[:, None, :]
        - 2.0 * tf.matmul(mel, means, transpose_b=True)
    )
    return -0.5 * squares + _prior(mel, means, num_frames, num_tokens)


def _prior(mel: Any, means: Any, num_frames: Any, num_tokens: Any) -> Any:
    frames, tokens = tf.shape(mel)[1], tf.shape(means)[1]
    at = _share(tf.range(frames), num_frames)[:, :, None]
    of = _share(tf.range(tokens), num_tokens)[:, None, :]
    return -0.5 * ((at - of) / PRIOR_WIDTH) ** 2


def _share(index: Any, length: Any) -> Any:
    return (tf.cast(index, tf.float32)[None] + 0.5) / tf.cast(
        tf.maximum(length, 1)[:, None], tf.float32
    )


def search(score: Any, num_frames: Any, num_tokens: Any) -> Any:
    """Durations `(b, n)` int32 of the best alignment: every token gets a frame or more, in order.

    A clip with more tokens than frames has no such alignment; its first tokens get 0 frames.

    Args:
        score: `(b, t, n)` float32.
        num_frames: `(b,)` int32; frames beyond are nobody's.
        num_tokens: `(b,)` int32.
    """
    batch, frames, tokens = score.shape
    columns = tf.range(tokens)
    by_frame = tf.transpose(score, [1, 0, 2])
    start = tf.where(columns == 0, 0.0, _UNREACHABLE)
    best = tf.tile(start[None], [batch, 1]) + by_frame[0]
    moved = tf.TensorArray(tf.bool, frames, element_shape=[batch, tokens])
    moved = moved.write(0, tf.zeros([batch, tokens], tf.bool))

    def forward(frame: Any, best: Any, moved: Any) -> tuple[Any, Any, Any]:
        gate = tf.fill([batch, 1], _UNREACHABLE)
        from_left = tf.concat([gate, best[:, :-1]], axis=1)
        step = from_left > best
        best = tf.where(step, from_left, best) + by_frame[frame]
        return frame + 1, best, moved.write(frame, step)

    _, _, moved = tf.while_loop(
        lambda frame, *_: frame < frames, forward, (tf.constant(1), best, moved)
    )
    steps = moved.stack()

    def backward(frame: Any, token: Any, durations: Any) -> tuple[Any, Any, Any]:
        inside = frame < num_frames
        here = (columns[None] == token[:, None]) & inside[:, None]
        step = tf.reduce_any(here & steps[frame], axis=1)
        token = tf.where(step, token - 1, token)
        return frame - 1, token, durations + tf.cast(here, tf.int32)

    last = tf.maximum(num_tokens - 1, 0)
    _, _, durations = tf.while_loop(
        lambda frame, *_: frame >= 0,
        backward,
        (tf.constant(frames - 1), last, tf.zeros([batch, tokens], tf.int32)),
    )
    return tf.where(num_tokens[:, None] > columns[None], durations, 0)
