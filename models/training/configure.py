"""Settings of a training process: applied before the first op, read back, and reported.

TensorFlow reads most of its settings once, when it makes its devices. `configure` is therefore
called in the training process before any op, and tells for each setting what was asked for, what
is in force (as TensorFlow answers, not as it was asked) and why the two differ.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Literal

from models.training.dataset_settings import OLD_SPELLINGS, OPTIONS, put_option, read_option
from models.training.environment_settings import VARIABLES
from models.training.gone_settings import GONE
from models.training.runtime_settings import GRAPH, RUNTIME, Kind, Setting, Value
from studio.errors import EngineUnavailable, SettingError

State = Literal["effective", "default", "ignored", "gone"]
"""In force because of this request; in force anyway; not in force; no longer in TensorFlow."""

ENVIRONMENT = "env."
READING: dict[str, tuple[Kind, Value]] = {
    "reading.backend": ("text", "auto"),
    "reading.records": ("text", ""),
    "reading.parallel_calls": ("count", 2),
    "reading.prefetch": ("count", 2),
    "reading.prefetch_to_device": ("text", ""),
}
"""Of the pipeline that reads the corpus: kind and value when nobody sets it."""

_STEP: dict[str, Value] = {"xla.step": True, "devices.replicas": 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One setting: what was asked for, what is in force, and why."""

    name: str
    requested: str
    effective: str
    state: State
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Configuration:
    """What a training run uses. `options` is a `tf.data.Options`; `devices` are the logical
    devices that hold a replica of the model, one entry for no distribution; `xla` compiles the
    step; `reading` are the pipeline's settings by their last word.
    """

    rows: tuple[Row, ...]
    options: Any
    devices: tuple[str, ...]
    xla: bool
    reading: dict[str, Value]


def names() -> tuple[str, ...]:
    """Every name that `configure` knows, in the order in which settings are applied."""
    return (
        *(ENVIRONMENT + name for name in VARIABLES),
        *(setting.name for setting in (*RUNTIME, *GRAPH)),
        *_STEP,
        *OPTIONS,
        *OLD_SPELLINGS,
        *READING,
        *GONE,
    )


def configure(
    requested: Mapping[str, Value | str], environ: MutableMapping[str, str]
) -> Configuration:
    """Apply settings and report on each of them.

    Args:
        requested: values by name (see `names`); text is taken as a command line writes it.
        environ: the process's environment, where `env.*` settings are written.

    Raises:
        SettingError: an unknown name, or a value that its setting cannot hold.
        EngineUnavailable: TensorFlow is not installed.
    """
    known = set(names())
    for name in requested:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            remedy = f"Did you mean {near[0]}?" if near else "studio train --configure lists them"
            raise SettingError(f"training setting {name}", "unknown", remedy)
    wanted = {OLD_SPELLINGS.get(name, name): value for name, value in requested.items()}
    rows = _environment(wanted, environ)
    tf = _tensorflow()
    for setting in (*RUNTIME, *GRAPH):
        if setting.name in wanted:
            rows.append(_runtime(tf, setting, wanted))
    options = tf.data.Options()
    for name, (path, kind, usual) in OPTIONS.items():
        if name in wanted:
            rows.append(_option(tf, options, name, (path, kind, usual), wanted[name]))
    reading = {}
    for name, (kind, usual) in READING.items():
        value = _parse(name, kind, wanted[name]) if name in wanted else usual
        reading[name.partition(".")[2]] = value
        if name in wanted:
            rows.append(_row(name, value, value, "effective", "given to the reader of the corpus"))
    for name, gone in GONE.items():
        if name in wanted:
            why = f"{gone.why}. Use {gone.successor}" if gone.successor else gone.why
            rows.append(_row(name, wanted[name], "", "gone", why))
    rows += [
        _row(name, requested[name], "", "effective", f"old spelling of {OLD_SPELLINGS[name]}")
        for name in OLD_SPELLINGS
        if name in requested
    ]
    xla = _xla(tf, wanted, rows)
    devices = _replicas(tf, wanted, rows)
    return Configuration(
        rows=tuple(rows), options=options, devices=devices, xla=xla, reading=reading
    )


def _tensorflow() -> Any:
    try:
        import tensorflow as tf
    except ImportError as error:
        raise EngineUnavailable(
            "training", "TensorFlow is not installed", "pip install 'podcast-studio[training]'"
        ) from error
    return tf


def _environment(wanted: Mapping[str, Value], environ: MutableMapping[str, str]) -> list[Row]:
    loaded = "tensorflow" in sys.modules
    rows = []
    for name, variable in VARIABLES.items():
        key = ENVIRONMENT + name
        if key not in wanted:
            continue
        value = str(wanted[key])
        if variable.read == "import" and loaded and environ.get(name) != value:
            why = "read when TensorFlow was imported, which has happened; set it before the process"
            rows.append(_row(key, value, environ.get(name, ""), "ignored", why))
            continue
        environ[name] = value
        when = {
            "import": "read at the import of TensorFlow",
            "devices": "read when the devices are made",
            "compile": "read at the first XLA compilation of this process",
        }[variable.read]
        caution = f"{when}; {variable.caution}" if variable.caution else when
        rows.append(_row(key, value, environ[name], "effective", caution))
    return rows


def _runtime(tf: Any, setting: Setting, wanted: Mapping[str, Value]) -> Row:
    name = setting.name
    value = _parse(name, setting.kind, wanted[name], setting.choices)
    if setting.needs_gpu and not tf.config.list_physical_devices("GPU"):
        return _row(name, value, "", "ignored", "TensorFlow sees no GPU")
    clash = _clash(name, wanted)
    if clash:
        return _row(name, value, setting.read(tf), "ignored", clash)
    before = setting.read(tf)
    try:
        setting.put(tf, value)
    except (RuntimeError, ValueError) as error:
        return _row(name, value, setting.read(tf), "ignored", str(error).rstrip("."))
    after = setting.read(tf)
    if after != value:
        return _row(name, value, after, "ignored", "TensorFlow took the call and kept its value")
    if before == after == setting.usual:
        return _row(name, value, after, "default", "is so without being asked for")
    return _row(name, value, after, "effective", setting.caution)


def _clash(name: str, wanted: Mapping[str, Value]) -> str:
    """Why this setting gives way to another one that was asked for as well; "" if it does not."""
    if name == "memory.growth" and "memory.limit_mib" in wanted:
        return "a hard limit was asked for as well (memory.limit_mib); TensorFlow refuses both"
    mixed = str(wanted.get("precision.policy", "")).startswith("mixed")
    if name == "graph.auto_mixed_precision" and mixed:
        return "precision.policy casts already; a second caster would fight it"
    return ""


def _option(
    tf: Any, options: Any, name: str, where: tuple[str, Kind, Value | None], asked: Value
) -> Row:
    path, kind, usual = where
    value = _parse(name, kind, asked)
    try:
        put_option(tf, options, path, value)
    except (ValueError, TypeError) as error:
        raise SettingError(f"training setting {name}", f"{value!r}", str(error)) from error
    found = read_option(options, path)
    if found == usual:
        return _row(name, value, found, "default", "is TensorFlow's own choice")
    return _row(name, value, found, "effective", "given to every dataset of the run")


def _xla(tf: Any, wanted: Mapping[str, Value], rows: list[Row]) -> bool:
    """Compile a small function when the step is to be compiled: the answer is XLA's own."""
    asked = "xla.step" in wanted
    value = bool(_parse("xla.step", "flag", wanted.get("xla.step", _STEP["xla.step"])))
    effective, why = value, "each bucket's step is compiled once, before step 0"
    if value and tf.config.functions_run_eagerly():
        effective, why = False, "function.run_eagerly is on: nothing is compiled"
    elif value:
        try:
            tf.function(lambda x: x + 1.0, jit_compile=True)(tf.zeros(1))
        except (tf.errors.OpError, ValueError) as error:
            effective, why = False, f"XLA cannot compile here: {str(error).splitlines()[0]}"
    if asked:
        state: State = "effective" if effective == value else "ignored"
        rows.append(_row("xla.step", value, effective, state, why if value else ""))
    return effective


def _replicas(tf: Any, wanted: Mapping[str, Value], rows: list[Row]) -> tuple[str, ...]:
    """Logical devices that get a replica: GPUs when there are any, else CPUs."""
    asked = wanted.get("devices.replicas", _STEP["devices.replicas"])
    count = int(_parse("devices.replicas", "count", asked))
    if count < 1:
        raise SettingError("training setting devices.replicas", str(count), "At least 1")
    found = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    devices = tuple(device.name for device in found[:count])
    if "devices.replicas" in wanted:
        short = len(devices) < count
        why = f"{len(found)} logical device(s): {', '.join(device.name for device in found)}"
        state: State = "ignored" if short else "effective"
        rows.append(_row("devices.replicas", count, len(devices), state, why))
    return devices


def _parse(name: str, kind: Kind, value: Value, choices: tuple[str, ...] = ()) -> Value:
    """The value in its kind. Raises `SettingError` for one that does not fit."""
    text = str(value).strip()
    match kind:
        case "flag":
            if text.lower() in ("true", "on", "yes", "1"):
                return True
            if text.lower() in ("false", "off", "no", "0"):
                return False
            remedy = "true or false"
        case "count":
            if text.isascii() and text.isdigit():
                return int(text)
            remedy = "A whole number, 0 or more"
        case "text":
            if not choices or text in choices:
                return text
            remedy = f"One of {', '.join(choices)}"
    raise SettingError(f"training setting {name}", repr(value), remedy)


def _row(name: str, requested: Value, effective: Value, state: State, why: str) -> Row:
    return Row(
        name=name, requested=_said(requested), effective=_said(effective), state=state, why=why
    )


def _said(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
