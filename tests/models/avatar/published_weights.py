"""Checkpoints in the published form: the authors' file names, sections, prefixes and every key that
they publish, those that inference drops included; the numbers are the recipe's.
"""

from __future__ import annotations

import functools
import gzip
import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from models.avatar.sadtalker.keypoints import KeypointDetector
from tests.models.avatar import weight_recipe as recipe

REFERENCE = Path(__file__).parent / "reference"

BUNDLED = ("face_3drecon", "audio2exp", "audio2pose", "kp_extractor", "generator")
"""Networks that SadTalker's authors publish in one file, each under its own prefix."""


@functools.cache
def _published_keys() -> dict[str, dict[str, list[int]]]:
    with gzip.open(REFERENCE / "published_keys.json.gz", "rt") as file:
        keys: dict[str, dict[str, list[int]]] = json.load(file)
    return keys


def state_of(network: str) -> dict[str, Tensor]:
    """Every published key of a network, filled."""
    state = recipe.weights(network, _published_keys()[network])
    if network == "kp_extractor":
        state["down.weight"] = KeypointDetector().state_dict()["down.weight"].clone()
    assert set(state) == set(_published_keys()[network])
    return state


def save_sadtalker(folder: Path, size_px: int = 256) -> None:
    """SadTalker's bundle for one size, and the two mappings that lie beside it."""
    bundle = {
        f"{network}.{key}": value.contiguous()
        for network in BUNDLED
        for key, value in state_of(network).items()
    }
    save_file(bundle, folder / f"SadTalker_V0.0.2_{size_px}.safetensors")
    for network, file in (
        ("mapping", "mapping_00229-model.pth.tar"),
        ("mapping_full", "mapping_00109-model.pth.tar"),
    ):
        torch.save({"mapping": state_of(network)}, folder / file)


def save_gfpgan(folder: Path) -> None:
    """The restorer."""
    torch.save({"params_ema": state_of("gfpgan")}, folder / "GFPGANv1.4.pth")
