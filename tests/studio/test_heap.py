"""Threads that come and go do not each keep a heap."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from studio.heap import HEAPS, share_heaps

COUNT = """
import ctypes, re, sys, tempfile, threading
from studio.heap import share_heaps
assert {shared} is False or share_heaps()
gate = threading.Barrier(9)
def work():
    block = ctypes.create_string_buffer(4096)
    gate.wait(30)
threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads: thread.start()
gate.wait(30)
for thread in threads: thread.join()
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
with tempfile.NamedTemporaryFile() as file:
    stream = ctypes.c_void_p(libc.fopen(file.name.encode(), b"w"))
    assert libc.malloc_info(0, stream) == 0
    libc.fclose(stream)
    print(len(re.findall(r"<heap nr=", file.read().decode())))
"""


def _heaps(*, shared: bool) -> int:
    code = COUNT.format(shared=shared)
    told = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    return int(told.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's heaps")
def test_eight_threads_share_two_heaps() -> None:
    if not share_heaps():
        pytest.skip("another C library")
    assert _heaps(shared=False) > HEAPS
    assert _heaps(shared=True) == HEAPS
