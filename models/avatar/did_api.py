"""D-ID: a service that makes a portrait speak, paid by the length of what it makes.

The portrait is sent once, then each line's sound; the service makes a film, which is downloaded
whole, decoded in memory, and brought to the wanted frame rate. Requests and answers:
https://docs.d-id.com/reference/talks-overview
"""

from __future__ import annotations

import http.client
import io
import json
import math
import uuid
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from models.avatar import LineSound
from models.avatar.portrait import as_portrait
from models.voice.cloud_http import Patience, Refusal, Request, answer_of
from studio.errors import AvatarError, EngineUnavailable, NoFaceError
from studio.gpu.steps import step
from studio.types import SAMPLE_RATE, EngineInfo

SERVICE: Final = "avatar did_api"

INFO: Final = EngineInfo(
    name="did_api",
    code_licence="Apache-2.0",
    weights_licence="D-ID's terms of service; commercial use with a paid plan",
    commercial=True,
    memory_gib=0.2,
    rate=25,
)

ADDRESS: Final = "https://api.d-id.com"

CREDIT_S: Final = 15.0
"""A credit pays for up to 15 seconds of one film, begun ones count whole. Plans differ; the
service's own balance is what is compared with."""

FIRST_LOOK_S: Final = 1.0
LONGEST_LOOK_S: Final = 8.0
"""Looks at a film in the making come 1, 1.5, 2.3, ... up to 8 s apart."""

SLOWEST: Final = 20.0
LEAST_WAIT_S: Final = 180.0
"""A film may take 20 times its length, and 3 minutes; beyond, the service has lost it."""

LARGEST_GAP_S: Final = 0.5
"""A film may be this much shorter than its sound: its last picture is held. Less is no film of the
line."""

REMEDY: Final = "Set DID_API_KEY or save the Prefect block did-api-key; keys: studio.d-id.com"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Whose money is spent: the key as the service shows it (`USER:PASSWORD`), and its address."""

    key: str
    address: str = ADDRESS


def credits_for(lengths: list[int]) -> int:
    """Credits that lines of so many samples cost, a film each."""
    return sum(math.ceil(length / SAMPLE_RATE / CREDIT_S) for length in lengths)


class CloudActor:
    """One portrait that the service animates. Opening one sends nothing."""

    def __init__(
        self, portrait: NDArray[np.uint8], account: Account, patience: Patience | None = None
    ) -> None:
        """`portrait` (h, w, 3) is sent with the first line. Raises `EngineUnavailable` without a
        key, `MediaError` for a picture that is none.
        """
        if not account.key:
            raise EngineUnavailable(SERVICE, "no key", REMEDY)
        self._picture = as_portrait(portrait)
        self._account, self._patience = account, patience or Patience()
        self._source = ""
        height, width = self._picture.shape[:2]
        self.info, self.size_px = INFO, (width, height)

    def balance(self) -> int | None:
        """Credits that are left; `None` when the service does not say.

        Raises `EngineUnavailable` when it cannot be reached or refuses the key.
        """
        left = self._ask("GET", "/credits").get("remaining")
        return int(left) if isinstance(left, (int, float)) else None

    def film(self, line: LineSound) -> Iterator[NDArray[np.uint8]]:
        """The line's frames, one by one, `line.num_frames` in all.

        Silence is the portrait itself and costs nothing.

        Raises `NoFaceError` for a portrait that the service finds no face in, `AvatarError` when it
        fails at the line or sends something else, `EngineUnavailable` when it cannot be reached.
        """
        if not line.samples.any():
            for _ in range(line.num_frames):
                yield self._picture[None]
            return
        with step("sending to the service"):
            if not self._source:
                png = cv2.imencode(".png", np.ascontiguousarray(self._picture[..., ::-1]))[1]
                self._source = self._upload("image", "portrait.png", "image/png", png.tobytes())
            sound = self._upload("audio", "line.wav", "audio/wav", _wav(line.samples))
        talk = self._ask(
            "POST",
            "/talks",
            json.dumps(
                {
                    "source_url": self._source,
                    "script": {"type": "audio", "audio_url": sound},
                    "config": {"stitch": True, "result_format": "mp4", "pad_audio": 0.0},
                }
            ).encode(),
            repeatable=False,
        )
        with step("waiting for the service"):
            film = self._collect(str(talk.get("id", "")), len(line.samples) / SAMPLE_RATE)
        yield from resampled(film, line, self.size_px)

    def _upload(self, field: str, name: str, kind: str, data: bytes) -> str:
        """Send a file; returns the address that the service gives it for a day."""
        mark = uuid.uuid4().hex
        head = (
            f'--{mark}\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n'
            f"Content-Type: {kind}\r\n\r\n"
        )
        body = head.encode() + data + f"\r\n--{mark}--\r\n".encode()
        answer = self._ask("POST", f"/{field}s", body, f"multipart/form-data; boundary={mark}")
        url = str(answer.get("url", ""))
        if not url:
            raise AvatarError(SERVICE, f"took the {field} and gave no address", "Try again later")
        return url

    def _collect(self, talk: str, seconds: float) -> bytes:
        """Wait until the film is made; returns its file."""
        if not talk:
            raise AvatarError(SERVICE, "began a film without a name", "Try again later")
        limit_s, waited_s, pause_s = max(LEAST_WAIT_S, SLOWEST * seconds), 0.0, FIRST_LOOK_S
        while waited_s < limit_s:
            self._patience.sleep(pause_s)
            waited_s += pause_s
            pause_s = min(pause_s * 1.5, LONGEST_LOOK_S)
            state = self._ask("GET", f"/talks/{talk}")
            status = state.get("status")
            if status in {"error", "rejected"}:
                raise _failure(self._unsigned(json.dumps(state.get("error") or state)))
            if status == "done":
                request = Request(url=str(state.get("result_url", "")))
                try:
                    return answer_of(request, SERVICE, self._patience)
                except Refusal as error:
                    raise AvatarError(SERVICE, f"the film: {error}", "Run again") from error
        raise AvatarError(SERVICE, f"no film after {waited_s:.0f} s", "Try again later")

    def _ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        kind: str = "application/json",
        *,
        repeatable: bool = True,
    ) -> dict[str, Any]:
        headers = {"Authorization": f"Basic {self._account.key}", "Accept": "application/json"}
        if method == "POST":
            headers["Content-Type"] = kind
        request = Request(
            url=f"{self._account.address}{path}", headers=headers, body=body, repeatable=repeatable
        )
        try:
            answer = json.loads(answer_of(request, SERVICE, self._patience))
        except Refusal as error:
            words = self._unsigned(error.body.decode("utf-8", "replace"))
            if error.code in {401, 402, 403}:
                found = f"{error}: {_sentence(words)}"
                remedy = f"Check the key and the account's credits. {REMEDY}"
                raise EngineUnavailable(SERVICE, found, remedy) from error
            raise _failure(words, error.code) from error
        except ValueError as error:
            raise AvatarError(SERVICE, "answers no JSON", "Try again later") from error
        return answer if isinstance(answer, dict) else {}

    def _unsigned(self, words: str) -> str:
        """What the service says of a fault, without the key: errors are logged."""
        return words.replace(self._account.key, "(the key)")


def resampled(
    film: bytes, line: LineSound, size_px: tuple[int, int]
) -> Iterator[NDArray[np.uint8]]:
    """A film's frames (1, height, width, 3) at the line's rate and size, `num_frames` of them.

    Frame i shows what the film shows in the middle of its time, `(i + 1/2) / fps`. Raises
    `AvatarError` when the bytes are no film, or one that is too short for the line.
    """
    shown: NDArray[np.uint8] | None = None
    made, ends_s = 0, 0.0
    try:
        with av.open(io.BytesIO(film), "r") as container:
            rate = float(container.streams.video[0].average_rate or line.fps)
            for frame in container.decode(video=0):
                begins_s = float(frame.time or 0.0)
                # What came before stays on the screen until this frame begins.
                while (
                    shown is not None
                    and made < line.num_frames
                    and ((made + 0.5) / line.fps < begins_s)
                ):
                    yield shown[None]
                    made += 1
                pixels = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
                if (pixels.shape[1], pixels.shape[0]) != size_px:
                    fitted = cv2.resize(pixels, size_px, interpolation=cv2.INTER_AREA)
                    pixels = np.asarray(fitted, np.uint8)
                shown, ends_s = pixels, begins_s + 1.0 / rate
    except (av.FFmpegError, IndexError) as error:
        raise AvatarError(SERVICE, f"sent no film ({error})", "Run again") from error
    wanted_s = line.num_frames / line.fps
    if shown is None or wanted_s - ends_s > LARGEST_GAP_S:
        found = f"sent {ends_s:.1f} s of film for a line of {wanted_s:.1f} s"
        raise AvatarError(SERVICE, found, "Run again")
    for _ in range(made, line.num_frames):
        yield shown[None]


def _wav(samples: NDArray[np.float32]) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return buffer.getvalue()


def _failure(words: str, code: int = 0) -> AvatarError | NoFaceError:
    """The error for what the service said of a film or a file."""
    sentence = _sentence(words)
    if "face" in words.casefold():
        return NoFaceError(SERVICE, sentence, "Give a frontal photograph with one face")
    status = f"HTTP {code} {http.client.responses.get(code, '')}: " if code else ""
    return AvatarError(SERVICE, f"{status}{sentence}", "Change the line or the portrait")


def _sentence(words: str) -> str:
    """What a refusal says, on one line: its description where it is JSON."""
    try:
        said = json.loads(words)
    except ValueError:
        said = words
    if isinstance(said, dict):
        said = said.get("description") or said.get("message") or said.get("kind") or words
    return " ".join(str(said).split())[:200] or "no reason given"
