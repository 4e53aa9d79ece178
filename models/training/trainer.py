"""The training step: compiled per bucket, on one device or mirrored over several, counted.

A step takes one batch per replica; all have the same static shape, so each bucket is traced (and
compiled by XLA) once. `warm` does that for every bucket before step 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from models.corpus import Shape
from models.training.loss import losses
from models.training.net import Net, build_net
from studio.errors import SettingError, StoreError
from studio.training import LearnSpec, TrainSpec

Batch = dict[str, Any]
Step = Callable[[Sequence[Batch]], dict[str, Any]]

FEATURES = ("mel", "num_frames", "tokens", "num_tokens", "speaker", "durations")
"""What of a batch the step is given; the clips' numbers stay on the host."""

_FINAL_SHARE = 0.02
"""Of the peak learning rate, where the cosine ends."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Facts:
    """What a model must know of its corpus: sizes, the log mel's mean and standard deviation per
    band `(n_mels,)`, and whether its tokens have durations.
    """

    num_tokens: int
    num_speakers: int
    mean: NDArray[np.float32]
    std: NDArray[np.float32]
    timed: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class Trainer:
    """A model under training. `step` changes it and returns its losses as scalars, `evaluate` only
    returns them; neither waits for the device. `traced` and `evaluated` list the shape of every
    trace since the start: as many as buckets, and none after `warm`.
    """

    net: Net
    optimizer: Any
    strategy: Any
    replicas: int
    step: Step
    evaluate: Step
    traced: list[tuple[int, ...]] = field(default_factory=list)
    evaluated: list[tuple[int, ...]] = field(default_factory=list)

    def variables(self) -> list[Any]:
        """Everything a checkpoint holds: weights, the optimizer's moments, its step."""
        return [*self.net.encoder.variables, *self.net.decoder.variables, *self.optimizer.variables]

    def state(self) -> dict[str, NDArray[Any]]:
        """All variables as arrays, by position: Keras's own names count what was built before."""
        return {f"v{i:04d}": np.asarray(v) for i, v in enumerate(self.variables())}

    def restore(self, state: dict[str, NDArray[Any]]) -> None:
        """Take up a `state`. Raises `StoreError` when it is another model's."""
        own = self.variables()
        given = [state.get(f"v{i:04d}") for i in range(len(own))]
        fits = [
            a is not None and a.shape == tuple(v.shape) for a, v in zip(given, own, strict=True)
        ]
        if len(state) != len(own) or not all(fits):
            found = f"{len(state)} arrays that do not fit the model's {len(own)}"
            raise StoreError("checkpoint", found, "Train with the model's own size and vocabulary")
        for variable, array in zip(own, given, strict=True):
            variable.assign(array)


def open_trainer(
    spec: TrainSpec, facts: Facts, *, devices: Sequence[str] = ("",), xla: bool = True
) -> Trainer:
    """A fresh model on `devices`, its step compiled by XLA or not.

    Raises `SettingError` for float16 on several devices, whose loss scale Keras keeps per device.
    """
    policy = keras.config.dtype_policy()
    if len(devices) > 1 and policy.compute_dtype == "float16":
        raise SettingError(
            "precision.policy",
            "mixed_float16 on several devices",
            "Use mixed_bfloat16: it needs no loss scale",
        )
    strategy = (
        tf.distribute.MirroredStrategy(list(devices))
        if len(devices) > 1
        else tf.distribute.get_strategy()
    )
    keras.utils.set_random_seed(spec.fit.seed)
    with strategy.scope():
        net = build_net(
            spec.model,
            num_tokens=facts.num_tokens,
            num_speakers=facts.num_speakers,
            mean=facts.mean,
            std=facts.std,
        )
        optimizer = _optimizer(spec.fit, len(devices), scaled=policy.compute_dtype == "float16")
        optimizer.build(net.variables)
    traced: list[tuple[int, ...]] = []
    evaluated: list[tuple[int, ...]] = []
    return Trainer(
        net=net,
        optimizer=optimizer,
        strategy=strategy,
        replicas=len(devices),
        step=_step(net, optimizer, strategy, len(devices), xla, traced),
        evaluate=_evaluation(net, xla, evaluated),
        traced=traced,
        evaluated=evaluated,
    )


def _optimizer(fit: LearnSpec, replicas: int, *, scaled: bool) -> Any:
    decay = max(1, fit.num_steps - fit.warmup_steps)
    if fit.warmup_steps:
        rate = keras.optimizers.schedules.CosineDecay(
            fit.learning_rate / fit.warmup_steps,
            decay,
            alpha=_FINAL_SHARE,
            warmup_target=fit.learning_rate,
            warmup_steps=fit.warmup_steps,
        )
    else:
        rate = keras.optimizers.schedules.CosineDecay(fit.learning_rate, decay, _FINAL_SHARE)
    # Keras clips each replica's share before it adds them up: shares clipped so sum to the norm.
    inner = keras.optimizers.AdamW(
        rate,
        weight_decay=fit.weight_decay,
        beta_2=0.98,
        global_clipnorm=fit.clip_norm / replicas,
    )
    return keras.optimizers.LossScaleOptimizer(inner) if scaled else inner


def _step(
    net: Net, optimizer: Any, strategy: Any, replicas: int, xla: bool, traced: list[tuple[int, ...]]
) -> Step:
    variables = net.variables

    def gradients(batch: Batch) -> Any:
        with tf.GradientTape() as tape:
            found = losses(net, batch)
            # The optimizer adds the replicas' gradients up.
            scaled = optimizer.scale_loss(found["total"] / replicas)
        return found, tape.gradient(scaled, variables)

    if replicas == 1:

        def alone(batch: Batch) -> Any:
            traced.append(tuple(batch["mel"].shape))
            found, slopes = gradients(batch)
            optimizer.apply(slopes, variables)
            return found

        whole = tf.function(alone, jit_compile=xla, autograph=False)
        return lambda parts: dict(whole(_features(parts[0])))

    # Devices talk to each other when gradients are applied, which XLA cannot compile.
    compiled = tf.function(gradients, jit_compile=xla, autograph=False)

    def replica(batch: Batch) -> Any:
        found, slopes = compiled(batch)
        optimizer.apply(slopes, variables)
        return found

    def together(batch: Batch) -> dict[str, Any]:
        traced.append(tuple(strategy.experimental_local_results(batch["mel"])[0].shape))
        found = strategy.run(replica, args=(batch,))
        return {name: strategy.reduce("MEAN", value, axis=None) for name, value in found.items()}

    every = tf.function(together, autograph=False)

    def mirrored(parts: Sequence[Batch]) -> dict[str, Any]:
        each = [_features(part) for part in parts]
        shared = strategy.experimental_distribute_values_from_function(
            lambda context: each[context.replica_id_in_sync_group]
        )
        return dict(every(shared))

    return mirrored


def _evaluation(net: Net, xla: bool, evaluated: list[tuple[int, ...]]) -> Step:
    def evaluate(batch: Batch) -> dict[str, Any]:
        evaluated.append(tuple(batch["mel"].shape))
        frames = tf.cast(tf.reduce_sum(batch["num_frames"]), tf.float32)
        return {**losses(net, batch), "frames": frames}

    compiled = tf.function(evaluate, jit_compile=xla, autograph=False)
    return lambda parts: dict(compiled(_features(parts[0])))


def _features(batch: Batch) -> Batch:
    return {name: batch[name] for name in FEATURES if name in batch}


def blank_batch(shape: Shape, batch_size: int, n_mels: int, *, timed: bool, dtype: str) -> Batch:
    """A batch of blank rows of a bucket's shape: it has no loss and no gradient."""
    rows, tokens = tf.zeros([batch_size], tf.int32), tf.zeros([batch_size, shape.tokens], tf.int32)
    kind = tf.float16 if dtype == "f16" else tf.float32
    made = {
        "mel": tf.zeros([batch_size, shape.frames, n_mels], kind),
        "num_frames": rows,
        "tokens": tokens,
        "num_tokens": rows,
        "speaker": rows,
    }
    return {**made, "durations": tokens} if timed else made


def warm(
    trainer: Trainer, shapes: Sequence[Shape], spec: TrainSpec, facts: Facts, *, train: bool = True
) -> None:
    """Trace and compile the step (or the evaluation) for every bucket, leaving the model as it was.

    The step runs on blank batches; what the optimizer does of itself (its count, weight decay) is
    undone.
    """
    before = trainer.state() if train else None
    run = trainer.step if train else trainer.evaluate
    for shape in shapes:
        blank = blank_batch(
            shape,
            spec.batch.batch_size,
            len(facts.mean),
            timed=facts.timed,
            dtype=spec.batch.dtype,
        )
        run([blank] * (trainer.replicas if train else 1))
    if before is not None:
        trainer.restore(before)
