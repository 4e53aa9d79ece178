"""Checkpoints in a folder, as part of what determines an output."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path


def weights_identity(folder: Path) -> str:
    """Hex SHA-256 over the checkpoints in a folder: other weights are another output."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.suffix in {".pth", ".pt", ".tar", ".safetensors"}:
            stat = path.stat()
            digest.update(path.name.encode())
            digest.update(_hash(path, stat.st_size, stat.st_mtime_ns).encode())
    return digest.hexdigest()


@cache
def _hash(path: Path, _size: int, _changed_ns: int) -> str:
    """A file's hash, computed once in a process while the file stays as it is."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
