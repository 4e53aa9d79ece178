from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlparse

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from models.voice import LineSpec, open_voice
from models.voice.cloud_http import Patience, Request, fetch
from models.voice.espeak_ng import utter
from models.voice.gtts_cloud import CloudVoice
from models.voice.parts import split_text
from models.voice.retime import pitch_factor, retime
from studio.errors import EngineUnavailable, SettingError, SpeechError
from studio.specs import DeviceSpec, VoiceSpec

WORDS = "Nobody believed him, but seven people went to see the machine."


def _wav(text: str) -> bytes:
    spoken = utter(LineSpec(text=text, voice="f4", rate_wpm=160))
    file = io.BytesIO()
    soundfile.write(file, spoken.samples, spoken.sample_rate, format="WAV")
    return file.getvalue()


class Service(ThreadingHTTPServer):
    """A service that speaks, after the troubles it was told to have."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Desk)
        self.troubles: list[str] = []
        self.seen: list[tuple[str, dict[str, str], bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Desk(BaseHTTPRequestHandler):
    server: Service

    def do_GET(self) -> None:
        self._answer(parse_qs(urlparse(self.path).query)["q"][0], b"")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(WORDS, body)

    def _answer(self, text: str, body: bytes) -> None:
        self.server.seen.append((self.path, dict(self.headers), body))
        trouble = self.server.troubles.pop(0) if self.server.troubles else ""
        if trouble.isdigit():
            self.send_response(int(trouble))
            if trouble == "429":
                self.send_header("Retry-After", "3")
            self.end_headers()
            return
        sound = b"<html>busy</html>" if trouble == "html" else _wav(text)
        self.send_response(200)
        self.send_header("Content-Length", str(len(sound)))
        self.end_headers()
        self.wfile.write(sound[: len(sound) // 2] if trouble == "half" else sound)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def service() -> Iterator[Service]:
    server = Service()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def _voice(service: Service, waits: list[float], **spec: object) -> CloudVoice:
    settings = VoiceSpec.model_validate({"endpoint": service.url, **spec})
    return CloudVoice(settings, "secret", Patience(timeout_s=5.0, sleep=waits.append))


def test_lines_come_with_the_times_of_their_words(service: Service) -> None:
    with open_voice("gtts_cloud", VoiceSpec(endpoint=service.url), DeviceSpec()) as voice:
        (spoken,) = voice.say([LineSpec(text=WORDS, language="en-GB")])
    assert [word.text for word in spoken.words] == WORDS.split()
    truth = utter(LineSpec(text=WORDS, voice="f4", rate_wpm=160))
    for found, true in zip(spoken.words, truth.words, strict=True):
        assert found.start / spoken.sample_rate == pytest.approx(
            true.start / truth.sample_rate, abs=0.12
        )
    assert parse_qs(urlparse(service.seen[0][0]).query)["tl"] == ["en"]


def test_long_lines_go_in_parts_and_come_back_whole(service: Service) -> None:
    text = " ".join([WORDS] * 4)
    (spoken,) = _voice(service, []).say([LineSpec(text=text)])
    assert len(service.seen) > 1
    assert [word.text for word in spoken.words] == text.split()


@pytest.mark.parametrize("trouble", ["503", "429", "half", "500"])
def test_passing_troubles_are_waited_out(service: Service, trouble: str) -> None:
    waits: list[float] = []
    service.troubles = [trouble, trouble]
    (spoken,) = _voice(service, waits).say([LineSpec(text="Yes, it works.")])
    assert len(spoken.words) == 3
    assert len(service.seen) == 3
    if trouble == "429":
        assert waits == [3.0, 3.0]
    else:
        assert 0.2 <= waits[0] <= 0.5 <= waits[1] <= 1.0


@pytest.mark.parametrize(
    ("trouble", "error"),
    [
        ("401", EngineUnavailable),
        ("404", SettingError),
        ("400", SpeechError),
        ("html", SpeechError),
    ],
)
def test_lasting_troubles_are_errors_at_once(
    service: Service, trouble: str, error: type[Exception]
) -> None:
    service.troubles = [trouble]
    with pytest.raises(error):
        list(_voice(service, []).say([LineSpec(text="No.")]))
    assert len(service.seen) == 1


def test_a_service_that_stays_down_ends_in_a_named_error(service: Service) -> None:
    service.troubles = ["503"] * 9
    waits: list[float] = []
    with pytest.raises(EngineUnavailable, match=r"5 attempts.*503"):
        list(_voice(service, waits).say([LineSpec(text="No.")]))
    assert len(waits) == 4
    service.shutdown()
    service.server_close()
    with pytest.raises(EngineUnavailable, match="refused"):
        fetch(Request(url=service.url), "x", Patience(max_attempts=1))
    with pytest.raises(SettingError):
        fetch(Request(url="file:///etc/passwd"), "x", Patience())


def test_elevenlabs_and_azure_get_what_they_ask_for(service: Service) -> None:
    line = LineSpec(text="R&D <now>: " + WORDS, seed=7, rate_wpm=182, pitch_pct=75)
    eleven = _voice(service, [], cloud="elevenlabs", model="eleven_x")
    (spoken,) = eleven.say([line])
    path, headers, body = service.seen[-1]
    assert path.startswith(f"/v1/text-to-speech/{eleven.cast(['A'], {})['A']}?")
    assert {k.lower(): v for k, v in headers.items()}["xi-api-key"] == "secret"
    assert json.loads(body)["model_id"] == "eleven_x"
    assert json.loads(body)["seed"] == 7
    assert len(spoken.words) == len(line.text.split())
    list(
        _voice(service, [], cloud="azure").say(
            [LineSpec(text="A & B", voice="de-DE-KatjaNeural", rate_wpm=182, pitch_pct=75)]
        )
    )
    _, headers, body = service.seen[-1]
    assert {k.lower(): v for k, v in headers.items()}["ocp-apim-subscription-key"] == "secret"
    ssml = body.decode()
    assert 'xml:lang="de-DE"' in ssml
    assert 'rate="+10%" pitch="+12%"' in ssml
    assert "A and B" in ssml


def test_services_with_keys_need_one_and_casts_are_distinct(service: Service) -> None:
    for cloud in ("elevenlabs", "azure"):
        with pytest.raises(EngineUnavailable, match="no key"):
            CloudVoice(VoiceSpec.model_validate({"cloud": cloud}))
    voice = _voice(service, [])
    assert len(set(voice.cast(["A", "B", "C"], {}).values())) == 3
    assert voice.cast(["A", "B"], {"A": "low"}) == {"A": "low", "B": "plain"}
    with pytest.raises(SettingError, match="plain"):
        voice.cast(["A"], {"": "nobody"})
    assert _voice(service, [], cloud="azure").cast(["A"], {"A": "xx-Custom"}) == {"A": "xx-Custom"}


def test_tempo_and_pitch_are_made_good() -> None:
    rate = 24_000
    tone = np.sin(2 * np.pi * 220 * np.arange(2 * rate) / rate).astype(np.float32)
    faster = retime(tone, rate, 1.5, 1.0)
    assert len(faster) == pytest.approx(len(tone) / 1.5, rel=0.05)
    higher = retime(tone, rate, 1.0, pitch_factor(99))
    assert len(higher) == pytest.approx(len(tone), rel=0.05)
    peak = np.abs(np.fft.rfft(higher)).argmax() * rate / len(higher)
    assert peak == pytest.approx(220 * pitch_factor(99), rel=0.02)
    assert retime(tone, rate, 1.0, 1.0) is tone


@given(st.text(alphabet="ab ,.é", max_size=200), st.integers(5, 40))
def test_split_text_keeps_every_letter(text: str, longest: int) -> None:
    parts = split_text(text, longest)
    assert "".join("".join(parts).split()) == "".join(text.split())
    assert all(0 < len(part) <= longest + 1 for part in parts)
