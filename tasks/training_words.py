"""Training in words and rows for a person: settings, results, a diagnosis."""

from __future__ import annotations

import math
from typing import Any

from models.training.configure import Row
from models.training.diagnose import Measurement
from models.training.remedy import Change, Diagnosis
from models.training.verdict import MIN_PAIRS, Verdict
from studio.gpu.report_rows import escape_markdown
from studio.training import TrainingResult


def row_cells(row: Row) -> dict[str, str]:
    """A setting as a table's row."""
    return {
        "setting": row.name,
        "requested": row.requested,
        "in force": row.effective,
        "state": row.state,
        "why": row.why,
    }


def result_rows(result: TrainingResult) -> list[dict[str, str]]:
    """A training run's figures as rows `figure`, `value`."""
    first = next((p for p in result.points if p.validation is not None), None)
    last = next((p for p in reversed(result.points) if p.validation is not None), None)
    shapes = ", ".join(f"{frames}x{tokens}" for frames, tokens in result.shapes)
    rows = {
        "steps": f"{result.first_step} to {result.last_step}",
        "model": f"{result.num_parameters / 1e6:.2f} million parameters, {result.precision}",
        "clips": f"{result.num_training} to learn from, {result.num_validation} to test with",
        "devices": f"{result.replicas}, XLA {'on' if result.xla else 'off'}",
        "step": f"{result.step_s * 1000:.1f} ms, {result.samples_per_s:.1f} clips a second",
        "waiting for input": f"{result.fetch_share:.1%} of the loop ({result.backend})",
        "padding": f"{result.padding:.1%} of the frames, {len(result.shapes)} shapes: {shapes}",
        "compilations": f"{result.traces} in {result.warm_s:.1f} s, {result.retraces} afterwards",
    }
    if first is not None and last is not None:
        rows["validation loss"] = (
            f"{first.validation:.4f} at step {first.step}, {last.validation:.4f} at {last.step}"
        )
    for one in result.sentences:
        rows[f"distortion, {one.clip}"] = (
            f"{one.mel_db:.2f} dB as mel, {one.sound_db:.2f} dB as sound "
            f"(the vocoder alone: {one.vocoder_db:.2f} dB)"
        )
    return [{"figure": name, "value": value} for name, value in rows.items()]


def sentence_of(verdict: Verdict) -> str:
    """A verdict in one sentence."""
    spread = (
        f"{verdict.headroom:.2f} (interval {verdict.low:.2f} to {verdict.high:.2f}, "
        f"{verdict.num_pairs} pairs)"
    )
    match verdict.bound:
        case "input-bound":
            return f"Input-bound: the loop takes {spread} times as long as its step alone."
        case "compute-bound":
            return f"Compute-bound: with input for nothing the loop would gain only {spread}."
        case "inconclusive" if verdict.num_pairs < MIN_PAIRS:
            return (
                f"Inconclusive: the budget held {verdict.num_pairs} pairs of blocks and "
                f"{MIN_PAIRS} are needed (a step takes {verdict.step_s:.1f} s): give it more time."
            )
        case "inconclusive":
            return f"Inconclusive: the headroom is {spread}, around the limit {verdict.limit:.2f}."


def diagnosis_markdown(found: Diagnosis, counters: dict[str, Any]) -> str:
    """A diagnosis as markdown: the verdict, the slow stage, the change and what it did."""
    lines = ["## Training loop", "", f"**{sentence_of(found.measured.verdict)}**", ""]
    if found.slowest is not None:
        slow = found.slowest
        name = escape_markdown(slow.name)
        lines += [f"Slowest stage of the input: {name}, {slow.paced_s * 1000:.1f} ms a batch.", ""]
    for line in advice(found):
        lines += [escape_markdown(line), ""]
    if found.after is not None:
        lines += [f"Afterwards: {sentence_of(found.after.verdict)}", ""]
    if counters["retraces"]:
        lines += [f"{counters['retraces']} retraces after the warm-up: a shape is not static.", ""]
    return "\n".join(lines)


def advice(found: Diagnosis) -> tuple[str, ...]:
    """What to change, or that nothing pays; then every change that was looked at, with its gain."""
    lines = []
    if found.change is not None:
        lines.append(f"Change {_change(found.change)}")
    elif found.measured.verdict.bound == "input-bound":
        lines.append("No change of the reading settings promises more than 5 %.")
    elif any(change.predicted_gain is not None for change in found.tried):
        lines.append("No change of the step that was tried gains 5 % here: leave it as it is.")
    lines += [f"Tried: {_change(change)}" for change in found.tried if change != found.change]
    return tuple(lines)


def _change(change: Change) -> str:
    """A change with its gains, and why one of them is missing."""
    gains = [
        "" if gain is None else f"{gain:.2f} {word}"
        for gain, word in (
            (change.predicted_gain, "predicted"),
            (change.measured_gain, "measured"),
        )
    ]
    told = ", ".join(part for part in gains if part)
    ends = [f"Times as fast: {told}" if told else "", change.unmeasured]
    end = "; ".join(part for part in ends if part)
    return f"{change.setting} to {change.value}: {change.why}. {end[:1].upper()}{end[1:]}."


def diagnosis_rows(found: Diagnosis, counters: dict[str, Any]) -> list[dict[str, str]]:
    """A diagnosis's figures as rows `figure`, `value`."""
    rows = _measured(found.measured)
    for stage in found.stages:
        rows[f"stage {stage.name}"] = (
            f"{stage.paced_s * 1000:.2f} ms a batch, {stage.share:.0%}, {stage.parallelism} at once"
        )
    for change in found.tried:
        rows[f"tried {change.setting}"] = _change(change)
    rows |= {name.replace("_", " "): str(value) for name, value in counters.items()}
    if found.after is not None:
        rows |= {f"after: {name}": value for name, value in _measured(found.after).items()}
    return [{"figure": name, "value": value} for name, value in rows.items()]


def _measured(measured: Measurement) -> dict[str, str]:
    verdict, size = measured.verdict, measured.transfer_bytes
    return {
        "verdict": verdict.bound,
        "headroom": f"{verdict.headroom:.3f} ({verdict.low:.3f} to {verdict.high:.3f})",
        "step": f"{verdict.step_s * 1000:.2f} ms on held batches, {verdict.loop_s * 1000:.2f} ms "
        "in the loop",
        "ceiling": "n/a"
        if math.isinf(verdict.ceiling)
        else f"{verdict.ceiling:.3f}, from waiting and the input's CPU time",
        "waiting for input": f"{measured.fetch_s * 1000:.2f} ms a step",
        "blocks": f"{verdict.num_pairs} pairs of {measured.steps_per_block} steps",
        "padding": "n/a" if measured.padding is None else f"{measured.padding:.1%}",
        "transfer": "n/a" if size is None else f"{size / 2**20:.2f} MiB a step",
    }
