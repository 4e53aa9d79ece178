"""D-ID on this machine: it takes pictures and sounds, and makes real films of them."""

from __future__ import annotations

import io
import json
import re
import threading
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import av
import cv2
import numpy as np

FILM_FPS = 25


class DidServer(ThreadingHTTPServer):
    """Films get brighter by a level a frame, so that every frame of them can be told apart.

    `troubles` are answers given before the right one, by "METHOD /path"; a film is ready at the
    third look.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Clerk)
        self.troubles: dict[str, list[int]] = {}
        self.words = {"kind": "AnyError", "description": "try later"}
        self.credits = 100
        self.shortened_s = 0.0
        self.outcome = "done"
        self.talks: list[float] = []
        self.asked: list[str] = []
        self.keys: set[str] = set()
        self.picture_px = (0, 0)
        self.sound_s = 0.0
        self.looks = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Clerk(BaseHTTPRequestHandler):
    server: DidServer

    def do_GET(self) -> None:
        did = self.server
        if not self._ready():
            return
        if self.path == "/credits":
            self._json({"remaining": did.credits, "total": 100})
        elif self.path.startswith("/talks/"):
            did.looks += 1
            state: dict[str, object] = {"status": "started"}
            if did.looks % 3 == 0:
                state = {"status": did.outcome, "result_url": f"{did.url}/film.mp4"}
                if did.outcome != "done":
                    state["error"] = did.words
            self._json(state)
        else:
            self._send(_film(did.talks[-1] - did.shortened_s, did.picture_px))

    def do_POST(self) -> None:
        did = self.server
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not self._ready():
            return
        if self.path == "/talks":
            told = json.loads(body)
            assert told["script"] == {"type": "audio", "audio_url": "s3://bucket/audios"}
            assert told["source_url"] == "s3://bucket/images"
            did.talks.append(did.sound_s)
            self._json({"id": f"tlk_{len(did.talks)}", "status": "created"}, 201)
            return
        content = re.split(rb"\r\n\r\n", body, maxsplit=1)[1].rsplit(b"\r\n--", 1)[0]
        if self.path == "/images":
            picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
            assert picture is not None
            did.picture_px = (picture.shape[1], picture.shape[0])
        else:
            with wave.open(io.BytesIO(content)) as sound:
                did.sound_s = sound.getnframes() / sound.getframerate()
        self._json({"url": f"s3://bucket{self.path}", "id": "x"}, 201)

    def _ready(self) -> bool:
        did = self.server
        name = f"{self.command} /{self.path.split('/')[1]}"
        did.asked.append(name)
        did.keys.add(self.headers.get("Authorization", ""))
        waiting = did.troubles.get(name)
        if not waiting:
            return True
        self._json(did.words, waiting.pop(0))
        return False

    def _json(self, value: object, status: int = 200) -> None:
        self._send(json.dumps(value).encode(), status)

    def _send(self, data: bytes, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


def _film(seconds: float, size_px: tuple[int, int]) -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as reel:
        stream = reel.add_stream("libx264", rate=FILM_FPS)
        stream.width, stream.height = size_px
        stream.pix_fmt = "yuv420p"
        stream.options = {"qp": "1", "preset": "ultrafast"}
        for index in range(round(seconds * FILM_FPS)):
            shade = np.full((size_px[1], size_px[0], 3), 40 + index, np.uint8)
            frame = av.VideoFrame.from_ndarray(shade, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, FILM_FPS)
            reel.mux(stream.encode(frame))
        reel.mux(stream.encode(None))
    return buffer.getvalue()


@contextmanager
def open_did() -> Iterator[DidServer]:
    """The service, answering until the block ends."""
    server = DidServer()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
