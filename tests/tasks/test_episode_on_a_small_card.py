"""The way down a ladder in every family, through the flow, with engines that need no extra.

Where a network would speak, compose and film, an instant engine does; what it would need of the
card, and what the card refuses, is that of the published sizes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from models.avatar import Actor, LineSound, Role
from models.music import Composer, open_composer
from models.voice import Voice, open_voice
from studio.specs import DeviceSpec, MusicSpec, VoiceSpec
from studio.types import EngineInfo
from tests.studio.gpu.fake_nvml import GIB
from tests.tasks.card_doors import CardDoors, CardMemory
from tests.tasks.episode_on_a_card import summary, theatre

pytestmark = pytest.mark.xdist_group("prefect")

SIZE_PX = 128
BLINKER = EngineInfo(
    name="blinker",
    code_licence="-",
    weights_licence="-",
    commercial=True,
    memory_gib=0.0,
    rate=25,
)


@dataclass(frozen=True)
class Blinker:
    """Films a square that is lighter where there is sound."""

    info: EngineInfo
    size_px: tuple[int, int] = (SIZE_PX, SIZE_PX)

    def film(self, line: LineSound) -> Iterator[NDArray[np.uint8]]:
        for part in np.array_split(np.abs(line.samples), line.num_frames):
            level = round(60 + 150 * float(part.max(initial=0.0)))
            yield np.full((1, SIZE_PX, SIZE_PX, 3), level, np.uint8)


def weightless_voice(
    _engine: str, spec: VoiceSpec, device: DeviceSpec, **_rest: Any
) -> AbstractContextManager[Voice]:
    # Speech, for takes are listened to.
    return open_voice("espeak_ng", spec, device)


def instant_composer(
    _engine: str, spec: MusicSpec, device: DeviceSpec
) -> AbstractContextManager[Composer]:
    return open_composer("hum", spec, device)


@contextmanager
def instant_actor(_engine: str, _role: Role, _device: DeviceSpec, **_rest: Any) -> Iterator[Actor]:
    yield Blinker(BLINKER)


def _sparse_weights(folder: Path, size_gib: float) -> Path:
    """A checkpoint of this size that takes no room on the disk."""
    folder.mkdir()
    (folder / "config.json").write_text('{"model": "vits"}', encoding="utf-8")
    with (folder / "model.pth").open("wb") as file:
        file.truncate(round(size_gib * GIB))
    return folder


@pytest.mark.usefixtures("prefect_server")
def test_every_family_finds_its_way_down_a_card_of_8_gib(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = CardMemory(8.0, strangers_gib=2.0)
    CardDoors(memory, weightless_voice, instant_composer, instant_actor).hang(monkeypatch)
    options = {
        "device.device": "cuda",
        "voice.engine": ["coqui_tts"],
        "voice.weights_dir": str(_sparse_weights(tmp_path / "voice", 6.5)),
        "music.engine": ["musicgen_hf"],
        "music.model": "large",
        "avatar.engine": ["sadtalker"],
        "avatar.weights_dir": str(_sparse_weights(tmp_path / "avatar", 0.1)),
        "picture.fps": 6,
    }
    with theatre(tmp_path, 8.0, monkeypatch) as house:
        episode = house.make("evening", options)
    taken = [(step.stage, step.used) for step in episode.fallbacks]
    assert taken == [
        ("speech", "cpu, fp32, batch 1"),
        ("music", "cuda, fp32, batch 2"),
        ("music", "cuda, fp32, batch 1"),
        ("music", "cuda, fp16, batch 1"),
        ("music", "cuda, fp16, batch 1, offloaded"),
        ("avatar", "cuda, fp32, batch 8"),
        ("avatar", "cuda, fp32, batch 4"),
    ]
    # The ledger knows what can never be lent; the card itself refuses what strangers have taken.
    # Two presenters are filmed: what was refused for the first is not asked for the second.
    (refused,) = memory.refused
    assert (refused[0], refused[1].batch) == ("sadtalker", 8)
    assert memory.opened.count(refused) == 1
    assert "CUDA out of memory" in episode.fallbacks[-1].why
    assert all("GiB" in step.why for step in episode.fallbacks)
    told = json.loads((Path(episode.folder) / "manifest.json").read_text(encoding="utf-8"))
    assert [step["used"] for step in told["fallbacks"]] == [used for _, used in taken]
    assert summary(episode).count("fell back") == len(taken)
    assert memory.closed == len(memory.opened)
