"""Whole episodes through `studio create`, each in a store of its own.

    python benchmarks/episode.py --minutes 1 5 --profile cpu

Prints a Markdown row per length: wall and CPU seconds of the whole process tree (the Prefect server
included), its peak memory, and the same command run again with nothing changed. CPU seconds are
those the kernel accounted to the finished processes.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

WORDS_A_MINUTE = 150
PARAGRAPHS = (
    "A graphics card is a very fast worker in a very slow office. It waits for its files.",
    "Nobody measured the queue, so everybody bought a faster worker. The queue stayed.",
    "We looked at the timeline of one night. The card was busy for eleven minutes of sixty.",
    "The rest was reading, unpacking, resizing and one long sleep before the encoder woke up.",
    "So the first rule is simple: measure, attribute, and only then change one single thing.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What one command took."""

    wall_s: float
    cpu_s: float
    peak_mib: float


def write_script(path: Path, minutes: float) -> None:
    """A script of about that length, with a chapter and another music cue every two minutes."""
    lines, words, paragraph = [f"# {minutes:g} minutes", "", "[MUSIC: calm warm piano]"], 0, 0
    while words < minutes * WORDS_A_MINUTE:
        if paragraph and paragraph % 20 == 0:
            lines += [f"## Part {paragraph // 20 + 1}", f"[MUSIC: mood {paragraph}, soft pads]"]
        text = f"Number {paragraph + 1}. {PARAGRAPHS[paragraph % len(PARAGRAPHS)]}"
        lines += [text, ""]
        words += len(text.split())
        paragraph += 1
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def measure(command: list[str], environ: dict[str, str]) -> Figures:
    """Run a command and account for its whole process tree."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    with subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL) as process:
        peak = [0.0]
        watcher = threading.Thread(target=_watch, args=(process, peak), daemon=True)
        watcher.start()
        code = process.wait()
    wall_s = time.perf_counter() - start
    watcher.join()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if code:
        raise SystemExit(f"{' '.join(command)}: exit code {code}")
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Figures(wall_s=wall_s, cpu_s=cpu_s, peak_mib=peak[0])


def _watch(process: subprocess.Popen[bytes], peak: list[float]) -> None:
    """Keep the largest sum of memory over the tree, pages that processes share counted once."""
    try:
        parent = psutil.Process(process.pid)
        while process.poll() is None:
            tree = [parent, *parent.children(recursive=True)]
            total = 0
            for member in tree:
                try:
                    total += member.memory_full_info().pss
                except (psutil.NoSuchProcess, psutil.AccessDenied):
                    continue
            peak[0] = max(peak[0], total / 2**20)
            time.sleep(0.2)
    except psutil.NoSuchProcess:
        return


def main() -> None:
    """Measure the lengths that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, nargs="+", default=[1.0])
    parser.add_argument("--profile", default="cpu")
    parser.add_argument("options", nargs="*", help="further options of `studio create`, after --")
    told = parser.parse_args()
    machine = platform.processor() or platform.machine()
    print(f"{machine}, {os.cpu_count()} cores, {time.strftime('%F')}")
    print(f"studio create --profile {told.profile} {' '.join(told.options)}\n")
    print(
        "| length | wall s | CPU s | CPU s per minute | peak MiB | again: wall s | again: CPU s |"
    )
    print("|---|---|---|---|---|---|---|")
    for minutes in told.minutes:
        with tempfile.TemporaryDirectory() as folder:
            script = Path(folder) / "bench.txt"
            write_script(script, minutes)
            environ = {**os.environ, "STUDIO_HOME": f"{folder}/store"}
            command = [
                str(Path(sys.executable).parent / "studio"),
                "create",
                str(script),
                *("--profile", told.profile),
                *("--out-dir", f"{folder}/out"),
                "--no-progress",
                *told.options,
            ]
            first, again = measure(command, environ), measure(command, environ)
            print(
                f"| {minutes:g} min | {first.wall_s:.1f} | {first.cpu_s:.1f} "
                f"| {first.cpu_s / minutes:.1f} | {first.peak_mib:.0f} "
                f"| {again.wall_s:.1f} | {again.cpu_s:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
