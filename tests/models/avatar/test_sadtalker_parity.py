"""Every network against the original's outputs for the same weights and inputs."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tests.models.avatar import parity_adapter as adapter  # noqa: E402
from tests.models.avatar import weight_recipe as recipe  # noqa: E402

REFERENCE = Path(__file__).parent / "reference"
SLOW = {"generator", "gfpgan", "kp_extractor"}


def published(network: str) -> dict[str, list[int]]:
    """The published keys and shapes that inference uses."""
    with gzip.open(REFERENCE / "published_keys.json.gz", "rt") as file:
        keys: dict[str, Any] = json.load(file)[network]
    unused = adapter.DROP.get(network, ())
    return {k: s for k, s in keys.items() if not k.startswith(unused or ("\0",))}


NETWORKS = [
    pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in recipe.GAINS
]


@pytest.mark.parametrize("network", NETWORKS)
def test_equals_the_original(network: str) -> None:
    keys = published(network)
    module = adapter.build(network)
    result = module.load_state_dict(recipe.weights(network, keys), strict=False)
    assert not result.unexpected_keys
    assert set(result.missing_keys) <= {"down.weight"}  # a fixed buffer, published as constructed
    module.eval()
    with torch.inference_mode():
        outputs = adapter.run(network, module, recipe.INPUTS[network]())
    found: dict[str, Any] = {}
    for name, output in outputs.items():
        found.update(recipe.packed(name, output))
    # The renderer's flow is a step function of its mask: a voxel may fall on the other side of
    # the step.
    tolerance = 1e-3 if network == "generator" else 2e-4
    with np.load(REFERENCE / f"{network}.npz") as reference:
        assert reference.files
        for name in reference.files:
            error = np.abs(reference[name] - found[name]).max()
            assert error < tolerance * max(np.abs(reference[name]).max(), 1e-6), name


@pytest.mark.parametrize("network", sorted(set(recipe.GAINS) - {"generator", "audio2pose"}))
def test_keys_and_shapes_are_the_published_ones(network: str) -> None:
    with torch.device("meta"):
        own = {k: list(v.shape) for k, v in adapter.build(network).state_dict().items()}
    assert own == published(network)


def test_folding_changes_nothing() -> None:
    from models.avatar.folding import fold

    for network in ("audio2exp", "audio2pose", "face_3drecon"):
        module = recipe.filled(adapter.build(network), network, published(network))
        inputs = recipe.INPUTS[network]()
        with torch.inference_mode():
            before = adapter.run(network, module, inputs)
            normalisations = _normalisations(module)
            after = adapter.run(network, fold(module), inputs)
        assert _normalisations(module) < normalisations
        for name, output in before.items():
            scale = output.abs().max()
            assert (output - after[name]).abs().max() < 5e-5 * scale


def _normalisations(module: Any) -> int:
    kinds = (torch.nn.BatchNorm2d, torch.nn.BatchNorm3d)
    return sum(isinstance(part, kinds) for part in module.modules())


@pytest.mark.parametrize("scale", [2, 4])
def test_phase_kernels_equal_convolving_the_upsampled_map(scale: int) -> None:
    from models.avatar.sadtalker.spade import PhaseConv

    torch.manual_seed(scale)
    weight, bias = torch.randn(5, 3, 3, 3).double(), torch.randn(5).double()
    x = torch.randn(2, 3, 6, 7).double()
    large = torch.nn.functional.interpolate(x, scale_factor=float(scale))
    direct = torch.nn.functional.conv2d(large, weight, bias, padding=1)
    assert (PhaseConv(weight, bias, scale)(x) - direct).abs().max() < 1e-13


def test_modulated_convolution_equals_scaled_weights() -> None:
    from models.avatar.gfpgan.stylegan import ModulatedConv2d

    torch.manual_seed(1)
    layer = ModulatedConv2d(4, 6, 3, demodulate=True).double()
    x, style = torch.randn(3, 4, 8, 8).double(), torch.randn(3, 512).double()
    scaled = layer.weight * layer.modulation(style)[:, None, :, None, None]
    scaled = scaled / (scaled.square().sum(dim=(2, 3, 4), keepdim=True) + 1e-8).sqrt()
    one_by_one = [torch.nn.functional.conv2d(x[i : i + 1], scaled[i], padding=1) for i in range(3)]
    assert (layer(x, style) - torch.cat(one_by_one)).abs().max() < 1e-5
