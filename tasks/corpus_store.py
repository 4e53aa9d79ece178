"""Writing a store: files that only grow, and one commit that is replaced whole."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import io
import json
import os
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from models.corpus.mapped import identity
from models.corpus.tokens import encode, vocabulary
from studio.corpus import CorpusSpec, Quarantined, layout
from studio.errors import OutputError, StoreError
from tasks.corpus_clip import Clip

_LOCK = "prepare.lock"


class Appender:
    """A store that is being added to. Nothing counts before `commit`; what a killed run left behind
    the last commit is cut off when the next one begins.
    """

    def __init__(self, folder: Path, spec: CorpusSpec) -> None:
        self.folder, self.spec = folder, spec
        names = [layout.mel_file(spec.mel.storage), layout.TOKENS, layout.CLIPS]
        if spec.tokens.kind == "phonemes":
            names.append(layout.DURATIONS)
        self.sizes = dict.fromkeys(names, 0)
        self.speakers: list[str] = []
        self.symbols: list[str] = []
        if spec.tokens.kind == "characters":
            self.symbols = list(vocabulary(spec.tokens))
        self.old: NDArray[Any] = np.zeros(0, layout.ROW)
        self.new: list[NDArray[Any]] = []
        self._files: dict[str, io.BufferedWriter] = {}

    def __enter__(self) -> Self:
        self._take_up()
        for name, size in self.sizes.items():
            path = self.folder / name
            found_bytes = path.stat().st_size if path.exists() else 0
            if found_bytes < size:
                found = f"{name} is shorter than its index says"
                raise StoreError(str(self.folder), found, "Prepare the corpus into a new folder")
            self._files[name] = path.open("ab")
            if found_bytes > size:
                os.truncate(path, size)
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files.values():
            with contextlib.suppress(OSError):
                file.close()

    def _take_up(self) -> None:
        """Go on from the last commit, or write down what this store is."""
        place = self.folder / layout.SPEC
        told = {"format": layout.FORMAT, "spec": self.spec.model_dump(mode="json")}
        text = json.dumps(told, indent=2, sort_keys=True) + "\n"
        if place.exists() and place.read_text(encoding="utf-8") != text:
            found = "holds a store of another spec or format"
            remedy = "Prepare into another folder: a store never changes its definition"
            raise StoreError(str(self.folder), found, remedy)
        write_whole(place, text.encode())
        index = self.folder / layout.INDEX
        if not index.exists():
            return
        try:
            with np.load(index, allow_pickle=False) as held:
                self.old = held["rows"]
                names = json.loads(held["names"].tobytes())
        except (OSError, ValueError, KeyError, BadZipFile) as error:
            remedy = "Prepare the corpus into a new folder"
            raise StoreError(str(index), f"cannot be read ({error})", remedy) from error
        self.sizes = dict(names["num_bytes"])
        self.speakers, self.symbols = list(names["speakers"]), list(names["vocabulary"])

    def add(self, clip: Clip) -> None:
        """Append a clip behind the others."""
        if clip.take.speaker not in self.speakers:
            self.speakers.append(clip.take.speaker)
        tokens = clip.tokens
        if tokens is None:
            self.symbols += [s for s in dict.fromkeys(clip.symbols) if s not in self.symbols]
            tokens = encode(clip.symbols, self.symbols)
        line = {
            "id": clip.take.id,
            "text": clip.take.text,
            "normalised": clip.normalised,
            "speaker": clip.take.speaker,
            "source": clip.take.source,
        }
        written = (json.dumps(line, ensure_ascii=False) + "\n").encode()
        mel_name = layout.mel_file(self.spec.mel.storage)
        parts = {mel_name: clip.mel.tobytes(), layout.TOKENS: tokens.astype("<u2").tobytes()}
        if clip.durations is not None:
            parts[layout.DURATIONS] = clip.durations.astype("<u2").tobytes()
        crc = 0
        for data in parts.values():
            crc = zlib.crc32(data, crc)
        row = np.zeros(1, layout.ROW)
        row["key"] = np.frombuffer(clip.key, np.uint8)
        row["frame"] = self.sizes[mel_name] // (clip.mel.itemsize * clip.mel.shape[1])
        row["num_frames"], row["num_tokens"] = len(clip.mel), len(tokens)
        row["token"] = self.sizes[layout.TOKENS] // 2
        row["line"], row["line_bytes"] = self.sizes[layout.CLIPS], len(written)
        row["num_samples"], row["speaker"] = (
            clip.num_samples,
            self.speakers.index(clip.take.speaker),
        )
        row["level_db"], row["peak_db"], row["crc32"] = clip.level_db, clip.peak_db, crc
        for name, data in (*parts.items(), (layout.CLIPS, written)):
            self._files[name].write(data)
            self.sizes[name] += len(data)
        self.new.append(row)

    def commit(self, keep: NDArray[np.bool_] | None = None) -> str:
        """Make all that was added count; with `keep`, only those of the old rows stay. Returns the
        store's identity.
        """
        for file in self._files.values():
            file.flush()
            os.fsync(file.fileno())
        old = self.old if keep is None else self.old[keep]
        rows = np.concatenate([old, *self.new])
        names = {
            "num_bytes": self.sizes,
            "speakers": self.speakers,
            "vocabulary": self.symbols,
        }
        buffer = io.BytesIO()
        text = json.dumps(names, sort_keys=True, ensure_ascii=True).encode()
        np.savez(buffer, rows=rows, names=np.frombuffer(text, np.uint8))
        write_whole(self.folder / layout.INDEX, buffer.getvalue())
        return identity(self.spec, rows, names)

    @property
    def num_bytes(self) -> int:
        """All bytes of the data files."""
        return sum(self.sizes.values())


@contextlib.contextmanager
def sole_writer(folder: Path) -> Iterator[None]:
    """Hold this while a store is written. Raises `StoreError` when somebody else writes it,
    `OutputError` when the place cannot be written or is full.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / _LOCK).open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                remedy = "Wait until the other preparation has ended"
                raise StoreError(str(folder), "is being written", remedy) from error
            yield
    except OSError as error:
        if isinstance(error, OutputError) or error.errno not in _PLACE_ERRORS:
            raise
        remedy = "Free some room, or choose another folder with --store"
        raise OutputError(str(folder), error.strerror or str(error), remedy) from error


_PLACE_ERRORS = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.EFBIG,
    errno.ENOTDIR,
    errno.EEXIST,
)


def write_whole(path: Path, data: bytes) -> None:
    """Replace a file at once: readers see the old bytes or the new ones. Unchanged ones stay."""
    if path.exists() and path.read_bytes() == data:
        return
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_quarantine(folder: Path, asides: Sequence[tuple[Quarantined, bytes | None]]) -> None:
    """Write down every clip that is not used, in the order of the sources."""
    lines = [
        json.dumps(
            {
                "id": what.id,
                "reason": what.reason,
                "found": what.found,
                "source": what.source,
                "key": None if key is None else key.hex(),
            },
            ensure_ascii=False,
        )
        for what, key in asides
    ]
    write_whole(folder / layout.QUARANTINE, "".join(f"{line}\n" for line in lines).encode())


def read_quarantine(folder: Path) -> list[tuple[Quarantined, bytes | None]]:
    """What `write_quarantine` wrote; nothing when it never did."""
    try:
        lines = (folder / layout.QUARANTINE).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    out = []
    for line in lines:
        told = json.loads(line)
        key = told.pop("key")
        out.append((Quarantined(**told), None if key is None else bytes.fromhex(key)))
    return out
