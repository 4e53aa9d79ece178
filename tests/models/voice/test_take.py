from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from models.voice import LineSpec, Utterance
from models.voice.espeak_ng import INFO, EspeakVoice, utter
from models.voice.take import check_take, judge, listen, speak_checked
from models.voice.traits import Acquaintance
from studio.errors import SpeechError
from studio.types import EngineInfo

LINE = LineSpec(text="The quick brown fox jumps over the lazy dog and runs into the wide forest.")


def _altered(change: str) -> Utterance:
    spoken = utter(LineSpec(text=LINE.text, voice="soprano", rate_wpm=150))
    samples = _alter(spoken.samples, change)
    return Utterance(
        samples=samples,
        sample_rate=spoken.sample_rate,
        words=spoken.words,
        phonemes=spoken.phonemes,
    )


def _alter(samples: NDArray[np.float32], change: str) -> NDArray[np.float32]:
    length = len(samples)
    a, b = int(length * 0.3), int(length * 0.6)
    match change:
        case "none":
            return samples
        case "silent":
            return samples * np.float32(1e-4)
        case "empty":
            return samples[:0]
        case "broken":
            return np.where(np.arange(length) == 99, np.nan, samples).astype(np.float32)
        case "clipped":
            return np.clip(samples * 20, -1, 1)
        case "cut":
            return samples[:a]
        case "skipped":
            return np.concatenate([samples[:a], samples[b:]])
        case "repeated":
            return np.concatenate([samples[:b], samples[a:b], samples[a:]])
        case "endless":
            return np.tile(samples, 4)
        case "paused":
            return np.concatenate([samples[:a], np.zeros(60_000, np.float32), samples[a:]])
        case _:
            return utter(LineSpec(text="Entirely other words were said here instead.")).samples


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ("none", ""),
        ("silent", "silent"),
        ("empty", "samples"),
        ("broken", "samples"),
        ("clipped", "clipped"),
        ("cut", "too short"),
        ("skipped", "skipped"),
        ("repeated", "repeated"),
        ("endless", "too long"),
        ("paused", "pause"),
        ("other", ""),
    ],
)
def test_faults_are_found_and_named(change: str, fault: str) -> None:
    found = judge(LINE, _altered(change))
    if change == "other":
        assert found
    elif fault:
        assert fault in found
    else:
        assert found == ""


class Stumbling:
    """An engine that spoils its first takes."""

    info = EngineInfo(
        name="coqui_tts", code_licence="", weights_licence="", commercial=True, memory_gib=0, rate=1
    )

    def __init__(self, changes: Sequence[str]) -> None:
        self.changes, self.seeds = list(changes), list[int]()

    def cast(self, speakers: Sequence[str], wanted: Mapping[str, str]) -> dict[str, str]:
        return dict.fromkeys(speakers, "")

    def say(self, lines: Sequence[LineSpec]) -> Iterator[Utterance]:
        for line in lines:
            self.seeds.append(line.seed)
            yield _altered(self.changes.pop(0))


def test_only_the_failed_take_is_spoken_again() -> None:
    voice = Stumbling(["cut", "clipped", "none", "none"])
    take = speak_checked(voice, LINE, 4)
    assert take.takes == 3
    assert voice.seeds == [0, 1, 2]
    assert [fault.split(":")[0] for fault in take.rejected] == ["too short", "clipped"]


def test_after_the_last_take_the_error_names_line_and_faults() -> None:
    with pytest.raises(SpeechError, match=r"quick brown.*2 takes: too short.*clipped"):
        speak_checked(Stumbling(["cut", "clipped"]), LINE, 2)


def test_the_embedded_voice_needs_no_second_take() -> None:
    assert INFO.name == "espeak_ng"
    assert speak_checked(EspeakVoice(), LINE, 3).takes == 1


class Changing:
    """An engine that speaks each take in the next of its voices."""

    info = Stumbling.info

    def __init__(self, voices: Sequence[str]) -> None:
        self.voices, self.seeds = list(voices), list[int]()

    def cast(self, speakers: Sequence[str], wanted: Mapping[str, str]) -> dict[str, str]:
        return dict.fromkeys(speakers, "")

    def say(self, lines: Sequence[LineSpec]) -> Iterator[Utterance]:
        for line in lines:
            self.seeds.append(line.seed)
            yield utter(replace(line, voice=self.voices.pop(0)))


def test_a_line_in_another_voice_is_spoken_again() -> None:
    engine, speaker = Changing(["bass", "bass", "mezzo", "bass"]), Acquaintance()
    texts = ("We measured the river every morning for years.", "She opened the letter, read it.")
    known = [speak_checked(engine, LineSpec(text=text), 2, speaker) for text in texts]
    assert [take.takes for take in known] == [1, 1]
    take = speak_checked(engine, LINE, 2, speaker)
    assert take.takes == 2
    assert engine.seeds == [0, 0, 0, 1]
    assert "another voice" in take.rejected[0]
    assert take.traits is not None
    assert speaker.drift(take.traits) < 0.8


def test_the_first_take_may_have_been_spoken_beside_other_lines() -> None:
    engine = Stumbling(["none"])
    assert check_take(engine, LINE, _altered("none"), 3).takes == 1
    assert engine.seeds == []
    assert check_take(engine, LINE, _altered("cut"), 3).takes == 2
    assert engine.seeds == [1]


def test_a_suspicion_counts_when_the_length_is_odd_for_the_speaker() -> None:
    def fault(words: str, speaker: Acquaintance) -> str:
        said = utter(LineSpec(text=words, voice="soprano"))
        return listen(LINE, said, speaker).fault

    speaker = Acquaintance()
    less = LINE.text.replace("over the lazy ", "")
    for text in (LINE.text, LINE.text.replace("fox", "wolf")):
        take = listen(LineSpec(text=text), utter(LineSpec(text=text, voice="soprano")), speaker)
        assert take.traits is not None
        speaker.hear(take.traits)
    assert fault(less, Acquaintance()) == ""
    assert "skipped" in fault(less, speaker)
    assert fault(LINE.text, speaker) == ""
