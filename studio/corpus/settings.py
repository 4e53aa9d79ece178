"""A spec with single values changed, as a command line gives them."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from studio.errors import SettingError
from studio.specs import Spec

S = TypeVar("S", bound=Spec)


def changed(spec: S, options: Mapping[str, object]) -> S:
    """`spec` with dotted keys (`mel.n_mels`) set to values or their text.

    Raises `SettingError` naming the key and the nearest valid one, or what is wrong with the value.
    """
    data = spec.model_dump()
    for key, value in options.items():
        target: Any = data
        *folders, leaf = key.split(".")
        for name in (*folders, leaf):
            if not isinstance(target, dict) or name not in target:
                known = sorted(target) if isinstance(target, dict) else []
                near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
                remedy = f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(known)}"
                raise SettingError(f"option {key!r}", "no such key", remedy)
            if name is not leaf:
                target = target[name]
        target[leaf] = value
    try:
        return type(spec).model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "settings"
        remedy = "Give a value that is allowed there"
        raise SettingError(f"option {key!r}", first["msg"], remedy) from error
