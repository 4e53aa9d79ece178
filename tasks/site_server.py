"""A site on this machine's own loopback interface, with the byte ranges that players seek by."""

from __future__ import annotations

import http.server
import os
import re
import shutil
from http import HTTPStatus
from pathlib import Path
from typing import IO, Any, Final

from studio.errors import OutputError

_RANGE: Final = re.compile(r"bytes=(\d*)-(\d*)")

_TYPES: Final = {
    "": "application/octet-stream",
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".xml": "application/rss+xml; charset=utf-8",
    ".json": "application/json; charset=utf-8",
    ".vtt": "text/vtt; charset=utf-8",
    ".srt": "application/x-subrip",
    ".mp3": "audio/mpeg",
    ".m4a": "audio/mp4",
    ".mp4": "video/mp4",
    ".jpg": "image/jpeg",
}


class SiteServer(http.server.ThreadingHTTPServer):
    """Serves one folder, nothing outside it, nothing hidden, to this machine only."""

    daemon_threads = True

    def __init__(self, folder: Path, port: int = 0) -> None:
        if not (folder / "index.html").is_file():
            remedy = "Make the site with `studio publish`, or name its folder"
            raise OutputError(str(folder), "holds no site", remedy)
        self.folder = folder.resolve()
        try:
            super().__init__(("127.0.0.1", port), _Visitor)
        except OSError as error:
            remedy = "Give another --port"
            raise OutputError(f"port {port}", error.strerror or "is taken", remedy) from error

    @property
    def url(self) -> str:
        """Where the site is seen."""
        return f"http://127.0.0.1:{self.server_port}/"


class _Visitor(http.server.SimpleHTTPRequestHandler):
    extensions_map = _TYPES
    protocol_version = "HTTP/1.1"
    server: SiteServer

    def __init__(self, *args: Any, **rest: Any) -> None:
        self._left: int | None = None
        server: SiteServer = args[2]
        super().__init__(*args, directory=str(server.folder), **rest)

    def send_head(self) -> Any:
        """Open the file asked for and send the headers, of a part of it if one was asked for."""
        self._left = None
        path = Path(self.translate_path(self.path))
        try:
            if path.is_dir() and not self.path.split("?", maxsplit=1)[0].endswith("/"):
                return super().send_head()  # a redirection, so that relative links hold
            inside = self._found(path)
            file = inside.open("rb")
        except (OSError, ValueError):  # no such file, or a name that no file can have
            self.send_error(HTTPStatus.NOT_FOUND)
            return None
        size = os.fstat(file.fileno()).st_size
        span = self._span(size)
        if span is None:
            file.close()
            self.send_response(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
            self.send_header("Content-Range", f"bytes */{size}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return None
        start, end = span
        partial = "Range" in self.headers and (start, end) != (0, size)
        self.send_response(HTTPStatus.PARTIAL_CONTENT if partial else HTTPStatus.OK)
        self.send_header("Content-Type", self.guess_type(inside))
        self.send_header("Content-Length", str(end - start))
        self.send_header("Last-Modified", self.date_time_string(int(inside.stat().st_mtime)))
        if partial:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{size}")
        self.end_headers()
        file.seek(start)
        self._left = end - start
        return file

    def _found(self, path: Path) -> Path:
        """The file that a path means. Raises `OSError` for one that is not to be seen."""
        inside = (path / "index.html" if path.is_dir() else path).resolve()
        seen = path.relative_to(self.server.folder).parts
        hidden = any(part.startswith(".") for part in seen)
        if hidden or not inside.is_relative_to(self.server.folder) or not inside.is_file():
            raise FileNotFoundError(path)
        return inside

    def end_headers(self) -> None:
        """Close the headers with those that every answer carries."""
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Cache-Control", "no-cache")
        self.send_header("X-Content-Type-Options", "nosniff")
        super().end_headers()

    def copyfile(self, source: IO[bytes], outputfile: IO[bytes]) -> None:  # type: ignore[override]
        """Send as many bytes as the headers said; a player that turns away is no fault."""
        left = self._left
        try:
            if left is None:
                shutil.copyfileobj(source, outputfile)
                return
            while left > 0 and (block := source.read(min(left, 1 << 16))):
                outputfile.write(block)
                left -= len(block)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the parent's name
        """Say nothing: the terminal belongs to the user."""

    def _span(self, size: int) -> tuple[int, int] | None:
        """The first byte and the one after the last; None for a range outside the file.

        A header that is no single byte range is ignored, as RFC 9110 (14.2) allows.
        """
        found = _RANGE.fullmatch(self.headers.get("Range", "").strip())
        if found is None or found.groups() == ("", ""):
            return 0, size
        first, last = found.groups()
        if not first:
            return (max(0, size - int(last)), size) if int(last) and size else None
        start = int(first)
        end = min(int(last) + 1, size) if last else size
        if last and int(last) < start:
            return 0, size
        return (start, end) if start < size else None
