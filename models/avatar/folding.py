"""Batch normalisation folded into the convolution before it: at inference both are one affine
map, so one suffices.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TypeVar

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)

Network = TypeVar("Network", bound=nn.Module)


def fold(network: Network) -> Network:
    """Folds, in place, every normalisation that directly follows a convolution; the function
    computed stays the same.

    In a `Sequential` neighbours are a pair. Any other module names its pairs in a class attribute
    `folds`: (convolution, the normalisation applied to what it gives). The network must be in
    evaluation mode.
    """
    for module in list(network.modules()):
        pairs = pairwise(module._modules) if isinstance(module, nn.Sequential) else ()
        for first, second in (*pairs, *getattr(module, "folds", ())):
            convolution, norm = getattr(module, first), getattr(module, second)
            if isinstance(convolution, _CONVOLUTIONS) and isinstance(norm, _NORMS):
                transpose = isinstance(convolution, nn.ConvTranspose2d)
                fused = fuse_conv_bn_eval(convolution, norm, transpose=transpose)
                setattr(module, first, fused)
                setattr(module, second, nn.Identity())
    return network
