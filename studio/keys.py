"""Cache keys: the SHA-256 of everything that determines an output, and of nothing else."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pydantic import BaseModel


def fingerprint(*parts: object) -> str:
    """Hex SHA-256 of values: dataclasses, pydantic models, mappings, sequences, text, numbers,
    None.

    The same values give the same key in every process and on every machine. Anything else, a `Path`
    above all, raises `TypeError`: a key must not depend on where a file lies.
    """
    text = json.dumps([_plain(part) for part in parts], sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: object) -> Any:
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    if isinstance(value, BaseModel):
        return {"": type(value).__name__, **{name: _plain(item) for name, item in value}}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"": type(value).__name__, **fields}
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    raise TypeError(f"{type(value).__name__} has no place in a cache key")


@functools.cache
def code_version(*modules: str) -> str:
    """Hex SHA-256 of the source text of modules or whole packages: a change of the code is a change
    of the key.
    """
    digest = hashlib.sha256()
    for name in modules:
        spec = find_spec(name)
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError(f"no module named {name!r}")
        origin = Path(spec.origin)
        files = sorted(origin.parent.rglob("*.py")) if origin.name == "__init__.py" else [origin]
        for file in files:
            digest.update(file.relative_to(origin.parent).as_posix().encode() + b"\0")
            digest.update(file.read_bytes())
    return digest.hexdigest()
