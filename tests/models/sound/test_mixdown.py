"""Streams at exact samples, beds at exact levels, a master at its target."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.sound.ducking import Ducker, DuckShape
from models.sound.loudness import measure_loudness
from models.sound.mixdown import (
    Desk,
    bed_gain,
    master,
    plan_master,
    speech_loudness,
    summed,
)
from models.sound.peaks import true_peak
from models.sound.streams import Bed, Feed, Layer, Line, join_lines, lay_beds
from studio.audio import BLOCK, Samples, gain

RATE = 48_000
FLAT = DuckShape(depth_db=0.0, attack=1, hold=0, release=1)


def noise(num_samples: int, level: float, seed: int = 1) -> Samples:
    rng = np.random.default_rng(seed)
    return (rng.standard_normal((num_samples, 2)) * level).astype(np.float32)


def syllables(num_samples: int, level: float = 0.3) -> Samples:
    """Four bursts a second of a buzzing tone: the crest of speech without its words."""
    at = np.arange(num_samples) / RATE
    wave = sum(np.cos(2 * np.pi * 130 * k * at + k * k) / k for k in range(1, 30))
    return (wave * level / 4 * np.sin(np.pi * 4 * at) ** 4).astype(np.float32)


def played(samples: Samples, size: int = 50_000) -> Callable[[], Iterator[Samples]]:
    return lambda: (samples[i : i + size] for i in range(0, len(samples), size))


def bed(samples: Samples, start: int = 0, offset: int = 0, **changes: float) -> Bed:
    values = {"num_samples": len(samples), "gain": 1.0, "fade_in": 0, "fade_out": 0, **changes}
    layer = Layer(start=start, **values)  # type: ignore[arg-type]
    return Bed(start=start - offset, layers=(layer,), open=played(samples))


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, BLOCK * 2), st.integers(1, 40_000)), min_size=1, max_size=6)
)
def test_every_line_stands_at_its_sample(places: list[tuple[int, int]]) -> None:
    total = BLOCK * 2 + 40_000
    lines = [
        Line(start=s, num_samples=n, read=lambda i=i, n=n: noise(n, 0.1, i)[:, 0])  # type: ignore[misc]
        for i, (s, n) in enumerate(places)
    ]
    expected = np.zeros(total, np.float32)
    for i, (s, n) in enumerate(places):
        expected[s : s + n] += noise(n, 0.1, i)[:, 0]
    found = np.concatenate(list(join_lines(lines, total)))
    np.testing.assert_allclose(found, expected, atol=1e-7)


def test_a_bed_begins_ends_and_skips_at_its_samples() -> None:
    music = noise(RATE * 9, 0.1)
    placed = bed(music, start=1234, num_samples=RATE * 5, offset=777, gain=0.5)
    found = np.concatenate(list(lay_beds([placed], RATE * 8)))
    assert len(found) == RATE * 8
    assert not found[:1234].any()
    assert not found[1234 + RATE * 5 :].any()
    np.testing.assert_allclose(found[1234 : 1234 + RATE * 5], 0.5 * music[777 : 777 + RATE * 5])


def test_layers_of_one_piece_add_up_to_a_smooth_step() -> None:
    ones = np.ones((RATE * 4, 2), np.float32)
    layers = (
        Layer(start=0, num_samples=RATE * 4, gain=0.25, fade_in=0, fade_out=0),
        Layer(start=0, num_samples=RATE * 2, gain=0.75, fade_in=0, fade_out=RATE),
    )
    found = np.concatenate(
        list(lay_beds([Bed(start=0, layers=layers, open=played(ones))], RATE * 4))
    )[:, 0]
    np.testing.assert_allclose(found[:RATE], 1.0, atol=1e-6)
    np.testing.assert_allclose(found[RATE * 2 :], 0.25, atol=1e-6)
    assert np.abs(np.diff(found)).max() < 1e-4


def test_two_fades_over_each_other_keep_the_power() -> None:
    one, two = noise(RATE * 6, 0.1, 1), noise(RATE * 6, 0.1, 2)
    fade = RATE * 2
    beds = [bed(one, fade_out=fade), bed(two, start=RATE * 4, fade_in=fade)]
    found = np.concatenate(list(lay_beds(beds, RATE * 10)))
    per_quarter = np.square(found).reshape(40, -1).mean(axis=1)
    np.testing.assert_allclose(10 * np.log10(per_quarter / 0.01), 0.0, atol=0.25)


def test_fades_begin_and_end_in_silence() -> None:
    found = np.concatenate(
        list(lay_beds([bed(np.ones((RATE, 2), np.float32), fade_in=4800, fade_out=9600)], RATE))
    )[:, 0]
    assert found[0] < 0.001
    assert found[-1] < 0.001
    assert found[2400] == pytest.approx(np.sin(np.pi / 4), abs=1e-3)
    assert (np.diff(found[:4800]) > -1e-6).all()
    assert (np.diff(found[-9600:]) < 1e-6).all()
    assert (found[4800:-9600] == 1.0).all()


def test_a_stream_that_ends_early_is_followed_by_silence() -> None:
    feed = Feed(iter([np.ones((10, 2), np.float32)]))
    assert feed.take(4).sum() == 8
    assert feed.take(10).sum() == 12
    assert feed.take(3).sum() == 0


@pytest.mark.parametrize("num_channels", [1, 2])
def test_a_bed_lies_its_level_below_the_speech(num_channels: int) -> None:
    speech = syllables(RATE * 4)
    line = Line(start=0, num_samples=len(speech), read=lambda: speech)
    spoken = speech_loudness([line], len(speech), num_channels)
    in_mix = np.repeat(speech[:, None], num_channels, axis=1)
    assert spoken == pytest.approx(measure_loudness(in_mix).integrated_lufs, abs=0.05)
    music = noise(RATE * 4, 0.2)
    level = bed_gain(played(music), num_channels, spoken - 14.0)
    heard = music if num_channels == 2 else music.mean(axis=1)
    found = measure_loudness(heard * np.float32(level)).integrated_lufs
    assert found == pytest.approx(spoken - 14.0, abs=0.05)


def test_a_silent_piece_is_not_amplified() -> None:
    assert bed_gain(played(np.zeros((RATE, 2), np.float32)), 2, -30.0) == 1.0


def desk(num_channels: int, seconds: int = 12) -> Desk:
    speech = syllables(RATE * 4)
    starts = range(RATE, RATE * (seconds - 4), RATE * 5)
    lines = tuple(Line(start=s, num_samples=len(speech), read=lambda: speech) for s in starts)
    spans = [(s, s + len(speech)) for s in starts]
    shape = DuckShape(depth_db=-9.0, attack=12_000, hold=16_800, release=38_400)
    return Desk(
        lines=lines,
        beds=(bed(noise(RATE * seconds, 0.02), fade_in=RATE, fade_out=RATE),),
        ducker=Ducker(spans, shape),
        num_samples=RATE * seconds - 17,
        num_channels=num_channels,
    )


@pytest.mark.parametrize(
    ("num_channels", "target", "ceiling"), [(2, -16.0, -2.0), (1, -19.0, -2.0), (2, -14.0, -6.0)]
)
def test_the_master_meets_loudness_and_peak(
    num_channels: int, target: float, ceiling: float
) -> None:
    mixed = desk(num_channels)
    plan = plan_master(
        lambda: summed(mixed), num_channels, loudness_lufs=target, true_peak_dbtp=ceiling
    )
    finished = list(master(mixed, plan.curve))
    whole = np.concatenate([block.mix for block in finished])
    assert whole.shape == (mixed.num_samples, num_channels)
    found = measure_loudness(whole if num_channels == 2 else whole[:, 0], true_peak=True)
    assert found.integrated_lufs == pytest.approx(target, abs=0.2)
    assert 20 * np.log10(true_peak(whole)) <= ceiling + 0.05
    assert found.true_peak_dbtp is not None
    assert found.true_peak_dbtp <= ceiling + 0.3
    if ceiling == -6.0:
        assert plan.curve.reduction_db() > 1.0
    stems = [block.speech[:, None] + block.music for block in finished]
    np.testing.assert_array_equal(np.concatenate(stems), whole)


def test_silence_stays_silent() -> None:
    quiet = Desk(lines=(), beds=(), ducker=Ducker([], FLAT), num_samples=RATE, num_channels=2)
    plan = plan_master(lambda: summed(quiet), 2, loudness_lufs=-16.0, true_peak_dbtp=-1.0)
    assert not any(block.mix.any() for block in master(quiet, plan.curve))


def test_a_correction_moves_the_master_by_as_much() -> None:
    mixed = desk(2)
    levels = [
        plan_master(
            lambda: summed(mixed), 2, loudness_lufs=-20.0, true_peak_dbtp=-2.0, correction_db=c
        ).expected_lufs
        for c in (0.0, 0.5)
    ]
    assert levels[1] - levels[0] == pytest.approx(0.5, abs=0.03)
    assert gain(levels[0] + 20.0) == pytest.approx(1.0, abs=0.01)
