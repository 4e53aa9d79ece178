"""Weights and inputs that are the same on every machine, to compare networks without anybody's
checkpoint.

A value is 24 bits of PCG64, seeded by the SHA-256 of "seed:network:key": no library's own random
numbers are involved. Variances follow the fan-in, so that signals neither die nor explode. The
reference outputs beside this file were made by the original networks with these weights.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

SEED: Final = 20250101

GAINS: Final = {
    "wav2lip": 1.05,
    "s3fd": 1.2,
    "retinaface": 0.8,
    "fan98": 0.75,
    "face_3drecon": 0.9,
    "audio2exp": 1.0,
    "audio2pose": 1.4,
    "mapping": 1.2,
    "mapping_full": 1.2,
    "kp_extractor": 1.4,
    "generator": 1.3,
    "gfpgan": 0.9,
}
_BUFFER: Final = "down.weight"
"""The key-point detector's fixed blur: kept as constructed."""


def values(tag: str, shape: tuple[int, ...], low: float, high: float) -> NDArray[np.float32]:
    """Uniform in [low, high), by name."""
    seed = int.from_bytes(hashlib.sha256(tag.encode()).digest()[:8], "little")
    raw = np.random.PCG64(seed).random_raw(math.prod(shape))
    unit = ((raw >> np.uint64(40)) * 2.0**-24).astype(np.float32).astype(np.float64)
    return (unit * (high - low) + low).astype(np.float32).reshape(shape)


def given(network: str, name: str, shape: tuple[int, ...], low: float, high: float) -> Tensor:
    """An input of a network, by name."""
    return torch.from_numpy(values(f"{SEED}:{network}:in:{name}", shape, low, high))


def weights(network: str, keys: dict[str, list[int]]) -> dict[str, Tensor]:
    """Weights for published keys and shapes."""
    state: dict[str, Tensor] = {}
    for key, size in keys.items():
        shape = tuple(size)
        if key == _BUFFER or key.endswith(("weight_u", "weight_v")):
            continue
        if key.endswith("num_batches_tracked"):
            state[key] = torch.zeros(shape, dtype=torch.long)
            continue
        low, high = _range(key, shape, GAINS[network])
        state[key] = torch.from_numpy(values(f"{SEED}:{network}:{key}", shape, low, high))
    for key in [key for key in keys if key.endswith("weight_u")]:
        base = key.removesuffix("_u")
        state[key], state[f"{base}_v"] = _leading(state[f"{base}_orig"], f"{SEED}:{network}:{key}")
    return state


def _range(key: str, shape: tuple[int, ...], gain: float) -> tuple[float, float]:
    if key.endswith("running_mean"):
        return -0.1, 0.1
    if key.endswith("running_var"):
        return 0.5, 1.5
    if key.endswith("modulation.bias") or (len(shape) <= 1 and key.endswith("weight")):
        return 0.8, 1.2
    if len(shape) <= 1:
        return -0.05, 0.05
    leading_one = len(shape) == 5 and shape[0] == 1  # modulated weights carry a batch axis
    fan_in = math.prod(shape[2:] if leading_one else shape[1:])
    bound = gain * math.sqrt(3.0 / fan_in)
    return -bound, bound


def _leading(weight: Tensor, tag: str) -> tuple[Tensor, Tensor]:
    """The leading singular pair, as spectral normalisation tracks it: thirty power iterations."""
    matrix = weight.double().flatten(1)
    u = torch.from_numpy(values(tag, (matrix.shape[0],), -1, 1)).double()
    u, v = u / u.norm(), matrix[0]
    for _ in range(30):
        v = matrix.t() @ u
        v = v / v.norm()
        u = matrix @ v
        u = u / u.norm()
    return u.float(), v.float()


def packed(name: str, output: Tensor, limit: int = 60_000) -> dict[str, NDArray[Any]]:
    """An output as the references keep it: whole, or thinned in space, with every channel's mean
    and deviation.
    """
    if output.numel() <= limit:
        return {name: output.numpy()}
    step = 1
    while output.numel() / step ** (output.dim() - 2) > limit:
        step += 1
    thin = (slice(None), slice(None), *[slice(step // 2, None, step)] * (output.dim() - 2))
    axes = tuple(range(2, output.dim()))
    exact = output.double()
    return {
        f"{name}@stride{step}": output[thin].numpy(),
        f"{name}@mean": exact.mean(axes).numpy(),
        f"{name}@std": exact.std(axes).numpy(),
    }


INPUTS: Final[dict[str, Callable[[], dict[str, Tensor]]]] = {
    "wav2lip": lambda: {
        "mel": given("wav2lip", "mel", (2, 1, 80, 16), -4, 4),
        "face": given("wav2lip", "face", (2, 6, 96, 96), 0, 1),
    },
    "s3fd": lambda: {"x": given("s3fd", "x", (2, 3, 96, 128), -120, 140)},
    "retinaface": lambda: {"x": given("retinaface", "x", (2, 3, 128, 160), -120, 140)},
    "fan98": lambda: {"x": given("fan98", "x", (2, 3, 256, 256), 0, 1)},
    "face_3drecon": lambda: {"x": given("face_3drecon", "x", (2, 3, 224, 224), 0, 1)},
    "audio2exp": lambda: {
        "mel": given("audio2exp", "mel", (10, 1, 80, 16), -4, 4),
        "ref": given("audio2exp", "ref", (2, 5, 64), -1, 1),
        "ratio": given("audio2exp", "ratio", (2, 5, 1), 0, 1),
    },
    "audio2pose": lambda: {
        "indiv_mels": given("audio2pose", "mels", (1, 50, 1, 80, 16), -4, 4),
        "ref": given("audio2pose", "ref", (1, 50, 70), -1, 1),
        "z": given("audio2pose", "z", (2, 1, 64), -1.7, 1.7),
    },
    "mapping": lambda: {"x": given("mapping", "x", (2, 70, 27), -1, 1)},
    "mapping_full": lambda: {"x": given("mapping_full", "x", (2, 73, 27), -1, 1)},
    "kp_extractor": lambda: {"x": given("kp_extractor", "x", (2, 3, 256, 256), 0, 1)},
    "generator": lambda: {
        "x": given("generator", "x", (1, 3, 256, 256), 0, 1),
        "kp_source": given("generator", "kps", (1, 15, 3), -0.6, 0.6),
        "kp_driving": given("generator", "kpd", (2, 15, 3), -0.6, 0.6),
    },
    "gfpgan": lambda: {"x": given("gfpgan", "x", (2, 3, 512, 512), -1, 1)},
}
"""What the reference outputs were made from."""


def filled(module: nn.Module, network: str, keys: dict[str, list[int]]) -> nn.Module:
    """`module` with the recipe's weights, ready for inference."""
    module.load_state_dict(weights(network, keys), strict=False)
    return module.eval().requires_grad_(requires_grad=False)
