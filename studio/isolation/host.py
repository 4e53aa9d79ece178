"""The host's end of an engine in its own environment."""

from __future__ import annotations

import collections
import contextlib
import json
import os
import queue
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from studio.errors import EngineUnavailable
from studio.isolation import wire

WORKER = Path(__file__).with_name("worker.py")
KEPT_LINES = 40
"""Lines of standard error kept for the message about a worker that died."""
SHOWN_LINES = 8
HANG_UP_S = 5.0
"""How long a worker may take to leave when its input closes."""

Arrays = Sequence[NDArray[Any]]


class EngineFault(RuntimeError):
    """An exception inside a worker that lives on; `kind` is its class's name there."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind


class Worker:
    """One object in another interpreter; `with Worker(...) as worker: worker.call("method")`.

    Args:
        name: what errors call it, such as "music musicgen_audiocraft".
        python: the other environment's interpreter.
        target: `FILE.py:Class`, what to make there.
        arguments: the class's keyword arguments, as JSON holds them.
        remedy: what to do when it cannot run.
        start_s: how long it may take to load.

    A worker that dies in a call is started once more and the call repeated; when it dies again,
    or does not answer in time, `EngineUnavailable` holds the last lines of its standard error.
    """

    def __init__(
        self,
        name: str,
        python: Path,
        target: str,
        arguments: Mapping[str, Any],
        *,
        remedy: str,
        start_s: float = 600.0,
    ) -> None:
        self._name, self._python, self._target = name, python, target
        self._arguments, self._remedy, self._start_s = json.dumps(arguments), remedy, start_s
        self._process: subprocess.Popen[bytes] | None = None
        self._answers: queue.Queue[tuple[dict[str, Any], list[Any]] | Exception] = queue.Queue()
        self._errors: collections.deque[str] = collections.deque(maxlen=KEPT_LINES)
        self._listener: threading.Thread | None = None
        self._turn = threading.Lock()

    def __enter__(self) -> Self:
        self._start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def call(
        self, method: str, *arrays: NDArray[Any], limit_s: float = 3600.0, **arguments: Any
    ) -> tuple[Any, list[NDArray[np.float32]]]:
        """What the method returns: a JSON value and arrays. One call at a time; others wait.

        Raises `EngineFault` for an exception in the method, `EngineUnavailable` for a worker that
        died twice or did not answer within `limit_s`.
        """
        request = {"method": method, "arguments": arguments}
        with self._turn:
            for again in (True, False):
                if self._process is None or self._process.poll() is not None:
                    self._start()
                try:
                    return self._ask(request, arrays, limit_s)
                except (EOFError, OSError, ValueError) as error:
                    found = self._obituary()
                    if not again:
                        raise self._unavailable(found) from error
        raise AssertionError("unreachable: the second attempt returns or raises")

    def close(self) -> None:
        """Ask it to leave, then make it."""
        process = self._process
        if process is None:
            return
        with contextlib.suppress(OSError):
            if process.stdin is not None:
                process.stdin.close()
        try:
            process.wait(HANG_UP_S)
        except subprocess.TimeoutExpired:
            self._kill()
        self._process = None

    def _start(self) -> None:
        if not self._python.is_file():
            raise self._unavailable(f"no interpreter at {self._python}")
        # Variables that steer this environment's Python must not steer the other one's.
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        self._answers = queue.Queue()
        self._errors.clear()
        self._process = subprocess.Popen(  # noqa: S603 - a list, of our own making
            [str(self._python), str(WORKER), self._target, self._arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**environment, "PYTHONUNBUFFERED": "1", "HF_HUB_OFFLINE": "1"},
            start_new_session=True,
        )
        for task in (_listen, _keep):
            thread = threading.Thread(
                target=task, args=(self._process, self._answers, self._errors), daemon=True
            )
            thread.start()
            self._listener = thread
        try:
            self._answer(self._start_s)
        except (EOFError, OSError, ValueError) as error:
            raise self._unavailable(self._obituary()) from error
        except EngineFault as error:
            self._kill()
            raise self._unavailable(f"does not load ({error})") from error

    def _ask(
        self, request: dict[str, Any], arrays: Arrays, limit_s: float
    ) -> tuple[Any, list[NDArray[np.float32]]]:
        process = self._process
        if process is None or process.stdin is None:
            raise EOFError("not started")
        wire.send(process.stdin, request, arrays)
        header, results = self._answer(limit_s)
        return header["result"], results

    def _answer(self, limit_s: float) -> tuple[dict[str, Any], list[Any]]:
        try:
            answer = self._answers.get(timeout=limit_s)
        except queue.Empty:
            self._kill()
            raise self._unavailable(f"no answer within {limit_s:g} s; {self._last()}") from None
        if isinstance(answer, Exception):
            raise answer
        header, arrays = answer
        if not header["ok"]:
            raise EngineFault(header["kind"], header["error"])
        return header, arrays

    def _obituary(self) -> str:
        """How it ended and what it said last."""
        self._kill()
        status = self._process.returncode if self._process else None
        if self._listener is not None:
            self._listener.join(HANG_UP_S)
        how = f"killed by {signal.Signals(-status).name}" if status and status < 0 else status
        return f"the worker ended ({how}); {self._last()}"

    def _last(self) -> str:
        return "its last words: " + " / ".join(list(self._errors)[-SHOWN_LINES:])

    def _kill(self) -> None:
        process = self._process
        if process is None:
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.2)
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _unavailable(self, found: str) -> EngineUnavailable:
        return EngineUnavailable(self._name, found, self._remedy)


def _listen(
    process: subprocess.Popen[bytes],
    answers: queue.Queue[tuple[dict[str, Any], list[Any]] | Exception],
    _: collections.deque[str],
) -> None:
    """Put every message, then what ended them, into the queue."""
    if process.stdout is None:
        return
    try:
        while True:
            answers.put(wire.receive(process.stdout))
    except (EOFError, OSError, ValueError) as error:
        answers.put(error)


def _keep(
    process: subprocess.Popen[bytes],
    _: queue.Queue[tuple[dict[str, Any], list[Any]] | Exception],
    errors: collections.deque[str],
) -> None:
    """Keep the last lines that the worker wrote to standard error."""
    for line in process.stderr or ():
        errors.append(line.decode("utf-8", "replace").rstrip())
