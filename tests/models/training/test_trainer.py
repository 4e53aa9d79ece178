"""The model learns, its step is what it says, and a run goes on where it stopped."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from models.corpus import Corpus, corpus_shapes, dataset
from models.training.distortion import mel_cepstral_distortion
from models.training.split import split, spread_of_mel
from studio.corpus import BatchSpec
from studio.errors import StoreError
from studio.training import LearnSpec, ModelSpec, TrainSpec

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[3]

SPEC = TrainSpec(
    model=ModelSpec(width=48, encoder_blocks=2, decoder_blocks=2),
    fit=LearnSpec(num_steps=200, learning_rate=4e-3, warmup_steps=10),
    batch=BatchSpec(batch_size=8, num_buckets=2),
)


def _facts(corpus: Corpus) -> Any:
    from models.training.trainer import Facts

    mean, std = spread_of_mel(corpus)
    return Facts(
        num_tokens=len(corpus.vocabulary),
        num_speakers=1,
        mean=mean,
        std=std,
        timed=corpus.durations is not None,
    )


def _validation(trainer: Any, corpus: Corpus) -> float:
    spec = SPEC.batch.model_copy(update={"shuffle": False})
    found = [trainer.evaluate([batch]) for batch in dataset(corpus, spec)]
    frames = sum(float(one["frames"]) for one in found)
    return sum(float(one["mel"]) * float(one["frames"]) for one in found) / frames


@pytest.mark.parametrize("kind", ["timed_corpus", "lettered_corpus"])
def test_it_learns_to_speak_with_given_times_and_with_its_own(
    kind: str, request: pytest.FixtureRequest
) -> None:
    from models.training.speak import synthesise
    from models.training.trainer import open_trainer, warm

    corpus: Corpus = request.getfixturevalue(kind)
    training, held = split(corpus, 15.0)
    facts = _facts(training)
    trainer = open_trainer(SPEC, facts, xla=False)
    shapes = corpus_shapes(training.num_frames, training.num_tokens, SPEC.batch)
    warm(trainer, shapes, SPEC, facts)
    assert len(trainer.traced) == len(shapes)
    before = _validation(trainer, held)
    batches = iter(dataset(training, SPEC.batch, num_epochs=None))
    for batch in itertools.islice(batches, SPEC.fit.num_steps):
        trainer.step([batch])
    assert _validation(trainer, held) < before / 3
    assert len(trainer.traced) == len(shapes), "a retrace after the warm-up"

    # Sentences it never saw: nearer to their own recordings than to each other's.
    own, others, silent = [], [], []
    for clip in range(min(4, len(held))):
        spoken, durations = synthesise(trainer.net, held.clip_tokens(clip).tolist(), SPEC.model)
        assert len(spoken) == durations.sum()
        assert len(spoken) == pytest.approx(held.num_frames[clip], rel=0.25)
        truth = held.clip_mel(clip)
        own.append(mel_cepstral_distortion(spoken, truth))
        others.append(mel_cepstral_distortion(held.clip_mel((clip + 2) % len(held)), truth))
        silent.append(mel_cepstral_distortion(np.tile(facts.mean, (len(spoken), 1)), truth))
    assert np.mean(own) < 6.0
    assert np.mean(own) < 0.7 * np.mean(others)
    assert np.mean(own) < 0.7 * np.mean(silent)


def test_the_search_finds_the_best_of_all_alignments() -> None:
    import tensorflow as tf

    from models.training.align import search

    rng = np.random.default_rng(2)
    lengths, counts = [7, 5, 6], [3, 2, 4]
    score = rng.normal(size=(3, 7, 4)).astype(np.float32)
    found = search(tf.constant(score), tf.constant(lengths), tf.constant(counts)).numpy()
    for row, (frames, tokens) in enumerate(zip(lengths, counts, strict=True)):
        ways = {}
        for cuts in itertools.combinations(range(1, frames), tokens - 1):
            durations = np.diff([0, *cuts, frames])
            path = np.repeat(np.arange(tokens), durations)
            ways[tuple(int(d) for d in durations)] = score[row, np.arange(frames), path].sum()
        best = max(ways, key=lambda way: ways[way])
        assert tuple(found[row][:tokens]) == best
        assert found[row].sum() == frames


def test_spread_repeats_each_token_for_its_duration() -> None:
    import tensorflow as tf

    from models.training.net import spread

    state = tf.constant([[[1.0], [2.0], [3.0]]])
    frames, places = spread(state, tf.constant([[2, 0, 3]]), 7)
    assert frames.numpy()[0, :, 0].tolist() == [1, 1, 3, 3, 3, 0, 0]
    assert places.numpy()[0, :, 0].tolist() == pytest.approx(
        [1 / 4, 3 / 4, 1 / 6, 1 / 2, 5 / 6, 0, 0]
    )


def test_padding_and_blank_rows_change_nothing(timed_corpus: Corpus) -> None:
    import tensorflow as tf

    from models.training.loss import losses
    from models.training.trainer import open_trainer

    trainer = open_trainer(SPEC, _facts(timed_corpus), xla=False)
    batch = next(iter(dataset(timed_corpus, SPEC.batch)))
    wide = dict(batch)
    for name, room in (("mel", [[0, 3], [0, 40], [0, 0]]), ("tokens", [[0, 3], [0, 9]])):
        wide[name] = tf.pad(batch[name], room)
    wide["durations"] = tf.pad(batch["durations"], [[0, 3], [0, 9]])
    for name in ("num_frames", "num_tokens", "speaker"):
        wide[name] = tf.pad(batch[name], [[0, 3]])
    one, other = losses(trainer.net, batch), losses(trainer.net, wide)
    for name in one:
        assert float(one[name]) == pytest.approx(float(other[name]), rel=1e-4), name


def test_a_run_goes_on_bit_for_bit_from_its_state(timed_corpus: Corpus) -> None:
    from models.training.trainer import open_trainer

    facts = _facts(timed_corpus)
    batches = list(itertools.islice(dataset(timed_corpus, SPEC.batch, num_epochs=None), 6))
    through = open_trainer(SPEC, facts, xla=False)
    for batch in batches[:3]:
        through.step([batch])
    kept = through.state()
    for batch in batches[3:]:
        through.step([batch])
    fresh = open_trainer(SPEC, facts, xla=False)
    fresh.restore(kept)
    for batch in batches[3:]:
        fresh.step([batch])
    for name, array in through.state().items():
        assert np.array_equal(array, fresh.state()[name]), name
    with pytest.raises(StoreError, match="do not fit"):
        fresh.restore({name: array[:1] for name, array in kept.items() if array.ndim})


def test_warming_up_leaves_the_model_as_it_was(timed_corpus: Corpus) -> None:
    from models.training.trainer import open_trainer, warm

    facts = _facts(timed_corpus)
    trainer = open_trainer(SPEC, facts, xla=True)
    before = trainer.state()
    shapes = corpus_shapes(timed_corpus.num_frames, timed_corpus.num_tokens, SPEC.batch)[:1]
    warm(trainer, shapes, SPEC, facts)
    assert len(trainer.traced) == 1
    for name, array in trainer.state().items():
        assert np.array_equal(array, before[name]), name


def _last_line(code: str, argument: str) -> str:
    """What a process of its own says last: devices and policies are made once per process."""
    run = subprocess.run(
        [sys.executable, "-c", code, argument],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    return run.stdout.splitlines()[-1]


_REPLICAS = """
import os, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np
from models.training.configure import configure
asked = {"devices.logical_cpus": 2, "devices.replicas": 2, "xla.step": sys.argv[1]}
made = configure(asked, os.environ)
assert len(made.devices) == 2 and made.xla == (sys.argv[1] == "true")
import tensorflow as tf
from models.training.trainer import Facts, open_trainer
from studio.training import LearnSpec, ModelSpec, TrainSpec
spec = TrainSpec(model=ModelSpec(width=16, encoder_blocks=1, decoder_blocks=1),
                 fit=LearnSpec(num_steps=20, warmup_steps=0, learning_rate=1e-3))
rng = np.random.default_rng(0)
facts = Facts(num_tokens=9, num_speakers=1, mean=np.zeros(8, np.float32),
              std=np.ones(8, np.float32), timed=True)
def batch():
    lengths = rng.integers(2, 5, (4, 6)).astype(np.int32)
    return {name: tf.constant(value) for name, value in {
        "mel": rng.normal(size=(4, 32, 8)).astype(np.float32),
        "tokens": rng.integers(1, 9, (4, 6)).astype(np.int32),
        "num_frames": lengths.sum(1).astype(np.int32), "num_tokens": np.full(4, 6, np.int32),
        "speaker": np.zeros(4, np.int32), "durations": lengths,
        "clip": np.arange(4, dtype=np.int32)}.items()}
batches = [batch() for _ in range(3)]
two = open_trainer(spec, facts, devices=made.devices, xla=made.xla)
one = open_trainer(spec, facts, xla=made.xla)
one.restore(two.state())
first = two.state()
for b in batches:
    mirrored, alone = two.step([b, b]), one.step([b])
    assert abs(float(mirrored["total"]) - float(alone["total"])) < 1e-4
same = max(float(np.abs(x - y).max()) for x, y in zip(two.state().values(), one.state().values()))
moved = max(float(np.abs(x - y).max()) for x, y in zip(two.state().values(), first.values()))
assert moved > 1e-3 and same < 1e-4, (moved, same)
assert len(two.traced) == 1
# Different batches on the two: the step is that of both together.
two.step([batches[0], batches[1]])
values = two.strategy.experimental_local_results(two.net.variables[0].value)
assert len(values) == 2 and np.array_equal(values[0].numpy(), values[1].numpy())
print("mirrored")
"""


@pytest.mark.parametrize("xla", ["false", "true"])
def test_two_devices_holding_the_same_batch_take_the_step_of_one(xla: str) -> None:
    run = subprocess.run(
        [sys.executable, "-c", _REPLICAS, xla],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    assert run.stdout.splitlines()[-1] == "mirrored"


_MIXED = """
import os, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np
from models.training.configure import configure
made = configure({"precision.policy": sys.argv[1], "xla.step": False}, os.environ)
import tensorflow as tf
from models.training.trainer import Facts, open_trainer
from studio.training import LearnSpec, ModelSpec, TrainSpec
spec = TrainSpec(model=ModelSpec(width=16, encoder_blocks=1, decoder_blocks=1),
                 fit=LearnSpec(num_steps=60, warmup_steps=0, learning_rate=5e-3))
facts = Facts(num_tokens=9, num_speakers=1, mean=np.zeros(8, np.float32),
              std=np.ones(8, np.float32), timed=True)
rng = np.random.default_rng(0)
lengths = rng.integers(2, 5, (4, 6)).astype(np.int32)
batch = {name: tf.constant(value) for name, value in {
    "mel": rng.normal(size=(4, 32, 8)).astype(np.float16),
    "tokens": rng.integers(1, 9, (4, 6)).astype(np.int32),
    "num_frames": lengths.sum(1).astype(np.int32), "num_tokens": np.full(4, 6, np.int32),
    "speaker": np.zeros(4, np.int32), "durations": lengths}.items()}
trainer = open_trainer(spec, facts, xla=False)
assert all(v.dtype == "float32" for v in trainer.net.variables)
first = float(trainer.step([batch])["mel"])
for _ in range(59):
    last = float(trainer.step([batch])["mel"])
assert np.isfinite(last) and last < 0.8 * first, (first, last)
print(trainer.net.encoder.compute_dtype, hasattr(trainer.optimizer, "initial_scale"))
"""


@pytest.mark.parametrize(
    ("policy", "expected"),
    [("mixed_bfloat16", "bfloat16 False"), ("mixed_float16", "float16 True")],
)
def test_half_precision_learns_and_float16_scales_its_loss(policy: str, expected: str) -> None:
    run = subprocess.run(
        [sys.executable, "-c", _MIXED, policy],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    assert run.stdout.splitlines()[-1] == expected
