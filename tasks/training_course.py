"""A training run under way: its model, its data, its place in them; what reads, what compiles."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from models.corpus import Corpus, Cursor, Shape, corpus_shapes, dataset, start
from models.training.configure import Configuration
from models.training.split import split, spread_of_mel
from studio.corpus import AugmentSpec, BatchSpec
from studio.corpus.settings import changed
from studio.training import LossPoint, TrainSpec
from tasks.training_checkpoint import Checkpoint

if TYPE_CHECKING:
    from models.training.trainer import Facts, Trainer


@dataclass(kw_only=True, eq=False)
class Course:
    """A run under way: what it trains on, how far it is, what it measured."""

    training: Corpus
    held: Corpus
    spec: TrainSpec
    facts: Facts
    trainer: Trainer
    cursor: Cursor
    step: int = 0
    points: list[LossPoint] = field(default_factory=list)
    warm_s: float = 0.0
    loop_s: float = 0.0
    fetch_s: float = 0.0
    warmed: int = 0
    first_step: int = 0


def reading_spec(spec: TrainSpec, configured: Configuration) -> BatchSpec:
    """The batch spec with the reading settings that were asked for by name."""
    rows = [row.name.partition(".") for row in configured.rows]
    asked = {key for group, _, key in rows if group == "reading" and key in BatchSpec.model_fields}
    return changed(spec.batch, {key: configured.reading[key] for key in asked})


def open_course(
    corpus: Corpus, spec: TrainSpec, configured: Configuration, resumed: Checkpoint | None
) -> Course:
    """A model for a store, every bucket's step compiled, at the start or where it had stopped."""
    course = begin_course(corpus, spec, configured, resumed)
    shapes = corpus_shapes(
        course.training.num_frames, course.training.num_tokens, course.spec.batch
    )
    warm_course(course, shapes)
    batch = validation_spec(course.spec.batch)
    shapes = corpus_shapes(course.held.num_frames, course.held.num_tokens, batch)
    warm_course(course, shapes, train=False)
    return course


def begin_course(
    corpus: Corpus, spec: TrainSpec, configured: Configuration, resumed: Checkpoint | None
) -> Course:
    """A model for a store, nothing compiled yet, at the start or where it had stopped."""
    from models.training.trainer import Facts, open_trainer

    spec = spec.model_copy(update={"batch": reading_spec(spec, configured)})
    training, held = split(corpus, spec.fit.validation_pct)
    mean, std = spread_of_mel(training)
    facts = Facts(
        num_tokens=len(corpus.vocabulary),
        num_speakers=max(1, len(corpus.speakers)),
        mean=mean,
        std=std,
        timed=corpus.durations is not None,
    )
    course = Course(
        training=training,
        held=held,
        spec=spec,
        facts=facts,
        trainer=open_trainer(spec, facts, devices=configured.devices, xla=configured.xla),
        cursor=start(training, spec.batch),
    )
    if resumed is not None:
        course.trainer.restore(resumed.state)
        course.cursor, course.step = resumed.cursor, resumed.step
        course.points = list(resumed.points)
    course.first_step = course.step
    return course


def warm_course(course: Course, shapes: Sequence[Shape], *, train: bool = True) -> None:
    """Compile the step (or the evaluation) for some shapes, the model staying as it is."""
    from models.training.trainer import warm

    begin = time.perf_counter()
    warm(course.trainer, shapes, course.spec, course.facts, train=train)
    course.warm_s += time.perf_counter() - begin
    course.warmed = len(course.trainer.traced)


def validation_spec(batch: BatchSpec) -> BatchSpec:
    """Batches of the validation clips: in order, as they are, in few shapes."""
    few = min(2, batch.num_buckets)
    return batch.model_copy(
        update={
            "shuffle": False,
            "augment": AugmentSpec(),
            "num_buckets": few,
            "remainder": "blank",
        }
    )


def batches_of(course: Course, configured: Configuration, batch: BatchSpec) -> Any:
    """The endless input of the training loop as a `tf.data.Dataset`, from the cursor on."""
    world = course.trainer.replicas
    made = dataset(
        course.training,
        batch,
        cursor=course.cursor,
        ranks=range(world),
        world=world,
        num_epochs=None,
    ).with_options(configured.options)
    place = str(configured.reading["prefetch_to_device"])
    if place:
        import tensorflow as tf

        made = made.apply(tf.data.experimental.prefetch_to_device(place))
    return made
