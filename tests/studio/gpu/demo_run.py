"""An episode as a trace, with everything that a report can show: two cards, waits, loads, an
encoder, absent sensors.
"""

from __future__ import annotations

import random

from studio.gpu.trace import CardName, CardReading, Sample, Span, Trace
from tests.studio.gpu.synthetic_runs import span

CARDS = (
    CardName(index=0, name="NVIDIA GeForce RTX 4090", memory_gib=24.0),
    CardName(index=1, name="NVIDIA <L4> & co", memory_gib=22.5),
)


def demo_run(seconds_scale: float = 1.0) -> Trace:
    """Speech and music side by side, the avatar after a wait for its share of card 0, then mix and
    encode.
    """
    k = seconds_scale
    spans = (
        span("script", 0.0, 0.6 * k),
        span(
            "speech",
            0.6 * k,
            24 * k,
            after=("script",),
            phases=[("load", 0.6 * k, 6 * k)],
            hold=(0.6 * k, 24 * k),
        ),
        span(
            "music",
            0.7 * k,
            19 * k,
            after=("script",),
            phases=[("load", 0.7 * k, 4 * k)],
            hold=(0.7 * k, 19 * k),
            card=1,
        ),
        span(
            "avatar",
            12 * k,
            58 * k,
            after=("speech",),
            phases=[("lease", 12 * k, 24.1 * k), ("load", 24.1 * k, 28 * k)],
            hold=(24.1 * k, 58 * k),
        ),
        span("mix", 24.2 * k, 31 * k, after=("speech", "music")),
        span("encode", 58.2 * k, 74 * k, after=("avatar", "mix"), hold=(58.2 * k, 74 * k)),
        span("package <&>", 74 * k, 76 * k, after=("encode",)),
    )
    draw, samples, at = random.Random(7), [], 0.0  # noqa: S311
    while at < 76 * k:
        end = min(76 * k, at + 0.2 * max(1.0, k / 4))
        samples.append(_sample(at, end, k, draw))
        at = end
    notes = ("card 1: no power (Not Supported)",)
    return Trace(cpu_count=16, spans=spans, samples=tuple(samples), cards=CARDS, notes=notes)


def _sample(at: float, end: float, k: float, draw: random.Random) -> Sample:
    def near(value: float, spread: float = 5.0) -> float:
        return min(100.0, max(0.0, draw.gauss(value, spread)))

    util, sm, encoder, thread, cores = 1.0, 0.0, 0.0, 30.0, 0.4
    if 6 * k < at < 24 * k:
        util, sm, thread, cores = 46, 12, 96, 2.2
    elif 28 * k < at < 58 * k:
        util, sm, thread, cores = 93, 71, 55, 3.0
    elif 58.2 * k < at < 74 * k:
        util, sm, encoder, thread, cores = 24, 10, 97, 60, 5.0
    elif at < 6 * k:
        thread, cores = 70, 1.2
    second = 78.0 if 4 * k < at < 19 * k else 0.0
    first_card = CardReading(
        card=0,
        gpu_util_pct=near(util),
        sm_active_pct=near(sm, 3),
        encoder_util_pct=near(encoder, 2) if encoder else 0.0,
        memory_used_mib=9000.0,
        power_w=near(60 + 2.6 * util) * 2,
        throttle=("power cap",) if util > 90 else (),
    )
    other = CardReading(card=1, gpu_util_pct=near(second) if second else 0.0, encoder_util_pct=0.0)
    return Sample(
        start_s=at,
        end_s=end,
        cpu_cores=max(0.0, draw.gauss(cores, 0.3)),
        busiest_thread_pct=near(thread),
        rss_mib=2100.0,
        read_mib=0.5,
        write_mib=0.1,
        io_stall_pct=near(4, 2),
        cards=(first_card, other),
    )


def batch_of(episodes: int) -> Trace:
    """Many short episodes one after another: the picture must stay small."""
    spans: list[Span] = []
    samples: list[Sample] = []
    draw = random.Random(3)  # noqa: S311
    for number in range(episodes):
        start = number * 40.0
        for order, stage in enumerate(("speech", "music", "avatar", "mix", "encode")):
            at = start + order * 8
            spans.append(
                span(f"{stage}#{number}", at, at + draw.uniform(2, 7.5), hold=(at, at + 2))
            )
    for step in range(8000):
        width = episodes * 40.0 / 8000
        samples.append(_sample(step * width, (step + 1) * width, episodes / 2, draw))
    return Trace(cpu_count=16, spans=tuple(spans), samples=tuple(samples), cards=CARDS)
