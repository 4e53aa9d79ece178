"""Files from a real server: resumed, checked, whole or not there."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from studio.download import Remote, download
from studio.errors import EngineUnavailable, SettingError

CONTENT = bytes(range(256)) * 20_000


class Shelf(ThreadingHTTPServer):
    """Serves one file; hangs up after `stop_after` bytes when asked to."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Clerk)
        self.content, self.tag = CONTENT, '"v1"'
        self.stop_after: int | None = None
        self.status = 200
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/weights.pth"


class _Clerk(BaseHTTPRequestHandler):
    server: Shelf

    def do_GET(self) -> None:
        shelf = self.server
        asked = self.headers.get("Range", "")
        shelf.asked.append(asked)
        resume = asked and self.headers.get("If-Range") == shelf.tag
        first = int(asked.removeprefix("bytes=").rstrip("-")) if resume else 0
        rest = shelf.content[first:]
        self.send_response(206 if resume else shelf.status)
        self.send_header("Content-Length", str(len(rest)))
        self.send_header("ETag", shelf.tag)
        self.end_headers()
        self.wfile.write(rest[: shelf.stop_after])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def shelf() -> Iterator[Shelf]:
    server = Shelf()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def _remote(shelf: Shelf, sha256: str = "") -> Remote:
    return Remote(url=shelf.url, name="weights.pth", sha256=sha256)


def test_a_file_comes_whole_with_progress_and_is_not_fetched_twice(
    shelf: Shelf, tmp_path: Path
) -> None:
    seen: list[tuple[int, int]] = []
    prefix = hashlib.sha256(CONTENT).hexdigest()[:10]
    path = download(_remote(shelf, prefix), tmp_path, lambda *step: seen.append(step))
    assert path.read_bytes() == CONTENT
    assert seen[0] == (0, len(CONTENT))
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [p.name for p in tmp_path.iterdir()] == ["weights.pth"]
    download(_remote(shelf), tmp_path, lambda *_: None)
    assert len(shelf.asked) == 1


def test_what_was_begun_is_gone_on_with(shelf: Shelf, tmp_path: Path) -> None:
    shelf.stop_after = 1_500_000
    with pytest.raises(EngineUnavailable, match="goes on where it stopped"):
        download(_remote(shelf), tmp_path, lambda *_: None)
    assert not (tmp_path / "weights.pth").exists()
    shelf.stop_after = None
    path = download(_remote(shelf), tmp_path, lambda *_: None)
    assert path.read_bytes() == CONTENT
    assert shelf.asked == ["", "bytes=1500000-"]


def test_a_file_that_changed_meanwhile_is_fetched_anew(shelf: Shelf, tmp_path: Path) -> None:
    shelf.stop_after = 1_500_000
    with pytest.raises(EngineUnavailable):
        download(_remote(shelf), tmp_path, lambda *_: None)
    shelf.stop_after, shelf.tag, shelf.content = None, '"v2"', CONTENT[::-1]
    assert download(_remote(shelf), tmp_path, lambda *_: None).read_bytes() == CONTENT[::-1]


def test_another_content_than_published_does_not_enter(shelf: Shelf, tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable, match="published is 0123456789"):
        download(_remote(shelf, "0123456789"), tmp_path, lambda *_: None)
    assert not list(tmp_path.glob("*.pth*"))


def test_a_server_that_refuses_or_is_not_there_is_one_sentence(
    shelf: Shelf, tmp_path: Path
) -> None:
    shelf.status = 404
    with pytest.raises(EngineUnavailable, match="404"):
        download(_remote(shelf), tmp_path, lambda *_: None)
    shelf.shutdown()
    shelf.server_close()
    with pytest.raises(EngineUnavailable, match="refused") as caught:
        download(_remote(shelf), tmp_path, lambda *_: None)
    assert "\n" not in str(caught.value)
    with pytest.raises(SettingError, match="https"):
        download(Remote(url="file:///etc/passwd", name="x"), tmp_path, lambda *_: None)
