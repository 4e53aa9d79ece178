"""What a package says of itself, read back: its manifest, its transcript, its chapters.

A folder of episodes may have been on other machines and in other hands: what is read here is
checked, and a file that is not what it should be is named.
"""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from studio.errors import MediaError, quoted

Seconds = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]


def _inside(name: str) -> str:
    path = PurePosixPath(name)
    if not name or path.is_absolute() or ".." in path.parts or "\0" in name:
        raise ValueError("leads out of the package")
    return name


class _Read(BaseModel):
    """Of a file only what is asked for; a later version may have written more."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class PackagedFile(_Read):
    """A file of the package: its path inside it, its length, its hash."""

    name: Annotated[str, AfterValidator(_inside)]
    bytes: int = Field(ge=0)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class PackagedVideo(_Read):
    """The picture's height."""

    height_px: int = Field(gt=0)


class _Picture(_Read):
    background_color: str = Field(default="#16323a", pattern="^#[0-9a-fA-F]{6}$")


class _Settings(_Read):
    picture: _Picture = _Picture()


class PackageFacts(_Read):
    """A package's manifest, as far as a publication needs it."""

    title: str
    duration_s: Seconds
    files: tuple[PackagedFile, ...]
    show_name: str = ""
    author: str = ""
    language: str = ""
    video: PackagedVideo | None = None
    settings: _Settings = _Settings()


class PackagedLine(_Read):
    """A line of the transcript: who says what, from when to when."""

    speaker: str = ""
    body: str
    start_s: Seconds = Field(alias="startTime")
    end_s: Seconds = Field(alias="endTime")


class PackagedChapter(_Read):
    """A chapter and when it begins."""

    title: str
    start_s: Seconds = Field(alias="startTime")


class _Transcript(_Read):
    segments: tuple[PackagedLine, ...]


class _Chapters(_Read):
    chapters: tuple[PackagedChapter, ...]


Facts = TypeVar("Facts", bound=BaseModel)


def read_facts(manifest: Path) -> PackageFacts:
    """A package's manifest. Raises `MediaError` naming the file and what is wrong in it."""
    return _read(manifest, PackageFacts)


def read_lines(transcript: Path) -> tuple[PackagedLine, ...]:
    """The lines of a package's transcript (podcast namespace, JSON). Raises `MediaError`."""
    return _read(transcript, _Transcript).segments


def read_chapters(chapters: Path) -> tuple[PackagedChapter, ...]:
    """The chapters of a package (podcast namespace, JSON). Raises `MediaError`."""
    return _read(chapters, _Chapters).chapters


def _read(path: Path, kind: type[Facts]) -> Facts:
    remedy = "Make the episode again"
    try:
        return kind.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part)[:60] for part in first["loc"]) or "the whole"
        found = f"{key} = {quoted(first['input'])}: {first['msg']}"
        raise MediaError(str(path), found, remedy) from error
    except (OSError, ValueError, RecursionError) as error:
        raise MediaError(str(path), "cannot be read", remedy) from error
