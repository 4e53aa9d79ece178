"""Changes of the training step that are worth trying on this machine, on a course's own batches."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from models.corpus import plan
from models.training.configure import Configuration
from models.training.step_change import Pair, Stepper, Trial, doubling_gain, gain, seconds_of
from studio.training import TrainSpec
from tasks.training_course import Course, batches_of

_PREDICTING_PAIRS = 5
"""Of blocks on the short shape: the least that an interval can be taken of."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Ground:
    """What trials are made on: a batch of the shortest shape and one of the shape that most of an
    epoch's frames are in, the course's own trainer, and about what one compilation takes.
    """

    course: Course
    configured: Configuration
    short: dict[str, Any]
    main: dict[str, Any]

    @property
    def compile_s(self) -> float:
        """Seconds that one shape took to trace and compile, as the step is."""
        return self.course.warm_s / max(1, len(self.course.trainer.traced))

    def as_it_is(self, batch: dict[str, Any]) -> Stepper:
        """The course's own step."""
        return _stepper(self.course.trainer, batch)

    def other(
        self, batch: dict[str, Any], *, xla: bool, spec: TrainSpec | None = None, policy: str = ""
    ) -> Stepper:
        """The step of a fresh model that is compiled otherwise."""
        from models.training.trainer import open_trainer

        with _policy(policy):
            trainer = open_trainer(
                spec or self.course.spec,
                self.course.facts,
                devices=self.configured.devices,
                xla=xla,
            )
        return _stepper(trainer, batch)


def step_trials(course: Course, configured: Configuration) -> tuple[Trial, ...]:
    """XLA the other way round, twice the rows, reduced precision: with how each is predicted."""
    ground = _ground(course, configured)
    return (_xla(ground), _rows(ground), _precision(ground))


def _ground(course: Course, configured: Configuration) -> _Ground:
    lengths = (course.training.num_frames, course.training.num_tokens)
    epoch = plan(*lengths, course.spec.batch, world=course.trainer.replicas)
    frames = [shape.frames for shape in epoch.shapes]
    most = max(set(epoch.bucket.tolist()), key=lambda b: frames[b] * int((epoch.bucket == b).sum()))
    least = min(epoch.bucket.tolist())
    found: dict[int, dict[str, Any]] = {}
    batches = iter(batches_of(course, configured, course.spec.batch))
    # An epoch has every shape that its plan has.
    while not {frames[most], frames[least]} <= found.keys():
        batch = next(batches)
        found.setdefault(int(batch["mel"].shape[1]), batch)
    return _Ground(
        course=course, configured=configured, short=found[frames[least]], main=found[frames[most]]
    )


def _xla(ground: _Ground) -> Trial:
    turned = not ground.configured.xla

    def pair(batch: dict[str, Any]) -> Pair:
        return Pair(before=ground.as_it_is(batch), after=ground.other(batch, xla=turned))

    return Trial(
        setting="xla.step",
        value=str(turned).lower(),
        why="XLA fuses a step's operations, which does not make every step quicker",
        predict=functools.partial(_probe, pair, ground.short),
        open_pair=functools.partial(pair, ground.main),
        compile_s=ground.compile_s,
    )


def _rows(ground: _Ground) -> Trial:
    import tensorflow as tf

    spec, size = ground.course.spec, ground.course.spec.batch.batch_size
    wider = spec.model_copy(
        update={"batch": spec.batch.model_copy(update={"batch_size": 2 * size})}
    )

    def predict() -> float:
        short, main = (
            (int(batch["mel"].shape[1]), seconds_of(ground.as_it_is(batch)))
            for batch in (ground.short, ground.main)
        )
        return doubling_gain(short, main)

    def pair() -> Pair:
        twice = {name: tf.concat([values, values], 0) for name, values in ground.main.items()}
        after = ground.other(twice, xla=ground.configured.xla, spec=wider)
        return Pair(before=ground.as_it_is(ground.main), after=after, clips=2.0)

    return Trial(
        setting="batch.batch_size",
        value=2 * size,
        why="what a step costs whatever its rows is paid once for twice the clips",
        predict=predict,
        open_pair=pair,
        compile_s=ground.compile_s,
    )


def _precision(ground: _Ground) -> Trial:
    import keras

    on_card = any(":GPU:" in device for device in ground.configured.devices)
    reason = "" if on_card else "pays on a card with units for it; there is none here"
    if keras.config.dtype_policy().compute_dtype != "float32":
        reason = "is in force already"
    policy = "mixed_bfloat16"

    def pair(batch: dict[str, Any]) -> Pair:
        after = ground.other(batch, xla=ground.configured.xla, policy=policy)
        return Pair(before=ground.as_it_is(batch), after=after)

    return Trial(
        setting="precision.policy",
        value=policy,
        why="a card multiplies 16-bit numbers several times as fast",
        predict=functools.partial(_probe, pair, ground.short),
        open_pair=functools.partial(pair, ground.main),
        compile_s=ground.compile_s,
        reason=reason,
    )


def _probe(pair: Any, batch: dict[str, Any]) -> float:
    """The gain on the short shape, which costs least to compile and to run."""
    return gain(pair(batch), until=0.0, num_pairs=_PREDICTING_PAIRS)


def _stepper(trainer: Any, batch: dict[str, Any]) -> Stepper:
    parts = [batch] * trainer.replicas
    return lambda: float(trainer.step(parts)["total"])


@contextmanager
def _policy(name: str) -> Iterator[None]:
    """Keras's policy for the models that are made meanwhile."""
    import keras

    before = keras.config.dtype_policy()
    if name:
        keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
