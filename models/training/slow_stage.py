"""Which stage of a `tf.data` pipeline is the slow one, from TensorFlow's own running model of it.

The autotuner keeps, for each node of a pipeline, the time spent in it and the elements it made;
`tf.data.experimental.get_model_proto` shows them. Autotuning must be on (it is by default).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

_HELPERS = re.compile(r"^(Root|Model|Options|MaxIntraOp|PrivateThreadPool|Optimize|FiniteRepeat)")
"""Nodes that TensorFlow adds or that hold no work of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A node of the pipeline, nearest the consumer first. `busy_s` is the work it takes for one
    batch of the pipeline, all threads together; `paced_s` that over its `parallelism`: the time
    between two batches that it allows. `share` is its part of all stages' `paced_s`.
    """

    name: str
    busy_s: float
    paced_s: float
    share: float
    parallelism: int
    buffered: int


def stages(iterator: Any) -> tuple[Stage, ...]:
    """The stages of a pipeline that has run for a while.

    Args:
        iterator: of a `tf.data.Dataset`, as `iter(dataset)` gives it.

    Raises `ValueError` when autotuning is off: there is no model then.
    """
    import tensorflow as tf

    try:
        model = tf.data.experimental.get_model_proto(iterator)
    except tf.errors.OpError as error:
        raise ValueError("the pipeline has no model: data.autotune.enabled is off") from error
    order = _from_consumer(model)
    batches = max((int(node.num_elements) for node in order[:3]), default=0)
    rows = []
    for node in order:
        name = re.sub(r"\(.*\)$", "", str(node.name))
        if _HELPERS.match(name):
            continue
        parallelism = _parameter(node, "parallelism") or 1
        busy_s = int(node.processing_time) / 1e9 / max(batches, 1)
        rows.append((name, busy_s, parallelism, _parameter(node, "buffer_size") or 0))
    total = sum(busy / parallelism for _, busy, parallelism, _ in rows) or 1.0
    return tuple(
        Stage(
            name=name,
            busy_s=busy,
            paced_s=busy / parallelism,
            share=busy / parallelism / total,
            parallelism=parallelism,
            buffered=buffered,
        )
        for name, busy, parallelism, buffered in rows
    )


def slowest(found: tuple[Stage, ...]) -> Stage | None:
    """The stage that sets the pace; None when nothing was measured."""
    return max(found, key=lambda stage: stage.paced_s, default=None)


def _from_consumer(model: Any) -> list[Any]:
    """The nodes from the output inwards."""
    order, waiting = [], [int(model.output)]
    while waiting:
        node = model.nodes.get(waiting.pop(0))
        if node is not None:
            order.append(node)
            waiting += [int(inner) for inner in node.inputs]
    return order


def _parameter(node: Any, name: str) -> int | None:
    for parameter in node.parameters:
        if parameter.name == name:
            value = parameter.state_value or parameter.value
            return max(1, round(float(value)))
    return None
