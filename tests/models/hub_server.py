"""A hub of weights on this machine: it answers what huggingface_hub asks of the real one."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlparse

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(ThreadingHTTPServer):
    """`files` maps (repository, file name) to content. A file in `torn` breaks off halfway, one in
    `forged` is not what its published hash says.
    """

    def __init__(self, files: dict[tuple[str, str], bytes]) -> None:
        super().__init__(("127.0.0.1", 0), _Clerk)
        self.files = files
        self.torn: set[str] = set()
        self.forged: set[str] = set()
        self.sent: list[tuple[str, int]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Clerk(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def do_HEAD(self) -> None:
        self._file(body=False)

    def do_GET(self) -> None:
        path = urlparse(self.path).path
        if not path.startswith("/api/models/"):
            self._file(body=True)
            return
        repository = path.removeprefix("/api/models/").split("/revision/")[0]
        if "/tree/" in repository:
            repository = repository.split("/tree/")[0]
        entries = [
            (name, data) for (repo, name), data in self.server.files.items() if repo == repository
        ]
        if "/tree/" in path:
            self._json([_leaf(name, data) for name, data in entries])
            return
        siblings = []
        for name, data in entries:
            digest = hashlib.sha256(data if name not in self.server.forged else b"").hexdigest()
            lfs = {"sha256": digest, "size": len(data), "pointerSize": 134}
            siblings.append(
                {"rfilename": name, "size": len(data), "blobId": "0" * 40}
                | ({"lfs": lfs} if name.endswith(".safetensors") else {})
            )
        self._json({"id": repository, "modelId": repository, "sha": COMMIT, "siblings": siblings})

    def _file(self, *, body: bool) -> None:
        parts = urlparse(self.path).path.strip("/").split("/")
        name = parts[-1]
        data = self.server.files.get(("/".join(parts[:2]), name))
        if data is None:
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        asked = self.headers.get("Range", "")
        first = int(asked.removeprefix("bytes=").split("-")[0]) if asked else 0
        rest = data[first:]
        self.send_response(206 if asked else 200)
        self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Accept-Ranges", "bytes")
        if asked:
            self.send_header("Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        if not body:
            return
        torn = name in self.server.torn
        self.server.torn.discard(name)
        part = rest[: len(rest) // 2] if torn else rest
        self.server.sent.append((name, len(part)))
        self.wfile.write(part)
        if torn:
            self.close_connection = True

    def _json(self, value: object) -> None:
        data = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


def _leaf(name: str, data: bytes) -> dict[str, object]:
    return {"type": "file", "path": name, "size": len(data), "oid": "0" * 40}


@contextmanager
def open_hub(files: dict[tuple[str, str], bytes]) -> Iterator[Hub]:
    """The hub, answering until the block ends."""
    hub = Hub(files)
    thread = threading.Thread(target=hub.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        hub.server_close()
