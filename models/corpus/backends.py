"""Three ways from a plan's row to a batch's bits; all give the same.

`resident`: the store's frames in memory, one gather in the graph and no Python. `mapped`: one
Python call a batch that copies from the mapped files. `tfrecord`: exported shards, read at
the records' places and parsed in the graph. Padding is 0 in bits, which every storage reads as 0.0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.corpus.features import code_grid
from models.corpus.graph import tensorflow
from models.corpus.mapped import Corpus
from models.corpus.records import Records
from studio.corpus import MelSpec

Bits = tuple[Any, Any, Any]
"""Tensors: mel bits `(batch, frames, n_mels)`, tokens and durations `(batch, tokens)` uint16."""

Fetch = Callable[[Any, Any, Any], Bits]
"""Called with rows of the index `(batch,)`, the shape's frames and tokens (scalars). The row
behind the last clip is the blank one.
"""


def bits_type(spec: MelSpec) -> np.dtype[Any]:
    """What mel values are moved as: 16-bit kinds as uint16; `decode_raw` cannot pad halves."""
    return np.dtype(np.float32) if spec.storage == "f32" else np.dtype(np.uint16)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ends:
    """Where each clip begins and how long it is; the last entry is the blank row's."""

    frame: NDArray[np.int64]
    num_frames: NDArray[np.int32]
    token: NDArray[np.int64]
    num_tokens: NDArray[np.int32]
    speaker: NDArray[np.int32]


def ends(corpus: Corpus) -> Ends:
    """The index as gathers need it; the blank row is the last, so that clip -1 means it too."""

    def column(name: str, dtype: type[np.signedinteger[Any]]) -> NDArray[Any]:
        return np.append(corpus.rows[name].astype(dtype), np.zeros(1, dtype))

    return Ends(
        frame=column("frame", np.int64),
        num_frames=column("num_frames", np.int32),
        token=column("token", np.int64),
        num_tokens=column("num_tokens", np.int32),
        speaker=column("speaker", np.int32),
    )


def resident(corpus: Corpus, round_to: int) -> Fetch:
    """The whole store as tensors of host memory.

    Clips lie in blocks of `round_to` frames (tokens), the last filled up with zeros: caps are whole
    blocks, so a batch is gathered block by block, a few large copies in place of many small ones.
    Everything past a clip's end gathers the block of zeros behind the last clip.
    """
    tf = tensorflow()
    where = ends(corpus)
    mel = corpus.mel.view(bits_type(corpus.spec.mel))
    frames = _blocked(mel, where.frame, where.num_frames, round_to)
    texts = [_blocked(corpus.tokens, where.token, where.num_tokens, round_to)]
    if corpus.durations is not None:
        texts.append(_blocked(corpus.durations, where.token, where.num_tokens, round_to))

    def fetch(row: Any, cap: Any, symbols: Any) -> Bits:
        n_mels = corpus.spec.mel.n_mels
        values = tf.reshape(frames(row, cap), [tf.shape(row)[0], cap, n_mels])
        ids = [tf.reshape(text(row, symbols), [tf.shape(row)[0], symbols]) for text in texts]
        return values, ids[0], ids[-1]

    return fetch


def _blocked(
    flat: NDArray[Any], start: NDArray[np.int64], length: NDArray[np.int32], round_to: int
) -> Callable[[Any, Any], Any]:
    """A gather over clips in whole blocks: rows `(batch,)` and a cap -> `(batch, blocks, ...)`."""
    tf = tensorflow()
    count = -(-length // round_to)
    first = np.concatenate([[0], np.cumsum(count[:-1], dtype=np.int64)])
    blank = int(count.sum())
    out = np.zeros(((blank + 1) * round_to, *flat.shape[1:]), flat.dtype)
    for begin, size, block in zip(start.tolist(), length.tolist(), first.tolist(), strict=True):
        place = block * round_to
        out[place : place + size] = flat[begin : begin + size]
    # Indices of 32 bits reach 2^31 blocks: more than any memory holds.
    with tf.device("/CPU:0"):
        blocks = tf.constant(out.reshape(blank + 1, -1))
        firsts, counts = tf.constant(first.astype(np.int32)), tf.constant(count.astype(np.int32))

    def gather(row: Any, cap: Any) -> Any:
        step = tf.range(cap // round_to)[None, :]
        inside = step < tf.gather(counts, row)[:, None]
        return tf.gather(blocks, tf.where(inside, tf.gather(firsts, row)[:, None] + step, blank))

    return gather


def mapped(corpus: Corpus) -> Fetch:
    """Copies from the mapped files, one Python call a batch."""
    tf = tensorflow()

    where, bits = ends(corpus), bits_type(corpus.spec.mel)
    mel = corpus.mel.view(bits)
    flat = [corpus.tokens] if corpus.durations is None else [corpus.tokens, corpus.durations]

    def copy(rows: NDArray[np.int32], frames: int, symbols: int) -> list[NDArray[Any]]:
        out = np.empty((len(rows), frames, mel.shape[1]), bits)
        texts = [np.zeros((len(rows), symbols), np.uint16) for _ in flat]
        for row, clip in enumerate(rows.tolist()):
            begin, count = where.frame[clip], where.num_frames[clip]
            out[row, :count] = mel[begin : begin + count]
            out[row, count:] = 0
            begin, count = where.token[clip], where.num_tokens[clip]
            for text, source in zip(texts, flat, strict=True):
                text[row, :count] = source[begin : begin + count]
        return [out, *texts]

    def fetch(row: Any, frames: Any, symbols: Any) -> Bits:
        kinds = [tf.as_dtype(bits), *(tf.uint16 for _ in flat)]
        moved = tf.numpy_function(copy, [row, frames, symbols], kinds, stateful=False)
        return moved[0], moved[1], moved[-1]

    return fetch


def tfrecord(corpus: Corpus, records: Records) -> Fetch:
    """Records of exported shards, taken at their places and parsed in the graph."""
    tf = tensorflow()

    bits, n_mels = bits_type(corpus.spec.mel), corpus.spec.mel.n_mels
    blank = tf.train.Example().SerializeToString()

    def take(rows: NDArray[np.int32]) -> NDArray[np.object_]:
        return np.array(
            [blank if row == len(corpus) else records.read(int(row)) for row in rows], object
        )

    names = ["mel", "tokens"] + ([] if corpus.durations is None else ["durations"])
    features = {name: tf.io.FixedLenFeature([], tf.string, b"") for name in names}

    def fetch(row: Any, frames: Any, symbols: Any) -> Bits:
        serialized = tf.numpy_function(take, [row], tf.string, stateful=False)
        parsed = tf.io.parse_example(tf.ensure_shape(serialized, row.shape), features)
        mel = tf.io.decode_raw(
            parsed["mel"], tf.as_dtype(bits), fixed_length=frames * n_mels * bits.itemsize
        )
        texts = [
            tf.io.decode_raw(parsed[name], tf.uint16, fixed_length=symbols * 2)
            for name in names[1:]
        ]
        return tf.reshape(mel, [-1, frames, n_mels]), texts[0], texts[-1]

    return fetch


def values(bits: Any, spec: MelSpec, dtype: str) -> Any:
    """Mel bits as float32 ("f32") or half ("f16"); padding is exactly 0.0."""
    tf = tensorflow()

    wanted = tf.float16 if dtype == "f16" else tf.float32
    match spec.storage:
        case "f16":
            return tf.cast(tf.bitcast(bits, tf.float16), wanted)
        case "f32":
            return tf.cast(bits, wanted)
        case "u16":
            origin, step = code_grid(spec)
            codes = tf.cast(bits, tf.float32)
            return tf.cast(tf.where(bits == 0, 0.0, origin + codes * step), wanted)
