"""Covers and contact sheets: sizes, contrast, every input seen."""

import numpy as np
import pytest

from models.picture.cover import (
    COVER_PX,
    NUM_BARS,
    draw_contact_sheet,
    draw_cover,
    unpremultiplied,
)

LEVELS = np.linspace(0.1, 1.0, NUM_BARS).astype(np.float32)


def test_a_cover_is_square_in_the_size_that_directories_ask_for() -> None:
    picture = draw_cover("Tide Pools", "Salt", "A. Author", LEVELS)
    assert picture.shape == (COVER_PX, COVER_PX, 3)
    assert 1400 <= COVER_PX <= 3000
    title = picture[1360:1790].max(axis=2)
    assert title.max() > 240
    assert np.median(title) < 90


def test_title_show_author_sound_host_and_colour_each_change_it() -> None:
    host = np.zeros((40, 40, 4), np.uint8)
    host[10:, 10:30] = (200, 30, 30, 255)
    plain = draw_cover("Tide Pools", "Salt", "A. Author", LEVELS)
    others = [
        draw_cover("Rock Pools", "Salt", "A. Author", LEVELS),
        draw_cover("Tide Pools", "Pepper", "A. Author", LEVELS),
        draw_cover("Tide Pools", "Salt", "", LEVELS),
        draw_cover("Tide Pools", "Salt", "A. Author", LEVELS[::-1].copy()),
        draw_cover("Tide Pools", "Salt", "A. Author", LEVELS, [host]),
        draw_cover("Tide Pools", "Salt", "A. Author", LEVELS, colour="#501020"),
    ]
    for other in others:
        assert (np.abs(other.astype(int) - plain).max(axis=2) > 20).sum() > 500


@pytest.mark.parametrize("title", ["", "x" * 300, "شعر 🎙", "word " * 60])
def test_any_title_fits(title: str) -> None:
    picture = draw_cover(title, "", "", LEVELS)
    edge = picture[1360:1790, -100:]
    assert edge.max() < 200


def test_a_contact_sheet_shows_every_frame_and_its_time() -> None:
    frames = [np.full((90, 160, 3), 60 + 20 * index, np.uint8) for index in range(6)]
    sheet = draw_contact_sheet(frames, [index * 700.0 for index in range(6)], width=800)
    assert sheet.shape[1] == 800
    for index in range(6):
        assert (sheet == 60 + 20 * index).all(axis=2).sum() > 15_000


def test_premultiplied_planes_become_rgba() -> None:
    planes = np.zeros((4, 2, 2), np.uint8)
    # White at half opacity: Y = 235, U = V = 128, each times 128 / 255.
    planes[:, 0, 0] = [118, 64, 64, 128]
    rgba = unpremultiplied(planes)
    assert rgba[0, 0, 3] == 128
    assert (np.abs(rgba[0, 0, :3].astype(int) - 255) <= 4).all()
    assert rgba[1, 1, 3] == 0
