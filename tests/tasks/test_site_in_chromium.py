"""The pages in a real browser: they play, a sentence leads to its time, with and without script."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tasks.package import package_episode
from tasks.publish import publish
from tasks.site_server import SiteServer
from tests.tasks.small_episode import shared_contents, shared_store, small_brief

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM, reason="needs Chromium: apt-get install chromium"),
]

Evaluate = Callable[[str], Any]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    place = tmp_path_factory.mktemp("site")
    package_episode(
        shared_contents(), small_brief(), out_dir=place / "out", store=shared_store(), name="tide"
    )
    publish.fn(str(place / "out"), {"url": "https://example.org"}, str(place / "site"))
    with SiteServer(place / "site") as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.url
        server.shutdown()


@pytest.fixture
def browse(tmp_path: Path) -> Iterator[Callable[..., Evaluate]]:
    """Open a page; what comes back evaluates an expression in it."""
    from websockets.sync.client import connect

    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0"]
    flags += [f"--user-data-dir={tmp_path}", "--autoplay-policy=no-user-gesture-required"]
    process = subprocess.Popen(
        [CHROMIUM, *flags, "about:blank"], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    port_file = tmp_path / "DevToolsActivePort"
    deadline = time.monotonic() + 60
    while not (port_file.exists() and port_file.read_text().count("\n")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    port = port_file.read_text().split()[0]
    listed = urllib.request.urlopen(f"http://127.0.0.1:{port}/json")
    target = next(one for one in json.load(listed) if one["type"] == "page")
    numbers = itertools.count(1)

    try:
        with connect(target["webSocketDebuggerUrl"], max_size=None) as socket:

            def call(method: str, **parameters: Any) -> Any:
                number = next(numbers)
                socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
                while (answer := json.loads(socket.recv(timeout=30))).get("id") != number:
                    pass
                return answer["result"]

            def evaluate(expression: str) -> Any:
                found = call("Runtime.evaluate", expression=expression, returnByValue=True)
                return found["result"].get("value")

            def opened(url: str, *, script: bool = True, width: int = 1280) -> Evaluate:
                call("Emulation.setScriptExecutionDisabled", value=not script)
                size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
                call("Emulation.setDeviceMetricsOverride", **size)
                call("Page.navigate", url=url)
                _until(lambda: evaluate("document.readyState") == "complete")
                return evaluate

            yield opened
    finally:
        process.terminate()
        process.wait()


def _until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_sentence_seeks_the_player_and_is_shown_while_it_sounds(
    address: str, browse: Callable[..., Evaluate]
) -> None:
    page = browse(f"{address}episodes/tide/")
    _until(lambda: page("player.readyState >= 1"))
    start = page("Number(document.querySelectorAll('a.said')[1].dataset.start)")
    page("document.querySelectorAll('a.said')[1].click()")
    _until(lambda: page("player.currentTime") > start + 0.05)
    assert page("location.pathname") == "/episodes/tide/"
    assert page("player.currentTime") < start + 5
    current = "document.querySelectorAll('.said[aria-current]')"
    _until(lambda: page(f"{current}.length") == 1)
    assert page(f"{current}[0].href").endswith("#t=" + f"{start:.3f}".rstrip("0").rstrip("."))


def test_without_script_the_link_plays_the_file_at_that_time(
    address: str, browse: Callable[..., Evaluate]
) -> None:
    page = browse(f"{address}episodes/tide/", script=False)
    link = page("document.querySelectorAll('a.said')[1].href")
    media = browse(link)
    _until(lambda: media("document.querySelector('video')?.readyState >= 2"))
    assert media("document.querySelector('video').currentTime") >= float(link.split("#t=")[1])


@pytest.mark.parametrize("width", [320, 768, 1280])
@pytest.mark.parametrize("path", ["", "episodes/tide/"])
def test_no_width_needs_to_be_scrolled_sideways(
    address: str, browse: Callable[..., Evaluate], path: str, width: int
) -> None:
    page = browse(address + path, width=width)
    assert page("document.documentElement.scrollWidth") <= width
    assert page("[...document.images].every(one => one.naturalWidth > 0 || one.loading === 'lazy')")
    assert page("getComputedStyle(document.body).maxWidth") != "none"
