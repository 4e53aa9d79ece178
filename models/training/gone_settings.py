"""Settings of older training code that TensorFlow 2.21 and Keras 3 no longer have, each with its
successor. Nothing here is applied: a name that does nothing must be said to do nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

_DATA = "data.optimization."


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """Why a setting is gone, and what to use (empty: nothing is needed)."""

    why: str
    successor: str = ""


_NO_OPTION = "removed from tf.data.Options: setting it raises AttributeError"
_NEVER = "never existed in TensorFlow: a hasattr guard hid that"
_TORCH = "a word of PyTorch's DataLoader: tf.data runs threads in one process"

GONE: dict[str, Gone] = {
    _DATA + "autotune": Gone(why=_NO_OPTION, successor="data.autotune.enabled"),
    _DATA + "autotune_buffers": Gone(
        why=_NO_OPTION, successor="data.autotune.autotune_algorithm=GRADIENT_DESCENT"
    ),
    _DATA + "autotune_cpu_budget": Gone(why=_NO_OPTION, successor="data.autotune.cpu_budget"),
    _DATA + "autotune_ram_budget": Gone(why=_NO_OPTION, successor="data.autotune.ram_budget"),
    _DATA + "map_vectorization.enabled": Gone(
        why=_NO_OPTION, successor="batch before map, as the corpus reader does"
    ),
    _DATA + "map_vectorization.use_choose_fastest": Gone(
        why=_NO_OPTION, successor="batch before map, as the corpus reader does"
    ),
    _DATA + "hoist_random_uniform": Gone(
        why=_NO_OPTION, successor="stateless random ops, seeded by epoch and clip"
    ),
    _DATA + "reorder_data_discarding_ops": Gone(
        why=_NO_OPTION, successor="discard in the plan, before anything is read"
    ),
    _DATA + "use_global_threadpool": Gone(
        why=_NEVER, successor="data.threading.private_threadpool_size"
    ),
    "data.stats": Gone(
        why="experimental_stats and StatsAggregator were removed",
        successor="the model of the running pipeline, which the diagnosis reads",
    ),
    "memory.set_memory_limit": Gone(
        why="tf.config.experimental.set_memory_limit never existed", successor="memory.limit_mib"
    ),
    "graph.layout_optimizer_v2": Gone(why=_NEVER, successor="graph.layout_optimizer"),
    "gradients.get_scaled_loss": Gone(
        why="gone from the loss-scaling optimizer of Keras 3",
        successor="optimizer.scale_loss, which the training step calls",
    ),
    "gradients.get_unscaled_gradients": Gone(
        why="gone from the loss-scaling optimizer of Keras 3",
        successor="optimizer.apply, which unscales",
    ),
    "function.experimental_relax_shapes": Gone(
        why="deprecated, and it never stopped XLA from compiling each shape",
        successor="static bucket shapes, warmed before step 0",
    ),
    "xla.set_jit": Gone(
        why="True is a deprecated value", successor="xla.step, or xla.auto_clustering"
    ),
    "enable_tensorrt": Gone(why="TensorRT runs a trained model; it does not train"),
    "pin_memory": Gone(why=_TORCH, successor="reading.prefetch_to_device"),
    "persistent_workers": Gone(why=_TORCH, successor="reading.parallel_calls"),
    "num_workers": Gone(why=_TORCH, successor="reading.parallel_calls"),
    "prefetch_buffer_size": Gone(why="renamed", successor="reading.prefetch"),
    "prefetch_to_gpu": Gone(why="renamed", successor="reading.prefetch_to_device"),
    "enhanced_gpu_prefetch": Gone(why="renamed", successor="reading.prefetch_to_device"),
    "optimize_cpu_gpu_overlap": Gone(
        why="a name for several other settings", successor="reading.prefetch"
    ),
    "shuffle_buffer_multiplier": Gone(
        why="a shuffle buffer mixes only its neighbourhood",
        successor="the plan: a permutation of the whole corpus per epoch",
    ),
    "enable_memory_mapping": Gone(why="renamed", successor="reading.backend=mapped"),
    "use_tf_native_loading": Gone(
        why="features are computed once, when the corpus is prepared", successor="reading.backend"
    ),
    "preprocessing_mode": Gone(
        why="features are computed once, when the corpus is prepared",
        successor="studio corpus prepare",
    ),
    "cache_verification": Gone(why="renamed", successor="studio corpus check"),
    "auto_tune_performance": Gone(why="renamed", successor="data.autotune.enabled"),
    "enable_xla": Gone(why="renamed", successor="xla.step"),
    "mixed_precision": Gone(why="renamed", successor="precision.policy=mixed_float16"),
    "multi_gpu": Gone(why="renamed", successor="devices.replicas=2"),
    "visible_gpus": Gone(why="renamed", successor="devices.visible_gpus"),
    "max_memory_fraction": Gone(
        why="TensorFlow takes MiB, not a fraction", successor="memory.limit_mib"
    ),
    "enable_memory_cleanup": Gone(
        why="TensorFlow's allocator keeps freed memory for its next op; there is nothing to empty"
    ),
}
"""By the name that older code used: `data.optimization.*` were attributes of
`tf.data.Options.experimental_optimization`, single words were keys of its configuration file."""
