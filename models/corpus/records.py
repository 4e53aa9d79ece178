"""Exported TFRecord shards as a random-access sequence of serialised examples.

A record is `length u64, crc u32, data, crc u32`; the export's own index holds where each begins, so
that a plan may read them in any order. The shards alone are ordinary TFRecord files for any other
reader.
"""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from models.corpus.mapped import Corpus
from studio.errors import StoreError

PLACES: Final = "places.npz"
"""Beside the shards: `shard`, `offset` and `length` of every clip's data, and the store's hash."""

RECORD_HEAD: Final = 12
"""Bytes before a record's data: its length and that length's checksum."""
RECORD_TAIL: Final = 4
"""Bytes behind it: the data's checksum."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Records:
    """All shards of an export, mapped, and where in them the clips of a store or a view lie."""

    shards: tuple[mmap.mmap, ...]
    shard: NDArray[np.int32]
    offset: NDArray[np.int64]
    length: NDArray[np.int64]

    def read(self, clip: int) -> bytes:
        """The serialised `tf.train.Example` of a clip."""
        begin = int(self.offset[clip])
        return self.shards[int(self.shard[clip])][begin : begin + int(self.length[clip])]


def shard_name(index: int, count: int) -> str:
    """The customary name of a shard: `corpus-00003-of-00012.tfrecord`."""
    return f"corpus-{index:05d}-of-{count:05d}.tfrecord"


def open_records(folder: Path, corpus: Corpus) -> Records:
    """The export in `folder`, for the store that it was made from or a view of that.

    Raises `StoreError` when it is missing, was made from another state of the store, or a shard is
    cut short.
    """
    remedy = "Export again: studio corpus export STORE FOLDER"
    try:
        with np.load(folder / PLACES, allow_pickle=False) as places:
            told = places["store_sha256"].tobytes().decode()
            shard, offset, length = places["shard"], places["offset"], places["length"]
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise StoreError(str(folder), f"no export ({error})", remedy) from error
    if told != corpus.store_sha256:
        raise StoreError(str(folder), "was made from another state of the store", remedy)
    count = int(shard.max(initial=-1)) + 1
    shards = []
    for index in range(count):
        path, last = folder / shard_name(index, count), np.flatnonzero(shard == index)[-1]
        try:
            with path.open("rb") as file:
                mapped = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        except (OSError, ValueError) as error:
            raise StoreError(str(path), f"cannot be read ({error})", remedy) from error
        if len(mapped) < int(offset[last] + length[last]) + RECORD_TAIL:
            raise StoreError(str(path), "is cut short", remedy)
        shards.append(mapped)
    own = slice(None) if corpus.chosen is None else corpus.chosen
    return Records(shards=tuple(shards), shard=shard[own], offset=offset[own], length=length[own])
