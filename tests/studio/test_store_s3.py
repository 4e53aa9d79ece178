"""The shared store in a bucket: s3fs against a server that speaks S3.

Needs what the project does not: `pip install s3fs 'moto[server]'`.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

s3fs: Any = pytest.importorskip("s3fs")
moto_server: Any = pytest.importorskip("moto.server")

from studio.claims import Claims  # noqa: E402
from studio.errors import RemoteError  # noqa: E402
from studio.remote import Remote  # noqa: E402
from studio.shared import Shared  # noqa: E402
from studio.store import Store  # noqa: E402
from studio.types import Blob  # noqa: E402

KEY = "ab" * 32

pytestmark = pytest.mark.slow


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    server = moto_server.ThreadedMotoServer(port=0)
    server.start()
    _host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nothing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    s3fs.S3FileSystem.clear_instance_cache()
    bucket = uuid.uuid4().hex
    s3fs.S3FileSystem().mkdir(bucket)
    yield f"s3://{bucket}/studio"
    server.stop()


def test_machines_share_a_bucket(url: str, tmp_path: Path) -> None:
    one, two = (Store(tmp_path / name, shared=Shared(Remote(url))) for name in ("one", "two"))
    assert one.shared is not None
    assert two.shared is not None
    one.shared.check()
    blob = one.remember(KEY, one.put_bytes(bytes(100_000), ".flac"))
    one.flush()
    one.shared.remote.put(f"media/{blob.sha256[:2]}/{blob.sha256}.flac", bytes(99_999) + b"x")
    assert two.recall(KEY, Blob) is None
    assert "not what its name says" in two.shared.troubles[0]
    assert two.remember(KEY, two.put_bytes(bytes(100_000), ".flac")) == blob
    two.flush()
    one.collect(0)
    assert one.recall(KEY, Blob) == blob
    assert one.shared.collect(0) == (1, 100_000)


def test_of_many_one_creates_and_one_takes_over(url: str) -> None:
    made: list[bool] = []
    start = threading.Barrier(12)

    def race() -> None:
        start.wait()
        made.append(Remote(url).create("claims/k.0", b"x"))

    threads = [threading.Thread(target=race) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made.count(True) == 1
    now = [0.0]
    rivals = [Claims(Remote(url), lease_s=30, clock=lambda: now[0]) for _ in range(2)]
    for rival in rivals:
        with rival.claim("k") as taken:
            assert not taken
    now[0] = 31.0
    with rivals[0].claim("k") as taken, rivals[1].claim("k") as also:
        assert taken
        assert not also


def test_a_bucket_that_is_not_there_is_said(url: str) -> None:
    with pytest.raises(RemoteError, match="does not exist"):
        Remote("s3://nobody-has-this/studio").check()
