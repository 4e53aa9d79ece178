"""A store as TFRecord shards, for object stores and for programs that know no other format."""

from __future__ import annotations

import io
import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from models.corpus.graph import tensorflow
from models.corpus.mapped import Corpus
from models.corpus.records import PLACES, RECORD_HEAD, RECORD_TAIL, shard_name
from tasks.corpus_store import sole_writer, write_whole

SHARD_MIB = 128
"""Size of a shard: what object stores like to serve in one piece."""


def export_records(
    corpus: Corpus,
    folder: Path,
    *,
    shard_mib: int = SHARD_MIB,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[Path, ...]:
    """Write every clip as a `tf.train.Example` and return the shards.

    `mel` holds the stored bits, row by row, `tokens` and `durations` little-endian uint16, all as
    bytes (a float list takes 39 times as long to write); beside them `id`, `text`, `normalised`,
    `speaker`, `num_frames` and `storage`. The same store gives the same bytes. `places.npz` names
    each record's place and is written last: without it there is no export.

    Raises `EngineUnavailable` without TensorFlow, `OutputError` when the place cannot be written.
    """
    tf = tensorflow()
    shards = _shards(corpus, shard_mib * 2**20)
    place = np.zeros((len(corpus), 3), np.int64)
    with sole_writer(folder):
        (folder / PLACES).unlink(missing_ok=True)
        for stale in folder.glob("corpus-*-of-*.tfrecord"):
            stale.unlink()
        paths = tuple(folder / shard_name(index, len(shards)) for index in range(len(shards)))
        for index, (path, clips) in enumerate(zip(paths, shards, strict=True)):
            part = path.with_suffix(".part")
            with tf.io.TFRecordWriter(str(part)) as writer:
                for clip, begin, data in _records(tf, corpus, clips):
                    writer.write(data)
                    place[clip] = index, begin, len(data)
                    report(clip + 1, len(corpus))
            with part.open("rb") as file:
                os.fsync(file.fileno())
            part.replace(path)
        buffer = io.BytesIO()
        np.savez(
            buffer,
            shard=place[:, 0].astype(np.int32),
            offset=place[:, 1],
            length=place[:, 2],
            store_sha256=np.frombuffer(corpus.sha256.encode(), np.uint8),
        )
        write_whole(folder / PLACES, buffer.getvalue())
    return paths


def _shards(corpus: Corpus, max_bytes: int) -> list[range]:
    """Consecutive clips whose mels fill a shard."""
    sizes = corpus.num_frames * corpus.mel.dtype.itemsize * corpus.mel.shape[1]
    number = np.cumsum(sizes) // max_bytes
    firsts = [0, *(np.flatnonzero(np.diff(number)) + 1).tolist(), len(corpus)]
    return [range(a, b) for a, b in itertools.pairwise(firsts) if b > a]


def _records(tf: Any, corpus: Corpus, clips: range) -> Iterator[tuple[int, int, bytes]]:
    """Each clip with where its data begins in the shard, and the data."""
    at = 0
    for clip in clips:
        row, info = corpus.rows[clip], corpus.info(clip)
        begin, count = int(row["frame"]), int(row["num_frames"])
        told = {
            "mel": corpus.mel[begin : begin + count].tobytes(),
            "tokens": corpus.clip_tokens(clip).astype("<u2").tobytes(),
            "id": info.id.encode(),
            "text": info.text.encode(),
            "normalised": info.normalised.encode(),
            "speaker": info.speaker.encode(),
            "storage": corpus.spec.mel.storage.encode(),
        }
        if corpus.durations is not None:
            told["durations"] = corpus.clip_durations(clip).astype("<u2").tobytes()
        features = {
            name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[data]))
            for name, data in told.items()
        }
        features["num_frames"] = tf.train.Feature(int64_list=tf.train.Int64List(value=[count]))
        example = tf.train.Example(features=tf.train.Features(feature=features))
        # A map's order is free in the wire format unless it is asked for.
        data = example.SerializeToString(deterministic=True)
        yield clip, at + RECORD_HEAD, data
        at += RECORD_HEAD + len(data) + RECORD_TAIL
