"""How the avatar benchmarks measure: seconds by part, medians, rows of their table."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from torch import nn

SHORT = {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}


class Laps:
    """Seconds by part, of the processor, or elapsed where a card works; every moment belongs to
    the part that ends it.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.parts: dict[str, float] = {}
        self._last = self._now()

    def _now(self) -> float:
        if self._device.type == "cpu":
            return time.process_time()
        torch.cuda.synchronize()
        return time.perf_counter()

    def end(self, part: str) -> None:
        """`part` ends here."""
        now = self._now()
        self.parts[part] = self.parts.get(part, 0.0) + now - self._last
        self._last = now


def enliven(network: nn.Module) -> nn.Module:
    """Random weights under which signals neither die nor explode, and lively statistics."""
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.Linear)):
            nn.init.kaiming_uniform_(module.weight, a=1.0)
        if isinstance(module, (nn.BatchNorm2d, nn.BatchNorm3d)):
            module.running_mean = torch.rand_like(module.weight) * 0.2 - 0.1
            module.running_var = torch.rand_like(module.weight) + 0.5
    return network.eval().requires_grad_(requires_grad=False)


def seconds(device: torch.device, work: Callable[[], object], repeats: int = 3) -> float:
    """Median seconds of `work` after one warm-up."""
    work()
    figures = []
    for _ in range(repeats):
        laps = Laps(device)
        work()
        laps.end("work")
        figures.append(laps.parts["work"])
    return statistics.median(figures)


def psnr_db(exact: torch.Tensor, other: torch.Tensor) -> float:
    """Peak signal to noise of pictures in [0, 1]."""
    return float(-10 * (exact.float() - other.float()).square().mean().clamp(min=1e-12).log10())


def report(name: str, frames: int, elapsed: float, base: float, note: str = "") -> None:
    """One line of the table; `base` is what the direct way takes for as many frames."""
    rate, gain = frames / elapsed, base / elapsed
    cost_ms = 1e3 * elapsed / frames
    print(f"{name:34s} {cost_ms:9.1f} ms/frame {rate:8.2f} fps {gain:6.2f} x  {note}", flush=True)


def in_parts(parts: dict[str, float], frames: int) -> str:
    """Milliseconds per frame of every part."""
    return ", ".join(f"{name} {1e3 * part / frames:.1f}" for name, part in parts.items())
