"""A portrait with its landmarks, and weights that make its lips move."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

from tasks.seat import host_picture


def save_wav2lip(folder: Path) -> Path:
    """A checkpoint of the published form and size, random, seeded; no face detector beside it."""
    import torch

    from models.avatar.wav2lip.net import Wav2Lip
    from tests.models.avatar import weight_recipe

    net = Wav2Lip()
    weight_recipe.filled(net, "wav2lip", {k: list(v.shape) for k, v in net.state_dict().items()})
    state = {f"module.{key}": value for key, value in net.state_dict().items()}
    torch.save({"state_dict": state}, folder / "wav2lip_gan.pth")
    return folder


def save_portrait(folder: Path, size_px: int) -> None:
    """`me.png`: a drawn host as a photograph, and 68 marks where its face is (a template)."""
    Image.fromarray(host_picture("nova", size_px, 7)).save(folder / "me.png")
    points = face_marks() * size_px
    sidecar = json.dumps({"points": points.tolist()})
    (folder / "me.landmarks.json").write_text(sidecar, encoding="utf-8")


def face_marks() -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Sixty-eight points in iBUG's order, jaw to lips, in shares of the picture."""

    def arc(n: int, x: tuple[float, float], y: float, depth: float) -> list[tuple[float, float]]:
        t = np.linspace(0, 1, n)
        return list(zip(np.interp(t, [0, 1], x), y + depth * np.sin(np.pi * t), strict=True))

    eye = [
        (-0.04, 0),
        (-0.015, -0.015),
        (0.015, -0.015),
        (0.04, 0),
        (0.015, 0.015),
        (-0.015, 0.015),
    ]
    lips_out = [*arc(7, (0.42, 0.58), 0.56, -0.03), *arc(7, (0.58, 0.42), 0.56, 0.03)[1:-1]]
    lips_in = [*arc(5, (0.44, 0.56), 0.56, -0.005), *arc(5, (0.56, 0.44), 0.56, 0.005)[1:-1]]
    points = [
        *arc(17, (0.32, 0.68), 0.42, 0.26),
        *arc(5, (0.35, 0.46), 0.32, -0.02),
        *arc(5, (0.54, 0.65), 0.32, -0.02),
        *[(0.5, y) for y in (0.37, 0.41, 0.45, 0.48)],
        *arc(5, (0.46, 0.54), 0.5, 0.01),
        *[(0.41 + x, 0.38 + y) for x, y in eye],
        *[(0.59 + x, 0.38 + y) for x, y in eye],
        *lips_out,
        *lips_in,
    ]
    return np.array(points, np.float64)
