"""Changes of a mel that make a small corpus go further, the same for a clip whenever it is asked.

What is drawn depends on (seed, epoch, clip) alone: not on the batch, the rank, the backend or the
order of threads. Masks are those of SpecAugment (Park et al. 2019): a masked patch takes the clip's
mean value.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.corpus.draws import uniform
from models.corpus.graph import tensorflow
from studio.corpus import AugmentSpec, MelSpec

DB_TO_NATURAL = math.log(10.0) / 20.0
"""A decibel of magnitude in natural logarithms."""


def draws(
    spec: AugmentSpec, seed: int, epoch: int, clips: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Everything drawn for each clip, even in [0, 1): `(len(clips), number of draws)`."""
    num = 1 + 2 * (spec.time_masks + spec.mel_masks)
    # float32 has 24 bits: rounding must not reach 1.
    words = uniform(seed, epoch, clips, num)
    return np.asarray(np.floor(words * 2**24) / 2**24, np.float32)


def noise_seeds(seed: int, epoch: int, clips: NDArray[np.int64]) -> NDArray[np.int32]:
    """A seed `(len(clips), 2)` of noise for each clip."""
    words = uniform(seed, epoch, clips, 2 + 64)[:, -2:]
    return (words * 2**31).astype(np.int32)


def apply(
    mel: Any,
    num_frames: Any,
    drawn: Any,
    seeds: Any,
    spec: AugmentSpec,
    features: MelSpec,
) -> Any:
    """Augment a batch in a TensorFlow graph.

    `mel` is float32 `(batch, frames, n_mels)` with padding 0.0, `num_frames` int32 `(batch,)`,
    `drawn` and `seeds` what `draws` and `noise_seeds` made. Padding stays 0.0 and nothing falls
    below the floor.
    """
    tf = tensorflow()

    frames = tf.shape(mel)[1]
    lengths = tf.cast(num_frames, tf.float32)
    times = tf.range(frames)[None, :]
    inside = (times < num_frames[:, None])[:, :, None]
    mean = tf.reduce_sum(mel, [1, 2]) / (tf.maximum(lengths, 1.0) * features.n_mels)
    patch = mean[:, None, None]
    if spec.gain_db:
        gain = (2.0 * drawn[:, 0] - 1.0) * (spec.gain_db * DB_TO_NATURAL)
        mel = mel + gain[:, None, None]
    if spec.noise:
        mel = mel + spec.noise * _noise(mel, seeds)
    column = 1
    for _ in range(spec.time_masks):
        longest = tf.minimum(float(spec.time_mask_frames), lengths * spec.time_mask_pct / 100.0)
        mel = tf.where(_mask(drawn, column, longest, lengths, frames)[:, :, None], patch, mel)
        column += 2
    for _ in range(spec.mel_masks):
        widest = tf.fill(tf.shape(lengths), float(min(spec.mel_mask_bands, features.n_mels)))
        bands = tf.fill(tf.shape(lengths), float(features.n_mels))
        mel = tf.where(_mask(drawn, column, widest, bands, features.n_mels)[:, None, :], patch, mel)
        column += 2
    return tf.where(inside, tf.maximum(mel, math.log(features.floor)), 0.0)


def _mask(drawn: Any, column: int, longest: Any, whole: Any, num: Any) -> Any:
    """True inside a stretch of up to `longest` (inclusive) somewhere in `whole`: `(batch, num)`."""
    tf = tensorflow()

    width = tf.floor(drawn[:, column] * (tf.floor(longest) + 1.0))
    first = tf.floor(drawn[:, column + 1] * (whole - width + 1.0))
    at = tf.cast(tf.range(num), tf.float32)[None, :]
    return (at >= first[:, None]) & (at < (first + width)[:, None])


def _noise(mel: Any, seeds: Any) -> Any:
    """Standard normal noise, a row's by its own seed. The stream is filled in order, so a clip's
    noise does not depend on the length that it is padded to.
    """
    tf = tensorflow()

    shape = tf.shape(mel)[1:]
    with tf.device("/CPU:0"):
        return tf.map_fn(
            lambda seed: tf.random.stateless_normal(shape, seed, alg="philox"),
            seeds,
            fn_output_signature=tf.float32,
        )
