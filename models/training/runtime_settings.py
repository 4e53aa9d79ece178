"""Process-wide settings of TensorFlow and Keras: how each is made and how it is read back."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

Value = bool | int | str
"""What a setting holds; an unset one reads as ""."""

Kind = Literal["flag", "count", "text"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting. `put` takes the imported tensorflow and the value, `read` gives what is in
    force; `caution` is said whenever it is used, `usual` is its value when nobody sets it.
    """

    name: str
    kind: Kind
    put: Callable[[Any, Any], None]
    read: Callable[[Any], Value]
    choices: tuple[str, ...] = ()
    needs_gpu: bool = False
    usual: Value | None = None
    caution: str = ""


def _gpus(tf: Any) -> list[Any]:
    return list(tf.config.get_visible_devices("GPU"))


def _show_gpus(tf: Any, value: str) -> None:
    found = tf.config.list_physical_devices("GPU")
    wanted = [int(part) for part in value.split(",") if part.strip()]
    missing = [index for index in wanted if not 0 <= index < len(found)]
    if missing:
        raise ValueError(f"no GPU {missing[0]}: {len(found)} found")
    tf.config.set_visible_devices([found[index] for index in wanted], "GPU")


def _visible_gpus(tf: Any) -> str:
    found = tf.config.list_physical_devices("GPU")
    return ",".join(str(found.index(gpu)) for gpu in _gpus(tf))


def _grow(tf: Any, value: bool) -> None:
    for gpu in _gpus(tf):
        tf.config.experimental.set_memory_growth(gpu, value)


def _grows(tf: Any) -> bool:
    gpus = _gpus(tf)
    return bool(gpus) and all(tf.config.experimental.get_memory_growth(gpu) for gpu in gpus)


def _limit(tf: Any, limit_mib: int) -> None:
    for gpu in _gpus(tf):
        parts = tf.config.get_logical_device_configuration(gpu) or [None]
        one = tf.config.LogicalDeviceConfiguration(memory_limit=limit_mib)
        tf.config.set_logical_device_configuration(gpu, [one] * len(parts))


def _limited(tf: Any) -> Value:
    limits = {
        part.memory_limit
        for gpu in _gpus(tf)
        for part in tf.config.get_logical_device_configuration(gpu) or ()
    }
    return int(limits.pop()) if len(limits) == 1 and None not in limits else ""


def _split_gpus(tf: Any, count: int) -> None:
    """TensorFlow wants a limit for each part: an even share of the card when none is set yet."""
    for gpu in _gpus(tf):
        known = tf.config.get_logical_device_configuration(gpu)
        limit = known[0].memory_limit if known else None
        if limit is None:
            raise ValueError("the parts of a card need memory.limit_mib, MiB for each part")
        part = tf.config.LogicalDeviceConfiguration(memory_limit=limit)
        tf.config.set_logical_device_configuration(gpu, [part] * count)


def _gpu_parts(tf: Any) -> int:
    parts = {len(tf.config.get_logical_device_configuration(gpu) or (1,)) for gpu in _gpus(tf)}
    return parts.pop() if len(parts) == 1 else 0


def _split_cpu(tf: Any, count: int) -> None:
    cpu = tf.config.list_physical_devices("CPU")[0]
    parts = [tf.config.LogicalDeviceConfiguration()] * count
    tf.config.set_logical_device_configuration(cpu, parts)


def _cpu_parts(tf: Any) -> int:
    cpu = tf.config.list_physical_devices("CPU")[0]
    return len(tf.config.get_logical_device_configuration(cpu) or (1,))


def _set_policy(tf: Any, value: str) -> None:
    import keras

    keras.config.set_dtype_policy(value)


def _policy(tf: Any) -> str:
    import keras

    return str(keras.config.dtype_policy().name)


def _deterministic(tf: Any, value: bool) -> None:
    if not value:
        raise RuntimeError("op determinism cannot be switched off again in a process")
    tf.keras.utils.set_random_seed(0)
    tf.config.experimental.enable_op_determinism()


def _is_deterministic(tf: Any) -> bool:
    # tf.config has no public getter for it.
    config: Any = importlib.import_module("tensorflow.python.framework.config")
    return bool(config.is_op_determinism_enabled())


RUNTIME: tuple[Setting, ...] = (
    Setting(
        name="devices.visible_gpus",
        kind="text",
        put=_show_gpus,
        read=_visible_gpus,
        needs_gpu=True,
    ),
    Setting(
        name="devices.logical_cpus",
        kind="count",
        put=_split_cpu,
        read=_cpu_parts,
        usual=1,
        caution="for trying out replicas; it makes nothing faster",
    ),
    Setting(name="memory.growth", kind="flag", put=_grow, read=_grows, needs_gpu=True),
    Setting(name="memory.limit_mib", kind="count", put=_limit, read=_limited, needs_gpu=True),
    Setting(
        name="devices.logical_gpus",
        kind="count",
        put=_split_gpus,
        read=_gpu_parts,
        needs_gpu=True,
        usual=1,
        caution="parts of one card share its cores",
    ),
    Setting(
        name="threads.intra_op",
        kind="count",
        put=lambda tf, n: tf.config.threading.set_intra_op_parallelism_threads(n),
        read=lambda tf: int(tf.config.threading.get_intra_op_parallelism_threads()),
    ),
    Setting(
        name="threads.inter_op",
        kind="count",
        put=lambda tf, n: tf.config.threading.set_inter_op_parallelism_threads(n),
        read=lambda tf: int(tf.config.threading.get_inter_op_parallelism_threads()),
    ),
    Setting(
        name="devices.soft_placement",
        kind="flag",
        put=lambda tf, on: tf.config.set_soft_device_placement(on),
        read=lambda tf: bool(tf.config.get_soft_device_placement()),
        usual=True,
    ),
    Setting(
        name="devices.policy",
        kind="text",
        choices=("silent", "silent_for_int32", "warn", "explicit"),
        put=lambda tf, name: tf.config.experimental.set_device_policy(name),
        read=lambda tf: str(tf.config.experimental.get_device_policy()),
        usual="silent",
    ),
    Setting(
        name="precision.policy",
        kind="text",
        choices=("float32", "mixed_float16", "mixed_bfloat16"),
        put=_set_policy,
        read=_policy,
        usual="float32",
    ),
    Setting(
        name="precision.tf32",
        kind="flag",
        put=lambda tf, on: tf.config.experimental.enable_tensor_float_32_execution(on),
        read=lambda tf: bool(tf.config.experimental.tensor_float_32_execution_enabled()),
        needs_gpu=True,
        usual=True,
    ),
    Setting(
        name="xla.auto_clustering",
        kind="flag",
        put=lambda tf, on: tf.config.optimizer.set_jit("autoclustering" if on else False),
        read=lambda tf: tf.config.optimizer.get_jit() == "autoclustering",
        usual=False,
        caution="xla.step compiles the whole step and is predictable; clusters are not",
    ),
    Setting(
        name="determinism.ops",
        kind="flag",
        put=_deterministic,
        read=_is_deterministic,
        usual=False,
        caution="slower: some kernels fall back to one thread; it also seeds all generators with 0",
    ),
    Setting(
        name="function.run_eagerly",
        kind="flag",
        put=lambda tf, on: tf.config.run_functions_eagerly(on),
        read=lambda tf: bool(tf.config.functions_run_eagerly()),
        usual=False,
        caution="for debugging: no graph, no XLA",
    ),
)
"""In the order in which they have to be made: what is visible before how it is cut."""

_GRAPH_CAUTIONS = {
    "debug_stripper": "it removes asserts from the graph",
    "disable_meta_optimizer": "it switches all the others off",
    "auto_mixed_precision": "for graphs without a precision policy of their own",
}

_ON_BY_DEFAULT = frozenset(
    {
        "arithmetic_optimization",
        "constant_folding",
        "dependency_optimization",
        "function_optimization",
        "implementation_selector",
        "layout_optimizer",
        "loop_optimization",
        "remapping",
        "shape_optimization",
    }
)

_OFF_BY_DEFAULT = frozenset(
    {
        "auto_mixed_precision",
        "auto_mixed_precision_onednn_bfloat16",
        "debug_stripper",
        "disable_meta_optimizer",
        "disable_model_pruning",
        "pin_to_host_optimization",
        "scoped_allocator_optimization",
        "use_plugin_optimizers",
    }
)


def _graph_setting(option: str) -> Setting:
    def put(tf: Any, on: bool) -> None:
        tf.config.optimizer.set_experimental_options({option: on})

    def read(tf: Any) -> bool:
        usual = option in _ON_BY_DEFAULT
        return bool(tf.config.optimizer.get_experimental_options().get(option, usual))

    return Setting(
        name=f"graph.{option}",
        kind="flag",
        put=put,
        read=read,
        usual=option in _ON_BY_DEFAULT,
        caution=_GRAPH_CAUTIONS.get(option, ""),
    )


GRAPH: tuple[Setting, ...] = tuple(
    _graph_setting(option) for option in sorted(_ON_BY_DEFAULT | _OFF_BY_DEFAULT)
)
"""Passes of the graph optimizer (`tf.config.optimizer.set_experimental_options`)."""
