"""Waiting for a folder to change, with the kernel's help and without."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from studio.gpu import folder_watch
from studio.gpu.folder_watch import ExitWatch, FolderWatch


@pytest.mark.parametrize("kernel", [True, False])
def test_a_change_ends_the_wait_and_silence_lasts_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kernel: bool
) -> None:
    if not kernel:
        monkeypatch.setattr(folder_watch, "_inotify", lambda folder: -1)
    (tmp_path / "there").touch()
    with FolderWatch(tmp_path) as watch:
        if kernel and not watch.by_kernel:
            pytest.skip("no inotify here")
        assert watch.by_kernel == kernel
        begin = time.monotonic()
        watch.wait(0.1)
        assert time.monotonic() - begin >= 0.09
        for change in ((tmp_path / "new").touch, (tmp_path / "there").unlink):
            later = threading.Timer(0.05, change)
            begin = time.monotonic()
            later.start()
            watch.wait(10.0)
            assert time.monotonic() - begin < 5.0
            later.join()
    watch.close()


def test_the_end_of_a_process_ends_the_wait_once(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(60)"])
    exits = ExitWatch()
    try:
        with FolderWatch(tmp_path) as watch:
            ends = exits.of([child.pid, os.getpid()])
            if not (watch.by_kernel and exits.complete):
                pytest.skip("no pidfd here")
            assert len(ends) == 1
            begin = time.monotonic()
            threading.Timer(0.1, child.kill).start()
            watch.wait(10.0, ends)
            assert 0.05 < time.monotonic() - begin < 5.0
            # its number may stay on a ticket that a child of it keeps alive: no reason to wake
            # again
            assert exits.of([child.pid]) == []
            assert not exits.complete
    finally:
        child.kill()
        child.wait()
        exits.close()
    assert exits.of([2**22 + 1]) == []
    assert not exits.complete


def test_a_change_before_the_wait_is_not_missed(tmp_path: Path) -> None:
    with FolderWatch(tmp_path) as watch:
        time.sleep(0.02)
        (tmp_path / "new").touch()
        begin = time.monotonic()
        watch.wait(10.0)
        assert time.monotonic() - begin < 5.0
