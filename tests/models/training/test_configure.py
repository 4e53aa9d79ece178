"""Settings are made once per process, before its first op: each case here is a process."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from models.training.configure import configure, names
from models.training.gone_settings import GONE
from studio.errors import SettingError

ROOT = Path(__file__).parents[3]
needs_tensorflow = pytest.mark.skipif(
    importlib.util.find_spec("tensorflow") is None, reason="TensorFlow is an extra"
)

_CODE = """
import dataclasses, json, os, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
asked = json.loads(sys.argv[1])
if sys.argv[2] == "late":
    import tensorflow as tf
    tf.zeros(1) + 1
from models.training.configure import configure
made = configure(asked, os.environ)
import tensorflow as tf, keras
print(json.dumps({
    "rows": {row.name: dataclasses.asdict(row) for row in made.rows},
    "devices": made.devices, "xla": made.xla, "reading": made.reading,
    "truth": {
        "intra": tf.config.threading.get_intra_op_parallelism_threads(),
        "logical": len(tf.config.list_logical_devices("CPU")),
        "policy": keras.config.dtype_policy().name,
        "private": made.options.threading.private_threadpool_size,
        "shard": made.options.experimental_distribute.auto_shard_policy.name,
        "jit": tf.config.optimizer.get_jit(),
        "graph": tf.config.optimizer.get_experimental_options(),
        "xla_flags": os.environ.get("TF_XLA_FLAGS"),
    },
}))
"""


def _in_a_process(asked: dict[str, Any], when: str = "early") -> dict[str, Any]:
    run = subprocess.run(
        [sys.executable, "-c", _CODE, json.dumps(asked), when],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    told: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return told


def test_an_unknown_name_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(SettingError, match=r"threads\.intra_op"):
        configure({"threads.intra_ops": 1}, {})


def test_every_name_is_there_once_and_a_successor_that_is_a_setting_exists() -> None:
    known = names()
    assert len(known) == len(set(known))
    for gone in GONE.values():
        first = gone.successor.partition("=")[0].partition(",")[0]
        if first.split(".")[0] in ("data", "memory", "xla", "reading", "devices", "precision"):
            assert first in set(known) - set(GONE), gone


@pytest.mark.slow
@needs_tensorflow
def test_before_the_first_op_settings_are_in_force_and_read_back() -> None:
    told = _in_a_process(
        {
            "threads.intra_op": "2",
            "threads.inter_op": 1,
            "devices.logical_cpus": 2,
            "devices.replicas": 2,
            "precision.policy": "mixed_bfloat16",
            "graph.auto_mixed_precision": True,
            "graph.debug_stripper": True,
            "graph.constant_folding": True,
            "xla.auto_clustering": True,
            "data.threading.private_threadpool_size": 3,
            "data.distribute.auto_shard_policy": "OFF",
            "data.experimental_deterministic": True,
            "data.optimization.map_parallelization": True,
            "env.TF_XLA_FLAGS": "--tf_xla_cpu_global_jit=false",
            "memory.growth": True,
            "memory.limit_mib": 512,
            "reading.prefetch": 4,
        }
    )
    truth, rows = told["truth"], told["rows"]
    assert truth["intra"] == 2
    assert truth["logical"] == 2
    assert truth["policy"] == "mixed_bfloat16"
    assert truth["private"] == 3
    assert truth["shard"] == rows["data.distribute.auto_shard_policy"]["effective"] == "OFF"
    assert truth["jit"] == "autoclustering"
    assert truth["xla_flags"] == "--tf_xla_cpu_global_jit=false"
    assert truth["graph"]["debug_stripper"] is True
    assert not truth["graph"].get("auto_mixed_precision")
    assert told["devices"] == ["/device:CPU:0", "/device:CPU:1"]
    assert told["xla"] is True
    assert told["reading"]["prefetch"] == 4
    states = {name: row["state"] for name, row in rows.items()}
    assert states["threads.intra_op"] == "effective"
    assert states["graph.constant_folding"] == "default"
    assert states["data.optimization.map_parallelization"] == "default"
    assert states["graph.auto_mixed_precision"] == "ignored"
    assert "asserts" in rows["graph.debug_stripper"]["why"]
    assert states["memory.growth"] == states["memory.limit_mib"] == "ignored"
    assert "no GPU" in rows["memory.growth"]["why"]
    assert "old spelling" in rows["data.experimental_deterministic"]["why"]


@pytest.mark.slow
@needs_tensorflow
def test_after_the_first_op_the_report_says_that_they_are_ignored() -> None:
    told = _in_a_process(
        {
            "threads.intra_op": 7,
            "devices.logical_cpus": 2,
            "devices.replicas": 2,
            "env.TF_CPP_MIN_LOG_LEVEL": "1",
            "function.run_eagerly": True,
            **dict.fromkeys(GONE, "true"),
        },
        "late",
    )
    rows = told["rows"]
    for name in ("threads.intra_op", "devices.logical_cpus", "env.TF_CPP_MIN_LOG_LEVEL"):
        assert rows[name]["state"] == "ignored", name
        assert rows[name]["effective"] != rows[name]["requested"], name
    assert rows["devices.replicas"]["effective"] == "1"
    assert told["truth"]["intra"] != 7
    assert told["xla"] is False
    assert {rows[name]["state"] for name in GONE} == {"gone"}
    assert all(rows[name]["why"] for name in GONE)


@pytest.mark.slow
@needs_tensorflow
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("threads.intra_op", "many"),
        ("precision.policy", "float8"),
        ("data.autotune.autotune_algorithm", "BEST"),
        ("devices.replicas", "0"),
        ("devices.soft_placement", "perhaps"),
    ],
)
def test_a_value_that_does_not_fit_is_refused(name: str, value: str) -> None:
    with pytest.raises(SettingError, match=name):
        configure({name: value}, {})
