"""The store behind the store: what one machine made another finds, whole or not at all."""

from __future__ import annotations

import resource
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from studio import shared as shared_module
from studio.claims import Claims, local_claim
from studio.errors import RemoteError, SettingError
from studio.remote import Remote
from studio.shared import Shared, shared_store
from studio.store import Store, open_store
from studio.types import Blob

KEY = "ab" * 32


def _never(_seconds: float) -> None:
    raise AssertionError("nobody else makes it: there is nothing to wait for")


@pytest.fixture(params=["file", "memory"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A folder, and a backend that behaves like a bucket."""
    if request.param == "file":
        return f"file://{tmp_path}/nas/studio"
    return f"memory://{uuid.uuid4().hex}/studio"


def _store(place: Path, url: str) -> Store:
    return Store(place, shared=Shared(Remote(url)))


@pytest.fixture
def machines(tmp_path: Path, url: str) -> tuple[Store, Store]:
    """The stores of two machines before one shared store."""
    return _store(tmp_path / "one", url), _store(tmp_path / "two", url)


def _kept(store: Store, data: bytes = b"sound") -> Blob:
    blob = store.remember(KEY, store.put_bytes(data, ".flac"))
    store.flush()
    return blob


def test_what_one_machine_made_another_recalls(machines: tuple[Store, Store]) -> None:
    one, two = machines
    assert two.recall(KEY, Blob) is None
    blob = _kept(one)
    assert two.recall(KEY, Blob) == blob
    assert two.path(blob).read_bytes() == b"sound"
    # From now on it is the second machine's own.
    assert Store(two.root).recall(KEY, Blob) == blob


def test_what_was_collected_here_is_still_there(machines: tuple[Store, Store]) -> None:
    one, _ = machines
    blob = _kept(one)
    assert one.collect(0) == (1, 5)
    assert Store(one.root).recall(KEY, Blob) is None
    assert one.recall(KEY, Blob) == blob
    one.collect(0)
    assert one.holds(blob)


def test_damage_at_home_is_mended_from_the_shared_store(machines: tuple[Store, Store]) -> None:
    one, _ = machines
    blob = _kept(one)
    one.path(blob).write_bytes(b"s0und")
    again = Store(one.root, shared=one.shared)
    assert again.path(blob).read_bytes() == b"sound"


@pytest.mark.parametrize("damage", [b"", b"s0und", b"soun", b"sounds"])
def test_damaged_media_is_found_by_its_hash_and_made_anew(
    machines: tuple[Store, Store], damage: bytes
) -> None:
    one, two = machines
    blob = _kept(one)
    assert one.shared is not None
    assert two.shared is not None
    name = f"media/{blob.sha256[:2]}/{blob.sha256}.flac"
    one.shared.remote.put(name, damage)
    assert two.recall(KEY, Blob) is None
    assert [str(p) for p in two.media()] == []
    assert "not what its name says" in two.shared.troubles[0]
    assert _kept(two) == blob
    assert one.shared.remote.get(name) == b"sound"


@pytest.mark.parametrize("damage", [b"", b"half", b"{}\n{}"])
def test_a_damaged_value_is_no_memory(machines: tuple[Store, Store], damage: bytes) -> None:
    one, two = machines
    blob = _kept(one)
    assert one.shared is not None
    one.shared.remote.put(f"values/ab/{KEY}", damage)
    assert two.recall(KEY, Blob) is None
    assert _kept(two) == blob
    assert one.shared.value(KEY) is not None


def test_a_store_without_a_second_tier_has_none(tmp_path: Path) -> None:
    assert open_store({"STUDIO_HOME": str(tmp_path)}).shared is None
    environ = {"STUDIO_HOME": str(tmp_path), "STUDIO_REMOTE": f"file://{tmp_path}/nas"}
    assert open_store(environ).shared is open_store(environ).shared is not None


def test_a_url_that_nobody_serves_is_an_error_of_the_user() -> None:
    with pytest.raises(SettingError, match="STUDIO_REMOTE"):
        shared_store("nosuchprotocol://somewhere")


def test_a_password_in_the_url_is_never_shown() -> None:
    with pytest.raises(SettingError) as caught:
        Remote("nosuchprotocol://me:secret@host/folder")
    assert "secret" not in str(caught.value)
    assert "host/folder" in str(caught.value)


def test_a_shared_store_that_cannot_be_used_is_said_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    shared = Shared(Remote(f"file://{tmp_path}/file/studio"))
    with pytest.raises(RemoteError) as caught:
        shared.check()
    assert caught.value.exit_code == 3
    assert "STUDIO_REMOTE" in caught.value.remedy


@pytest.fixture
def lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A machine whose shared store went away after the start."""
    monkeypatch.setattr(shared_module, "_RETRY_S", (0.01,))
    store = _store(tmp_path / "one", f"file://{tmp_path}/nas")
    assert store.shared is not None
    store.shared.check()
    (tmp_path / "nas" / "claims").rmdir()
    (tmp_path / "nas").rmdir()
    (tmp_path / "nas").write_bytes(b"not mounted")
    yield store
    (tmp_path / "nas").unlink()


def test_a_shared_store_that_goes_away_costs_no_work_and_is_told_once(lost: Store) -> None:
    made = []

    def make() -> Blob:
        made.append(1)
        return lost.put_bytes(b"sound", ".flac")

    assert lost.shared is not None
    blob = lost.once(KEY, Blob, make, _never)
    assert lost.once(KEY, Blob, make, _never) == blob
    assert made == [1]
    assert len(lost.shared.troubles) == 1
    assert "goes on by itself" in lost.shared.troubles[0]


def test_only_one_of_many_creates_an_object(url: str) -> None:
    remote = Remote(url)
    made: list[bool] = []
    start = threading.Barrier(8)

    def race() -> None:
        start.wait()
        made.append(remote.create("claims/k.0", b"x"))

    threads = [threading.Thread(target=race) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # The memory backend looks before it writes; in one process that is what it can do.
    assert made.count(True) == 1 or url.startswith("memory")
    assert remote.get("claims/k.0") == b"x"


def test_nothing_half_is_seen_or_left_when_the_shared_disk_is_full(tmp_path: Path) -> None:
    remote = Remote(f"file://{tmp_path}/nas")
    source = tmp_path / "source"
    source.write_bytes(bytes(5000))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(RemoteError):
            remote.send(source, "media/ab/abc.bin")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [p for p in (tmp_path / "nas").rglob("*") if p.is_file()] == []
    remote.send(source, "media/ab/abc.bin")
    assert remote.size("media/ab/abc.bin") == 5000


def test_two_machines_make_a_thing_once(machines: tuple[Store, Store]) -> None:
    made: list[str] = []
    begun, waited = threading.Event(), threading.Event()

    def slow() -> Blob:
        begun.set()
        assert waited.wait(20)
        made.append("one")
        return machines[0].put_bytes(b"sound", ".flac")

    def pause(_seconds: float) -> None:
        waited.set()
        threading.Event().wait(0.02)

    def wrong() -> Blob:
        made.append("two")
        return machines[1].put_bytes(b"sound", ".flac")

    first = threading.Thread(target=machines[0].once, args=(KEY, Blob, slow, _never))
    first.start()
    assert begun.wait(20)
    blob = machines[1].once(KEY, Blob, wrong, pause)
    first.join()
    assert made == ["one"]
    assert machines[1].path(blob).read_bytes() == b"sound"


def test_a_thing_that_fails_is_left_for_the_next(machines: tuple[Store, Store]) -> None:
    one, two = machines
    with pytest.raises(ZeroDivisionError):
        one.once(KEY, Blob, lambda: one.put_bytes(bytes(1 // 0), ".flac"), _never)
    assert two.once(KEY, Blob, lambda: two.put_bytes(b"a", ".flac"), _never).num_bytes == 1


def test_a_claim_among_threads_of_one_machine(tmp_path: Path) -> None:
    with local_claim(tmp_path, "k") as mine, local_claim(tmp_path, "k") as also:
        assert mine
        assert not also
        with local_claim(tmp_path, "other") as other:
            assert other
    with local_claim(tmp_path, "k") as again:
        assert again
    assert list(tmp_path.iterdir()) == []


def test_a_live_claim_is_never_taken_over_and_a_dead_one_by_one_only(url: str) -> None:
    remote = Remote(url)
    now = [0.0]
    mine = Claims(remote, beat_s=0.01)
    rivals = [Claims(remote, lease_s=30, clock=lambda: now[0]) for _ in range(2)]
    with mine.claim("k") as held:
        assert held
        for _ in range(5):
            text = remote.get("claims/k.0")
            with rivals[0].claim("k") as other:
                assert not other
            now[0] += 31
            while remote.get("claims/k.0") == text:
                threading.Event().wait(0.005)
    assert remote.get("claims/k.0") is None

    remote.create("claims/k.0", b"a machine that was switched off")
    for rival in rivals:
        with rival.claim("k") as taken:
            assert not taken
    now[0] += 31
    with rivals[0].claim("k") as taken, rivals[1].claim("k") as also:
        assert taken
        assert not also
    assert [name for name, _, _ in remote.objects("claims")] == []


def test_a_claim_that_was_released_and_begun_anew_is_not_taken_for_dead(url: str) -> None:
    remote = Remote(url)
    now = [0.0]
    rival = Claims(remote, lease_s=30, clock=lambda: now[0])
    remote.create("claims/k.0", b"first")
    with rival.claim("k") as taken:
        assert not taken
    now[0] += 31
    remote.put("claims/k.0", b"second")
    with rival.claim("k") as taken:
        assert not taken


def test_the_shared_store_is_kept_at_a_size_while_machines_work(tmp_path: Path, url: str) -> None:
    one = _store(tmp_path / "one", url)
    assert one.shared is not None
    blobs = []
    for number in range(3):
        blob = one.put_bytes(bytes([number]) * 100, ".bin")
        blobs.append(one.remember(f"{number}" * 64, blob))
        one.flush()
        threading.Event().wait(0.02)
    with one.in_use():
        assert one.shared.collect(200) == (1, 100)
    two = _store(tmp_path / "two", url)
    assert [two.recall(f"{n}" * 64, Blob) for n in range(3)] == [None, *blobs[1:]]
    # What the first machine uses lies with it.
    assert all(one.holds(blob) for blob in blobs)
