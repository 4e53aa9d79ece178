"""A store as arrays: opened in constant time, mapped, never copied."""

from __future__ import annotations

import hashlib
import json
import mmap
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from models.corpus.features import unpack
from studio.corpus import ClipInfo, CorpusSpec, layout
from studio.errors import StoreError
from studio.keys import fingerprint

Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class Corpus:
    """A prepared store, read-only. Clip `i` is row `i` of `rows` (`studio.corpus.layout.ROW`).

    `mel` is `(frames, n_mels)` as stored, `tokens` and `durations` are flat; all three lie on disk
    until touched. `durations` is None unless the tokens are phonemes. A `view` holds some of a
    store's clips: `chosen` are their rows there, `store_sha256` is the store's identity.
    """

    folder: Path
    spec: CorpusSpec
    sha256: str
    rows: Array
    mel: Array
    tokens: NDArray[np.uint16]
    durations: NDArray[np.uint16] | None
    vocabulary: tuple[str, ...]
    speakers: tuple[str, ...]
    num_bytes: dict[str, int]
    chosen: NDArray[np.int64] | None = None
    whole_sha256: str = ""

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def store_sha256(self) -> str:
        """The identity of the whole store."""
        return self.whole_sha256 or self.sha256

    def view(self, clips: NDArray[np.int64], purpose: str) -> Corpus:
        """These clips alone, by their rows here. Nothing is copied but the index; the view has an
        identity of its own, so that no cursor counts in the wrong one.
        """
        name = fingerprint(self.sha256, purpose, [int(clip) for clip in clips])
        return replace(
            self,
            rows=self.rows[clips],
            sha256=name,
            chosen=clips if self.chosen is None else self.chosen[clips],
            whole_sha256=self.store_sha256,
        )

    @cached_property
    def num_frames(self) -> NDArray[np.int64]:
        """Frames of every clip."""
        return self.rows["num_frames"].astype(np.int64)

    @cached_property
    def num_tokens(self) -> NDArray[np.int64]:
        """Tokens of every clip."""
        return self.rows["num_tokens"].astype(np.int64)

    def clip_mel(self, clip: int) -> NDArray[np.float32]:
        """The log mel `(frames, n_mels)` of one clip as float32."""
        row = self.rows[clip]
        begin = int(row["frame"])
        return unpack(self.mel[begin : begin + int(row["num_frames"])], self.spec.mel)

    def clip_tokens(self, clip: int) -> NDArray[np.uint16]:
        """The token ids of one clip."""
        row = self.rows[clip]
        begin = int(row["token"])
        return np.array(self.tokens[begin : begin + int(row["num_tokens"])])

    def clip_durations(self, clip: int) -> NDArray[np.uint16]:
        """Frames of each token of one clip. Raises `ValueError` when the store has none."""
        if self.durations is None:
            raise ValueError("the tokens of this store are characters: they have no lengths")
        row = self.rows[clip]
        begin = int(row["token"])
        return np.array(self.durations[begin : begin + int(row["num_tokens"])])

    def info(self, clip: int) -> ClipInfo:
        """What a person knows of one clip."""
        row = self.rows[clip]
        with (self.folder / layout.CLIPS).open("rb") as file:
            file.seek(int(row["line"]))
            line = json.loads(file.read(int(row["line_bytes"])))
        return ClipInfo(**{name: line[name] for name in ClipInfo.__dataclass_fields__})

    def checksum(self, clip: int) -> int:
        """The CRC-32 of a clip's bytes as they are now; `rows["crc32"]` holds what it must be."""
        row = self.rows[clip]
        begin, count = int(row["frame"]), int(row["num_frames"])
        crc = zlib.crc32(np.ascontiguousarray(self.mel[begin : begin + count]).data.cast("B"))
        begin, count = int(row["token"]), int(row["num_tokens"])
        crc = zlib.crc32(self.tokens[begin : begin + count].tobytes(), crc)
        if self.durations is not None:
            crc = zlib.crc32(self.durations[begin : begin + count].tobytes(), crc)
        return crc


def open_store(folder: Path | str) -> Corpus:
    """The store in `folder` as it was last committed.

    Only the index is read (86 bytes a clip); the rest is mapped. Raises `StoreError` when there is
    no store, when it was made by another version of the format, or when a file is shorter than its
    index says.
    """
    folder = Path(folder)
    remedy = "Prepare it again: studio corpus prepare SOURCE --store FOLDER"
    try:
        told = json.loads((folder / layout.SPEC).read_bytes())
        with np.load(folder / layout.INDEX, allow_pickle=False) as index:
            rows = index["rows"]
            names = json.loads(index["names"].tobytes())
    except FileNotFoundError as error:
        raise StoreError(str(folder), f"no store: {Path(error.filename).name}", remedy) from error
    except (ValueError, KeyError, OSError, BadZipFile) as error:
        raise StoreError(str(folder), f"cannot be read ({error})", remedy) from error
    if told.get("format") != layout.FORMAT or rows.dtype != layout.ROW:
        raise StoreError(str(folder), f"format {told.get('format')!r}", remedy)
    try:
        spec = CorpusSpec.model_validate(told["spec"])
    except ValidationError as error:
        raise StoreError(str(folder), "a spec of another version", remedy) from error
    stored = layout.STORED[spec.mel.storage]
    sizes: dict[str, int] = names["num_bytes"]
    timed = layout.DURATIONS in sizes
    mel = _mapped(folder / layout.mel_file(spec.mel.storage), stored, sizes)
    return Corpus(
        folder=folder,
        spec=spec,
        sha256=identity(spec, rows, names),
        rows=rows,
        mel=mel.reshape(-1, spec.mel.n_mels),
        tokens=_mapped(folder / layout.TOKENS, np.dtype("<u2"), sizes),
        durations=_mapped(folder / layout.DURATIONS, np.dtype("<u2"), sizes) if timed else None,
        vocabulary=tuple(names["vocabulary"]),
        speakers=tuple(names["speakers"]),
        num_bytes=sizes,
    )


def identity(spec: CorpusSpec, rows: Array, names: Mapping[str, Any]) -> str:
    """SHA-256 of what the store holds: its spec, its clips in order with their keys and checksums,
    its vocabulary and speakers. Where the bytes lie is no part of it.
    """
    digest = hashlib.sha256()
    for name in ("key", "num_frames", "num_tokens", "speaker", "crc32"):
        digest.update(np.ascontiguousarray(rows[name]).tobytes())
    return fingerprint(spec, digest.hexdigest(), names["vocabulary"], names["speakers"])


def _mapped(path: Path, dtype: np.dtype[np.generic], sizes: dict[str, int]) -> Array:
    wanted = sizes[path.name]
    if wanted == 0:
        return np.zeros(0, dtype)
    try:
        with path.open("rb") as file:
            whole = mmap.mmap(file.fileno(), wanted, prot=mmap.PROT_READ)
    except (FileNotFoundError, ValueError) as error:
        found = f"{path.name} is missing or shorter than the index says"
        raise StoreError(str(path.parent), found, "Prepare the corpus into a new folder") from error
    return np.frombuffer(whole, dtype)
