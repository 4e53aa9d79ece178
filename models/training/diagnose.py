"""What holds a training loop up: measured in the loop itself, block by block.

Timing the input alone and the step alone cannot tell, since the two overlap and share a machine.
Here block A runs the real loop and block B repeats A's steps on the very batches A fetched; the
pairs are judged by `models.training.verdict`. Around them lies what makes the comparison fair:

- buffers are full after a pause, so they are drained before A, or A would eat what B's time made;
- the first steps after draining are not timed, or the first fetch's latency would count as a rate;
- before B the pipeline is given time to fill its buffers, or its work would slow B down;
- both blocks end with the device's answer, since a step returns before it is done.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from models.training.verdict import MIN_PAIRS, Verdict, judge
from studio.training import Effort

Parts = Sequence[dict[str, Any]]

_LEAD_STEPS = 2
"""Untimed steps after draining: the first waits for a whole batch, the second may for a part."""

_FEWEST = 2
"""Pairs that are measured whatever the budget: too few to decide, enough to say how far it is."""

_LEAST_STEPS = 8 * MIN_PAIRS
"""Steps that `MIN_PAIRS` pairs of short blocks take with all their lead."""

_LONGEST_PAUSE_S = 2.0
"""For the buffers to fill; an input that needs longer is slow enough to be found out anyway."""

_MOST_STEPS = 400
"""In a block: bounds the batches that are held in memory."""

_MOST_HELD_BYTES = 2**30


@dataclass(frozen=True, kw_only=True, eq=False)
class Loop:
    """A training loop to measure: `fetch` gives the batches of one step (one per replica), `step`
    runs on them, `wait` blocks until its result is there. Up to `buffered` batches may lie ready.
    """

    fetch: Callable[[], Parts]
    step: Callable[[Parts], Any]
    wait: Callable[[Any], None]
    buffered: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """A verdict with the figures around it. `fetch_s` is the median time a step of the loop spent
    in `fetch`, `padding` the share of frames that no clip fills, `transfer_bytes` what a step hands
    to its devices; the last two are None for batches that are not a corpus's.
    """

    verdict: Verdict
    fetch_s: float
    steps_per_block: int
    padding: float | None
    transfer_bytes: int | None


def measure(loop: Loop, effort: Effort, *, seed: int = 0) -> Measurement:
    """Measure a loop that is warm: all shapes traced, nothing compiled any more.

    Args:
        loop: the loop; its input must not end, it is read as long as the budget lasts.
        effort: how long it may take.
        seed: of the bootstrap.

    The verdict's confidence is 95 % over all looks together: they get a half, a quarter, an eighth,
    ... of the 5 %, or looking again until an interval fits would find what is not there.
    """
    until = time.monotonic() + effort.budget_s
    step_s = _step_s(loop)
    steps = _steps_per_block(loop, effort, step_s)
    # A slow input's latency shows in a short block, a long step's own steps are dear.
    lead = 1 if effort.budget_s < _LEAST_STEPS * step_s else _LEAD_STEPS
    blocks: list[_Pair] = []
    wanted, error = max(effort.pairs, MIN_PAIRS), 0.05
    while True:
        while len(blocks) < wanted and (len(blocks) < _FEWEST or time.monotonic() < until):
            blocks.append(_pair(loop, steps, lead))
        error /= 2.0
        verdict = judge(
            [pair.loop_s for pair in blocks],
            [pair.held_s for pair in blocks],
            input_s=[pair.input_s for pair in blocks],
            crowd_s=[pair.crowd_s for pair in blocks],
            confidence=1.0 - error,
            seed=seed,
        )
        if verdict.bound != "inconclusive" or time.monotonic() >= until:
            break
        wanted = 2 * len(blocks)
    fetch_s = sorted(pair.fetch_s for pair in blocks)
    return Measurement(
        verdict=verdict,
        fetch_s=fetch_s[len(fetch_s) // 2],
        steps_per_block=steps,
        padding=_mean([pair.padding for pair in blocks]),
        transfer_bytes=blocks[-1].transfer_bytes,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    """Seconds per step of a pair of blocks, of A's fetching, of all that the input can have cost A
    at most and of how much of that other programs may have caused, and what the batches were like.
    """

    loop_s: float
    held_s: float
    fetch_s: float
    input_s: float
    crowd_s: float
    padding: float | None
    transfer_bytes: int | None


def _pair(loop: Loop, steps: int, lead: int) -> _Pair:
    """Block A, and block B on the batches that A fetched."""
    pause_s = _drain(loop)
    for _ in range(lead):
        loop.wait(loop.step(loop.fetch()))
    held: list[Parts] = []
    fetching = queueing = 0.0
    result = None
    crowd = _Crowd.now()
    begin, busy = time.perf_counter(), _others_cpu_s()
    for _ in range(steps):
        before, queued = time.perf_counter(), _queued_s()
        held.append(loop.fetch())
        fetching += time.perf_counter() - before
        if queued is not None:
            queueing += (_queued_s() or queued) - queued
        result = loop.step(held[-1])
    loop.wait(result)
    loop_s, loop_busy = time.perf_counter() - begin, _others_cpu_s() - busy
    crowd_s = _Crowd.now().since(crowd)
    time.sleep(pause_s)
    begin, busy = time.perf_counter(), _others_cpu_s()
    for parts in held:
        result = loop.step(parts)
    loop.wait(result)
    held_s, held_busy = time.perf_counter() - begin, _others_cpu_s() - busy
    return _Pair(
        loop_s=loop_s / steps,
        held_s=held_s / steps,
        fetch_s=fetching / steps,
        # Threads of the input: what the other threads did beyond what the same steps need of them.
        input_s=(fetching - queueing + max(0.0, loop_busy - held_busy)) / steps,
        crowd_s=crowd_s / steps,
        padding=padding_of(held),
        transfer_bytes=transfer_of(held),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Crowd:
    """Seconds so far that the process's other threads could have run and had no core, that the
    process ran, and that all programs ran.
    """

    queued_s: float
    own_s: float
    all_s: float

    @classmethod
    def now(cls) -> _Crowd:
        """What the kernel has counted; nobody queues where it does not tell."""
        mine, queued_ns = threading.get_native_id(), 0
        for task in Path("/proc/self/task").glob("*"):
            try:
                told = (task / "schedstat").read_text(encoding="ascii").split()
            except OSError:  # the thread has ended, or the kernel does not tell
                continue
            queued_ns += int(told[1]) if task.name != str(mine) else 0
        times = psutil.cpu_times()
        names = ("user", "nice", "system", "irq", "softirq", "steal")
        busy = sum(getattr(times, name, 0.0) for name in names)
        return cls(queued_s=queued_ns / 1e9, own_s=time.process_time(), all_s=busy)

    def since(self, begin: _Crowd) -> float:
        """Seconds of queueing that other programs caused: their share of the cores' work."""
        own, busy = self.own_s - begin.own_s, self.all_s - begin.all_s
        others = max(0.0, busy - own)
        queued = max(0.0, self.queued_s - begin.queued_s)
        return queued * others / (others + own) if others else 0.0


def _queued_s() -> float | None:
    """Seconds for which this thread could have run and had no core; None where the kernel does not
    tell. On a crowded machine a fetch takes long although its batch lies ready: that is no input.
    """
    try:
        told = Path("/proc/thread-self/schedstat").read_text(encoding="ascii")
    except OSError:
        return None
    return int(told.split()[1]) / 1e9


def _others_cpu_s() -> float:
    """CPU time of all threads of the process but this one."""
    return time.process_time() - time.thread_time()


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _step_s(loop: Loop) -> float:
    """The time of a step on a held batch; the first of two is not timed."""
    first, second = loop.fetch(), loop.fetch()
    loop.wait(loop.step(first))
    begin = time.perf_counter()
    loop.wait(loop.step(second))
    return max(time.perf_counter() - begin, 1e-6)


def _steps_per_block(loop: Loop, effort: Effort, step_s: float) -> int:
    """Steps that fill a block; bounded by the memory they hold and by the time that there is."""
    size = transfer_of([loop.fetch()]) or 1
    most = min(_MOST_STEPS, max(4, _MOST_HELD_BYTES // size))
    # Two blocks a pair and the steps before them.
    affordable = max(1, int((effort.budget_s / step_s / MIN_PAIRS - _LEAD_STEPS) / 2.0))
    # Twice the buffers: what lies ready must not carry a whole block.
    usual = max(4, 2 * loop.buffered, round(effort.block_s / step_s))
    return int(min(most, affordable, usual))


def _drain(loop: Loop) -> float:
    """Take what lies ready; returns how long filling the buffers again takes."""
    slowest = 0.0
    for _ in range(loop.buffered + 1):
        begin = time.perf_counter()
        loop.fetch()
        slowest = max(slowest, time.perf_counter() - begin)
    return min(slowest * (loop.buffered + 1), _LONGEST_PAUSE_S)


def padding_of(held: Sequence[Parts]) -> float | None:
    """The share of frames in batches that belongs to no clip."""
    batches = [batch for parts in held for batch in parts]
    if not batches or not all("num_frames" in batch and "mel" in batch for batch in batches):
        return None
    used = sum(int(batch["num_frames"].numpy().sum()) for batch in batches)
    room = sum(int(batch["mel"].shape[0] * batch["mel"].shape[1]) for batch in batches)
    return 1.0 - used / room


def transfer_of(held: Sequence[Parts]) -> int | None:
    """Mean bytes that a step's batches hand to the devices."""
    if not held or not all(held[0]):
        return None
    total = 0
    for parts in held:
        for batch in parts:
            for tensor in batch.values():
                total += int(tensor.dtype.size) * int(tensor.shape.num_elements())
    return total // len(held)
