"""Read a profile, lay the header and the command line over it, refuse what is not known."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, Field, ValidationError, field_validator

from studio.errors import SettingError, quoted
from studio.ffmpeg import parse_encoder
from studio.gpu.expectations import Expectation, parse_expectation
from studio.specs import (
    AvatarSpec,
    DeviceSpec,
    EncodeSpec,
    FitSpec,
    GpuSpec,
    MixSpec,
    MusicSpec,
    PackageSpec,
    PictureSpec,
    Spec,
    StageName,
    VoiceSpec,
)
from studio.types import Header

_FOLDER = Path(__file__).parent


class Profile(Spec):
    """Everything that a run is told, apart from its script."""

    name: str = Field(description="the file's own name")
    summary: str = Field(description="one line for `studio profiles`")
    seed: int = Field(default=7, ge=0, le=2**31 - 1)
    commercial: bool = Field(default=False, description="refuse weights that forbid commercial use")
    strict: bool = Field(
        default=False, description="fail instead of stepping down to an alternative"
    )
    voice: VoiceSpec = VoiceSpec()
    music: MusicSpec = MusicSpec()
    avatar: AvatarSpec = AvatarSpec()
    mix: MixSpec = MixSpec()
    picture: PictureSpec = PictureSpec()
    encode: EncodeSpec = EncodeSpec()
    package: PackageSpec = PackageSpec()
    gpu: GpuSpec = GpuSpec()
    device: DeviceSpec = DeviceSpec()
    fits: FitSpec = FitSpec()
    expect: dict[StageName, dict[str, str]] = Field(
        default={}, description='what a run should reach: `gpu_util_pct_mean = ">= 60"`'
    )

    @field_validator("expect")
    @classmethod
    def _expectations(cls, value: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
        for stage, bounds in value.items():
            for metric, bound in bounds.items():
                parse_expectation(f"{stage}.{metric} {bound}")
        return value

    @field_validator("encode")
    @classmethod
    def _encoders(cls, value: EncodeSpec) -> EncodeSpec:
        for name in value.encoder:
            parse_encoder(name)
        return value

    @property
    def expectations(self) -> tuple[Expectation, ...]:
        """What a run is held to."""
        return tuple(
            parse_expectation(f"{stage}.{metric} {bound}")
            for stage, bounds in self.expect.items()
            for metric, bound in bounds.items()
        )


def profile_names() -> tuple[str, ...]:
    """The profiles that come with the studio, in alphabetical order."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.toml")))


def load_profile(name: str) -> Profile:
    """A profile by its name, or by the path of a user's own `.toml` file.

    Raises `SettingError` naming the file, the key and the nearest valid one.
    """
    path = Path(name) if name.endswith(".toml") else _FOLDER / f"{name}.toml"
    if not path.is_file():
        if name.endswith(".toml"):
            raise SettingError(f"profile {name!r}", "no such file", "Check the path")
        known = f"Known: {', '.join(profile_names())}"
        near = _nearest(name, profile_names())
        remedy = known if near == known else f"{near} {known}"
        raise SettingError(f"profile {name!r}", "no such profile", remedy)
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingError(str(path), f"is no valid TOML ({error})", "Mend the line") from error
    return _validated(data, str(path))


def settle(profile: Profile, header: Header, overrides: Mapping[str, object]) -> Profile:
    """The profile with the script's header laid over it, and `overrides` over both.

    `overrides` maps dotted keys (`picture.quality`) to values, as the command line gives them: a
    number, `true`, a TOML list or plain text; a list may also be written `a,b`. `none` switches off
    what can be switched off.
    """
    data = profile.model_dump()
    if header.aspect:
        _put(data, "picture.aspect", header.aspect, "header 'Aspect'")
    for key, value in overrides.items():
        _put(data, key, value, f"option {key!r}")
    return _validated(data, "the script's header", tuple(overrides))


def _put(data: dict[str, Any], key: str, value: object, where: str) -> None:
    *folders, leaf = key.split(".")
    target: Any = data
    if folders[:1] == ["expect"] and len(folders) == 2:
        target["expect"].setdefault(folders[1], {})[leaf] = value
        return
    model: type[BaseModel] = Profile
    for folder in folders:
        field = model.model_fields.get(folder)
        inner = _model_of(field.annotation) if field else None
        if inner is None:
            raise SettingError(where, "no such key", _nearest(folder, list(model.model_fields)))
        if target[folder] is None:
            target[folder] = inner().model_dump()
        target, model = target[folder], inner
    if leaf not in model.model_fields:
        raise SettingError(where, "no such key", _nearest(leaf, list(model.model_fields)))
    annotation = model.model_fields[leaf].annotation
    if isinstance(value, str) and get_origin(annotation) is tuple:
        value = tuple(part.strip() for part in value.strip("[]").split(",") if part.strip())
    elif get_origin(annotation) is Literal:
        # Numbers among allowed words are no text: "1" from the command line means 1.
        value = {str(word): word for word in get_args(annotation)}.get(str(value), value)
    target[leaf] = value


def _without_none(value: Any, annotation: Any) -> Any:
    """TOML has no null: the word `none` stands for it where a spec allows it."""
    if value == "none" and type(None) in get_args(annotation):
        return None
    model = _model_of(annotation)
    if isinstance(value, dict) and model is not None:
        fields = model.model_fields
        return {
            key: _without_none(item, fields[key].annotation) if key in fields else item
            for key, item in value.items()
        }
    return value


def _model_of(annotation: Any) -> type[BaseModel] | None:
    options = (
        get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    )
    for option in options:
        if isinstance(option, type) and issubclass(option, BaseModel):
            return option
    return None


def _validated(data: dict[str, Any], where: str, options: tuple[str, ...] = ()) -> Profile:
    try:
        return Profile.model_validate(_without_none(data, Profile))
    except ValidationError as error:
        first = error.errors()[0]
        key = _shown(first["loc"])
        given = next((name for name in options if f"{key}.".startswith(f"{name}.")), None)
        where = f"option {given!r}" if given else where
        if first["type"] == "extra_forbidden":
            model = _model_at(first["loc"][:-1])
            remedy = _nearest(str(first["loc"][-1]), list(model.model_fields))
            raise SettingError(where, f"unknown key {key!r}", remedy) from error
        if first["type"] == "missing":
            raise SettingError(where, f"{key} is missing", "Add it") from error
        cause = first.get("ctx", {}).get("error")
        if isinstance(cause, SettingError):
            raise SettingError(f"{where}: {cause.where}", cause.found, cause.remedy) from error
        found = f"{key} = {quoted(first['input'])}: {first['msg'][0].lower()}{first['msg'][1:]}"
        allowed = re.findall(r"'([^']*)'", str(first.get("ctx", {}).get("expected", "")))
        match = difflib.get_close_matches(str(first["input"]), allowed, n=1, cutoff=0.5)
        remedy = f"Did you mean {match[0]!r}?" if match else "Give a value that is allowed there"
        raise SettingError(where, found, remedy) from error


def _shown(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part)[:60] for part in location)


def _model_at(location: tuple[int | str, ...]) -> type[BaseModel]:
    model: type[BaseModel] = Profile
    for part in location:
        field = model.model_fields.get(str(part))
        model = (_model_of(field.annotation) if field else None) or model
    return model


def _nearest(word: str, known: tuple[str, ...] | list[str]) -> str:
    match = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"Did you mean {match[0]!r}?" if match else f"Known: {', '.join(known)}"
