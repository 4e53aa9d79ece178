"""Requests to services in the cloud: whole answers or none, with time-outs and patient retries."""

from __future__ import annotations

import http.client
import random
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from studio.errors import EngineUnavailable, SettingError, SpeechError, StudioError

TIMEOUT_S = 30.0
"""Per attempt, for connecting and for each read; a line of speech takes a few seconds."""

MAX_ATTEMPTS = 5
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 20.0
"""Waits double from the first: 0.5, 1, 2, 4 s, each shortened at random by up to a half so that
many workers do not return together."""

RETRYABLE = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Too early, too many, or the service's own trouble: RFC 9110, RFC 6585, RFC 8470."""

UNTOUCHED = frozenset({425, 429, 503})
"""Answers that say that nothing was done: a request that costs money may be sent again."""

LONGEST_REASON = 4096
"""Bytes of a refusal that are read for its reason."""

LARGEST_ANSWER = 64 * 1024 * 1024
"""Bytes: ten minutes of 24-bit speech. More is not speech."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request: a GET without a body, a POST with one.

    What costs money whether or not its answer arrives is not `repeatable`: it is sent again only
    when the service itself said that it did nothing.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    repeatable: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long to wait for an answer; `sleep` takes seconds."""

    timeout_s: float = TIMEOUT_S
    max_attempts: int = MAX_ATTEMPTS
    sleep: Callable[[float], None] = time.sleep


def fetch(request: Request, service: str, patience: Patience) -> bytes:
    """The whole answer of `service`, a voice.

    What may pass is tried again after a growing wait, or after what the service itself asks for.
    Raises `EngineUnavailable` when it stays unreachable or refuses the key, `SettingError` when it
    does not know the voice, `SpeechError` when it refuses the text.
    """
    try:
        return answer_of(request, service, patience)
    except Refusal as error:
        raise _refused(service, error.code, str(error)) from error


class Refusal(Exception):
    """A service answered that it will not do what was asked: `code` is HTTP's, `body` its words."""

    def __init__(self, code: int, reason: str, body: bytes) -> None:
        super().__init__(f"HTTP {code} {reason}")
        self.code, self.body = code, body


def answer_of(request: Request, service: str, patience: Patience) -> bytes:
    """The whole answer of any service; what may pass is tried again.

    Raises `EngineUnavailable` when it stays unreachable, `SettingError` for an address that is
    none, `Refusal` for an answer that asking again will not change.
    """
    if not request.url.startswith(("https://", "http://")):
        raise SettingError(service, f"no web address {request.url!r}", "Begin it with https://")
    fault = ""
    for attempt in range(patience.max_attempts):
        try:
            return _once(request, patience.timeout_s)
        except urllib.error.HTTPError as error:
            with error:
                if error.code not in (RETRYABLE if request.repeatable else UNTOUCHED):
                    words = error.read(LONGEST_REASON)
                    raise Refusal(error.code, error.reason, words) from error
                asked = error.headers.get("Retry-After", "")
            fault = f"HTTP {error.code} {error.reason}"
        except (OSError, http.client.HTTPException) as error:
            fault, asked = str(error) or type(error).__name__, ""
            if not request.repeatable:
                break
        if attempt + 1 < patience.max_attempts:
            patience.sleep(_wait_s(attempt, asked))
    tries = patience.max_attempts if request.repeatable else attempt + 1
    raise EngineUnavailable(
        service,
        f"no answer in {tries} attempts ({fault})" if tries > 1 else f"no answer ({fault})",
        "Check the network or try later; a profile may name another engine after this one",
    )


def _once(request: Request, timeout_s: float) -> bytes:
    # Only http and https get here.
    sent = urllib.request.Request(request.url, request.body, dict(request.headers))  # noqa: S310
    with urllib.request.urlopen(sent, timeout=timeout_s) as answer:  # noqa: S310
        # A body shorter than announced raises IncompleteRead: half an answer is none.
        body: bytes = answer.read(LARGEST_ANSWER + 1)
        announced = answer.headers.get("Content-Length")
    if not body or len(body) > LARGEST_ANSWER or (announced and int(announced) != len(body)):
        raise http.client.IncompleteRead(body[:0])
    return body


def _wait_s(attempt: int, asked: str) -> float:
    if asked.isdigit():
        return min(float(asked), LONGEST_WAIT_S)
    # Spreading out requests needs no secrecy.
    wait_s = min(FIRST_WAIT_S * float(2**attempt), LONGEST_WAIT_S)
    return wait_s * random.uniform(0.5, 1.0)  # noqa: S311


def _refused(service: str, code: int, fault: str) -> StudioError:
    if code in {401, 402, 403}:
        return EngineUnavailable(service, fault, "Check the key and what its plan allows")
    if code == 404:
        return SettingError(
            service, f"{fault}: no such voice or address", "Check voice and endpoint"
        )
    return SpeechError(service, fault, "The service refuses this text: shorten or rewrite the line")
