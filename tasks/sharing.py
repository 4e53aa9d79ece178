"""Neural engines as one stage of several sees them: its requests go through a gathering."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from models.music import Composer, CueSpec, Piece
from models.voice import LineSpec, Utterance, Voice
from studio.gathering import Gathering, Party
from studio.specs import MusicEngineName, MusicSpec
from studio.types import EngineInfo

Engine = TypeVar("Engine")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharing(Generic[Engine]):
    """How several stages use one loaded engine.

    Args:
        work: the method of an engine that answers a list of requests, in order.
        view: an engine as one stage sees it.
        most: requests in a call; 0: what the engine was opened for.
        mixes: whether a request is answered alike whatever else is in its call.
    """

    work: Callable[[Engine], Callable[[Sequence[Any]], Iterable[Any]]]
    view: Callable[[Engine, Gathering[Any, Any], Party], Engine]
    most: int = 0
    mixes: bool = True


@dataclass(frozen=True, slots=True)
class _SharedVoice:
    """A `Voice` whose lines are spoken together with those of other episodes."""

    voice: Voice
    gathering: Gathering[LineSpec, Utterance]
    party: Party

    @property
    def info(self) -> EngineInfo:
        return self.voice.info

    def cast(self, speakers: Sequence[str], wanted: Mapping[str, str]) -> dict[str, str]:
        if not wanted:
            return self.voice.cast(speakers, wanted)
        # A voice that is asked for may be cloned from a recording: work for the engine, in turn.
        return self.gathering.apart(lambda: self.voice.cast(speakers, wanted), self.party)

    def say(self, lines: Sequence[LineSpec]) -> Iterator[Utterance]:
        return self.gathering.ask(lines, self.party)


@dataclass(frozen=True, slots=True)
class _SharedComposer:
    """A `Composer` whose cues are composed together with those of other episodes."""

    composer: Composer
    gathering: Gathering[CueSpec, Piece]
    party: Party

    @property
    def info(self) -> EngineInfo:
        return self.composer.info

    def compose(self, cues: Sequence[CueSpec]) -> Iterator[Piece]:
        return self.gathering.ask(cues, self.party)


def share_voice(lines: int) -> Sharing[Voice]:
    """At most so many lines in a call; a voice promises that a line depends on itself alone."""
    return Sharing(work=lambda voice: voice.say, view=_SharedVoice, most=lines)


def share_composer(name: MusicEngineName, music: MusicSpec) -> Sharing[Composer]:
    """As many cues in a call as the engine was opened for.

    The melody models read the padding that a longer prompt beside theirs causes, and audiocraft
    draws the random numbers of a batch from one seed: they work for one episode at a time.
    """
    mixes = name == "musicgen_hf" and not music.model.removeprefix("stereo-").startswith("melody")
    return Sharing(work=lambda composer: composer.compose, view=_SharedComposer, mixes=mixes)
