"""A compact text-to-mel model: tokens in, a whole mel spectrogram out, in one pass.

The plan is FastSpeech's (Ren et al., 2019): an encoder over tokens, a duration for each, the hidden
states repeated for their durations, a decoder over frames. Encoder and decoder are residual
convolutions, whose cost is linear in length. Durations are the corpus's own phoneme times where it
has them, else those of `models.training.align`; for the search, and as a first guess of the mel,
each token predicts a mean frame (Popov et al., "Grad-TTS", 2021).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from studio.training import ModelSpec

Floats = NDArray[np.float32]

_PLACES = 3
"""What a frame knows beside its token: how far into it, how far from its end, its log length."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Net:
    """The model. `encoder` maps tokens, speaker and token mask to hidden states, means and log
    durations; `decoder` maps frames' states and frame mask to a mel. `mean` and `std` `(n_mels,)`
    normalise the log mel.
    """

    encoder: Any
    decoder: Any
    mean: Any
    std: Any

    @property
    def variables(self) -> list[Any]:
        """What training changes."""
        return [*self.encoder.trainable_variables, *self.decoder.trainable_variables]

    @property
    def num_parameters(self) -> int:
        """How many numbers training changes."""
        return sum(int(np.prod(variable.shape)) for variable in self.variables)


def build_net(
    spec: ModelSpec, *, num_tokens: int, num_speakers: int, mean: Floats, std: Floats
) -> Net:
    """A model with fresh weights, drawn from Keras's global seed.

    Args:
        spec: its size.
        num_tokens: symbols of the vocabulary; token 0 is padding beside them.
        num_speakers: at least 1.
        mean: of each log mel band over the corpus `(n_mels,)`.
        std: likewise.
    """
    return Net(
        encoder=_encoder(spec, num_tokens, num_speakers, len(mean)),
        decoder=_decoder(spec, len(mean)),
        mean=tf.constant(mean, tf.float32),
        std=tf.constant(std, tf.float32),
    )


def _encoder(spec: ModelSpec, num_tokens: int, num_speakers: int, n_mels: int) -> Any:
    layers = keras.layers
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    speaker = keras.Input((), dtype="int32", name="speaker")
    mask = keras.Input((None, 1), name="mask")
    state = layers.Embedding(num_tokens + 1, spec.width, name="symbols")(tokens)
    if num_speakers > 1:
        voice = layers.Embedding(num_speakers, spec.width, name="speakers")(speaker)
        state = layers.Add()([state, layers.Reshape((1, spec.width))(voice)])
    state = layers.Multiply()([state, mask])
    for _ in range(spec.encoder_blocks):
        state = _block(state, mask, spec, dilation=1)
    state = layers.LayerNormalization()(state)
    means = layers.Dense(n_mels, dtype="float32", name="means")(state)
    # The durations listen without pulling at what the mel needs.
    heard = keras.ops.stop_gradient(state)
    for _ in range(2):
        heard = _block(heard, mask, spec, dilation=1)
    lengths = layers.Dense(1, dtype="float32", name="log_durations")(heard)
    lengths = layers.Reshape((-1,), dtype="float32")(lengths)
    return keras.Model([tokens, speaker, mask], [state, means, lengths], name="encoder")


def _decoder(spec: ModelSpec, n_mels: int) -> Any:
    layers = keras.layers
    frames = keras.Input((None, spec.width + _PLACES), name="frames")
    mask = keras.Input((None, 1), name="mask")
    state = layers.Multiply()([layers.Dense(spec.width)(frames), mask])
    for index in range(spec.decoder_blocks):
        # Growing dilation: four blocks of kernel 5 see 61 frames, 0.7 s, a word to either side.
        state = _block(state, mask, spec, dilation=2 ** (index % 4))
    state = layers.LayerNormalization()(state)
    mel = layers.Dense(n_mels, dtype="float32", name="mel")(state)
    return keras.Model([frames, mask], mel, name="decoder")


def _block(state: Any, mask: Any, spec: ModelSpec, dilation: int) -> Any:
    """A residual convolution, zero wherever the mask is: padding never reaches a clip."""
    layers = keras.layers
    new = layers.Multiply()([layers.LayerNormalization()(state), mask])
    new = layers.Conv1D(
        2 * spec.width, spec.kernel_size, padding="same", dilation_rate=dilation, activation="gelu"
    )(new)
    new = layers.Dense(spec.width)(new)
    return layers.Multiply()([layers.Add()([state, new]), mask])


def mask_of(length: Any, cap: int, dtype: str) -> Any:
    """1 inside each row's length, 0 beyond: `(b, cap, 1)`."""
    return tf.cast(tf.range(cap)[None] < length[:, None], dtype)[:, :, None]


def spread(state: Any, durations: Any, num_frames: int) -> tuple[Any, Any]:
    """Repeat each token's state for its duration (the length regulator of FastSpeech).

    Args:
        state: `(b, n, d)`.
        durations: frames of each token `(b, n)` int32.
        num_frames: frames of the result, the static cap.

    Returns:
        `(b, num_frames, d)`, zero behind the last token's end, and where each frame is in its
        token `(b, num_frames, 3)`: the share that has passed, that is to come, the log length.
    """
    ends = tf.cumsum(durations, axis=1)
    starts = ends - durations
    frame = tf.range(num_frames)[None, :, None]
    owned = (frame >= starts[:, None, :]) & (frame < ends[:, None, :])
    path = tf.cast(owned, state.dtype)
    exact = tf.cast(owned, tf.float32)
    length = tf.cast(durations, tf.float32)
    facts = tf.stack([tf.cast(starts, tf.float32), length], axis=-1)
    start, length = tf.unstack(tf.matmul(exact, facts), axis=-1)
    passed = (tf.cast(frame[:, :, 0], tf.float32) - start + 0.5) / tf.maximum(length, 1.0)
    inside = tf.cast(length > 0.0, tf.float32)
    places = tf.stack([passed, 1.0 - passed, tf.math.log1p(length)], axis=-1) * inside[:, :, None]
    return tf.matmul(path, state), tf.cast(places, state.dtype)
