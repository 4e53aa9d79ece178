"""A decoder larger than the card: its layers wait in host memory and visit the card one by one.

Half of MusicGen's memory and more are the layers of its decoder, of which one works at a time. Each
is copied before it works and let go after; page-locked memory makes the copy as fast as the bus.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


def keep_layers_away(model: nn.Module, device: torch.device) -> None:
    """Put `model` on `device` but for the layers of its decoder, which visit it when they work.

    `model` is one of transformers' MusicGen models. What it computes is the same to the bit.
    """
    decoder: Any = model
    layers: list[nn.Module] = list(decoder.decoder.model.decoder.layers)
    for layer in layers:
        visitor = _Visitor(layer, device)
        layer.register_forward_pre_hook(visitor.arrive)
        layer.register_forward_hook(visitor.leave, always_call=True)
    away = {id(tensor) for layer in layers for tensor in _tensors(layer)}
    for tensor in _tensors(model):
        if id(tensor) not in away:
            tensor.data = tensor.data.to(device)


class _Visitor:
    """The weights of one layer: at home in host memory, on the card while the layer works."""

    def __init__(self, layer: nn.Module, device: torch.device) -> None:
        self._device = device
        self._tensors = list(_tensors(layer))
        pin = device.type == "cuda"
        self._home = [tensor.data.pin_memory() if pin else tensor.data for tensor in self._tensors]
        self._rest()

    def arrive(self, _layer: nn.Module, _given: tuple[Any, ...]) -> None:
        """Copy the weights to the device."""
        for tensor, home in zip(self._tensors, self._home, strict=True):
            tensor.data = home.to(self._device, non_blocking=True, copy=True)

    def leave(self, _layer: nn.Module, _given: tuple[Any, ...], _made: Any) -> None:
        """Let go of the copy, also after an error."""
        self._rest()

    def _rest(self) -> None:
        for tensor, home in zip(self._tensors, self._home, strict=True):
            tensor.data = home


def _tensors(module: nn.Module) -> list[Tensor]:
    return [*module.parameters(), *module.buffers()]
