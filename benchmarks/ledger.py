"""How long a card lies idle while somebody waits, and how long a hand-over takes.

Three episodes share 32 GiB.

Each episode is a process of its own; speech (8 GiB) and music (16 GiB) run side by side, then the
avatar (24 GiB), then the encode (2 GiB and an encoder session). Work is simulated by sleeping: what
is measured is the ledger, not CUDA.

A moment counts as idle when somebody waits whose request would fit into what is free, in order of
arrival.

Then one process holds the whole card while another waits: from the return, or from the `kill -9`,
to the grant.

    python benchmarks/ledger.py [--scale 1.0] [--rounds 3] [--hand-overs 12]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

from studio.gpu.cards import Card  # noqa: E402
from studio.gpu.ledger import Ledger  # noqa: E402
from studio.gpu.placement import Request, Share, plan  # noqa: E402

CARD = Card(index=0, uuid="bench", name="bench", memory_gib=32.0, nvenc_sessions=3)
STAGES = {
    "speech": (8.0, 0, 1.5),
    "music": (16.0, 0, 2.0),
    "avatar": (24.0, 0, 2.5),
    "encode": (2.0, 1, 1.0),
}


def run_stage(ledger: Ledger, log: Any, stage: str, scale: float) -> None:
    """Wait, hold, return; write down when."""
    need_gib, nvenc, seconds = STAGES[stage]
    with ledger.lend(stage=stage, need_gib=need_gib, nvenc=nvenc) as lease:
        time.sleep(seconds * scale)
    times = {"asked": lease.asked_ns, "granted": lease.granted_ns, "returned": lease.returned_ns}
    log.write(json.dumps({"stage": stage, **times}) + "\n")


def episode(root: str, log_path: str, scale: float) -> None:
    """One episode: two stages side by side, then two in a row."""
    ledger = Ledger(Path(root), [CARD])
    with Path(log_path).open("w", encoding="utf-8") as log:
        pair = [
            threading.Thread(target=run_stage, args=(ledger, log, stage, scale))
            for stage in ("speech", "music")
        ]
        for thread in pair:
            thread.start()
        for thread in pair:
            thread.join()
        run_stage(ledger, log, "avatar", scale)
        run_stage(ledger, log, "encode", scale)


def idle_while_waiting_ns(loans: list[dict[str, Any]]) -> int:
    """Time in which the oldest waiter would have fitted into what was free."""
    edges = sorted({loan[key] for loan in loans for key in ("asked", "granted", "returned")})
    idle = 0
    whole = {CARD.uuid: Share(round(CARD.memory_gib * 1024), CARD.nvenc_sessions)}
    for start, end in pairwise(edges):
        held = [
            (CARD.uuid, need(loan)) for loan in loans if loan["granted"] <= start < loan["returned"]
        ]
        waits = sorted(
            (loan for loan in loans if loan["asked"] <= start < loan["granted"]),
            key=lambda loan: int(loan["asked"]),
        )
        if plan(held, [Request(str(n), need(loan), whole) for n, loan in enumerate(waits)]):
            idle += end - start
    return idle


def need(loan: dict[str, Any]) -> Share:
    """What a loan takes."""
    gib, nvenc, _ = STAGES[loan["stage"]]
    return Share(round(gib * 1024), nvenc)


def hold(root: str) -> None:
    """Hold the whole card until told to return it; say when that was."""
    lease = Ledger(Path(root), [CARD]).lend(stage="holder", need_gib=CARD.memory_gib)
    print("held", flush=True)
    sys.stdin.readline()
    lease.give_back()
    print(lease.returned_ns, flush=True)


def hand_over_ms(root: str, *, kill: bool) -> float:
    """From a return, or from the moment before a `kill -9`, to the next waiter's grant."""
    command = [sys.executable, __file__, "--hold", root]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as holder:
        if holder.stdin is None or holder.stdout is None:
            raise SystemExit("the holder has no pipes")
        holder.stdout.readline()
        ledger = Ledger(Path(root), [CARD])
        granted: list[int] = []

        def wait() -> None:
            with ledger.lend(stage="waiter", need_gib=CARD.memory_gib) as lease:
                granted.append(lease.granted_ns)

        waiter = threading.Thread(target=wait)
        waiter.start()
        while not ledger.somebody_waits():
            time.sleep(0.01)
        time.sleep(0.3)
        if kill:
            ended_ns = time.monotonic_ns()
            holder.kill()
        else:
            holder.stdin.write("\n")
            holder.stdin.flush()
            ended_ns = int(holder.stdout.readline())
        waiter.join()
    return (granted[0] - ended_ns) * 1e-6


def main() -> None:
    """Print the figures of some rounds."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--scale", type=float, default=1.0, help="stretches every stage's work")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--hand-overs", type=int, default=12)
    parser.add_argument("--episode", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--hold", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.hold:
        hold(options.hold)
        return
    if options.episode:
        root, log = options.episode
        episode(root, log, options.scale)
        return
    for _ in range(options.rounds):
        three_episodes(options.scale)
    for kill, words in ((False, "a return"), (True, "a kill -9")):
        with tempfile.TemporaryDirectory() as folder:
            times = [hand_over_ms(folder, kill=kill) for _ in range(options.hand_overs)]
        if times:
            print(
                f"hand-over after {words}: median {statistics.median(times):.0f} ms, "
                f"largest {max(times):.0f} of {len(times)}"
            )


def three_episodes(scale: float) -> None:
    """Run three episodes at once and print the figures."""
    with tempfile.TemporaryDirectory() as folder:
        logs = [Path(folder) / f"episode-{number}.jsonl" for number in range(3)]
        command = [
            sys.executable,
            __file__,
            "--scale",
            str(scale),
            "--episode",
            f"{folder}/ledger",
        ]
        running = [subprocess.Popen([*command, str(log)]) for log in logs]
        if any(process.wait() for process in running):
            raise SystemExit("an episode failed")
        loans = [json.loads(line) for log in logs for line in log.read_text().splitlines()]
    span = max(loan["returned"] for loan in loans) - min(loan["asked"] for loan in loans)
    idle = idle_while_waiting_ns(loans)
    used = sum((loan["returned"] - loan["granted"]) * need(loan).mib for loan in loans)
    share = 100 * idle / span
    print(f"span {span * 1e-9:.2f} s")
    print(f"idle while somebody waits {idle * 1e-9:.3f} s = {share:.2f} %")
    print(f"memory-time used {100 * used / span / (CARD.memory_gib * 1024):.0f} %")


if __name__ == "__main__":
    main()
