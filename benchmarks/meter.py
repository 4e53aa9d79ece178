"""What the meter costs on this machine: its sampler at 5 and 10 Hz, and one reading.

Without a card NVML is not called, so the figure is the host's part; with cards it is the whole.

    python benchmarks/meter.py [--seconds 10] [--children 4] [--threads 16]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from studio.gpu.cards import load_nvml, survey
from studio.gpu.meter import Meter
from studio.gpu.processes import read_host


def main() -> None:
    """Measure with idle threads and children around, as a run has them."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--children", type=int, default=4)
    parser.add_argument("--threads", type=int, default=16)
    options = parser.parse_args()
    nvml, stop = load_nvml(), threading.Event()
    found = survey(nvml, os.environ)
    print(f"{len(found.cards)} card(s) {found.why}")
    threads = [threading.Thread(target=stop.wait, daemon=True) for _ in range(options.threads)]
    for thread in threads:
        thread.start()
    sleep = [sys.executable, "-S", "-c", "import time; time.sleep(600)"]
    children = [subprocess.Popen(sleep) for _ in range(options.children)]
    try:
        begin, repeats = time.thread_time(), 200
        for _ in range(repeats):
            read_host()
        print(f"one host reading: {(time.thread_time() - begin) / repeats * 1e6:.0f} µs of CPU")
        for sample_hz in (5.0, 10.0):
            with Meter(found.cards, nvml=nvml, sample_hz=sample_hz) as meter, meter.stage("bench"):
                time.sleep(options.seconds)
            print(f"{sample_hz:.0f} Hz: {100 * meter.cost_cores:.2f} % of a core")
    finally:
        stop.set()
        for child in children:
            child.kill()
            child.wait()


if __name__ == "__main__":
    main()
