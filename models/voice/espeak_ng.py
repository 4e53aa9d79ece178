"""The embedded voice: formant synthesis by eSpeak NG, in process, anywhere, with exact times."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from models.voice import LineSpec, Utterance
from models.voice.casting import accent, cast, library_voice, timbre
from models.voice.espeak_library import RawSpeech, speak
from models.voice.reading import Reading, place_words, read
from studio.errors import SpeechError
from studio.types import EngineInfo, Phoneme, Word

SAMPLE_RATE_HZ = 22_050
"""The library's own rate for all its voices."""

RANGE_PCT = 56
"""Range of the intonation: a little wider than the library's 50, which sounds flat over minutes."""

SLOWEST_WPM, FASTEST_WPM = 80, 450
"""The library's limits; outside them it is silent or uses another synthesis."""

INFO = EngineInfo(
    name="espeak_ng",
    code_licence="GPL-3.0-or-later (libespeak-ng, loaded at run time)",
    weights_licence="GPL-3.0-or-later (dictionaries and voice data; speech made with them is free)",
    commercial=True,
    memory_gib=0.05,
    rate=SAMPLE_RATE_HZ,
)


class EspeakVoice:
    """eSpeak NG with a fresh copy of its library for each line: the same line gives the same bits,
    in any thread.
    """

    info = INFO

    def cast(self, speakers: Sequence[str], wanted: Mapping[str, str]) -> dict[str, str]:
        """A distinct timbre for each speaker; see `models.voice.casting.cast`."""
        return cast(speakers, wanted)

    def say(self, lines: Sequence[LineSpec]) -> Iterator[Utterance]:
        """Speak `lines` one by one; see `models.voice.Voice.say`."""
        for line in lines:
            yield utter(line)


def utter(line: LineSpec) -> Utterance:
    """One line spoken by the embedded voice, at `SAMPLE_RATE_HZ`.

    Raises `SpeechError` for a line that makes no sound, `SettingError` for an unknown voice or
    language.
    """
    chosen = timbre(line.voice)
    identifier = library_voice(accent(line.voice) or line.language)
    reading = read(line.text, line.language, line.lexicon)
    if not reading.pieces:
        raise silent_line(line.text)
    raw = speak(
        reading.text,
        f"{identifier}+{chosen.variant}" if chosen.variant else identifier,
        min(max(round(line.rate_wpm * chosen.pace), SLOWEST_WPM), FASTEST_WPM),
        min(max(line.pitch_pct + chosen.pitch_shift_pct, 0), 99),
        RANGE_PCT,
    )
    phonemes = tile(raw)
    if not raw.samples.any() or not any(phoneme.symbol for phoneme in phonemes):
        raise silent_line(line.text)
    return Utterance(
        samples=(raw.samples / np.float32(32768.0)).astype(np.float32, copy=False),
        sample_rate=raw.sample_rate,
        words=_words(reading, raw, phonemes),
        phonemes=phonemes,
    )


def silent_line(text: str) -> SpeechError:
    """The error for a line in which there is nothing to hear."""
    shown = text if len(text) <= 60 else f"{text[:57]}..."
    return SpeechError(
        f'line "{shown}"',
        "makes no sound",
        "Write words that can be read aloud, give its signs a respelling in the lexicon, or "
        "check its language",
    )


def tile(raw: RawSpeech) -> tuple[Phoneme, ...]:
    """Phonemes that tile the samples without gaps; neighbouring pauses are one."""
    end = len(raw.samples)
    starts = [min(max(start, 0), end) for _, start in raw.phonemes]
    marks = [("", 0)] if not starts or starts[0] > 0 else []
    marks += [(symbol, start) for (symbol, _), start in zip(raw.phonemes, starts, strict=True)]
    out: list[Phoneme] = []
    for (symbol, start), (_, stop) in zip(marks, [*marks[1:], ("", end)], strict=True):
        if stop <= start:
            continue
        joined = out.pop().start if out and not symbol and not out[-1].symbol else start
        out.append(Phoneme(symbol=symbol, start=joined, num_samples=stop - joined))
    return tuple(out)


def _words(reading: Reading, raw: RawSpeech, phonemes: Sequence[Phoneme]) -> tuple[Word, ...]:
    pauses = [(p.start, p.start + p.num_samples) for p in phonemes if not p.symbol]
    marks = [(mark.position, mark.start) for mark in raw.words]
    return place_words(reading, marks, pauses, len(raw.samples))
