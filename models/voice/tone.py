"""Speech for tests and drafts: a soft tone for every syllable, at once, with plausible times of
words and phonemes.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from models.voice import LineSpec, Utterance
from models.voice.casting import cast, timbre
from models.voice.espeak_ng import silent_line
from models.voice.reading import place_words, read
from studio.types import EngineInfo, Phoneme

SAMPLE_RATE_HZ = 24_000

SYLLABLES_PER_WORD = 1.5
"""Mean of English prose: `rate_wpm` words a minute are 1.5 times as many tones."""

MEDIAL_PAUSE_S = {",": 0.15, ";": 0.2, ":": 0.2, ".": 0.3, "!": 0.3, "?": 0.3}
VOWELS = {"a": "ɑ", "e": "ɛ", "i": "i", "o": "oʊ", "u": "u", "y": "ɪ"}
PITCH_HZ = {"male": 110.0, "female": 200.0}

INFO = EngineInfo(
    name="tone",
    code_licence="Apache-2.0",
    weights_licence="none",
    commercial=True,
    memory_gib=0.0,
    rate=SAMPLE_RATE_HZ,
)


class ToneVoice:
    """Hums each syllable; for pipelines under test, where words' times matter and words do not."""

    info = INFO

    def cast(self, speakers: Sequence[str], wanted: Mapping[str, str]) -> dict[str, str]:
        """The same cast as the embedded voice's."""
        return cast(speakers, wanted)

    def say(self, lines: Sequence[LineSpec]) -> Iterator[Utterance]:
        """One tone a syllable at `rate_wpm`; `SpeechError` for a line without a word."""
        for line in lines:
            yield _hum(line)


def _hum(line: LineSpec) -> Utterance:
    reading = read(line.text, line.language, line.lexicon, phonemes=False)
    if not reading.pieces:
        raise silent_line(line.text)
    base_hz = _pitch_hz(line)
    length = round(SAMPLE_RATE_HZ * 60.0 / (line.rate_wpm * SYLLABLES_PER_WORD))
    parts, phonemes, marks, now = [], [], [], 0
    for found in re.finditer(r"\S+", reading.text):
        marks.append((found.start(), now))
        syllables = _syllables(found.group())
        for index, vowel in enumerate(syllables):
            # Pitch falls over a word as it does in statements.
            parts.append(_tone(base_hz * (1.08 - 0.05 * index), length))
            phonemes.append(Phoneme(symbol=vowel, start=now, num_samples=length))
            now += length
        pause = round(SAMPLE_RATE_HZ * MEDIAL_PAUSE_S.get(found.group()[-1], 0.0))
        if pause:
            parts.append(np.zeros(pause))
            phonemes.append(Phoneme(symbol="", start=now, num_samples=pause))
            now += pause
    pauses = [(p.start, p.start + p.num_samples) for p in phonemes if not p.symbol]
    return Utterance(
        samples=np.concatenate(parts).astype(np.float32),
        sample_rate=SAMPLE_RATE_HZ,
        words=place_words(reading, marks, pauses, now),
        phonemes=tuple(phonemes),
    )


def _pitch_hz(line: LineSpec) -> float:
    """The fundamental of a line: the voice's own, and an octave up or down over `pitch_pct`."""
    chosen = timbre(line.voice)
    own = (
        hashlib.sha256(chosen.name.encode()).digest()[0] / 255.0
    )  # voices of one sex spread over four semitones
    return float(PITCH_HZ[chosen.sex] * 2.0 ** (own / 3.0 + (line.pitch_pct - 50) / 50.0))


def _syllables(word: str) -> list[str]:
    """The vowels of a word's syllables: one for each group of vowel letters, at least one."""
    groups = re.findall(r"[aeiouy]+", word.casefold().rstrip("e") or word)
    return [VOWELS.get(group[0], "ə") for group in groups] or ["ə"]


def _tone(frequency_hz: float, num_samples: int) -> np.ndarray:
    """A tone with three partials under a raised sine: no click at either end."""
    phase = 2.0 * np.pi * frequency_hz * np.arange(num_samples) / SAMPLE_RATE_HZ
    envelope = np.sin(np.pi * np.arange(num_samples) / num_samples) ** 0.5
    partials = np.sin(phase) + 0.4 * np.sin(2 * phase) + 0.2 * np.sin(3 * phase)
    return 0.25 * envelope * partials
