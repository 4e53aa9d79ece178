"""The verdict against runs of known truth: how often right, wrong and inconclusive."""

from __future__ import annotations

import random
import time
from collections import Counter
from dataclasses import replace

import pytest

from studio.gpu.cards import survey
from studio.gpu.meter import Meter
from studio.gpu.schedule import Wish, critical_path, makespan_s
from studio.gpu.trace import Phase, PhaseKind, Sample, Span, Trace
from studio.gpu.verdict import judge
from tests.studio.gpu.fake_nvml import FakeCard, FakeNvml
from tests.studio.gpu.synthetic_runs import CARD, SIGNATURES, TRUTH, run_of, span
from tests.studio.gpu.test_meter import burn

PURE = [(name, length, seed) for name in SIGNATURES for length in (6.0, 40.0) for seed in (1, 2)]


def idle_share(name: str) -> float:
    """How idle a card is: by what runs on it, or by how little of it is filled where kernels are
    tiny.
    """
    signature = SIGNATURES[name]
    return 1.0 - (signature.sm_pct if name == "launch_bound" else signature.util_pct) / 100.0


def finding(trace: Trace) -> str:
    return judge(trace).cards[0].finding


@pytest.mark.parametrize(("name", "length_s", "seed"), PURE)
def test_a_run_with_one_cause_is_explained_by_it(name: str, length_s: float, seed: int) -> None:
    trace = run_of([(name, length_s), ("well_used", length_s / 3)], seed)
    assert finding(trace) == TRUTH.get(name, name)


def test_mixed_runs_are_right_or_inconclusive_but_hardly_ever_wrong() -> None:
    """One cause with 50 to 90 % of the idle time, another with the rest: 200 runs drawn by a fixed
    rule.
    """
    verdicts: Counter[str] = Counter()
    names = [name for name in SIGNATURES if name not in ("well_used", *TRUTH)]
    for seed in range(200):
        at, step = seed % len(names), 1 + seed // len(names) % (len(names) - 1)
        first, second = names[at], names[(at + step) % len(names)]
        share = (0.55, 0.65, 0.75, 0.9)[seed % 4]
        idle = {name: idle_share(name) for name in (first, second)}
        parts = [(first, 30 * share / idle[first]), (second, 30 * (1 - share) / idle[second])]
        said = finding(run_of([*parts, ("well_used", 10.0)], seed))
        verdicts["right" if said == first else said if said == "inconclusive" else "wrong"] += 1
    print(dict(verdicts))
    assert verdicts["wrong"] <= 0.02 * verdicts.total(), verdicts
    assert verdicts["right"] >= 0.9 * verdicts.total(), verdicts


@pytest.mark.parametrize("seed", range(5))
def test_three_equal_causes_are_inconclusive(seed: int) -> None:
    parts = [("input", 10.0), ("loading", 10.0), ("between_stages", 10.0)]
    assert finding(run_of(parts, seed)) == "inconclusive"


def test_a_handful_of_samples_is_inconclusive() -> None:
    assert finding(run_of([("cpu_bound", 1.0)], 1)) == "inconclusive"


def test_a_card_that_was_hardly_watched_is_inconclusive() -> None:
    whole = run_of([("cpu_bound", 20.0)], 1)
    part = Trace(cpu_count=8, spans=whole.spans, samples=whole.samples[:30], cards=(CARD,))
    assert finding(part) == "inconclusive"


def test_without_gpm_a_busy_launcher_is_called_cpu_bound_not_launch_bound() -> None:
    assert finding(run_of([("launch_bound", 20.0)], 1, gpm=False)) == "cpu_bound"


def test_without_a_card_the_headline_says_so() -> None:
    trace = Trace(cpu_count=2, spans=(span("speech", 0, 5),))
    assert "without a GPU" in judge(trace).headline


@pytest.mark.parametrize(
    ("cores", "stall_pct", "crowded"), [(0.2, 90.0, True), (0.2, 5.0, False), (1.9, 90.0, False)]
)
def test_without_a_card_the_headline_tells_who_had_the_cores(
    cores: float, stall_pct: float, crowded: bool
) -> None:
    sample = Sample(start_s=0.0, end_s=5.0, cpu_cores=cores, cpu_stall_pct=stall_pct)
    said = judge(Trace(cpu_count=2, spans=(span("speech", 0, 5),), samples=(sample,))).headline
    assert f"it kept {cores:.1f} of 2 cores busy" in said
    assert ("other programs had the cores" in said) is crowded


@pytest.mark.parametrize(
    ("cores", "crowd_pct", "words"),
    [
        (1.2, 3.0, "spread the CPU work of avatar over more threads"),
        (7.8, 3.0, "give avatar more or faster cores"),
        (1.2, 80.0, "keep other programs off the cores while avatar runs"),
    ],
)
def test_threads_are_advised_only_where_cores_are_free_for_them(
    cores: float, crowd_pct: float, words: str
) -> None:
    whole = run_of([("cpu_bound", 20.0)], 1)
    samples = tuple(replace(one, cpu_cores=cores, cpu_stall_pct=crowd_pct) for one in whole.samples)
    spans = tuple(replace(one, stage="avatar") for one in whole.spans)
    first, *_ = judge(replace(whole, spans=spans, samples=samples)).changes
    assert first.what.startswith(words)
    assert (first.saves_s or 0.0) > 10.0


def test_a_stage_that_no_card_could_help_is_not_sent_to_one() -> None:
    spans = (
        span("avatar", 0, 10, hold=(0, 10)),
        span("encode", 10, 30, after=("avatar",)),
        span("package", 30, 60, after=("encode",)),
    )
    said = [change.what for change in judge(traced(*spans)).changes]
    assert "let encode use the card, with an engine or encoder that can" in said
    assert not any("package" in what for what in said)


def test_the_first_load_of_several_had_to_be_and_one_of_a_batch_too() -> None:
    one = span("speech#1", 0, 10, phases=[("load", 0, 4)])
    two = span("speech#2", 10, 16, after=("speech#1",))
    batch = (replace(one, run="one"), replace(two, run="two"))
    assert saving(traced(*batch), "engine of speech") == 0.0
    assert saving(traced(one), "once for several runs") == pytest.approx(4.0)


def test_idle_time_is_all_accounted_for() -> None:
    trace = run_of([("input", 9.0), ("cpu_bound", 7.0), ("well_used", 5.0)], 3, gpm=False)
    (card,) = judge(trace).cards
    idle = sum(
        sample.seconds * (1 - (sample.cards[0].gpu_util_pct or 0) / 100) for sample in trace.samples
    )
    assert card.idle_s == pytest.approx(idle)
    assert sum(cause.seconds for cause in card.causes) == pytest.approx(idle)
    for cause in card.causes:
        assert sum(seconds for _, seconds in cause.by_span) == pytest.approx(cause.seconds)


@pytest.mark.parametrize(("fetch_s", "said"), [(0.018, "input"), (0.001, "cpu_bound")])
def test_waits_much_shorter_than_a_reading_explain_what_they_last(
    fetch_s: float, said: str
) -> None:
    """A training loop of 25 steps a second: what its fetches do not explain, the sensors do."""
    whole = run_of([("cpu_bound", 20.0)], 1)
    (span_,) = whole.spans
    fetches = tuple(
        Phase(kind="input", start_s=at / 25, end_s=at / 25 + fetch_s) for at in range(25 * 20)
    )
    samples = tuple(
        replace(one, cards=(replace(one.cards[0], gpu_util_pct=50.0, sm_active_pct=45.0),))
        for one in whole.samples
    )
    (card,) = judge(replace(whole, spans=(replace(span_, phases=fetches),), samples=samples)).cards
    seconds = {time.cause: time.seconds for time in card.causes}
    assert card.finding == said
    assert seconds["input"] == pytest.approx(fetch_s * 25 * 20, rel=0.05)
    assert sum(seconds.values()) == pytest.approx(10.0)


# What a change saves, on runs whose answer can be worked out by hand.


def saving(trace: Trace, words: str) -> float:
    found = [change for change in judge(trace).changes if words in change.what]
    return found[0].saves_s or 0.0 if found else 0.0


def traced(*spans: Span) -> Trace:
    return Trace(cpu_count=8, spans=spans, samples=(), cards=(CARD,))


def test_a_load_on_the_critical_path_saves_its_length_and_one_beside_it_saves_nothing() -> None:
    speech = span("speech", 0, 10, phases=[("load", 0, 4)])
    music = span("music", 0, 3, phases=[("load", 0, 2)])
    mix = span("mix", 10, 12, after=("speech", "music"))
    trace = traced(speech, music, mix)
    assert saving(trace, "engine of speech") == pytest.approx(4.0)
    assert saving(trace, "engine of music") == 0.0


def test_a_saving_ends_where_another_chain_takes_over() -> None:
    speech = span("speech", 0, 10, phases=[("load", 0, 6)])
    music = span("music", 0, 8)
    mix = span("mix", 10, 12, after=("speech", "music"))
    assert saving(traced(speech, music, mix), "engine of speech") == pytest.approx(2.0)


def test_a_wait_for_a_lease_saves_what_the_holder_kept() -> None:
    first = span("music", 0, 10, hold=(0, 10))
    second = span("avatar", 2, 20, phases=[("lease", 2, 10)], hold=(10, 20))
    assert saving(traced(first, second), "make room for avatar") == pytest.approx(8.0)


def test_a_faster_holder_lets_the_waiter_start_sooner() -> None:
    first = span("music", 0, 10, phases=[("load", 0, 5)], hold=(0, 10))
    second = span("avatar", 2, 20, phases=[("lease", 2, 10)], hold=(10, 20))
    assert saving(traced(first, second), "engine of music") == pytest.approx(5.0)


def test_time_that_passes_before_a_start_is_saved_by_starting_at_once() -> None:
    speech = span("speech", 0, 10)
    mix = span("mix", 13, 15, after=("speech",))
    assert saving(traced(speech, mix), "start mix as soon") == pytest.approx(3.0)


def test_independent_stages_one_after_the_other_could_run_side_by_side() -> None:
    speech, music = span("speech", 0, 10), span("music", 10, 18)
    mix = span("mix", 18, 20, after=("speech", "music"))
    trace = traced(speech, music, mix)
    assert saving(trace, "start music at once") == pytest.approx(8.0)
    verdict = judge(trace)
    assert verdict.overlap_reached == pytest.approx(1.0)
    assert verdict.overlap_possible == pytest.approx(20 / 12)


def test_a_consumer_that_streams_keeps_its_lead() -> None:
    speech = span("speech", 0, 10, phases=[("load", 0, 3)])
    avatar = span("avatar", 4, 12, after=("speech",))
    spans = (speech, avatar)
    assert makespan_s(spans, Wish()) == pytest.approx(12.0)
    # speech would end at 7, the avatar still needs its own 8 seconds from second 4
    assert makespan_s(spans, Wish(shorter_s={"speech": 3.0})) == pytest.approx(12.0)
    assert makespan_s(spans, Wish(shorter_s={"speech": 3.0, "avatar": 3.0})) == pytest.approx(9.0)


@pytest.mark.parametrize("seed", range(20))
def test_with_no_wish_the_graph_returns_the_observed_run(seed: int) -> None:
    draw = random.Random(seed)  # noqa: S311
    spans: list[Span] = []
    for number in range(12):
        start = draw.uniform(0, 50)
        length = draw.uniform(0.5, 20)
        earlier = tuple(item.id for item in spans if item.start_s <= start and draw.random() < 0.3)
        waits: list[tuple[PhaseKind, float, float]] = []
        if number % 3 == 0:
            waits = [("lease", start, start + length * draw.uniform(0, 0.5))]
        hold = (start + length / 2, start + length)
        spans.append(
            span(f"s{number}", start, start + length, after=earlier, phases=waits, hold=hold)
        )
    first = min(item.start_s for item in spans)
    assert makespan_s(spans, Wish()) == pytest.approx(max(s.end_s for s in spans) - first)


def test_the_critical_path_follows_results_and_leases() -> None:
    speech = span("speech", 0, 10, hold=(0, 10))
    music = span("music", 0, 6)
    avatar = span("avatar", 6, 25, after=("music",), phases=[("lease", 6, 10.1)], hold=(10.1, 25))
    assert [item.id for item in critical_path((speech, music, avatar))] == ["speech", "avatar"]
    path = judge(traced(speech, music, avatar)).critical_path
    assert [(step.stage, round(step.seconds, 3)) for step in path] == [
        ("speech", 10),
        ("avatar", 15),
    ]


def test_a_batch_adds_its_episodes_up() -> None:
    one = span("speech#1", 0, 10, phases=[("load", 0, 4)])
    two = span("speech#2", 10, 20, after=("speech#1",), phases=[("load", 10, 14)])
    assert saving(traced(one, two), "engine of speech") == pytest.approx(4.0)


# Real work made slow on purpose, with only the card imagined.


# It keeps a core busy in earnest: beside other tests on two cores the truth is another one.
@pytest.mark.slow
@pytest.mark.parametrize("slow", ["cpu_bound", "loading", "input", "between_stages"])
def test_real_work_made_slow_on_purpose(slow: str) -> None:
    card = FakeCard(gpu=3)
    fake = FakeNvml(card)
    with Meter(survey(fake, {}).cards, nvml=fake, sample_hz=20.0) as meter:
        with meter.stage("avatar") as running:
            if slow == "cpu_bound":
                burn(0.8)
            elif slow == "loading":
                with running.phase("load"):
                    time.sleep(0.8)
            elif slow == "input":
                with running.phase("input"):
                    time.sleep(0.8)
        if slow == "between_stages":
            time.sleep(2.2)
            with meter.stage("encode"):
                card.gpu = 99
                time.sleep(0.6)
    assert finding(meter.trace()) == slow
