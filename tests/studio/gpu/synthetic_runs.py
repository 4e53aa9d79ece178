"""Runs with a known truth, generated from what each cause does to a machine, not from the verdict's
thresholds.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from studio.gpu.trace import CardName, CardReading, Hold, Phase, PhaseKind, Sample, Span, Trace

CARD = CardName(index=0, name="Imaginary 24", memory_gib=24.0)
CORES = 8


@dataclass(frozen=True, slots=True)
class Signature:
    """What a cause looks like to sensors: means of util, SM activity, busiest thread, cores, I/O
    stall, encoder.
    """

    util_pct: float
    sm_pct: float
    thread_pct: float
    cores: float
    stall_pct: float
    encoder_pct: float
    crowd_pct: float = 3.0
    phase: PhaseKind | None = None
    on_card: bool = True
    running: bool = True


SIGNATURES = {
    "well_used": Signature(97, 80, 40, 1.0, 0, 0),
    "cpu_bound": Signature(12, 9, 98, 1.3, 2, 0),
    "cpu_saturated": Signature(20, 15, 60, 7.8, 2, 0),
    "cpu_crowded": Signature(8, 6, 45, 0.6, 2, 0, crowd_pct=85),
    "launch_bound": Signature(70, 12, 97, 1.0, 0, 0),
    "encoder_bound": Signature(25, 10, 50, 1.0, 3, 97),
    "io_bound": Signature(10, 8, 15, 0.4, 75, 0),
    "loading": Signature(1, 0, 70, 1.0, 30, 0, phase="load"),
    "input": Signature(2, 1, 10, 0.3, 5, 0, phase="input"),
    "lease": Signature(0, 0, 5, 0.1, 0, 0, phase="lease", on_card=False),
    "no_gpu_work": Signature(0, 0, 95, 1.5, 0, 0, on_card=False),
    "between_stages": Signature(0, 0, 5, 0.1, 0, 0, running=False),
    "unknown": Signature(15, 10, 20, 0.5, 3, 0),
}
TRUTH = {"cpu_saturated": "cpu_bound", "cpu_crowded": "cpu_bound", "unknown": "inconclusive"}


def run_of(
    parts: Sequence[tuple[str, float]], seed: int, *, gpm: bool = True, hz: float = 5.0
) -> Trace:
    """A run whose stages follow one another: each part is a signature's name and its seconds."""
    draw = random.Random(seed)  # noqa: S311
    spans, samples, now = [], [], 0.0
    for number, (name, seconds) in enumerate(parts):
        signature = SIGNATURES[name]
        if signature.running:
            end = now + seconds
            spans.append(_span(f"{name}-{number}", now, end, signature))
        samples += _samples(signature, now, seconds, draw, gpm=gpm, hz=hz)
        now += seconds
    return Trace(cpu_count=CORES, spans=tuple(spans), samples=tuple(samples), cards=(CARD,))


def _span(name: str, start: float, end: float, signature: Signature) -> Span:
    phase = signature.phase
    return Span(
        id=name,
        stage=name,
        run="",
        start_s=start,
        end_s=end,
        phases=(Phase(kind=phase, start_s=start, end_s=end),) if phase else (),
        holds=(Hold(card=0, gib=8.0, start_s=start, end_s=end),) if signature.on_card else (),
    )


def _samples(
    signature: Signature, start: float, seconds: float, draw: random.Random, *, gpm: bool, hz: float
) -> list[Sample]:
    """Readings at `hz` with noise of the size that real ones have."""

    def around(mean: float, spread: float, top: float = 100.0) -> float:
        return min(top, max(0.0, draw.gauss(mean, spread)))

    result, at = [], start
    while at < start + seconds - 1e-9:
        end = min(start + seconds, at + draw.uniform(0.8, 1.2) / hz)
        reading = CardReading(
            card=0,
            gpu_util_pct=around(signature.util_pct, 4.0),
            encoder_util_pct=around(signature.encoder_pct, 2.0) if signature.encoder_pct else 0.0,
            sm_active_pct=around(signature.sm_pct, 3.0) if gpm else None,
        )
        result.append(
            Sample(
                start_s=at,
                end_s=end,
                cpu_cores=around(signature.cores, 0.2, CORES),
                busiest_thread_pct=around(signature.thread_pct, 4.0),
                io_stall_pct=around(signature.stall_pct, 8.0),
                cpu_stall_pct=around(signature.crowd_pct, 8.0),
                cards=(reading,),
            )
        )
        at = end
    return result


def span(
    name: str,
    start: float,
    end: float,
    *,
    after: tuple[str, ...] = (),
    phases: Sequence[tuple[PhaseKind, float, float]] = (),
    hold: tuple[float, float] | None = None,
    card: int = 0,
) -> Span:
    """A span written shortly."""
    return Span(
        id=name,
        stage=name.partition("#")[0],
        run="",
        start_s=start,
        end_s=end,
        after=after,
        phases=tuple(Phase(kind=k, start_s=s, end_s=e) for k, s, e in phases),
        holds=() if hold is None else (Hold(card=card, gib=8.0, start_s=hold[0], end_s=hold[1]),),
    )
