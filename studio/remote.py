"""A folder or bucket that several machines share, named by an fsspec URL.

    media/ab/abcdef….flac   media, as in a machine's own store
    values/ab/ab<key>…      remembered values, behind the hash of their text
    claims/<key>.<n>        who is making what (`studio.claims`)

An object is there whole or not at all: on file systems it is written beside and renamed in, object
stores put it whole by themselves. Whatever a backend raises becomes a `RemoteError`.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import importlib
import re
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from studio.errors import RemoteError, SettingError

WHOLE_PUTS: Final = frozenset(
    {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oss", "memory"}
)
"""Protocols whose puts appear whole at their end, and that know no folders."""

_PACKAGES: Final = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs"}

_FAULTS: Final = (
    ("botocore.exceptions", "BotoCoreError"),
    ("botocore.exceptions", "ClientError"),
    ("aiohttp", "ClientError"),
    ("gcsfs.retry", "HttpError"),
    ("google.auth.exceptions", "GoogleAuthError"),
    ("azure.core.exceptions", "AzureError"),
    ("paramiko", "SSHException"),
)
"""What backends raise besides `OSError`. Named only where the backend has been imported."""

_TIMES: Final = ("mtime", "LastModified", "updated", "last_modified", "created")
"""Under one of these, listings of the backends say when an object was written."""


class Remote:
    """The raw objects of a shared store. Names are relative, with slashes. Safe in threads."""

    def __init__(self, url: str) -> None:
        """Open it; nothing is asked of it yet. Raises `SettingError` for a URL that no file system
        serves.
        """
        from fsspec.core import url_to_fs

        self.url = re.sub(r"(?<=://)[^/@]*@", "", url)  # as it may be shown: without a password
        try:
            self._fs, root = url_to_fs(url, use_listings_cache=False)
        except ImportError as error:
            package = _PACKAGES.get(url.partition(":")[0])
            remedy = f"pip install {package}" if package else "Install what its message names"
            raise SettingError(f"STUDIO_REMOTE={self.url}", str(error), remedy) from error
        except ValueError as error:
            remedy = "Write it like file:///mnt/nas/studio or s3://bucket/prefix"
            raise SettingError(f"STUDIO_REMOTE={self.url}", str(error), remedy) from error
        self._root = root.rstrip("/")
        protocol = self._fs.protocol
        names = {protocol} if isinstance(protocol, str) else set(protocol)
        self._whole_puts = bool(names & WHOLE_PUTS)

    def check(self) -> None:
        """Write, read and delete a small object. Raises `RemoteError` when that does not work."""
        name = f"claims/check-{uuid.uuid4().hex}"
        self.create(name, b"ok")
        found = self.get(name)
        self.delete(name)
        if found != b"ok":
            raise self._error("does not give back what was put")

    def get(self, name: str) -> bytes | None:
        """The bytes of a small object; None when there is none."""
        with self._told():
            try:
                return bytes(self._fs.cat_file(self._path(name)))
            except FileNotFoundError:
                return None

    def put(self, name: str, data: bytes) -> None:
        """Write a small object, in place of one that is there."""
        with self._told(), self._whole(name) as path:
            self._fs.pipe_file(path, data)

    def create(self, name: str, data: bytes) -> bool:
        """Write a small object if there is none; False when there is. Of several that try at once
        one succeeds.
        """
        with self._told():
            path = self._path(name)
            self._make_folder(path)
            try:
                # The general `pipe_file(mode="create")` looks first and writes then: two could win.
                with self._fs.open(path, "xb") as file:
                    file.write(data)
            except FileExistsError:
                return False
        return True

    def delete(self, name: str) -> None:
        """Delete an object; nothing happens when there is none."""
        with self._told(), contextlib.suppress(FileNotFoundError):
            self._fs.rm_file(self._path(name))

    def size(self, name: str) -> int | None:
        """The length of an object; None when there is none."""
        with self._told():
            try:
                size = self._fs.info(self._path(name))["size"]
            except FileNotFoundError:
                return None
        return None if size is None else int(size)

    def fetch(self, name: str, into: Path) -> bool:
        """Copy an object into a file; False when there is none."""
        with self._told():
            try:
                self._fs.get_file(self._path(name), str(into))
            except FileNotFoundError:
                return False
        return True

    def send(self, source: Path, name: str) -> None:
        """Copy a file to where others see it, unless an object of its length is there."""
        if self.size(name) == source.stat().st_size:
            return
        with self._told(), self._whole(name) as path:
            self._fs.put_file(str(source), path)

    def objects(self, folder: str) -> Iterator[tuple[str, int, float]]:
        """Every object below a folder: its name, length and when it was written (POSIX time)."""
        with self._told():
            try:
                found = self._fs.find(self._path(folder), detail=True)
            except FileNotFoundError:
                return
        for path, info in found.items():
            name = str(path)[len(self._path("")) :]
            yield name, int(info["size"] or 0), self._written(path, info)

    def _written(self, path: str, info: dict[str, Any]) -> float:
        value = next((info[key] for key in _TIMES if info.get(key) is not None), None)
        if value is None:
            with self._told():
                value = self._fs.modified(path)
        if isinstance(value, str):
            value = dt.datetime.fromisoformat(value)
        return value.timestamp() if isinstance(value, dt.datetime) else float(value)

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _make_folder(self, path: str) -> None:
        if not self._whole_puts:
            self._fs.makedirs(path.rsplit("/", 1)[0], exist_ok=True)

    @contextlib.contextmanager
    def _whole(self, name: str) -> Iterator[str]:
        """Where to write so that the object appears whole."""
        path = self._path(name)
        if self._whole_puts:
            yield path
            return
        self._make_folder(path)
        beside = f"{path}.{uuid.uuid4().hex}.part"
        with contextlib.ExitStack() as unless_whole:
            unless_whole.callback(self._forget, beside)
            yield beside
            self._fs.mv(beside, path)
            unless_whole.pop_all()

    def _forget(self, path: str) -> None:
        with contextlib.suppress(OSError):
            self._fs.rm_file(path)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except _faults() as error:
            said = str(error).partition("\n")[0] or type(error).__name__
            if isinstance(error, OSError) and error.strerror:
                said = error.strerror
            raise self._error(said) from error

    def _error(self, said: str) -> RemoteError:
        remedy = "See that it is mounted, reachable and writable, or unset STUDIO_REMOTE"
        return RemoteError(f"shared store {self.url}", said, remedy)


def _faults() -> tuple[type[Exception], ...]:
    """What a backend that is in use may raise."""
    known = [
        getattr(importlib.import_module(module), name)
        for module, name in _FAULTS
        if module in sys.modules
    ]
    return (OSError, *known)
