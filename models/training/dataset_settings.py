"""Settings of `tf.data.Options`, by the path of the attribute that holds them."""

from __future__ import annotations

from enum import Enum
from typing import Any

from models.training.runtime_settings import Kind, Value

_FLAG: Kind = "flag"
_COUNT: Kind = "count"
_TEXT: Kind = "text"

OPTIONS: dict[str, tuple[str, Kind, Value | None]] = {
    "data.deterministic": ("deterministic", _FLAG, True),
    "data.slack": ("experimental_slack", _FLAG, False),
    "data.symbolic_checkpoint": ("experimental_symbolic_checkpoint", _FLAG, False),
    "data.warm_start": ("experimental_warm_start", _FLAG, False),
    "data.dataset_name": ("dataset_name", _TEXT, None),
    "data.external_state_policy": ("experimental_external_state_policy", _TEXT, "WARN"),
    "data.distribute.auto_shard_policy": ("experimental_distribute.auto_shard_policy", _TEXT, None),
    "data.distribute.num_devices": ("experimental_distribute.num_devices", _COUNT, None),
    "data.service.pinned": ("experimental_service.pinned", _FLAG, None),
    "data.threading.private_threadpool_size": ("threading.private_threadpool_size", _COUNT, None),
    "data.threading.max_intra_op_parallelism": ("threading.max_intra_op_parallelism", _COUNT, None),
    "data.autotune.enabled": ("autotune.enabled", _FLAG, True),
    "data.autotune.cpu_budget": ("autotune.cpu_budget", _COUNT, None),
    "data.autotune.ram_budget": ("autotune.ram_budget", _COUNT, None),
    "data.autotune.autotune_algorithm": ("autotune.autotune_algorithm", _TEXT, None),
    "data.autotune.initial_parallelism": ("autotune.initial_parallelism", _COUNT, None),
    "data.autotune.min_parallelism": ("autotune.min_parallelism", _COUNT, None),
    **{
        f"data.optimization.{name}": (f"experimental_optimization.{name}", _FLAG, usual)
        for name, usual in (
            ("apply_default_optimizations", True),
            ("filter_fusion", False),
            ("filter_parallelization", False),
            ("inject_prefetch", True),
            ("map_and_batch_fusion", True),
            ("map_and_filter_fusion", False),
            ("map_fusion", False),
            ("map_parallelization", True),
            ("noop_elimination", True),
            ("parallel_batch", True),
            ("seq_interleave_prefetch", False),
            ("shuffle_and_repeat_fusion", True),
        )
    },
}
"""Name: attribute path in `tf.data.Options`, kind, and TensorFlow's own choice when unset."""

OLD_SPELLINGS = {
    "data.experimental_deterministic": "data.deterministic",
    "data.experimental_threading.private_threadpool_size": "data.threading.private_threadpool_size",
    "data.experimental_threading.max_intra_op_parallelism": (
        "data.threading.max_intra_op_parallelism"
    ),
    "devices.virtual_cpus": "devices.logical_cpus",
    "devices.virtual_gpus": "devices.logical_gpus",
}
"""Deprecated spellings that still work; they are applied under their present name."""

_ENUMS = {
    "experimental_external_state_policy": "ExternalStatePolicy",
    "experimental_distribute.auto_shard_policy": "AutoShardPolicy",
    "autotune.autotune_algorithm": "AutotuneAlgorithm",
}


def put_option(tf: Any, options: Any, path: str, value: Value) -> None:
    """Set the attribute at `path` of a `tf.data.Options`.

    Raises `ValueError` for a member that an enumeration does not have.
    """
    *parents, leaf = path.split(".")
    for parent in parents:
        options = getattr(options, parent)
    setattr(options, leaf, _member(tf, path, value))


def read_option(options: Any, path: str) -> Value:
    """The value at `path`; "" where TensorFlow decides by itself."""
    for part in path.split("."):
        options = getattr(options, part)
    if options is None:
        return ""
    if isinstance(options, Enum):
        return options.name
    return options if isinstance(options, (bool, int, str)) else str(options)


def _member(tf: Any, path: str, value: Value) -> Any:
    if path not in _ENUMS:
        return value
    kind = getattr(tf.data.experimental, _ENUMS[path])
    if value not in kind.__members__:
        raise ValueError(f"one of {', '.join(kind.__members__)}")
    return kind[value]
