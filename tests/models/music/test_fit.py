"""Exact lengths, no seams, the same sound however it is cut into blocks."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.music.fit import fit
from studio.errors import MusicError
from studio.types import SAMPLE_RATE

Sound = NDArray[np.float32]


def shape_of(hop: int, chunks: tuple[int, ...], ending: int) -> SimpleNamespace:
    return SimpleNamespace(hop_samples=hop, chunk_samples=chunks, ending_samples=ending)


def played(
    audio: Sound, shape: SimpleNamespace, n: int, offset: int = 0, block: int = 997
) -> Sound:
    parts = list(fit(lambda s, c: audio[s : s + c], shape, n, offset=offset, block_samples=block))
    return np.concatenate(parts) if parts else np.zeros((0, 2), np.float32)


def noise(n: int, seed: int = 0) -> Sound:
    return np.random.default_rng(seed).uniform(-1, 1, (n, 2)).astype(np.float32)


@settings(max_examples=60, deadline=None)
@given(
    hop=st.integers(1, 400),
    tails=st.lists(st.integers(0, 600), min_size=1, max_size=9),
    ending=st.integers(0, 900),
    n=st.integers(0, 6_000),
    blocks=st.tuples(st.integers(1, 2_000), st.integers(1, 2_000)),
    offset=st.integers(0, 300),
)
def test_any_piece_has_exactly_the_length_asked_for(
    hop: int, tails: list[int], ending: int, n: int, blocks: tuple[int, int], offset: int
) -> None:
    lengths = tuple(hop + tail for tail in tails)
    shape = shape_of(hop, lengths, ending)
    audio = noise(sum(lengths) + ending)
    if len(lengths) == 1 and not ending and offset >= lengths[0]:
        with pytest.raises(MusicError):
            played(audio, shape, max(n, 1), offset)
        return
    one, two = (played(audio, shape, n, offset, block) for block in blocks)
    assert one.shape == (n, 2)
    assert one.dtype == np.float32
    np.testing.assert_array_equal(one, two)


def test_bars_then_the_ending_overlap_and_add() -> None:
    hop, tail, ending = 100, 60, 250
    audio = noise(5 * (hop + tail) + ending)
    shape = shape_of(hop, (hop + tail,) * 5, ending)
    out = played(audio, shape, 3 * hop + ending)
    by_hand = np.zeros((3 * hop + ending, 2), np.float32)
    for k in range(3):
        by_hand[k * hop : k * hop + hop + tail] += audio[k * 160 : (k + 1) * 160]
    by_hand[3 * hop :] += audio[-ending:]
    np.testing.assert_allclose(out, by_hand, atol=1e-6)


@given(n=st.integers(1, 5_000))
def test_the_ending_is_cut_by_less_than_a_bar(n: int) -> None:
    """The ending always begins on a bar, and as late as it can while it still reaches the end."""
    hop, ending = 200, 700
    flat = np.zeros((4 * hop + ending, 2), np.float32)
    flat[-ending] = 1.0
    out = played(flat, shape_of(hop, (hop,) * 4, ending), n)
    (begins,) = np.flatnonzero(out[:, 0] > 0.5)
    assert begins % hop == 0
    assert begins + ending >= n
    assert n <= ending or begins + ending - n < hop


def test_what_runs_out_goes_on_without_its_introduction() -> None:
    hop = 10
    audio = np.repeat(np.arange(9, dtype=np.float32), hop)[:, None].repeat(2, axis=1)
    out = played(audio, shape_of(hop, (hop,) * 8, 5), 25 * hop + 5)
    order = out[5 : 25 * hop : hop, 0].round().astype(int).tolist()
    assert order == [0, 1, 2, 3, *[4, 5, 6, 7] * 5, 4]


def test_a_recording_is_looped_without_a_seam() -> None:
    seconds = 3
    t = np.arange(seconds * SAMPLE_RATE) / SAMPLE_RATE
    tone = 0.3 * np.sin(2 * np.pi * 441.7 * t) + 0.1 * np.random.default_rng(1).standard_normal(
        len(t)
    )
    audio = np.stack([tone, tone], axis=1).astype(np.float32)
    out = played(audio, shape_of(len(audio), (len(audio),), 0), 20 * SAMPLE_RATE, block=SAMPLE_RATE)
    level = np.sqrt(
        np.mean(out[:-2_000].reshape(-1)[: 40 * 19_000].reshape(-1, 19_000) ** 2, axis=1)
    )
    assert level.max() / level.min() < 1.5
    middle = out[: 19 * SAMPLE_RATE]
    assert np.abs(np.diff(middle, axis=0)).max() <= 1.6 * np.abs(np.diff(audio, axis=0)).max()


def test_a_recording_from_an_offset() -> None:
    audio = noise(50_000)
    out = played(audio, shape_of(50_000, (50_000,), 0), 20_000, offset=5_000)
    np.testing.assert_array_equal(out[1_000:19_000], audio[6_000:24_000])
    assert abs(out[0, 0]) < 1e-3
    assert abs(out[-1, 0]) < 1e-3


def test_an_offset_beyond_the_end_is_an_error() -> None:
    with pytest.raises(MusicError, match="only 1 s long"):
        played(noise(48_000), shape_of(48_000, (48_000,), 0), 100, offset=48_000)


def test_a_long_bed_needs_no_more_memory_than_a_block() -> None:
    asked: list[int] = []
    hop = 2 * SAMPLE_RATE
    ready = noise(3 * hop)

    def read(start: int, count: int) -> Sound:
        asked.append(count)
        return ready[:count]

    shape = shape_of(hop, (2 * hop,) * 40, 3 * hop)
    total = 0
    for block in fit(read, shape, 1200 * SAMPLE_RATE, block_samples=4 * SAMPLE_RATE):
        total += len(block)
    assert total == 1200 * SAMPLE_RATE
    assert max(asked) <= 4 * SAMPLE_RATE
