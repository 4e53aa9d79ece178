"""Voices: text in, speech with the times of its words and phonemes out.

One door, `open_voice`, for every engine. An engine speaks *lines* (a sentence or a short paragraph
of one speaker) and returns for each an `Utterance`: mono samples at the engine's own rate, the
written words and the phonemes with the samples at which they sound. `models.voice.polish` brings an
utterance to the episode's clock and level.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, assert_never

import numpy as np
from numpy.typing import NDArray

from studio.specs import DeviceSpec, VoiceEngineName, VoiceSpec
from studio.types import EngineInfo, Phoneme, Word


@dataclass(frozen=True, slots=True, kw_only=True)
class LineSpec:
    """One line to speak.

    `text` is the written form (captions keep it), `voice` a name that `Voice.cast` returned,
    `language` a BCP 47 tag such as `en-US`; `rate_wpm` is in words a minute (80 to 400),
    `pitch_pct` runs from 0 to 99 with 50 the voice's own pitch. `seed` matters to engines that
    sample. `lexicon` holds pairs `(written word or words, respelling)`; a respelling in double
    square brackets is taken as phonemes in the notation of eSpeak NG.
    """

    text: str
    voice: str = ""
    language: str = "en-us"
    rate_wpm: int = 165
    pitch_pct: int = 50
    seed: int = 0
    lexicon: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Utterance:
    """A spoken line: mono float32 samples `(n,)`, full scale ±1, at `sample_rate` Hz.

    `words` are the whitespace-separated words of the written text, in order, none missing; their
    intervals do not overlap. `phonemes` tile the whole utterance; "" is a pause. All times are
    samples at `sample_rate`.
    """

    samples: NDArray[np.float32]
    sample_rate: int
    words: tuple[Word, ...]
    phonemes: tuple[Phoneme, ...]


class Voice(Protocol):
    """An engine that speaks."""

    @property
    def info(self) -> EngineInfo:
        """Licences, memory need and native sample rate."""
        ...

    def cast(self, speakers: Sequence[str], wanted: Mapping[str, str]) -> dict[str, str]:
        """A voice for each of `speakers`, distinct as far as the engine has enough of them.

        `wanted` maps speakers to voices that a person asked for, `""` standing for everybody not
        named; it wins over the engine's choice. Raises `SettingError` for a voice that the engine
        does not have.
        """
        ...

    def say(self, lines: Sequence[LineSpec]) -> Iterator[Utterance]:
        """Speak `lines`, yielding one utterance each, in order.

        Raises `SpeechError` naming the line that makes no sound, `SettingError` for an unknown
        voice or language.
        """
        ...


@contextmanager
def open_voice(
    engine: VoiceEngineName, spec: VoiceSpec, device: DeviceSpec, *, cloud_key: str = ""
) -> Iterator[Voice]:
    """The voice `engine`, ready to speak; its memory is given back when the context ends.

    `cloud_key` is the secret of the service `spec.cloud`, for `gtts_cloud` only.

    Raises `EngineUnavailable` when a package, the weights or the device it needs is not there.
    """
    match engine:
        case "espeak_ng":
            from models.voice.espeak_ng import EspeakVoice

            yield EspeakVoice()
        case "tone":
            from models.voice.tone import ToneVoice

            yield ToneVoice()
        case "coqui_tts":
            from models.voice.coqui_tts import open_coqui

            with open_coqui(spec, device) as voice:
                yield voice
        case "gtts_cloud":
            from models.voice.gtts_cloud import CloudVoice

            yield CloudVoice(spec, cloud_key)
        case _:
            assert_never(engine)
