"""Batches as TensorFlow gets them: the same bytes from all three backends, from any step on."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from models.corpus import (  # noqa: E402 - behind the skip
    BLANK,
    Corpus,
    Cursor,
    advanced,
    backend_for,
    corpus_shapes,
    dataset,
    open_store,
    start,
    steps_per_epoch,
)
from studio.corpus import AugmentSpec, BatchSpec, CorpusSpec, MelSpec  # noqa: E402
from studio.errors import SettingError, StoreError  # noqa: E402
from tasks.corpus_export import export_records  # noqa: E402
from tasks.corpus_prepare import prepare_corpus  # noqa: E402
from tests.tasks.recordings import write_recordings  # noqa: E402

pytestmark = pytest.mark.slow

Batch = dict[str, np.ndarray[Any, Any]]
SPEC = BatchSpec(batch_size=8, num_buckets=3, seed=5)
LOUD = AugmentSpec(gain_db=6.0, time_masks=2, mel_masks=1, noise=0.3)


def build(folder: Path, storage: str) -> Corpus:
    source = write_recordings(folder / "lj", 30)
    told = {"n_mels": 16, "n_fft": 512, "win_length": 512, "storage": storage}
    spec = CorpusSpec(mel=MelSpec.model_validate(told))
    prepare_corpus([source], folder / "store", spec)
    made = open_store(folder / "store")
    export_records(made, folder / "records", shard_mib=1)
    return made


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return build(tmp_path_factory.mktemp("data"), "f16")


@pytest.fixture(scope="module", params=["f16", "u16", "f32"])
def stored(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """The same clips in each storage."""
    return build(tmp_path_factory.mktemp("stored"), request.param)


def read(corpus: Corpus, spec: BatchSpec, **rest: Any) -> list[Batch]:
    records = corpus.folder.parent / "records"
    made = dataset(corpus, spec, records=records, **rest)
    return [{name: tensor.numpy() for name, tensor in batch.items()} for batch in made]


def same(left: list[Batch], right: list[Batch]) -> bool:
    return len(left) == len(right) and all(
        a.keys() == b.keys() and all(a[name].tobytes() == b[name].tobytes() for name in a)
        for a, b in zip(left, right, strict=True)
    )


@pytest.mark.parametrize("augment", [AugmentSpec(), LOUD], ids=["plain", "augmented"])
@pytest.mark.parametrize("dtype", ["f32", "f16"])
def test_all_backends_give_the_same_bytes(stored: Corpus, augment: AugmentSpec, dtype: str) -> None:
    streams = [
        read(
            stored,
            SPEC.model_copy(update={"backend": backend, "augment": augment, "dtype": dtype}),
            num_epochs=2,
        )
        for backend in ("resident", "mapped", "tfrecord")
    ]
    assert len(streams[0]) == 2 * steps_per_epoch(stored, SPEC) == 8
    assert same(streams[0], streams[1])
    assert same(streams[0], streams[2])


def test_a_view_gives_the_same_bytes_from_every_backend_and_only_its_clips(corpus: Corpus) -> None:
    odd = corpus.view(np.arange(1, len(corpus), 2), "odd")
    later = odd.view(np.arange(3, len(odd)), "later")
    records = str(corpus.folder.parent / "records")
    streams = [
        read(later, SPEC.model_copy(update={"backend": backend, "records": records}))
        for backend in ("resident", "mapped", "tfrecord")
    ]
    assert same(streams[0], streams[1])
    assert same(streams[0], streams[2])
    clip = int(streams[2][0]["clip"][0])
    row = 2 * (clip + 3) + 1
    frames = int(corpus.num_frames[row])
    assert streams[2][0]["mel"][0, :frames].tobytes() == corpus.clip_mel(row).tobytes()
    assert len({corpus.sha256, odd.sha256, later.sha256}) == 3
    assert later.store_sha256 == corpus.sha256


def test_a_batch_holds_its_clips_and_zeros(stored: Corpus) -> None:
    shapes = {
        (s.frames, s.tokens) for s in corpus_shapes(stored.num_frames, stored.num_tokens, SPEC)
    }
    blanks = 0
    for batch in read(stored, SPEC):
        assert (batch["mel"].shape[1], batch["tokens"].shape[1]) in shapes
        for row, clip in enumerate(batch["clip"]):
            frames, tokens = batch["num_frames"][row], batch["num_tokens"][row]
            assert not np.any(batch["mel"][row, frames:])
            assert not np.any(batch["tokens"][row, tokens:])
            if clip == BLANK:
                blanks += 1
                assert frames == tokens == 0
                continue
            assert np.abs(batch["mel"][row, :frames] - stored.clip_mel(clip)).max() < 1e-5
            assert np.array_equal(batch["tokens"][row, :tokens], stored.clip_tokens(clip))
    assert blanks == 2


@pytest.mark.parametrize("steps", [0, 1, 3, 4, 5, 7])
def test_it_goes_on_from_any_step_with_under_a_kilobyte(corpus: Corpus, steps: int) -> None:
    spec = SPEC.model_copy(update={"augment": LOUD})
    whole = read(corpus, spec, num_epochs=2)
    state = advanced(start(corpus, spec), corpus, spec, steps).to_json()
    assert len(state) < 1024
    cursor = Cursor.from_json(state)
    rest = read(corpus, spec, cursor=cursor, num_epochs=2 - cursor.epoch)
    assert same(rest, whole[steps:])


def test_augmentation_depends_on_seed_epoch_and_clip_alone(corpus: Corpus) -> None:
    spec = SPEC.model_copy(update={"augment": LOUD})
    other = spec.model_copy(update={"batch_size": 5, "num_buckets": 1, "parallel_calls": 4})

    def clips(batches: list[Batch]) -> dict[int, np.ndarray[Any, Any]]:
        return {
            int(clip): batch["mel"][row, : batch["num_frames"][row]]
            for batch in batches
            for row, clip in enumerate(batch["clip"])
            if clip != BLANK
        }

    left, right = clips(read(corpus, spec)), clips(read(corpus, other))
    assert all(np.allclose(left[clip], right[clip], atol=2e-5) for clip in left)
    later = clips(read(corpus, spec, cursor=start(corpus, spec, epoch=1)))
    assert not any(np.allclose(left[clip], later[clip], atol=1e-2) for clip in left)
    floor = math.log(corpus.spec.mel.floor)
    assert min(mel.min() for mel in left.values()) >= floor - 1e-4


def test_each_augmentation_does_what_it_says(corpus: Corpus) -> None:
    def changes(**wanted: Any) -> list[np.ndarray[Any, Any]]:
        spec = SPEC.model_copy(update={"augment": AugmentSpec(**wanted)})
        return [
            batch["mel"][row, :frames] - corpus.clip_mel(batch["clip"][row])
            for batch in read(corpus, spec)
            for row, frames in enumerate(batch["num_frames"])
            if frames
        ]

    gains = [change.mean() / math.log(10) * 20 for change in changes(gain_db=3.0)]
    assert max(map(abs, gains)) <= 3.0 + 1e-3
    assert np.std(gains) == pytest.approx(3.0 / math.sqrt(3), rel=0.35)
    noise = np.concatenate([change.ravel() for change in changes(noise=0.1)])
    assert noise.std() == pytest.approx(0.1, rel=0.05)
    for masked in changes(time_masks=1, time_mask_frames=10, time_mask_pct=50.0):
        frames = np.any(masked != 0, axis=1)
        assert frames.sum() <= 10
        assert np.all(np.diff(np.flatnonzero(frames)) == 1), "one stretch"
    bands = [np.any(c != 0, axis=0).sum() for c in changes(mel_masks=1, mel_mask_bands=4)]
    assert max(bands) <= 4
    assert len(set(bands)) > 2


def test_ranks_get_the_same_shapes_and_different_clips(corpus: Corpus) -> None:
    left, right = (read(corpus, SPEC, ranks=(rank,), world=2) for rank in (0, 1))
    both = read(corpus, SPEC, ranks=(0, 1), world=2)
    assert [batch["mel"].shape for batch in left] == [batch["mel"].shape for batch in right]
    assert same(both[0::2], left)
    assert same(both[1::2], right)
    clips = np.concatenate([batch["clip"] for batch in both])
    assert sorted(clips[clips != BLANK].tolist()) == list(range(30))


def test_a_cursor_of_another_store_or_order_is_refused(corpus: Corpus) -> None:
    cursor = start(corpus, SPEC)
    with pytest.raises(SettingError, match="another spec"):
        dataset(corpus, SPEC.model_copy(update={"seed": 6}), cursor=cursor)
    stranger = Cursor(store_sha256="0" * 64, order_sha256=cursor.order_sha256)
    with pytest.raises(SettingError, match="counts in store"):
        dataset(corpus, SPEC, cursor=stranger)
    with pytest.raises(SettingError, match="cannot be read"):
        Cursor.from_json('{"epoch": 3}')
    with pytest.raises(SettingError, match="of a world of 1"):
        dataset(corpus, SPEC, ranks=(1,))


def test_the_backend_follows_the_memory_budget(corpus: Corpus) -> None:
    tiny = SPEC.model_copy(update={"ram_budget_gib": 1e-7})
    assert backend_for(corpus, SPEC) == "resident"
    assert backend_for(corpus, tiny) == "mapped"


def test_exported_shards_are_ordinary_tfrecords_and_the_same_each_time(
    corpus: Corpus, tmp_path: Path
) -> None:
    shards = export_records(corpus, tmp_path / "again", shard_mib=1)
    for shard in shards:
        twin = corpus.folder.parent / "records" / shard.name
        assert shard.read_bytes() == twin.read_bytes()
    features = {"id": tf.io.FixedLenFeature([], tf.string)}
    ids = [
        tf.io.parse_single_example(record, features)["id"].numpy().decode()
        for record in tf.data.TFRecordDataset([str(shard) for shard in shards])
    ]
    assert ids == [corpus.info(clip).id for clip in range(30)]


def test_a_foreign_or_damaged_export_is_refused(corpus: Corpus, tmp_path: Path) -> None:
    spec = SPEC.model_copy(update={"backend": "tfrecord"})
    with pytest.raises(SettingError, match="needs an export"):
        dataset(corpus, spec)
    with pytest.raises(StoreError, match="no export"):
        dataset(corpus, spec, records=tmp_path)
    shutil.copytree(corpus.folder.parent / "records", tmp_path / "cut")
    shard = next((tmp_path / "cut").glob("*.tfrecord"))
    shard.write_bytes(shard.read_bytes()[:-9])
    with pytest.raises(StoreError, match="cut short"):
        dataset(corpus, spec, records=tmp_path / "cut")


def test_no_shape_is_traced_twice(corpus: Corpus) -> None:
    traced = []

    @tf.function  # type: ignore[untyped-decorator]
    def step(mel: Any) -> Any:
        traced.append(tuple(mel.shape))
        return tf.reduce_sum(mel)

    for batch in dataset(corpus, SPEC, num_epochs=3):
        step(batch["mel"])
    shapes = corpus_shapes(corpus.num_frames, corpus.num_tokens, SPEC)
    assert len(traced) == len(set(traced)) <= len(shapes)
