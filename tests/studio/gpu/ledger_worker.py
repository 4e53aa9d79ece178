"""A process that borrows and returns at random, in several threads, and writes down what it held
when.
"""

from __future__ import annotations

import json
import os
import random
import sys
import threading
import time
from pathlib import Path

from studio.gpu.cards import Card
from studio.gpu.ledger import Ledger

CARDS = (
    Card(index=0, uuid="big", name="big", memory_gib=24.0, nvenc_sessions=2),
    Card(index=1, uuid="small", name="small", memory_gib=8.0, nvenc_sessions=1),
)


def work(ledger: Ledger, log: int, seed: int, jobs: int) -> None:
    """Borrow `jobs` times; each record says what was held from when to when (one append per line is
    atomic).
    """
    draw = random.Random(seed)  # noqa: S311
    for _ in range(jobs):
        need = draw.choice([0.5, 3.0, 7.5, 16.0, 24.0])
        nvenc = draw.choice([0, 0, 1]) if need < 20 else 0
        with ledger.lend(stage=f"s{seed}", need_gib=need, nvenc=nvenc, timeout_s=60.0) as lease:
            start = time.monotonic()
            record = {"card": lease.card.uuid, "mib": round(need * 1024), "nvenc": nvenc}
            record |= {"pid": os.getpid(), "start": start, "key": f"{seed}-{start}"}
            os.write(log, (json.dumps(record) + "\n").encode())
            time.sleep(draw.uniform(0.0, 0.02))
            ended = {"key": record["key"], "end": time.monotonic()}
            os.write(log, (json.dumps(ended) + "\n").encode())


def main(root: str, log_path: str, seed: int, threads: int, jobs: int) -> None:
    """Run the threads to their end."""
    ledger = Ledger(Path(root), CARDS)
    log = os.open(log_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    workers = [
        threading.Thread(target=work, args=(ledger, log, seed * 100 + number, jobs))
        for number in range(threads)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *(int(text) for text in sys.argv[3:6]))
