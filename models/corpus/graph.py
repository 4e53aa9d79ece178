"""The door to TensorFlow: imported when a graph is built, never before."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from studio.errors import EngineUnavailable


def tensorflow() -> Any:
    """The library. Raises `EngineUnavailable` when it is not installed."""
    try:
        return import_module("tensorflow")
    except ImportError as error:
        remedy = 'Install the extra: pip install "podcast-studio[training]"'
        raise EngineUnavailable("tensorflow", "not installed", remedy) from error
