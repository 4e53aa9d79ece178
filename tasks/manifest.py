"""The manifest of a package: what it holds, who made it, how it was measured.

It has no time stamps, no paths of this machine and a fixed order, so the same episode made again
has the same manifest.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import av

from studio.types import Check, EngineInfo, Fallback

FORMAT = 1
"""Raised when a key changes its meaning."""

MEDIA_TYPES = {
    ".mp4": "video/mp4",
    ".m4a": "audio/mp4",
    ".mp3": "audio/mpeg",
    ".flac": "audio/flac",
    ".srt": "application/x-subrip",
    ".vtt": "text/vtt",
    ".md": "text/markdown",
    ".txt": "text/plain",
    ".json": "application/json",
    ".jpg": "image/jpeg",
}

_DISTRIBUTIONS = ("podcast-studio", "numpy", "av", "soundfile", "pillow", "mutagen")


def manifest(
    folder: Path,
    facts: Mapping[str, Any],
    *,
    engines: Sequence[EngineInfo],
    fallbacks: Sequence[Fallback],
    checks: Sequence[Check],
) -> str:
    """The manifest of what lies in `folder`, as JSON. `facts` come first, in their order."""
    return _json(
        {
            "format": FORMAT,
            **facts,
            "engines": [asdict(engine) for engine in sorted(engines, key=lambda one: one.name)],
            "fallbacks": [asdict(step) for step in fallbacks],
            "checks": [asdict(check) for check in checks],
            "files": [_described(folder, name) for name in files_in(folder)],
            "versions": _versions(),
        }
    )


def files_in(folder: Path) -> list[str]:
    """Every file of a package by its path inside it, sorted."""
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def media_type(name: str) -> str:
    """The media type of a file of a package, as a feed names it."""
    if name.endswith("chapters.json"):
        return "application/json+chapters"
    return MEDIA_TYPES.get(Path(name).suffix, "application/octet-stream")


def _described(folder: Path, name: str) -> dict[str, object]:
    with (folder / name).open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return {
        "name": name,
        "type": media_type(name),
        "bytes": (folder / name).stat().st_size,
        "sha256": sha256,
    }


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in _DISTRIBUTIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    for library, numbers in sorted(av.library_versions.items()):
        found[library] = ".".join(str(number) for number in numbers)
    return found


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"
