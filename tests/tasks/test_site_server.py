"""The local server: byte ranges as RFC 9110 has them, nothing outside the site, nothing hidden."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.errors import OutputError
from tasks.site_server import SiteServer

DATA = bytes(range(256)) * 4


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SiteServer]:
    place = tmp_path_factory.mktemp("served")
    site = place / "site"
    (site / "episodes" / "a b").mkdir(parents=True)
    (site / "index.html").write_text("<!DOCTYPE html>index")
    (site / "episodes" / "a b" / "a b.mp4").write_bytes(DATA)
    (site / ".podcast-studio.json").write_text("{}")
    (place / "secret.txt").write_text("secret")
    (site / "out.txt").symlink_to(place / "secret.txt")
    with SiteServer(site) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()


def _ask(server: SiteServer, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


MEDIA = "/episodes/a%20b/a%20b.mp4"


@pytest.mark.parametrize(
    ("asked", "status", "start", "end"),
    [
        ("bytes=0-", 200, 0, 1024),
        ("bytes=0-0", 206, 0, 1),
        ("bytes=100-199", 206, 100, 200),
        ("bytes=1000-", 206, 1000, 1024),
        ("bytes=-24", 206, 1000, 1024),
        ("bytes=1000-9999", 206, 1000, 1024),
        ("bytes=5-2", 200, 0, 1024),
        ("lines=1-2", 200, 0, 1024),
        ("bytes=0-1,4-5", 200, 0, 1024),
    ],
)
def test_a_range_is_answered_with_exactly_its_bytes(
    server: SiteServer, asked: str, status: int, start: int, end: int
) -> None:
    code, headers, body = _ask(server, MEDIA, Range=asked)
    assert code == status
    assert body == DATA[start:end]
    assert headers["Content-Type"] == "video/mp4"
    assert int(headers["Content-Length"]) == end - start
    if status == 206:
        assert headers["Content-Range"] == f"bytes {start}-{end - 1}/1024"


@pytest.mark.parametrize("asked", ["bytes=1024-", "bytes=9999-", "bytes=-0"])
def test_a_range_outside_the_file_is_416(server: SiteServer, asked: str) -> None:
    code, headers, body = _ask(server, MEDIA, Range=asked)
    assert (code, headers["Content-Range"], body) == (416, "bytes */1024", b"")


@pytest.mark.parametrize(
    "path",
    [
        "/out.txt",
        "/.podcast-studio.json",
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/episodes/",
        "/nothing",
    ],
)
def test_nothing_outside_and_nothing_hidden_is_shown(server: SiteServer, path: str) -> None:
    code, _, body = _ask(server, path)
    assert code == 404
    assert b"secret" not in body


@given(path=st.text(st.characters(codec="ascii", exclude_characters="\r\n \t"), max_size=30))
def test_no_path_reaches_outside(server: SiteServer, path: str) -> None:
    quoted = "".join(c if " " < c < "\x7f" else f"%{ord(c):02x}" for c in path)
    code, _, body = _ask(server, f"/{quoted}")
    assert code in {200, 301, 404}
    assert b"secret" not in body


def test_it_listens_on_this_machine_only_and_shows_the_index(server: SiteServer) -> None:
    assert server.server_address[0] == "127.0.0.1"
    code, headers, body = _ask(server, "/")
    assert (code, body) == (200, b"<!DOCTYPE html>index")
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert _ask(server, "/episodes")[0] == 301


def test_a_folder_without_a_site_and_a_taken_port_are_refused(
    server: SiteServer, tmp_path: Path
) -> None:
    with pytest.raises(OutputError, match="holds no site"):
        SiteServer(tmp_path)
    with pytest.raises(OutputError, match="port"):
        SiteServer(server.folder, server.server_port)
