"""Recordings into a store: what is new is worked out once, in any number of threads, and appended
in the order of the sources, so that the bytes depend on the sources alone.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from studio.corpus import CorpusReport, CorpusSpec, Quarantined, layout
from tasks.corpus_clip import Aside, Clip, Hashes, make_clip, take_key
from tasks.corpus_sources import Listed, Take, list_takes
from tasks.corpus_store import (
    Appender,
    read_quarantine,
    sole_writer,
    write_quarantine,
    write_whole,
)
from tasks.run import Stopped

COMMIT_EVERY_S = 20.0
"""What a killed run loses at most, in seconds of work."""

_AHEAD = 4
"""Takes per thread that are read ahead of the one being appended: enough that no thread waits, few
enough that an hour of long clips stays within a few hundred MB.
"""

Report = Callable[[int, int], None]
Stamp = tuple[int, int, str]
Outcome = Clip | Aside | bytes


@dataclass(slots=True)
class _Known:
    """What earlier runs found out."""

    clips: frozenset[bytes]
    asides: dict[bytes, Quarantined]
    stamps: dict[str, Stamp]
    hashes: Hashes = field(default_factory=Hashes)


def prepare_corpus(
    sources: Sequence[Path],
    folder: Path,
    spec: CorpusSpec,
    *,
    workers: int = 0,
    report: Report = lambda done, total: None,
) -> CorpusReport:
    """Bring the store in `folder` to what `sources` hold now.

    Clips that are there already (same sound, text and id) stay; new and changed ones are appended;
    ones that the sources no longer name leave the index. Every take that cannot be used is written
    to `quarantine.jsonl` with its reason. A file whose size and time have not changed is not read
    again. `workers` is the number of threads (0: one a core); the bytes do not depend on it. A run
    that was killed is taken up where it committed last and ends with the same bytes.

    Raises `MediaError` for a source that is none, `StoreError` for a store of another spec or one
    that is being written, `OutputError` for a place that cannot be written.
    """
    listed = list_takes(sources)
    workers = workers or os.cpu_count() or 1
    with sole_writer(folder), Appender(folder, spec) as store:
        known = _Known(
            clips=frozenset(row.tobytes() for row in store.old["key"]),
            asides={key: what for what, key in read_quarantine(folder) if key is not None},
            stamps=_read_stamps(folder),
        )
        kept: set[bytes] = set()
        asides: list[tuple[Quarantined, bytes | None]] = []
        stamps: dict[str, Stamp] = {}
        with ThreadPoolExecutor(workers, thread_name_prefix="prepare") as pool, _kept(store):
            outcomes = _outcomes(listed, spec, known, pool, workers)
            due = time.monotonic() + COMMIT_EVERY_S
            for done, (item, outcome, stamp) in enumerate(outcomes, start=1):
                match outcome:
                    case Clip():
                        store.add(outcome)
                    case Aside():
                        asides.append((outcome.what, outcome.key))
                    case bytes():
                        kept.add(outcome)
                if isinstance(item, Take) and stamp is not None:
                    stamps[str(item.path)] = stamp
                report(done, len(listed))
                if time.monotonic() > due:
                    store.commit()
                    due = time.monotonic() + COMMIT_EVERY_S
        stay = np.array([row.tobytes() in kept for row in store.old["key"]], np.bool_)
        write_quarantine(folder, asides)
        sha256 = store.commit(stay)
        write_whole(folder / layout.STAMPS, json.dumps(stamps).encode())
        return _report_of(folder, store, sha256, stay, [what for what, _ in asides])


@contextlib.contextmanager
def _kept(store: Appender) -> Iterator[None]:
    """Keep what was finished when a run is stopped. After a fault the last commit stands: what was
    appended since is worked out again.
    """
    try:
        yield
    except (Stopped, KeyboardInterrupt):
        store.commit()
        raise


def _outcomes(
    listed: Iterable[Listed],
    spec: CorpusSpec,
    known: _Known,
    pool: ThreadPoolExecutor,
    workers: int,
) -> Iterator[tuple[Listed, Outcome, Stamp | None]]:
    """What becomes of every take, in order, while the threads work ahead."""
    ahead: deque[tuple[Listed, Future[tuple[Outcome, Stamp | None]]]] = deque()
    try:
        for item in listed:
            ahead.append((item, _begin(item, spec, known, pool)))
            while ahead and (len(ahead) > _AHEAD * workers or ahead[0][1].done()):
                first, future = ahead.popleft()
                yield first, *future.result()
        while ahead:
            first, future = ahead.popleft()
            yield first, *future.result()
    finally:
        for _, future in ahead:
            future.cancel()


def _begin(
    item: Listed, spec: CorpusSpec, known: _Known, pool: ThreadPoolExecutor
) -> Future[tuple[Outcome, Stamp | None]]:
    """The answer at once where an earlier run has it, else a thread's."""
    settled: Future[tuple[Outcome, Stamp | None]] = Future()
    if isinstance(item, Quarantined):
        settled.set_result((Aside(what=item), None))
        return settled
    stamp = _unchanged(item, known)
    if stamp is not None:
        known.hashes.known.setdefault(item.path, stamp[2])
        key = take_key(item, stamp[2])
        if key in known.clips:
            settled.set_result((key, stamp))
            return settled
        if key in known.asides:
            settled.set_result((Aside(what=known.asides[key], key=key), stamp))
            return settled
    return pool.submit(_work, item, spec, known)


def _work(item: Take, spec: CorpusSpec, known: _Known) -> tuple[Outcome, Stamp | None]:
    before = _stat(item.path)
    outcome, sha256 = make_clip(item, spec, known.hashes, known.clips)
    # A file that changes while it is read must be looked at again.
    if not sha256 or before is None or before != _stat(item.path):
        return outcome, None
    return outcome, (*before, sha256)


def _stat(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def _unchanged(take: Take, known: _Known) -> Stamp | None:
    stamp = known.stamps.get(str(take.path))
    return stamp if stamp is not None and _stat(take.path) == stamp[:2] else None


def _read_stamps(folder: Path) -> dict[str, Stamp]:
    try:
        told = json.loads((folder / layout.STAMPS).read_bytes())
        return {path: (int(size), int(time), str(sha)) for path, (size, time, sha) in told.items()}
    except (FileNotFoundError, ValueError, TypeError, AttributeError):
        return {}


def _report_of(
    folder: Path,
    store: Appender,
    sha256: str,
    stay: np.ndarray[tuple[int], np.dtype[np.bool_]],
    asides: Sequence[Quarantined],
) -> CorpusReport:
    rows = np.concatenate([store.old[stay], *store.new])
    frames, samples = int(rows["num_frames"].sum()), int(rows["num_samples"].sum())
    mel = store.spec.mel
    lasting = frames * mel.n_mels * layout.STORED[mel.storage].itemsize
    per_token = 4 if layout.DURATIONS in store.sizes else 2
    lasting += int(rows["num_tokens"].sum()) * per_token + int(rows["line_bytes"].sum())
    return CorpusReport(
        folder=str(folder),
        store_sha256=sha256,
        num_clips=len(rows),
        num_frames=frames,
        hours=samples / mel.sample_rate / 3600,
        kept=int(stay.sum()),
        added=len(store.new),
        dropped=int(len(stay) - stay.sum()),
        quarantined=tuple(asides),
        dead_bytes=store.num_bytes - lasting,
    )
