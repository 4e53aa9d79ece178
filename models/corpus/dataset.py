"""A prepared store as a `tf.data.Dataset` of batches with static shapes.

    corpus = open_store("store")
    spec = BatchSpec(batch_size=32, seed=7)
    cursor = start(corpus, spec)
    for batch in dataset(corpus, spec, cursor=cursor):
        ...                                              # batch["mel"], batch["tokens"], ...
        cursor = advanced(cursor, corpus, spec, 1)       # under 1 KB, goes into the checkpoint

TensorFlow is imported by the functions that need it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import psutil
from numpy.typing import NDArray

from models.corpus import augment, backends
from models.corpus.cursor import Cursor, require_match, start
from models.corpus.graph import tensorflow
from models.corpus.mapped import Corpus
from models.corpus.plan import BLANK, Plan, corpus_shapes, plan
from models.corpus.records import open_records
from studio.corpus import BatchSpec
from studio.errors import SettingError

_BUDGET_GIB = 8.0
"""At most so much of a store is taken into memory unless the spec says otherwise."""
_BUDGET_OF_FREE = 0.25

_FOREVER = 2**62
"""More epochs than any training runs."""


def dataset(
    corpus: Corpus,
    spec: BatchSpec,
    *,
    cursor: Cursor | None = None,
    ranks: Sequence[int] = (0,),
    world: int = 1,
    num_epochs: int | None = 1,
    records: Path | None = None,
) -> Any:
    """Batches from `cursor` on, as a `tf.data.Dataset` of dictionaries.

    Args:
        corpus: an open store.
        spec: size, shapes, order, backend and augmentation of batches.
        cursor: where to begin; None: the first step of epoch 0.
        ranks: the ranks this pipeline feeds, of `world`. With several (one process, several
            devices) the batches of a step follow one another and have the same shape.
        world: how many ranks share each step.
        num_epochs: how many epochs to give, the cursor's counted; None: no end.
        records: the folder of a TFRecord export, for the backend "tfrecord"; `spec.records` when
            None.

    Each element holds `mel` (batch, frames, n_mels) in `spec.dtype`, `tokens` int32 (batch,
    tokens), `num_frames`, `num_tokens`, `speaker`, `clip` int32 (batch,) and, if the store has
    phonemes, `durations` int32 (batch, tokens). What is past a clip's end is 0; a blank row (only
    in an epoch's last step) has clip -1 and lengths 0. Shapes are those of `corpus_shapes`.

    Raises `EngineUnavailable` without TensorFlow, `SettingError` for a cursor of another store or
    order and for ranks outside the world, `StoreError` for an export that does not belong to the
    store.
    """
    tf = tensorflow()
    if not ranks or not all(0 <= rank < world for rank in ranks):
        raise SettingError("ranks", f"{tuple(ranks)} of a world of {world}", "Count from 0")
    begin = cursor or start(corpus, spec)
    require_match(begin, corpus, spec)
    last = _FOREVER if num_epochs is None else begin.epoch + num_epochs
    options = tf.data.Options()
    options.deterministic = True
    batches = (
        tf.data.Dataset.range(begin.epoch, last)
        .flat_map(_planning(corpus, spec, begin, tuple(ranks), world))
        .map(
            _assembly(corpus, spec, _fetcher(corpus, spec, records)),
            num_parallel_calls=spec.parallel_calls,
            deterministic=True,
        )
    )
    if spec.prefetch:
        batches = batches.prefetch(spec.prefetch)
    return batches.with_options(options)


def _planning(
    corpus: Corpus, spec: BatchSpec, begin: Cursor, ranks: tuple[int, ...], world: int
) -> Callable[[Any], Any]:
    """An epoch's number -> a `tf.data.Dataset` of what `_flat` tells of each of its batches."""
    tf = tensorflow()
    facts = backends.ends(corpus)
    shapes = corpus_shapes(corpus.num_frames, corpus.num_tokens, spec)
    kinds = [tf.int32] * 7 + [tf.float32, tf.int32] * spec.augment.active

    def planned(number: int) -> list[NDArray[Any]]:
        made = plan(
            corpus.num_frames,
            corpus.num_tokens,
            spec,
            epoch=int(number),
            world=world,
            done=begin.done if number == begin.epoch else (),
            shapes=shapes,
        )
        return _flat(made, spec, ranks, facts)

    # Nothing here is Python control flow on tensors: AutoGraph would only rewrite it and warn.
    @tf.autograph.experimental.do_not_convert  # type: ignore[untyped-decorator]
    def steps(epoch: Any) -> Any:
        flat = tf.numpy_function(planned, [epoch], kinds, stateful=False)
        for index, tensor in enumerate(flat):
            rows = [None] if index < 2 else [None, spec.batch_size]
            tensor.set_shape(rows if index < 7 else [*rows, None if index == 7 else 2])
        return tf.data.Dataset.from_tensor_slices(tuple(flat))

    return steps  # type: ignore[no-any-return]


def _assembly(corpus: Corpus, spec: BatchSpec, fetch: backends.Fetch) -> Callable[..., Any]:
    """What `_flat` tells of a batch -> the batch."""
    tf = tensorflow()
    augmented, mel_spec = spec.augment.active, corpus.spec.mel

    @tf.autograph.experimental.do_not_convert  # type: ignore[untyped-decorator]
    def batch(frames: Any, symbols: Any, row: Any, clip: Any, *told: Any) -> dict[str, Any]:
        num_frames, num_tokens, speaker, *drawn = told
        bits, tokens, durations = fetch(row, frames, symbols)
        bits.set_shape([spec.batch_size, None, mel_spec.n_mels])
        mel = backends.values(bits, mel_spec, "f32" if augmented else spec.dtype)
        if augmented:
            draws, seeds = drawn
            mel = augment.apply(mel, num_frames, draws, seeds, spec.augment, mel_spec)
            mel = tf.cast(mel, tf.float16) if spec.dtype == "f16" else mel
        made = {
            "mel": mel,
            "num_frames": num_frames,
            "tokens": tf.cast(tokens, tf.int32),
            "num_tokens": num_tokens,
            "speaker": speaker,
            "clip": clip,
        }
        made["tokens"].set_shape([spec.batch_size, None])
        if corpus.durations is not None:
            made["durations"] = tf.cast(durations, tf.int32)
            made["durations"].set_shape([spec.batch_size, None])
        return made

    return batch  # type: ignore[no-any-return]


def backend_for(corpus: Corpus, spec: BatchSpec) -> Literal["resident", "mapped", "tfrecord"]:
    """The backend that "auto" means here: resident when the frames fit the RAM budget."""
    if spec.backend != "auto":
        return spec.backend
    budget = spec.ram_budget_gib * 2**30
    if not budget:
        free = psutil.virtual_memory().available
        budget = min(free * _BUDGET_OF_FREE, _BUDGET_GIB * 2**30)
    return "resident" if corpus.mel.nbytes <= budget else "mapped"


def _fetcher(corpus: Corpus, spec: BatchSpec, records: Path | None) -> backends.Fetch:
    match backend_for(corpus, spec):
        case "resident":
            return backends.resident(corpus, spec.round_to)
        case "mapped":
            return backends.mapped(corpus)
        case "tfrecord":
            if records is None and not spec.records:
                remedy = "Export it (studio corpus export STORE FOLDER) and name FOLDER as records"
                raise SettingError("backend", "tfrecord needs an export of the store", remedy)
            return backends.tfrecord(corpus, open_records(records or Path(spec.records), corpus))


def _flat(
    made: Plan, spec: BatchSpec, ranks: tuple[int, ...], facts: backends.Ends
) -> list[NDArray[Any]]:
    """A plan as arrays of one entry a batch: frames, tokens, rows of the index (the blank row is
    its last), clips and their facts; with augmentation, draws and seeds of noise.

    Looked up for a whole epoch at once: in the graph each of them would be an operation a batch.
    """
    clips = np.ascontiguousarray(made.rows[:, ranks, :]).reshape(-1, spec.batch_size)
    table = np.array([(s.frames, s.tokens) for s in made.shapes], np.int32).reshape(-1, 2)
    shapes = np.repeat(table[made.bucket], len(ranks), axis=0)
    flat: list[NDArray[Any]] = [
        np.ascontiguousarray(shapes[:, 0]),
        np.ascontiguousarray(shapes[:, 1]),
        np.where(clips == BLANK, len(facts.num_frames) - 1, clips).astype(np.int32),
        clips,
        facts.num_frames[clips],
        facts.num_tokens[clips],
        facts.speaker[clips],
    ]
    if spec.augment.active:
        each = clips.reshape(-1).astype(np.int64)
        drawn = augment.draws(spec.augment, spec.seed, made.epoch, each)
        seeds = augment.noise_seeds(spec.seed, made.epoch, each)
        flat += [drawn.reshape(*clips.shape, -1), seeds.reshape(*clips.shape, 2)]
    return flat
