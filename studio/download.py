"""A file from the web: whole and checked, or not there; what was begun is gone on with."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from studio.errors import EngineUnavailable, SettingError

TIMEOUT_S = 60.0
"""For connecting and for each read; a release server answers within a second or not at all."""

CHUNK_BYTES = 1 << 20

Progress = Callable[[int, int], None]
"""Called with the bytes that are here and how many there are, 0 where the server does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """A file to fetch. `sha256` is the beginning of its hash in hex; empty: nobody published it."""

    url: str
    name: str
    sha256: str = ""


def download(remote: Remote, folder: Path, report: Progress) -> Path:
    """Fetch a file into `folder`; returns where it lies. One that is there is left alone.

    What has come is kept in `NAME.part`; the next call asks for the rest, and the server sends the
    whole when the file has changed since (RFC 9110, If-Range).

    Raises `EngineUnavailable` when the server cannot be reached, stops early, or sends something
    else than `remote.sha256` says.
    """
    target = folder / remote.name
    if target.is_file():
        return target
    if not remote.url.startswith(("https://", "http://")):
        raise SettingError(remote.name, f"no web address {remote.url!r}", "Begin it with https://")
    part = folder / f"{remote.name}.part"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        _receive(remote.url, part, report)
    except urllib.error.HTTPError as error:
        with error:
            found = f"{remote.url} answers {error.code} {error.reason}"
        raise EngineUnavailable(remote.name, found, "See whether it has moved") from error
    except (OSError, http.client.HTTPException) as error:
        reason = str(getattr(error, "reason", "") or error) or type(error).__name__
        raise EngineUnavailable(
            remote.name,
            f"cannot be fetched ({reason})",
            "Check the network and run it again: it goes on where it stopped",
        ) from error
    _mark_of(part).unlink(missing_ok=True)
    _verify(remote, part)
    part.replace(target)
    return target


def _receive(url: str, part: Path, report: Progress) -> None:
    begun = part.stat().st_size if part.is_file() else 0
    mark = _mark_of(part)
    version = json.loads(mark.read_text(encoding="utf-8")) if begun and mark.is_file() else ""
    headers = {"User-Agent": "podcast-studio"}
    if version:
        headers |= {"Range": f"bytes={begun}-", "If-Range": version}
    # Only http and https get here.
    request = urllib.request.Request(url, headers=headers)  # noqa: S310
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
        resumed = answer.status == http.client.PARTIAL_CONTENT
        done = begun if resumed else 0
        length = answer.headers.get("Content-Length")
        total = done + int(length) if length else 0
        # Without a validator nobody can tell whether the rest belongs to the same file.
        tag = answer.headers.get("ETag", "")
        mark.write_text(json.dumps("" if tag.startswith("W/") else tag), encoding="utf-8")
        with part.open("ab" if resumed else "wb") as file:
            report(done, total)
            while block := answer.read(CHUNK_BYTES):
                file.write(block)
                done += len(block)
                report(done, total)
            file.flush()
            os.fsync(file.fileno())
    if total and done != total:
        raise http.client.IncompleteRead(b"", total - done)


def _verify(remote: Remote, part: Path) -> None:
    if not remote.sha256:
        return
    with part.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if not found.startswith(remote.sha256):
        part.unlink()
        raise EngineUnavailable(
            remote.name,
            f"its SHA-256 is {found[:12]}…, published is {remote.sha256}…",
            "Run it again; if it stays so, what the server sends is not the published file",
        )


def _mark_of(part: Path) -> Path:
    return part.with_name(f"{part.name}.etag")
