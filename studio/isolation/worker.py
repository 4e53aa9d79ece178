"""Runs inside an engine's own environment: `python worker.py FILE.py:Class '{"argument": 1}'`.

Makes one object of the class and answers calls of its methods, one at a time, until its input
closes. A method takes arrays and keyword arguments and returns `(header, arrays)`. Whatever the
engine prints goes to standard error and cannot disturb the messages. The process ends within a
second of its host's death, even in the middle of a call.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

LOOK_S = 0.5
"""How often it is looked whether the host still lives."""


def main(target: str, arguments: str) -> int:
    """Serve until the host hangs up; the exit status."""
    out = os.fdopen(os.dup(1), "wb", buffering=1 << 20)
    os.dup2(2, 1)
    source = os.fdopen(os.dup(0), "rb", buffering=1 << 20)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    host = os.getppid()
    threading.Thread(target=_leave_with, args=(host,), daemon=True).start()
    sys.path.insert(0, str(Path(__file__).parent))
    import wire  # type: ignore[import-not-found]

    engine: Any = None

    def make() -> tuple[None, list[Any]]:
        nonlocal engine
        engine = _load(target)(**json.loads(arguments))
        return None, []

    answer, _ = _told(make)
    wire.send(out, answer)
    if not answer["ok"]:
        return 3
    while True:
        try:
            request, arrays = wire.receive(source)
        except EOFError:
            return 0
        called = partial(_call, engine, request["method"], arrays, request["arguments"])
        wire.send(out, *_told(called))


def _call(engine: Any, method: str, arrays: list[Any], arguments: dict[str, Any]) -> Any:
    return getattr(engine, method)(*arrays, **arguments)


def _told(work: Callable[[], tuple[Any, list[Any]]]) -> tuple[dict[str, Any], list[Any]]:
    """What `work` returns as a message, or what it failed with.

    The end of the protocol on this side: an engine is foreign code that may raise anything, and
    whatever it raises is the host's to judge. It lives on for the next call, so this is caught
    here and nowhere else.
    """
    try:
        result, arrays = work()
    except Exception as error:  # noqa: BLE001 - see above
        return _failure(error), []
    return {"ok": True, "result": result}, arrays


def _load(target: str) -> Any:
    path, _, name = target.rpartition(":")
    spec = importlib.util.spec_from_file_location("isolated_engine", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"no Python file at {path}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, name)


def _failure(error: Exception) -> dict[str, Any]:
    print(traceback.format_exc(), file=sys.stderr, flush=True)
    return {"ok": False, "kind": type(error).__name__, "error": str(error)}


def _leave_with(host: int) -> None:
    # The parent's id changes when it dies. PR_SET_PDEATHSIG would fire when the *thread* that
    # started the worker ends, which in a task runner is long before the host does.
    while os.getppid() == host:
        time.sleep(LOOK_S)
    os._exit(86)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
