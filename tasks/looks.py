"""What a script's `Avatar:` asks for: an engine, a drawn host, or a picture beside the script."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import get_args

from studio.errors import SettingError
from studio.specs import AvatarEngineName

PICTURES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How a speaker is to look. Empty means "not said"; of `host` and `picture` one at most is."""

    engine: AvatarEngineName | None = None
    host: str = ""
    picture: str = ""


def read_look(speaker: str, value: str) -> Look:
    """`[ENGINE:]HOST` or `[ENGINE:]PICTURE`; an engine alone ends with its colon.

    Raises `SettingError` for an engine that there is not.
    """
    name, colon, rest = value.partition(":")
    engine = None
    if colon:
        engine = next((known for known in get_args(AvatarEngineName) if known == name), None)
        if engine is None:
            raise SettingError(
                f"avatar of {speaker or 'everybody'}",
                f"no engine {name!r}",
                f"Known engines: {', '.join(get_args(AvatarEngineName))}",
            )
        value = rest.strip()
    if PurePath(value).suffix.lower() in PICTURES:
        return Look(engine=engine, picture=value)
    return Look(engine=engine, host=value)


def look_of(looks: Mapping[str, str], speaker: str) -> Look:
    """The look of one speaker: its own, or the one for everybody."""
    named = {name.casefold(): value for name, value in looks.items()}
    return read_look(speaker, named.get(speaker.casefold(), named.get("", "")))
