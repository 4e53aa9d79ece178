"""A card of N GiB behind the doors of all engine families: whoever asks for more is refused.

Only the hardware is imagined. What is opened behind a door is a real engine; "cuda:0" is computed
on the CPU, in the batches that the ladder says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from models.avatar import Actor, LineSound, Role
from models.music import Composer, CueSpec, Piece
from models.needs import avatar_need_gib, music_need_gib, voice_need_gib
from models.voice import LineSpec, Utterance, Voice
from studio.memory_ladder import Rung
from studio.specs import (
    AvatarEngineName,
    DeviceSpec,
    MusicEngineName,
    MusicSpec,
    VoiceEngineName,
    VoiceSpec,
)
from studio.types import EngineInfo
from tests.tasks.fake_card import OutOfMemoryError

OpenVoice = Callable[..., AbstractContextManager[Voice]]
OpenComposer = Callable[..., AbstractContextManager[Composer]]
OpenActor = Callable[..., AbstractContextManager[Actor]]

Way = tuple[str, Rung]
"""An engine and how it was to run."""


@dataclass
class CardMemory:
    """What a card really has room for. Engines need `short` times what they declare, and programs
    that the ledger knows nothing of hold `strangers_gib`.
    """

    size_gib: float
    strangers_gib: float = 0.0
    short: float = 1.0
    opened: list[Way] = field(default_factory=list)
    refused: list[Way] = field(default_factory=list)
    used: list[Way] = field(default_factory=list)
    closed: int = 0

    def take(self, way: Way, declared_gib: float) -> None:
        """Raises as torch does when there is less. The CPU has room for all."""
        need_gib = self.short * declared_gib
        if way[1].device == "cuda" and need_gib > self.size_gib - self.strangers_gib:
            self.refused.append(way)
            raise OutOfMemoryError(f"CUDA out of memory. Tried to allocate {need_gib:.2f} GiB")
        self.used.append(way)


def rung_of(device: DeviceSpec, batch: int) -> Rung:
    """How an engine is to run that was opened on this device."""
    on_card = device.device == "cuda"
    return Rung(
        device="cuda" if on_card else "cpu",
        dtype=device.dtype,
        batch=batch,
        offload=device.offload,
    )


def on_the_cpu(device: DeviceSpec) -> DeviceSpec:
    """The same device, as this machine can stand in for it."""
    wish = {"device": "cpu", "card": None, "dtype": "fp32", "offload": False, "threads": 1}
    return device.model_copy(update=wish)


@dataclass(frozen=True)
class Asking:
    """A step that asks the card for memory before its engine works."""

    memory: CardMemory
    way: Way
    declared_gib: float

    def __call__(self) -> None:
        self.memory.take(self.way, self.declared_gib)


@dataclass(frozen=True)
class HeavyVoice:
    """A voice whose line may not fit."""

    inner: Voice
    ask: Asking
    info: EngineInfo

    def cast(self, speakers: Sequence[str], wanted: Mapping[str, str]) -> dict[str, str]:
        return self.inner.cast(speakers, wanted)

    def say(self, lines: Sequence[LineSpec]) -> Iterator[Utterance]:
        self.ask()
        yield from self.inner.say(lines)


@dataclass(frozen=True)
class HeavyComposer:
    """A composer whose batch may not fit."""

    inner: Composer
    ask: Asking
    info: EngineInfo

    def compose(self, cues: Sequence[CueSpec]) -> Iterator[Piece]:
        self.ask()
        yield from self.inner.compose(cues)


@dataclass(frozen=True)
class HeavyActor:
    """A presenter whose batch of frames may not fit."""

    inner: Actor
    ask: Asking
    info: EngineInfo
    size_px: tuple[int, int]

    def film(self, line: LineSound) -> Iterator[NDArray[np.uint8]]:
        self.ask()
        yield from self.inner.film(line)


@dataclass(frozen=True)
class CardDoors:
    """The doors of the three families, with a card behind them.

    `voice`, `composer` and `actor` open what is computed; they are asked as the real doors are.
    """

    memory: CardMemory
    voice: OpenVoice
    composer: OpenComposer
    actor: OpenActor

    def hang(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Put the doors where the stages look for them."""
        monkeypatch.setattr("tasks.speech.open_voice", self.open_voice)
        monkeypatch.setattr("tasks.music.open_composer", self.open_composer)
        monkeypatch.setattr("tasks.acting.open_actor", self.open_actor)

    @contextmanager
    def open_voice(
        self, engine: VoiceEngineName, spec: VoiceSpec, device: DeviceSpec, *, cloud_key: str = ""
    ) -> Iterator[Voice]:
        rung = rung_of(device, 1)
        ask = Asking(self.memory, (engine, rung), voice_need_gib(engine, spec, rung))
        with (
            self.voice(engine, spec, on_the_cpu(device), cloud_key=cloud_key) as inner,
            self._counted(ask),
        ):
            yield HeavyVoice(inner, ask, named(inner.info, engine))

    @contextmanager
    def open_composer(
        self, engine: MusicEngineName, spec: MusicSpec, device: DeviceSpec
    ) -> Iterator[Composer]:
        rung = rung_of(device, spec.batch)
        ask = Asking(self.memory, (engine, rung), music_need_gib(engine, spec, rung))
        with self.composer(engine, spec, on_the_cpu(device)) as inner, self._counted(ask):
            yield HeavyComposer(inner, ask, named(inner.info, engine))

    @contextmanager
    def open_actor(
        self, engine: AvatarEngineName, role: Role, device: DeviceSpec, **rest: Any
    ) -> Iterator[Actor]:
        rung = rung_of(device, role.spec.batch)
        ask = Asking(self.memory, (engine, rung), avatar_need_gib(engine, role.spec, rung))
        with self.actor(engine, role, on_the_cpu(device), **rest) as inner, self._counted(ask):
            yield HeavyActor(inner, ask, named(inner.info, engine), inner.size_px)

    @contextmanager
    def _counted(self, ask: Asking) -> Iterator[None]:
        self.memory.opened.append(ask.way)
        yield
        self.memory.closed += 1


def named(info: EngineInfo, engine: str) -> EngineInfo:
    """What a stand-in says of itself: the name by which it was asked for."""
    return replace(info, name=engine)
