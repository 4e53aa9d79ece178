"""An engine for the worker: counts its calls, misbehaves on request. Standard library and numpy."""

import ctypes
import os
import sys
import time
from pathlib import Path
from typing import Any


class Tiny:
    def __init__(self, start: int = 0, fail: bool = False) -> None:
        print("chatter on standard output")
        if fail:
            raise ImportError("no such weights")
        self.calls = start

    def scale(self, samples: Any, gain: float) -> Any:
        self.calls += 1
        print("working")
        return {"calls": self.calls, "pid": os.getpid()}, [samples * samples.dtype.type(gain)]

    def refuse(self) -> Any:
        raise KeyError("no such voice")

    def crash(self, flag: str) -> Any:
        print("about to crash", file=sys.stderr, flush=True)
        if not Path(flag).exists():
            Path(flag).touch()
            ctypes.string_at(0)
        return {"calls": self.calls}, []

    def always_crash(self) -> Any:
        print("the last straw", file=sys.stderr, flush=True)
        ctypes.string_at(0)

    def sleep(self) -> Any:
        time.sleep(60)
