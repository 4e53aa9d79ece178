"""Every key of a profile as markdown, read from the specs themselves: `docs/profiles.md`.

`python -m profiles.reference docs/profiles.md` brings the page up to date.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from profiles.loader import Profile
from studio.errors import SettingError

_BOUNDS = {
    annotated_types.Ge: ("ge", ">= {}"),
    annotated_types.Gt: ("gt", "> {}"),
    annotated_types.Le: ("le", "<= {}"),
    annotated_types.Lt: ("lt", "< {}"),
}


def key_tables() -> str:
    """A table per section: key, default, what is allowed, what it means."""
    return "\n".join(_tables(Profile, ""))


def _tables(model: type[BaseModel], prefix: str) -> Iterator[str]:
    inner = {
        name: part
        for name, field in model.model_fields.items()
        if (part := _model_in(field.annotation)) is not None
    }
    own = [name for name in model.model_fields if name not in inner]
    if own:
        title = f"`[{prefix.rstrip('.')}]`" if prefix else "At the top"
        told = (model.__doc__ or "").strip().partition("\n\n")[0].replace("\n    ", " ")
        yield f"### {title}\n\n{told}\n"
        yield "| key | default | allowed | meaning |\n| --- | --- | --- | --- |"
        yield from (_row(prefix + name, model.model_fields[name]) for name in own)
        yield ""
    for name, part in inner.items():
        yield from _tables(part, f"{prefix}{name}.")


def _row(key: str, field: FieldInfo) -> str:
    default = "required" if field.is_required() else f"`{_value(field.default)}`"
    allowed = ", ".join(dict.fromkeys([*_kinds(field.annotation), *_limits(field.metadata)]))
    return f"| `{key}` | {default} | {allowed} | {_cell(field.description or '')} |"


def _value(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "[" + ", ".join(f'"{item}"' for item in value) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)


def _kinds(annotation: Any) -> Iterator[str]:
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *limits = get_args(annotation)
        yield from _kinds(inner)
        yield from _limits(limits)
    elif origin is Literal:
        yield " ".join(f"`{option}`" for option in get_args(annotation))
    elif origin is tuple:
        yield "list of " + " ".join(_kinds(get_args(annotation)[0]))
    elif origin is dict:
        yield "a table per stage"
    elif origin in (Union, UnionType):
        for option in get_args(annotation):
            yield from _kinds(option)
    elif annotation is NoneType:
        yield "`none`"
    else:
        names = {int: "integer", float: "number", str: "text", bool: "`true` `false`"}
        yield names[annotation]


def _limits(metadata: list[Any]) -> Iterator[str]:
    for limit in metadata:
        for part in getattr(limit, "metadata", [limit]):
            for kind, (name, words) in _BOUNDS.items():
                if isinstance(part, kind):
                    yield words.format(f"{getattr(part, name):.12g}")
            if pattern := getattr(part, "pattern", None):
                yield f"`{_cell(pattern)}`"


def _model_in(annotation: Any) -> type[BaseModel] | None:
    options = get_args(annotation) or (annotation,)
    for option in options:
        if isinstance(option, type) and issubclass(option, BaseModel):
            return option
    return None


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def rewrite(page: Path) -> None:
    """Put the tables, as they are now, in the place of those on the page."""
    head, mark, _ = page.read_text(encoding="utf-8").partition("### At the top\n")
    if not mark:
        raise SettingError(str(page), "no heading 'At the top'", "Name docs/profiles.md")
    page.write_text(head + key_tables().rstrip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    rewrite(Path(sys.argv[1]))
