"""The store: content names, whole files or none, memory that knows when its media is gone."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest

from studio.errors import OutputError, StoreError
from studio.keys import fingerprint
from studio.store import Store, blobs_in, studio_home
from studio.types import AvatarPart, Blob, SpeechTrack, SpokenLine


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def _line(blob: Blob) -> SpokenLine:
    return SpokenLine(
        index=0,
        speaker="A",
        text="Hello.",
        engine="tone",
        voice="v",
        audio=blob,
        num_samples=3,
        words=(),
        phonemes=(),
    )


def test_same_bytes_have_one_name_and_one_file(store: Store, tmp_path: Path) -> None:
    first = store.put_bytes(b"abc", ".bin")
    (tmp_path / "a file.BIN").write_bytes(b"abc")
    second = store.put_file(tmp_path / "a file.BIN")
    assert first == second
    assert store.media() == [store.path(first)]
    assert store.path(first).read_bytes() == b"abc"


def test_a_block_that_fails_leaves_no_trace(store: Store) -> None:
    def write() -> None:
        with store.draft(".bin") as draft:
            draft.path.write_bytes(b"half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write()
    assert [p for p in store.root.rglob("*") if p.is_file()] == []


def test_a_draft_is_not_taken_before_it_is_finished(store: Store) -> None:
    with store.draft(".bin") as draft:
        draft.path.write_bytes(b"x")
        with pytest.raises(StoreError):
            draft.taken()
    assert draft.taken().num_bytes == 1


@pytest.mark.parametrize("damage", [b"", b"abd", b"abcd"])
def test_damaged_media_is_found_out_and_made_again(store: Store, damage: bytes) -> None:
    blob = store.put_bytes(b"abc", ".bin")
    store.path(blob).write_bytes(damage)
    fresh = Store(store.root)
    with pytest.raises(StoreError):
        fresh.path(blob)
    assert fresh.put_bytes(b"abc", ".bin") == blob
    assert fresh.path(blob).read_bytes() == b"abc"


def test_memory_lives_and_dies_with_its_media(store: Store) -> None:
    line = _line(store.put_bytes(b"abc", ".flac"))
    key = fingerprint("line", line.text)
    assert store.recall(key, SpokenLine) is None
    assert store.remember(key, line) is line
    assert Store(store.root).recall(key, SpokenLine) == line
    store.path(line.audio).unlink()
    assert store.recall(key, SpokenLine) is None


def test_memory_of_another_shape_is_no_memory(store: Store) -> None:
    line = _line(store.put_bytes(b"abc", ".flac"))
    store.remember("k", line)
    assert store.recall("k", AvatarPart) is None
    (store.root / "memory" / "k.json").write_text("{", encoding="utf-8")
    assert store.recall("k", SpokenLine) is None


def test_every_blob_inside_a_value_is_seen(store: Store) -> None:
    lines = tuple(_line(store.put_bytes(bytes([i]), ".flac")) for i in range(3))
    track = SpeechTrack(sample_rate=48000, num_samples=9, lines=lines, starts=(0, 3, 6))
    assert list(blobs_in(track)) == [line.audio for line in lines]


def test_collect_frees_the_least_recently_used_first(store: Store) -> None:
    blobs = [store.put_bytes(bytes([i]) * 100, ".bin") for i in range(4)]
    for age, blob in enumerate(blobs):
        os.utime(store.path(blob), (1000 + age, 1000 + age))
    assert store.holds(blobs[0])  # marks it as used
    assert store.collect(200) == (2, 200)
    assert [store.holds(blob) for blob in blobs] == [True, False, False, True]


def test_collect_leaves_a_store_in_use_alone(store: Store) -> None:
    blob = store.put_bytes(b"abc", ".bin")
    with store.in_use(), pytest.raises(StoreError, match="in use"):
        store.collect(0)
    assert store.collect(0) == (1, 3)
    assert not store.holds(blob)


def _hold(root: Path, ready: str) -> None:
    with Store(root).in_use(), Store(root).draft(".bin") as draft:
        draft.path.write_bytes(b"half")
        Path(ready).touch()
        time.sleep(60)


def test_a_killed_run_lets_go_and_its_draft_is_swept(store: Store, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    process = multiprocessing.get_context("spawn").Process(
        target=_hold, args=(store.root, str(ready))
    )
    process.start()
    while not ready.exists():
        time.sleep(0.01)
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    drafts = store.root / "drafts"
    (left,) = drafts.iterdir()
    store.collect(0)
    assert list(drafts.iterdir()) == []

    # The next run sweeps as well, but not while another one works.
    left.touch()
    with store.in_use():
        assert list(drafts.iterdir()) == []
        with store.draft(".bin") as draft, Store(store.root).in_use():
            draft.path.write_bytes(b"kept")
    assert draft.taken().num_bytes == 4


def test_a_place_that_cannot_be_a_store_is_an_error_of_the_user(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError) as caught:
        Store(tmp_path / "file" / "store")
    assert caught.value.exit_code == 2


def test_home_follows_the_environment(tmp_path: Path) -> None:
    assert studio_home({"STUDIO_HOME": str(tmp_path)}) == tmp_path
    assert studio_home({"XDG_CACHE_HOME": str(tmp_path)}) == tmp_path / "podcast-studio"
    assert studio_home({}).name == "podcast-studio"
