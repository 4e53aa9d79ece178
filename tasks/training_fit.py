"""Fit the model to a store: the loop, its checkpoints, its validation, a sentence to listen to."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import soundfile

from models.corpus import Corpus, advanced, backend_for, dataset, plan
from models.corpus.features import log_mel
from models.training.configure import Configuration
from models.training.distortion import mel_cepstral_distortion
from models.training.vocoder import to_sound
from studio.training import LossPoint, Sentence, TrainingResult, TrainSpec
from tasks.intake import fed, reading
from tasks.run import Stopped
from tasks.training_checkpoint import Checkpoint, load, save, write_losses
from tasks.training_course import Course, batches_of, open_course, validation_spec
from tasks.training_plots import draw_losses, draw_mels

LISTENED = 4
"""Validation sentences that are spoken at the end and measured."""


def fit(
    corpus: Corpus,
    spec: TrainSpec,
    configured: Configuration,
    folder: Path,
    *,
    resume: bool,
    report: Callable[[int, int], None],
) -> TrainingResult:
    """Train to the last step and leave checkpoint, losses, pictures and a sentence in `folder`.

    A run that is stopped leaves a checkpoint at the step it reached. Raises `StoreError` when a
    checkpoint is of another model, `SettingError` when it is of another store or order.
    """
    folder.mkdir(parents=True, exist_ok=True)
    resumed = load(folder, spec) if resume else None
    course = open_course(corpus, spec, configured, resumed)
    _run(course, configured, folder, report)
    sentences = listen(course, folder)
    draw_losses(course.points, folder / "losses.png")
    return _result(course, configured, folder, corpus, sentences)


def _run(
    course: Course, configured: Configuration, folder: Path, report: Callable[[int, int], None]
) -> None:
    plan_of, world = course.spec.batch, course.trainer.replicas
    wanted = course.spec.fit
    batches = iter(batches_of(course, configured, plan_of))
    saved, found = course.step, []

    def keep() -> None:
        nonlocal saved
        course.cursor = advanced(
            course.cursor, course.training, plan_of, course.step - saved, world=world
        )
        saved = course.step
        made = Checkpoint(
            step=course.step,
            cursor=course.cursor,
            points=tuple(course.points),
            state=course.trainer.state(),
        )
        save(folder, course.spec, made)

    begin = time.perf_counter()
    try:
        while course.step < wanted.num_steps:
            report(course.step, wanted.num_steps)
            before = time.perf_counter()
            with reading():
                parts = [next(batches) for _ in range(world)]
            course.fetch_s += time.perf_counter() - before
            found.append(course.trainer.step(parts)["mel"])
            course.step += 1
            last = course.step == wanted.num_steps
            if course.step % wanted.validate_every == 0 or last:
                mean = float(np.mean([float(loss) for loss in found]))
                course.loop_s += time.perf_counter() - begin
                point = LossPoint(step=course.step, training=mean, validation=validate(course))
                course.points.append(point)
                write_losses(folder, course.points)
                found = []
                begin = time.perf_counter()
            if course.step % wanted.checkpoint_every == 0 or last:
                keep()
    except Stopped:
        keep()
        raise
    report(wanted.num_steps, wanted.num_steps)


def validate(course: Course) -> float:
    """L1 of the normalised mel over every frame of the validation clips."""
    total = frames = 0.0
    for batch in fed(dataset(course.held, validation_spec(course.spec.batch))):
        found = course.trainer.evaluate([batch])
        total += float(found["mel"]) * float(found["frames"])
        frames += float(found["frames"])
    return total / max(frames, 1.0)


def listen(course: Course, folder: Path) -> tuple[Sentence, ...]:
    """Speak some validation sentences; leave the first as sound and picture beside its recording.

    Writes `sentence.flac` (the model's mel through Griffin-Lim), `reference.flac` (the recording's
    mel through it: the most that this vocoder can give) and `mel.png`.
    """
    from models.training.speak import synthesise

    told: list[Sentence] = []
    mel_spec = course.held.spec.mel
    for clip in range(min(LISTENED, len(course.held))):
        row, truth = course.held.rows[clip], course.held.clip_mel(clip)
        mel, _ = synthesise(
            course.trainer.net,
            [int(token) for token in course.held.clip_tokens(clip)],
            course.spec.model,
            speaker=int(row["speaker"]),
        )
        said, copied = to_sound(mel, mel_spec), to_sound(truth, mel_spec)
        info = course.held.info(clip)
        if not told:
            soundfile.write(folder / "sentence.flac", said, mel_spec.sample_rate)
            soundfile.write(folder / "reference.flac", copied, mel_spec.sample_rate)
            pair = [("what the model says", mel), ("what was said", truth)]
            draw_mels(pair, folder / "mel.png")
        told.append(
            Sentence(
                clip=info.id,
                text=info.text,
                mel_db=mel_cepstral_distortion(mel, truth),
                sound_db=mel_cepstral_distortion(log_mel(said, mel_spec), truth),
                vocoder_db=mel_cepstral_distortion(log_mel(copied, mel_spec), truth),
                num_frames=len(mel),
                reference_frames=len(truth),
            )
        )
    return tuple(told)


def _result(
    course: Course,
    configured: Configuration,
    folder: Path,
    corpus: Corpus,
    sentences: Sequence[Sentence],
) -> TrainingResult:
    import keras

    trainer, batch = course.trainer, course.spec.batch
    steps = course.step - course.first_step
    step_s = course.loop_s / steps if steps else 0.0
    samples = trainer.replicas * batch.batch_size
    lengths = (course.training.num_frames, course.training.num_tokens)
    epoch = plan(*lengths, batch, world=trainer.replicas)
    return TrainingResult(
        folder=str(folder),
        store_sha256=corpus.sha256,
        first_step=course.first_step,
        last_step=course.step,
        num_parameters=trainer.net.num_parameters,
        num_training=len(course.training),
        num_validation=len(course.held),
        replicas=trainer.replicas,
        xla=configured.xla,
        precision=str(keras.config.dtype_policy().name),
        backend=backend_for(course.training, batch),
        shapes=tuple((shape.frames, shape.tokens) for shape in epoch.shapes),
        traces=len(trainer.traced),
        retraces=len(trainer.traced) - course.warmed,
        warm_s=course.warm_s,
        step_s=step_s,
        samples_per_s=samples / step_s if step_s else 0.0,
        fetch_share=course.fetch_s / course.loop_s if course.loop_s else 0.0,
        padding=epoch.padding,
        points=tuple(course.points),
        sentences=tuple(sentences),
    )
