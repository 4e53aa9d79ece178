"""Where the networks run, how precisely, and how many frames at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import psutil
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from studio.errors import AvatarError, EngineUnavailable, SettingError
from studio.gpu.steps import step
from studio.specs import DeviceSpec

Frames = NDArray[np.uint8]
"""(n, height, width, 3), RGB."""

Network = TypeVar("Network", bound=nn.Module)

_DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
_SHARE = 0.5
"""Of the free memory that one batch may take; the rest is for fragmentation and for whoever else
is there.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """A device, the precision of what tolerates less than float32, and whether the hot path is
    compiled.
    """

    device: torch.device
    dtype: torch.dtype
    compiled: bool = False

    def settle(self, network: Network, *, channels_last: bool = True) -> Network:
        """A network that bears half precision, on the device, compiled if so asked.

        `channels_last` is the layout that oneDNN and cuDNN's tensor-core kernels work in;
        networks with instance normalisation, which wants planes, lose more by the changes of
        layout than the convolutions gain.
        """
        network.to(self.device, self.dtype)
        for parameter in (*network.parameters(), *network.buffers()):
            if channels_last and parameter.dim() == 4:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
        if self.compiled:
            network.compile()
        return network.eval()

    def batch(self, wanted: int, bytes_per_frame: int) -> int:
        """At most `wanted` frames, as many as free memory bears, never less than one."""
        if self.device.type == "cuda":
            free = torch.cuda.mem_get_info(self.device)[0]
        else:
            free = int(psutil.virtual_memory().available)
        return max(1, min(wanted, int(free * _SHARE) // bytes_per_frame))


def place(spec: DeviceSpec) -> Placement:
    """The placement that a profile asks for. "auto" is the card where there is one, else the
    processor.

    Raises:
        EngineUnavailable: A card is asked for and torch sees none.
        SettingError: Half precision on a processor: torch emulates it, slower than float32.
    """
    seen = torch.cuda.is_available()
    if spec.device == "cuda" and not seen:
        build = "" if torch.version.cuda else " (a CPU build of torch)"
        remedy = 'Install a CUDA build of torch, or use device "cpu"'
        raise EngineUnavailable("device", f"torch sees no CUDA card{build}", remedy)
    name = "cuda" if spec.device == "cuda" or (spec.device == "auto" and seen) else "cpu"
    if name == "cpu" and spec.dtype == "fp16":
        found = "fp16 on a processor is emulated and slower than fp32"
        raise SettingError("device.dtype", found, 'Use "bf16" or "fp32"')
    if name == "cpu" and spec.threads:
        torch.set_num_threads(spec.threads)
    device = torch.device(name)
    return Placement(device=device, dtype=_DTYPES[spec.dtype], compiled=spec.compile)


@contextmanager
def surfacing(stage: str) -> Iterator[None]:
    """Turns an error of torch into an `AvatarError` at once; nothing is retried in the dark."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        remedy = "Lower avatar.batch, or use a smaller size or half precision"
        raise AvatarError(stage, f"out of GPU memory ({_first_line(error)})", remedy) from error
    except RuntimeError as error:
        if isinstance(error, AvatarError):
            raise
        raise AvatarError(
            stage, _first_line(error), "See the cause above; no frame was lost"
        ) from error


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def to_host(batches: Iterable[Tensor]) -> Iterator[Frames]:
    """Finished uint8 frames from the device, each copied while the next batch is being worked on.

    One batch is in flight: memory is constant, the device never waits for the copy.

    Raises `AvatarError` for what a kernel of the batch did wrong: a card tells of it here, where it
    is waited for.
    """
    waiting: tuple[Tensor, torch.cuda.Event | None] | None = None
    for batch in batches:
        event: torch.cuda.Event | None = None
        host = batch
        if batch.is_cuda:
            with surfacing("frames to memory"):
                host = torch.empty(batch.shape, dtype=batch.dtype, pin_memory=True)
                host.copy_(batch, non_blocking=True)
                event = torch.cuda.Event()  # type: ignore[no-untyped-call]
                event.record()
        if waiting is not None:
            yield _arrived(*waiting)
        waiting = host, event
    if waiting is not None:
        yield _arrived(*waiting)


def _arrived(host: Tensor, event: torch.cuda.Event | None) -> Frames:
    if event is not None:
        with surfacing("frames to memory"), step("waiting for the card"):
            event.synchronize()
    frames: Frames = host.numpy()
    return frames
