"""Keys and addresses that are secret: handed to their service, found nowhere else.

Whatever a run leaves (package, store, Prefect's database with its logs, artifacts, parameters and
events, the terminal) is searched byte by byte.
"""

from __future__ import annotations

import asyncio
import base64
import gc
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from prefect.settings import PREFECT_SERVER_DATABASE_CONNECTION_URL

from flows.episode import make_episode
from studio.errors import StudioError
from tasks.seat import host_picture
from tests.models.avatar.did_server import DidServer, open_did
from tests.models.voice.test_cloud_voices import WORDS, Service
from tests.tasks.receiver import Receiver, receiving

pytestmark = pytest.mark.xdist_group("prefect")

VOICE_KEY, DID_KEY = "sk-voice-5up3r53cr37", "me@example.org:did-5up3r53cr37"
HOOK_WORDS = ("SECRET2", "T0/SECRET")


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    yield from receiving(monkeypatch)


@pytest.fixture
def voices(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setenv("ELEVENLABS_API_KEY", VOICE_KEY)
    with Service() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def did(monkeypatch: pytest.MonkeyPatch) -> Iterator[DidServer]:
    monkeypatch.setenv("DID_API_KEY", DID_KEY)
    with open_did() as server:
        yield server


@pytest.fixture
def places(prefect_server: None, tmp_path: Path, studio_home: Path) -> list[Path]:
    """Where a run writes: its folders, the store, Prefect's database and home."""
    address = str(PREFECT_SERVER_DATABASE_CONNECTION_URL.value())
    database = Path(address.split("///", 1)[1]).parent
    assert database.is_dir()
    return [tmp_path / "out", studio_home, database, Path(os.environ["PREFECT_HOME"])]


def _secrets() -> list[bytes]:
    spelt = [VOICE_KEY, DID_KEY, *HOOK_WORDS]
    encoded = [base64.b64encode(key.encode()).decode() for key in (VOICE_KEY, DID_KEY)]
    return [word.encode() for word in (*spelt, *encoded)]


def _found(places: list[Path]) -> list[str]:
    files = [p for place in places if place.exists() for p in place.rglob("*") if p.is_file()]
    assert len(files) > 10
    texts = ((path, path.read_bytes()) for path in files)
    return [f"{word!r} in {path}" for path, data in texts for word in _secrets() if word in data]


def _make(tmp_path: Path, voices: Service, did: DidServer) -> None:
    Image.fromarray(host_picture("nova", 128, 7)).save(tmp_path / "me.png")
    script = tmp_path / "secrets.txt"
    script.write_text(f"Avatar: me.png\n\n{WORDS}\n", encoding="utf-8")
    options = {
        "voice.engine": ("gtts_cloud",),
        "voice.cloud": "elevenlabs",
        "voice.endpoint": voices.url,
        "avatar.engine": ("did_api",),
        "avatar.endpoint": did.url,
        "music.enabled": False,
    }
    asyncio.run(
        make_episode(
            script=str(script), profile="draft", out_dir=str(tmp_path / "out"), options=options
        )
    )


def test_a_finished_run_leaves_no_secret_anywhere(
    tmp_path: Path,
    voices: Service,
    did: DidServer,
    hook: Receiver,
    places: list[Path],
    capfd: pytest.CaptureFixture[str],
) -> None:
    _make(tmp_path, voices, did)
    # The services did get their keys: there was something to leak.
    assert any(VOICE_KEY in str(headers) for _, headers, _ in voices.seen)
    assert did.talks
    assert any(key for key in did.keys)
    assert hook.heard
    gc.collect()
    assert _found(places) == []
    said = "".join(capfd.readouterr())
    assert not [word for word in _secrets() if word.decode() in said]


def test_a_refusal_that_repeats_the_key_does_not_spread_it(
    tmp_path: Path,
    voices: Service,
    did: DidServer,
    hook: Receiver,
    places: list[Path],
    capfd: pytest.CaptureFixture[str],
) -> None:
    did.words = {"kind": "AuthorizationError", "description": f"unknown key {DID_KEY}"}
    did.troubles["POST /images"] = [400] * 9
    with pytest.raises(StudioError) as caught:
        _make(tmp_path, voices, did)
    assert DID_KEY not in str(caught.value)
    assert _found(places) == []
    said = "".join(capfd.readouterr())
    assert not [word for word in _secrets() if word.decode() in said]
