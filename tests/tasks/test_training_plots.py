from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from studio.training import LossPoint
from tasks.training_plots import draw_losses, draw_mels


def _colour(
    path: Path, colour: tuple[int, int, int]
) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    pixels = np.asarray(Image.open(path).convert("RGB")).astype(int)
    return np.asarray(np.abs(pixels - colour).max(axis=2) < 8)


def test_a_falling_loss_falls_in_the_picture(tmp_path: Path) -> None:
    points = [
        LossPoint(step=100 * i, training=1.0 / i, validation=2.0 / i if i % 2 else None)
        for i in range(1, 10)
    ]
    path = draw_losses(points, tmp_path / "losses.png")
    curve = _colour(path, (0x2F, 0x6F, 0x9F))[60:460]
    columns = np.flatnonzero(curve.any(axis=0))
    heights = [float(np.flatnonzero(curve[:, column]).mean()) for column in columns]
    assert heights[0] < 150
    assert heights[-1] > heights[0] + 150
    assert _colour(path, (0xB3, 0x38, 0x2C))[60:460].any()


def test_a_run_of_one_point_is_drawn(tmp_path: Path) -> None:
    path = draw_losses([LossPoint(step=1, training=0.0, validation=None)], tmp_path / "one.png")
    assert Image.open(path).size == (1120, 520)


def test_low_bands_are_drawn_below_and_both_mels_share_a_scale(tmp_path: Path) -> None:
    low = np.full((200, 40), -11.5, np.float32)
    low[:, :5] = 0.0
    path = draw_mels(
        [("one", low), ("other", np.full((200, 40), -11.5, np.float32))], tmp_path / "m.png"
    )
    pixels = np.asarray(Image.open(path).convert("L")).astype(float)
    first = pixels[40 : 40 + 120, 100]
    assert first[-10:].mean() > first[:60].mean() + 80
    second = pixels[40 + 160 : 40 + 160 + 100, 100]
    assert np.ptp(second) < 3
