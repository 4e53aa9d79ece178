"""Voices of Coqui TTS: VITS, XTTS v2 with cloning, and every other model the library publishes.

Checkpoints are used as they are published. A line's audio depends on the line and its seed alone,
never on the lines beside it. VITS speaks the lines of a call in one pass, each with noise of its
own; XTTS writes a line code by code with a cache and a sampler of the library's for one line, and
speaks line by line, as do the other models.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np

from models.voice import LineSpec, Utterance
from models.voice.align import align
from models.voice.coqui_model import CLONE, CoquiModel, Samples
from models.voice.coqui_runtime import load_library
from models.voice.coqui_weights import Checkpoint, identity, locate
from models.voice.durations import Symbol, symbol_times
from models.voice.espeak_ng import silent_line
from models.voice.reading import Reading, read
from models.voice.retime import pitch_factor, retime
from studio.errors import EngineUnavailable, SettingError, SpeechError
from studio.specs import DeviceSpec, VoiceSpec
from studio.types import EngineInfo

OVERHEAD_GIB = 0.6
"""The library, the processor's or card's runtime and the activations of a line, beside weights."""

RECORDINGS = (".wav", ".flac", ".mp3", ".m4a", ".ogg")
WARM_UP = "Good morning, everybody."

TOGETHER = 64
"""Lines in a pass of VITS, as many as a profile may ask for."""


@contextmanager
def open_coqui(spec: VoiceSpec, device: DeviceSpec) -> Iterator[CoquiVoice]:
    """The model that `spec` names on `device`; its memory is free again when the context ends.

    Raises `EngineUnavailable` when the library, the weights or the device is not there, and
    `MediaError` when `spec.reference` cannot be cloned.
    """
    load_library()
    checkpoint = locate(spec)
    import torch

    with ExitStack() as stack:
        if device.threads:
            stack.callback(torch.set_num_threads, torch.get_num_threads())
            torch.set_num_threads(device.threads)
        model = CoquiModel(checkpoint, spec, device)
        stack.callback(model.close)
        voice = CoquiVoice(model, checkpoint, spec, device)
        if device.compile:
            voice.warm_up()
        yield voice


class CoquiVoice:
    """A loaded model that speaks; see `open_coqui`."""

    def __init__(
        self, model: CoquiModel, checkpoint: Checkpoint, spec: VoiceSpec, device: DeviceSpec
    ) -> None:
        self._model, self._spec, self._device = model, spec, device
        self.info = EngineInfo(
            name="coqui_tts",
            code_licence="MPL-2.0",
            weights_licence=checkpoint.licence,
            commercial=checkpoint.commercial,
            memory_gib=round(model.weights_gib + OVERHEAD_GIB, 2),
            rate=model.sample_rate,
            identity=identity(checkpoint, spec),
        )

    def cast(self, speakers: Sequence[str], wanted: Mapping[str, str]) -> dict[str, str]:
        """Speakers of the model, spread over all of them; a wish wins.

        A wish may be a recording's path where the model can clone. With `VoiceSpec.reference` and
        no wishes everybody speaks with that voice. Raises `SettingError` for an unknown voice and
        `MediaError` for a recording that cannot be cloned.
        """
        known = self._model.voices
        chosen: dict[str, str] = {}
        for speaker in dict.fromkeys(speakers):
            wish = wanted.get(speaker, wanted.get("", ""))
            if wish:
                self._check(wish)
            chosen[speaker] = wish or (CLONE if self._spec.reference else "")
        open_ = [speaker for speaker, voice in chosen.items() if not voice]
        free = [name for name in known if name not in chosen.values()] or list(known)
        for place, speaker in enumerate(open_):
            # Neighbours in a list of speakers are often alike: take them from all over it.
            at = place * len(free) // max(len(open_), 2)
            chosen[speaker] = free[at] if free else ""
        return chosen

    def say(self, lines: Sequence[LineSpec]) -> Iterator[Utterance]:
        """Speak `lines`, VITS `TOGETHER` at a time; see `models.voice.Voice.say`."""
        for first in range(0, len(lines), TOGETHER):
            some = lines[first : first + TOGETHER]
            readings = [self._read(line) for line in some]
            texts = [(line, reading.text) for line, reading in zip(some, readings, strict=True)]
            spoken = self._model.speak(texts)
            for line, reading, (samples, symbols) in zip(some, readings, spoken, strict=True):
                yield self._utter(line, reading, samples, symbols)

    def warm_up(self) -> None:
        """Speak once, so that compilation is over before the first line.

        Raises `EngineUnavailable` when the model cannot be compiled here.
        """
        (voice,) = self.cast([""], {}).values()
        line = LineSpec(text=WARM_UP, voice=voice, language=self._model.languages()[0])
        try:
            list(self._model.speak([(line, WARM_UP)]))
        except (RuntimeError, ImportError, OSError) as error:
            first = str(error).strip().splitlines()[0] if str(error).strip() else "no reason given"
            raise EngineUnavailable(
                "device.compile", f"torch.compile fails here ({first})", "Set compile = false"
            ) from error

    def _read(self, line: LineSpec) -> Reading:
        if line.voice:
            self._check(line.voice)
        reading = read(line.text, line.language, line.lexicon, phonemes=False)
        if not reading.pieces:
            raise silent_line(line.text)
        return reading

    def _utter(
        self, line: LineSpec, reading: Reading, samples: Samples, symbols: Sequence[Symbol]
    ) -> Utterance:
        if not len(samples) or not np.isfinite(samples).all() or not samples.any():
            raise SpeechError(
                f'line "{line.text[:60]}"',
                f"the model made no sound in {self._device.dtype}",
                "Set dtype = fp32 or bf16, or choose another voice.model",
            )
        rate = self.info.rate
        exact = symbol_times(symbols, reading, len(samples), rate) if symbols else None
        pitched = retime(samples, rate, 1.0, pitch_factor(line.pitch_pct))
        if exact is None or len(pitched) != len(samples):
            times = align(line, pitched, rate)
            words, phonemes = times.words, times.phonemes
        else:
            words, phonemes = exact
        return Utterance(samples=pitched, sample_rate=rate, words=words, phonemes=phonemes)

    def _check(self, voice: str) -> None:
        """Raises `SettingError` unless the model has `voice` or can clone it."""
        if self._model.kind == "xtts" and (
            Path(voice).suffix.casefold() in RECORDINGS or voice == CLONE
        ):
            if voice != CLONE or not self._spec.reference:
                self._model.clone(voice)
        elif voice not in self._model.voices:
            near = difflib.get_close_matches(voice, self._model.voices, n=3, cutoff=0.3)
            shown = ", ".join(near or self._model.voices[:5]) or "none: the model has one speaker"
            raise SettingError("voice", f"the model has no voice {voice!r}", f"Near ones: {shown}")
