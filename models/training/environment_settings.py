"""Environment variables of TensorFlow's native libraries, and when each is read.

A variable that is set after it has been read does nothing, without a word: the report says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Read = Literal["import", "devices", "compile"]
"""At the import of tensorflow, when the devices are made (the first op), or at the first XLA
compilation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """When it is read, whether it needs a GPU, and what is worth knowing about it."""

    read: Read
    needs_gpu: bool = False
    caution: str = ""


VARIABLES: dict[str, Variable] = {
    "TF_CPP_MIN_LOG_LEVEL": Variable(read="import"),
    "TF_ENABLE_ONEDNN_OPTS": Variable(read="import", caution="changes rounding on a CPU"),
    "CUDA_VISIBLE_DEVICES": Variable(
        read="devices", needs_gpu=True, caution="devices.visible_gpus counts what this leaves"
    ),
    "TF_FORCE_GPU_ALLOW_GROWTH": Variable(
        read="devices", needs_gpu=True, caution="overrides memory.growth"
    ),
    "TF_GPU_ALLOCATOR": Variable(read="devices", needs_gpu=True, caution="cuda_malloc_async"),
    "TF_GPU_THREAD_MODE": Variable(
        read="devices", needs_gpu=True, caution="gpu_private keeps kernel launches apart"
    ),
    "TF_GPU_THREAD_COUNT": Variable(
        read="devices", needs_gpu=True, caution="2 to 4: more threads launch no faster"
    ),
    "TF_XLA_FLAGS": Variable(read="compile"),
    "XLA_FLAGS": Variable(read="compile"),
    "TF_SYNC_ON_FINISH": Variable(read="devices", needs_gpu=True),
    "TF_ENABLE_EAGER_CLIENT_STREAMING_ENQUEUE": Variable(
        read="devices", caution="only for remote workers; nothing reads it on one machine"
    ),
}
