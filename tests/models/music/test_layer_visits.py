"""Layers that wait in host memory: away but when they work, and the music is the same."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from models.music import CueSpec, open_composer  # noqa: E402
from models.music.musicgen_hf import MusicGen  # noqa: E402
from models.music.musicgen_weights import require_packages  # noqa: E402
from studio.specs import DeviceSpec, MusicSpec  # noqa: E402
from tests.models.music.tiny_musicgen import save_tiny_musicgen  # noqa: E402

CUE = CueSpec(prompt="calm piano", seconds=1.0, seed=3)


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> MusicSpec:
    require_packages()
    folder = tmp_path_factory.mktemp("tiny")
    save_tiny_musicgen(folder)
    return MusicSpec(weights_dir=str(folder))


def test_a_layer_is_on_the_device_only_while_it_works(spec: MusicSpec) -> None:
    engine = MusicGen(spec, DeviceSpec(device="cpu", offload=True))
    layers = list(engine._model.decoder.model.decoder.layers)
    homes = [layer.fc1.weight.data_ptr() for layer in layers]
    seen: list[list[bool]] = []

    def look(*_: object) -> None:
        now = [layer.fc1.weight.data_ptr() for layer in layers]
        seen.append([a != b for a, b in zip(now, homes, strict=True)])

    for layer in layers:
        layer.fc1.register_forward_hook(look)
    next(iter(engine.compose([CUE])))
    assert len(seen) >= len(layers)
    assert all(sum(away) == 1 for away in seen)
    assert [layer.fc1.weight.data_ptr() for layer in layers] == homes


def test_the_music_is_the_same_to_the_bit(spec: MusicSpec) -> None:
    pieces = []
    for offload in (False, True):
        device = DeviceSpec(device="cpu", offload=offload)
        with open_composer("musicgen_hf", spec, device) as engine:
            pieces.append(next(iter(next(iter(engine.compose([CUE]))).chunks)))
    assert np.array_equal(pieces[0], pieces[1])
