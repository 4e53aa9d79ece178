"""Peak memory and speed of the neural engines at their published sizes, with random weights.

    OMP_NUM_THREADS=1 python benchmarks/engine_memory.py vits:fp32 xtts_v2:fp32 musicgen-small:bf16
    python benchmarks/engine_memory.py --device cuda --compile musicgen-large:bf16

Each row is a process of its own: the engine is opened through its door, makes a line or a cue, and
makes it again warm. On a CPU the figure is the process' peak resident memory above what it held
with the libraries loaded, which counts a checkpoint's mapped file as far as it was read; on a card
it is what PyTorch reserved at most. Times real is the length of what was made over the seconds of
the warm run: CPU seconds on a CPU (set one thread), seconds by the clock on a card.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import torch

from benchmarks.published_sizes import save_musicgen, save_vits, save_xtts
from models.music import CueSpec, open_composer
from models.voice import LineSpec, open_voice
from studio.specs import DeviceSpec, MusicSpec, VoiceSpec
from studio.types import SAMPLE_RATE

GIB = 2**30
TEXT = "Somewhere tonight, a graphics card is doing nothing at all."


def build(name: str, dtype: str, folder: Path) -> None:
    """The checkpoint of a row. Its file is in full precision, as published; large ones are written
    in bf16 where they are run in it, for want of room.
    """
    if name == "vits":
        save_vits(folder)
    elif name == "xtts_v2":
        save_xtts(folder)
    else:
        large = name.endswith("large") and dtype != "fp32"
        model = name.removeprefix("musicgen-")
        save_musicgen(folder, model, torch.bfloat16 if large else torch.float32)


def measure(name: str, device: DeviceSpec, folder: Path, seconds: float, batch: int) -> str:
    """A row of the table."""
    if name.startswith("musicgen"):
        from models.music.musicgen_weights import require_packages

        require_packages()
        import transformers  # noqa: F401
    else:
        from models.voice.coqui_runtime import load_library

        load_library()
        import TTS.utils.synthesizer  # noqa: F401
    before = psutil.Process().memory_info().rss
    began = time.perf_counter()
    if name.startswith("musicgen"):
        spec = MusicSpec(weights_dir=str(folder), batch=batch)
        cues = [CueSpec(prompt="soft piano", seconds=seconds, seed=n) for n in range(batch)]
        with open_composer("musicgen_hf", spec, device) as composer:
            opened = time.perf_counter() - began

            def work() -> float:
                return sum(piece.hop_samples for piece in composer.compose(cues)) / SAMPLE_RATE

            figures = _timed(work, device)
    else:
        voice_spec = VoiceSpec(weights_dir=str(folder))
        with open_voice("coqui_tts", voice_spec, device) as voice:
            opened = time.perf_counter() - began
            (who,) = voice.cast(["A"], {}).values()
            lines = [LineSpec(text=TEXT, voice=who, seed=n) for n in range(batch)]

            def work() -> float:
                return sum(len(one.samples) / one.sample_rate for one in voice.say(lines))

            figures = _timed(work, device)
    if device.device == "cuda":
        peak = float(torch.cuda.max_memory_reserved())
    else:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0 - before
    made_s, cold_s, warm_s = figures
    return (
        f"| {name} | {device.dtype} | {batch} | {peak / GIB:.2f} | {opened:.1f} | {cold_s:.1f} "
        f"| {made_s:.1f} | {warm_s:.1f} | {made_s / warm_s:.3f} |"
    )


def _timed(work: Callable[[], float], device: DeviceSpec) -> tuple[float, float, float]:
    """Seconds made, and how long that took first and again."""
    took = []
    made = 0.0
    now = time.perf_counter if device.device == "cuda" else time.process_time
    for _ in range(2):
        began = now()
        made = work()
        if device.device == "cuda":
            torch.cuda.synchronize()
        took.append(now() - began)
    return made, took[0], took[1]


def main() -> None:
    """Measure each row in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("rows", nargs="+", help="NAME:DTYPE, such as musicgen-small:bf16")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--seconds", type=float, default=2.0, help="of a cue")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.folder:
        (row,) = told.rows
        name, _, dtype = row.partition(":")
        device = DeviceSpec.model_validate(
            {
                "device": told.device,
                "dtype": dtype,
                "compile": told.compile,
                "threads": int(os.environ.get("OMP_NUM_THREADS", "0")),
            }
        )
        print(measure(name, device, told.folder, told.seconds, told.batch), flush=True)
        return
    print(
        "| engine | dtype | batch | peak GiB | open s | first s | made s | again s | times real |"
    )
    print("|---|---|---|---|---|---|---|---|---|", flush=True)
    for row in told.rows:
        _row(row)


def _row(row: str) -> None:
    """Build the checkpoint and measure, each in a process of its own, so that neither's memory
    counts in the other's.
    """
    name, _, dtype = row.partition(":")
    folder = Path(tempfile.mkdtemp(prefix="published-size-"))
    try:
        making = f"from benchmarks.engine_memory import build; import pathlib, sys; \
build({name!r}, {dtype!r}, pathlib.Path({str(folder)!r}))"
        subprocess.run([sys.executable, "-c", making], check=True, stdout=subprocess.DEVNULL)
        command = [sys.executable, "-m", "benchmarks.engine_memory", "--folder", str(folder)]
        subprocess.run([*command, *sys.argv[1 : -len(_rows())], row], check=True)
    finally:
        shutil.rmtree(folder)


def _rows() -> list[str]:
    return [argument for argument in sys.argv[1:] if ":" in argument]


if __name__ == "__main__":
    main()
