"""Is the diagnosis right? Loops whose truth is known by construction, and what a change gains.

    python benchmarks/training.py                     the eighteen cases, about five minutes
    python benchmarks/training.py --gain              the change proposed, predicted and measured
    python benchmarks/training.py --store FOLDER      the real loop of a store: step, input, verdict

Inputs and steps of the cases sleep for known times, so their truth holds on a busy machine as well;
two of them compute. A case counts as in the grey zone when its step over its input is between 0.6
and 1.8: there a wrong answer is forgiven, nowhere else.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import os
import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from models.training.diagnose import Loop, measure
from models.training.remedy import Opened, Reading, diagnose
from models.training.slow_stage import slowest, stages
from models.training.verdict import HEADROOM_LIMIT
from studio.training import Effort


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A pipeline and a step. `input_ms` gives the time of batch i, `early_ms` that of a stage
    before it; `calls` of the slow stage run at once; without `overlap` nothing is read ahead.
    """

    name: str
    step_ms: float
    input_ms: Callable[[int], float]
    mean_ms: float
    early_ms: float = 0.0
    calls: int = 1
    overlap: bool = True
    computes: bool = False

    @property
    def headroom(self) -> float:
        """What the measurement must find: the time of a step in the loop over its own."""
        if not self.overlap:
            return 1.0 + (self.mean_ms + self.early_ms) / self.step_ms
        # Calls in parallel overlap with the stage before them; one at a time does not.
        alone = self.calls == 1
        paced = self.early_ms + self.mean_ms if alone else self.mean_ms / self.calls
        return max(1.0, paced / self.step_ms)

    @property
    def bound(self) -> str:
        """The right verdict."""
        return "input-bound" if self.headroom > HEADROOM_LIMIT else "compute-bound"

    @property
    def grey(self) -> bool:
        """Whether step and input take about the same time."""
        return self.overlap and 0.6 <= self.step_ms / (self.mean_ms / self.calls) <= 1.8


def _even(ms: float) -> dict[str, Any]:
    return {"input_ms": lambda _: ms, "mean_ms": ms}


def _jitter(mean_ms: float) -> dict[str, Any]:
    """Exponentially distributed times, the same in every run."""
    rng = random.Random(3)  # noqa: S311
    drawn = [rng.expovariate(1.0 / mean_ms) for _ in range(997)]
    return {"input_ms": lambda i: drawn[i % 997], "mean_ms": sum(drawn) / 997}


def _stalls(usual_ms: float, stall_ms: float, every: int) -> dict[str, Any]:
    """A batch in `every` takes long, as when a shuffle buffer or a shard is read."""
    mean = (usual_ms * (every - 1) + stall_ms) / every
    return {"input_ms": lambda i: stall_ms if i % every == 0 else usual_ms, "mean_ms": mean}


CASES = (
    Case(name="tiny input", step_ms=20, **_even(2)),
    Case(name="input a third", step_ms=20, **_even(6)),
    Case(name="input half", step_ms=20, **_even(10)),
    Case(name="long step", step_ms=60, **_even(6)),
    Case(name="short step", step_ms=10, **_even(3)),
    Case(name="slow but parallel", step_ms=20, calls=4, **_even(36)),
    Case(name="very slow, very parallel", step_ms=20, calls=8, **_even(72)),
    Case(name="uneven but quick", step_ms=20, **_jitter(5)),
    Case(name="computed step, quick input", step_ms=20, computes=True, **_even(2)),
    Case(name="input twice", step_ms=10, **_even(20)),
    Case(name="input four times", step_ms=10, **_even(40)),
    Case(name="input three times", step_ms=20, **_even(60)),
    Case(name="early stage slow", step_ms=20, early_ms=50, **_even(4)),
    Case(name="not read ahead", step_ms=20, overlap=False, **_even(10)),
    Case(name="not read ahead, quick", step_ms=20, overlap=False, **_even(6)),
    Case(name="parallel, not enough", step_ms=20, calls=2, **_even(80)),
    Case(name="stalls", step_ms=20, **_stalls(2, 480, 8)),
    Case(name="just slower (grey)", step_ms=20, **_even(28)),
)


def open_case(case: Case, reading: Reading | None = None) -> Opened:
    """The case as a loop over a `tf.data.Dataset`."""
    import tensorflow as tf

    calls = reading.parallel_calls if reading else case.calls
    ahead = 2 if case.overlap else 0

    def sleeping(milliseconds: Callable[[int], float]) -> Callable[[Any], Any]:
        def wait(index: Any) -> Any:
            time.sleep(milliseconds(int(index)) / 1000.0)
            return index

        def stage(index: Any) -> Any:
            done = tf.numpy_function(wait, [index], tf.int64)
            done.set_shape([])
            return done

        return stage

    data = tf.data.Dataset.range(2**40)
    if case.early_ms:
        # A filter, so that the early stage has a name of its own.
        early = sleeping(lambda _: case.early_ms)
        data = data.filter(lambda index: early(index) >= 0)
    data = data.map(sleeping(case.input_ms), num_parallel_calls=calls if calls > 1 else None)
    options = tf.data.Options()
    # Sleeping calls hold a thread each: with one thread a core the truth would depend on the cores.
    options.threading.private_threadpool_size = 16
    if not case.overlap:
        # TensorFlow adds a buffer of its own otherwise.
        options.experimental_optimization.inject_prefetch = False
        options.experimental_optimization.map_parallelization = False
    elif ahead:
        data = data.prefetch(ahead)
    iterator = iter(data.with_options(options))
    matrix = tf.random.stateless_normal([600, 600], [1, 2])

    def step(parts: Any) -> Any:
        if not case.computes:
            time.sleep(case.step_ms / 1000.0)
            return parts
        result = matrix
        for _ in range(4):
            result = tf.linalg.matmul(result, matrix) * 1e-2
        return result

    def wait(result: Any) -> None:
        if case.computes:
            result.numpy()

    loop = Loop(
        fetch=lambda: [{"index": next(iterator)}], step=step, wait=wait, buffered=ahead + calls
    )
    return Opened(loop=loop, iterator=iterator)


def scaled(case: Case, scale: float) -> Case:
    """The case with all its times `scale` times as long, its truth the same."""
    return replace(
        case,
        step_ms=case.step_ms * scale,
        input_ms=lambda index: case.input_ms(index) * scale,
        mean_ms=case.mean_ms * scale,
        early_ms=case.early_ms * scale,
    )


def run_cases(effort: Effort, scale: float) -> list[dict[str, Any]]:
    """Every case measured; prints a line for each."""
    rows: list[dict[str, Any]] = []
    for case in (scaled(each, scale) for each in CASES):
        opened = open_case(case)
        found = measure(opened.loop, effort)
        slow = slowest(stages(opened.iterator))
        verdict = found.verdict
        right = verdict.bound == case.bound
        named = "" if slow is None else slow.name
        rows.append(
            {
                "case": case.name,
                "grey": case.grey,
                "truth": case.bound,
                "headroom": round(case.headroom, 2),
                "said": verdict.bound,
                "measured": [round(x, 3) for x in (verdict.headroom, verdict.low, verdict.high)],
                "ceiling": round(verdict.ceiling, 3),
                "pairs": verdict.num_pairs,
                "right": right,
                "wrong": not right and verdict.bound != "inconclusive",
                "slowest": named,
            }
        )
        print(json.dumps(rows[-1]), flush=True)
    count = sum(bool(row["right"]) for row in rows)
    wrong = [row["case"] for row in rows if row["wrong"] and not row["grey"]]
    print(f"right in {count} of {len(rows)}; wrong outside the grey zone: {wrong or 'none'}")
    return rows


def run_gains(effort: Effort) -> None:
    """The change that the diagnosis proposes for two slow inputs: predicted and measured."""
    for case in (
        Case(name="one call at a time", step_ms=20, **_even(60)),
        Case(name="much slower", step_ms=10, **_even(80)),
    ):
        found = diagnose(
            functools.partial(open_case, case),
            Reading(parallel_calls=1, prefetch=2),
            cores=4,
            effort=effort,
        )
        assert found.change is not None  # noqa: S101
        print(
            f"{case.name}: {found.change.setting}={found.change.value}, "
            f"predicted {found.change.predicted_gain:.2f}, measured "
            f"{found.change.measured_gain or 0:.2f}, slowest stage "
            f"{found.slowest.name if found.slowest else ''}, before "
            f"{found.measured.verdict.bound}, after "
            f"{found.after.verdict.bound if found.after else ''}"
        )


def run_store(folder: str, steps: int, batch_size: int) -> None:
    """The real loop of a store: CPU time of a step's input, step time, wait, padding, traces."""
    from models.corpus import corpus_shapes, dataset, open_store, plan
    from models.training.split import split, spread_of_mel
    from models.training.trainer import Facts, open_trainer, warm
    from studio.corpus import BatchSpec
    from studio.training import ModelSpec, TrainSpec

    corpus = open_store(folder)
    training, _ = split(corpus, 5.0)
    mean, std = spread_of_mel(training)
    timed = corpus.durations is not None
    facts = Facts(
        num_tokens=len(corpus.vocabulary), num_speakers=1, mean=mean, std=std, timed=timed
    )
    model = ModelSpec(width=64, encoder_blocks=2, decoder_blocks=3)
    for num_buckets in (1, 4):
        spec = TrainSpec(
            model=model, batch=BatchSpec(batch_size=batch_size, num_buckets=num_buckets)
        )
        trainer = open_trainer(spec, facts, xla=False)
        lengths = (training.num_frames, training.num_tokens)
        warm(trainer, corpus_shapes(*lengths, spec.batch), spec, facts)
        warmed = len(trainer.traced)
        batches = iter(dataset(training, spec.batch, num_epochs=None))
        begin, cpu, fetching, found = time.perf_counter(), time.process_time(), 0.0, None
        for _ in itertools.repeat(None, steps):
            before = time.perf_counter()
            batch = next(batches)
            fetching += time.perf_counter() - before
            found = trainer.step([batch])
        assert found is not None  # noqa: S101
        loss = float(found["mel"])
        wall = time.perf_counter() - begin
        cpu = time.process_time() - cpu
        print(
            f"{num_buckets} bucket(s): padding {plan(*lengths, spec.batch).padding:.1%}, "
            f"{cpu / steps / batch_size * 1000:.1f} CPU-ms a clip, {wall / steps * 1000:.0f} ms a "
            f"step, input wait {fetching / wall:.2%}, {warmed} traces, "
            f"{len(trainer.traced) - warmed} after the warm-up, loss {loss:.3f}"
        )


def main() -> int:
    """Run what is asked for; exit code 1 when the diagnosis missed its target."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--gain", action="store_true")
    parser.add_argument("--store")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--scale", type=float, default=1.0, help="of all times of the cases")
    parser.add_argument("--pairs", type=int, default=8)
    parser.add_argument("--block-s", type=float, default=0.3)
    parser.add_argument("--budget-s", type=float, default=40.0, help="of a case, at most")
    asked = parser.parse_args()
    effort = Effort(pairs=asked.pairs, block_s=asked.block_s, budget_s=asked.budget_s)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if asked.store:
        run_store(asked.store, asked.steps, asked.batch_size)
        return 0
    if asked.gain:
        run_gains(effort)
        return 0
    rows = run_cases(effort, asked.scale)
    missed = any(row["wrong"] and not row["grey"] for row in rows)
    return int(missed or sum(row["right"] for row in rows) < 16)


if __name__ == "__main__":
    sys.exit(main())
