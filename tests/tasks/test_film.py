"""Filmed presenters: frames come back in order, in their colours, and listening never jumps."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from studio.errors import MediaError, StoreError
from studio.types import AvatarPart
from tasks.film import IDLE_LINE, Reel, film_frames, record
from tasks.run import Run

SIDE = 64


def _frames(levels: list[int], colour: tuple[int, int, int] = (1, 1, 1)) -> NDArray[np.uint8]:
    shades = np.array(levels)[:, None] * np.array(colour)
    return np.broadcast_to(shades[:, None, None], (len(levels), SIDE, SIDE, 3)).astype(np.uint8)


def _part(run: Run, line: int, start: int, frames: NDArray[np.uint8]) -> AvatarPart:
    data, count = record(np.array_split(frames, 3), 25, run.store)
    assert count == len(frames)
    return AvatarPart(line=line, start_frame=start, num_frames=count, data=data)


@pytest.fixture
def reel(run: Run) -> Reel:
    """Listening is dark (20 to 50), the spoken line bright (100, 104, ...) from frame 5 on."""
    idle = _part(run, IDLE_LINE, 0, _frames([20, 30, 40, 50]))
    line = _part(run, 0, 5, _frames([100 + 4 * i for i in range(10)]))
    return Reel((idle, line), run.store)


def _grey(planes: NDArray[np.uint8]) -> float:
    """The grey value 0..255 in the middle, undoing limited range."""
    return (float(planes[0, SIDE // 2, SIDE // 2]) - 16) * 255 / 219


def test_every_frame_of_a_line_is_shown_at_its_place(reel: Reel) -> None:
    shown = [_grey(reel.paint(frame)) for frame in range(5, 15)]
    assert shown == pytest.approx([100 + 4 * i for i in range(10)], abs=3)


def test_a_frame_asked_for_twice_is_the_same_and_an_earlier_one_is_found_again(reel: Reel) -> None:
    first = reel.paint(7).copy()
    assert np.array_equal(reel.paint(7), first)
    later = reel.paint(12).copy()
    assert not np.array_equal(later, first)
    assert np.array_equal(reel.paint(7), first)


def test_listening_runs_to_and_fro(reel: Reel) -> None:
    shown = [round(_grey(reel.paint(frame)), -1) for frame in range(15, 27)]
    assert {abs(a - b) for a, b in pairwise(shown)} == {10.0}
    assert set(shown) == {20.0, 30.0, 40.0, 50.0}


def test_colours_survive(run: Run) -> None:
    red = _part(run, IDLE_LINE, 0, _frames([200, 200], (1, 0, 0)))
    y, cb, cr, alpha = Reel((red,), run.store).paint(0)[:, SIDE // 2, SIDE // 2].astype(float)
    assert alpha == 255
    red_value = (y - 16) * 255 / 219 + 1.7927 * (cr - 128)
    green_value = (y - 16) * 255 / 219 - 0.2132 * (cb - 128) - 0.5329 * (cr - 128)
    assert red_value == pytest.approx(200, abs=4)
    assert green_value == pytest.approx(0, abs=4)


def test_corners_are_clear_and_premultiplied(reel: Reel) -> None:
    planes = reel.paint(6)
    assert planes[3, 0, 0] == 0
    assert (planes[:3, 0, 0] == 0).all()


def test_a_film_that_is_gone_is_an_error(run: Run) -> None:
    idle = _part(run, IDLE_LINE, 0, _frames([20, 30]))
    run.store.path(idle.data).unlink()
    with pytest.raises(StoreError):
        Reel((idle,), run.store)


@pytest.mark.parametrize(("fps", "steps"), [(25, 1), (50, 2), (10, 0.4)])
def test_a_film_is_shown_at_another_rate_as_it_stands_at_each_time(
    run: Run, fps: int, steps: float
) -> None:
    data, _ = record([_frames([20 + 8 * i for i in range(25)])], 25, run.store)
    shown = list(film_frames(run.store.path(data), fps, 60.0, SIDE))
    levels = [float(frame[SIDE // 2, SIDE // 2, 1]) for frame in shown]
    assert len(shown) == 25 * steps
    wanted = [20 + 8 * int(i / steps + 1e-9) for i in range(len(shown))]
    assert levels == pytest.approx(wanted, abs=3)


def test_a_film_is_cut_and_scaled_and_what_is_none_is_refused(run: Run, tmp_path: Path) -> None:
    data, _ = record([_frames([20] * 25)], 25, run.store)
    shown = list(film_frames(run.store.path(data), 25, 0.2, SIDE // 2))
    assert len(shown) == 5
    assert {frame.shape for frame in shown} == {(SIDE // 2, SIDE // 2, 3)}
    words = tmp_path / "words.mp4"
    words.write_text("no film")
    with pytest.raises(MediaError, match=r"words\.mp4"):
        list(film_frames(words, 25, 1.0, SIDE))
