"""What this process, its threads and its children take from the host, with as fine a clock as the
kernel has.

On Linux everything is read from /proc and the kernel's CPU clocks (about 20 µs per child, 1 µs per
thread); elsewhere psutil answers the same questions more coarsely. Nothing here raises for a
process that ended in mid-reading.
"""

from __future__ import annotations

import os
import resource
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

_INIT_PID_NAMESPACE = "pid:[4026531836]"
"""The kernel gives the host's own PID namespace this fixed inode number (PROC_PID_INIT_INO,
0xEFFFFFFC).
"""

_TICK_NS = 1_000_000_000 // (os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100)
_PAGE_B = resource.getpagesize()


@dataclass(frozen=True, slots=True)
class ChildReading:
    """A child process (at any depth). `parent_tid` is the thread of ours that started the branch,
    where known.
    """

    pid: int
    parent_tid: int | None
    cpu_ns: int
    rss_b: int
    read_b: int | None
    write_b: int | None


@dataclass(frozen=True, slots=True)
class HostReading:
    """Counters since each process began. `reaped_ns` is the CPU time of children that ended and
    were waited for.
    """

    threads_ns: dict[int, int]
    process_ns: int
    reaped_ns: int
    rss_b: int
    read_b: int | None
    write_b: int | None
    children: dict[int, ChildReading] = field(default_factory=dict)
    io_stall_ns: int | None = None
    cpu_stall_ns: int | None = None

    @property
    def cpu_ns(self) -> int:
        """CPU time of the whole tree."""
        return self.process_ns + self.reaped_ns + sum(c.cpu_ns for c in self.children.values())


def processes_visible() -> bool:
    """Whether NVML's process numbers are ours: false inside a container with its own PID
    namespace.
    """
    try:
        return str(Path("/proc/self/ns/pid").readlink()) == _INIT_PID_NAMESPACE
    except OSError:
        return sys.platform != "linux"


def cpu_count() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def read_host() -> HostReading:
    """One reading of the whole process tree."""
    return _read_linux() if sys.platform == "linux" else read_host_portably()


def thread_clock_ns(tid: int) -> int | None:
    """CPU time of one thread of this process, native ones included; `None` once it has ended.

    The kernel encodes a thread's CPU clock as `~tid << 3 | CPUCLOCK_PERTHREAD (4) | CPUCLOCK_SCHED
    (2)`.
    """
    try:
        return time.clock_gettime_ns((~tid << 3) | 6)
    except OSError:
        return None


def _slurp(path: str) -> bytes:
    """A file of /proc in one call; each of them fits."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, 65_536)
    finally:
        os.close(descriptor)


def _tasks(pid: int | str) -> list[int]:
    with os.scandir(f"/proc/{pid}/task") as entries:
        return [int(entry.name) for entry in entries]


def _read_linux() -> HostReading:
    # Threads before the process, so that the process's clock has seen at least what the threads'
    # clocks have.
    tids = _tasks("self")
    threads = {tid: spent for tid in tids if (spent := thread_clock_ns(tid)) is not None}
    children = _children(tids)
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    read_b, write_b = _storage_bytes("self")
    return HostReading(
        threads_ns=threads,
        process_ns=time.process_time_ns(),
        reaped_ns=round((usage.ru_utime + usage.ru_stime) * 1e9),
        rss_b=int(_slurp("/proc/self/statm").split()[1]) * _PAGE_B,
        read_b=read_b,
        write_b=write_b,
        children=children,
        io_stall_ns=_stall_ns("io"),
        cpu_stall_ns=_stall_ns("cpu"),
    )


def _children(tids: list[int]) -> dict[int, ChildReading]:
    """All descendants; each knows the thread of ours at the root of its branch."""
    found: dict[int, ChildReading] = {}
    frontier = [(pid, tid) for tid in tids for pid in _children_of("self", tid)]
    while frontier:
        pid, root_tid = frontier.pop()
        reading = _child(pid, root_tid)
        if reading is None or pid in found:
            continue
        found[pid] = reading
        try:
            below = _tasks(pid)
        except OSError:
            continue
        frontier += [
            (grandchild, root_tid) for tid in below for grandchild in _children_of(pid, tid)
        ]
    return found


def _children_of(pid: int | str, tid: int) -> list[int]:
    """Processes started by one thread (needs CONFIG_PROC_CHILDREN, which every distribution
    sets).
    """
    try:
        return [int(text) for text in _slurp(f"/proc/{pid}/task/{tid}/children").split()]
    except OSError:
        return []


def _child(pid: int, root_tid: int) -> ChildReading | None:
    try:
        # the name in brackets may hold blanks: count from behind it (proc(5): utime is field 14)
        fields = _slurp(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    except OSError:
        return None
    ticks = sum(int(text) for text in fields[11:15])
    read_b, write_b = _storage_bytes(pid)
    return ChildReading(pid, root_tid, ticks * _TICK_NS, int(fields[21]) * _PAGE_B, read_b, write_b)


def _storage_bytes(pid: int | str) -> tuple[int | None, int | None]:
    try:
        pairs = dict(line.split(b": ") for line in _slurp(f"/proc/{pid}/io").splitlines())
        return int(pairs[b"read_bytes"]), int(pairs[b"write_bytes"])
    except (OSError, KeyError, ValueError):
        return None, None


def thread_bytes(tid: int) -> tuple[int, int] | None:
    """Bytes that one thread of this process fetched from and handed to storage, where the kernel
    counts them.
    """
    read_b, write_b = _storage_bytes(f"self/task/{tid}")
    return None if read_b is None or write_b is None else (read_b, write_b)


def _stall_ns(resource_name: str) -> int | None:
    """Time in which at least one task of the host waited for a resource (pressure stall
    information).
    """
    try:
        some = _slurp(f"/proc/pressure/{resource_name}").partition(b"\n")[0]
        return int(some.rpartition(b"total=")[2]) * 1000
    except (OSError, ValueError):
        return None


def read_host_portably() -> HostReading:
    """The same through psutil: CPU clocks of 10 ms, children without the thread that started
    them.
    """
    process_of: Any = psutil.Process
    me = process_of()
    with me.oneshot():
        threads = {
            item.id: round((item.user_time + item.system_time) * 1e9) for item in me.threads()
        }
        times, memory = me.cpu_times(), me.memory_info()
    threads[threading.get_native_id()] = time.thread_time_ns()
    children: dict[int, ChildReading] = {}
    for process in me.children(recursive=True):
        try:
            with process.oneshot():
                spent = sum(process.cpu_times()[:4])
                read_b, write_b = _psutil_bytes(process)
                rss_b = process.memory_info().rss
        except psutil.Error:
            continue
        children[process.pid] = ChildReading(
            process.pid, None, round(spent * 1e9), rss_b, read_b, write_b
        )
    read_b, write_b = _psutil_bytes(me)
    return HostReading(
        threads_ns=threads,
        process_ns=time.process_time_ns(),
        reaped_ns=round((times.children_user + times.children_system) * 1e9),
        rss_b=memory.rss,
        read_b=read_b,
        write_b=write_b,
        children=children,
    )


def _psutil_bytes(process: Any) -> tuple[int | None, int | None]:
    # macOS has no per-process I/O counters
    if not hasattr(process, "io_counters"):
        return None, None
    try:
        counters = process.io_counters()
    except (psutil.Error, OSError):
        return None, None
    return counters.read_bytes, counters.write_bytes
