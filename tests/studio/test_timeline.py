"""The one clock: lines, music, chapters and frames in integer samples."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import pi

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from studio.script import parse_script
from studio.specs import MixSpec, VoiceSpec
from studio.timeline import (
    LEAD_SILENCE,
    TAIL_SILENCE,
    chapters,
    frame_at,
    frame_count,
    lay_out,
    line_seconds,
    place_music,
    sample_at,
    seconds_estimate,
)
from studio.types import (
    SAMPLE_RATE,
    Blob,
    MusicPlacement,
    Script,
    SpeechTrack,
    SpokenLine,
)

VOICE, MIX = VoiceSpec(), MixSpec()


def seconds(amount: float) -> int:
    return round(amount * SAMPLE_RATE)


def spoken(script: Script, lengths: Sequence[int], mix: MixSpec = MIX) -> SpeechTrack:
    """The script spoken in lines of these lengths."""
    starts, num_samples = lay_out(script, lengths, VOICE, mix)
    nothing = Blob(sha256="0" * 64, suffix=".flac", num_bytes=0)
    lines = tuple(
        SpokenLine(
            index=one.index,
            speaker=one.speaker,
            text=one.text,
            engine="espeak_ng",
            voice="en",
            audio=nothing,
            num_samples=length,
            words=(),
            phonemes=(),
        )
        for one, length in zip(script.segments, lengths, strict=True)
    )
    return SpeechTrack(sample_rate=SAMPLE_RATE, num_samples=num_samples, lines=lines, starts=starts)


def of_two_seconds(text: str, mix: MixSpec = MIX) -> tuple[Script, SpeechTrack]:
    script = parse_script(text, "s.txt")
    return script, spoken(script, [seconds(2)] * len(script.segments), mix)


def music(text: str, mix: MixSpec = MIX) -> tuple[SpeechTrack, tuple[MusicPlacement, ...]]:
    script, speech = of_two_seconds(text, mix)
    return speech, place_music(script, speech, mix)


def test_pauses_between_sentences_paragraphs_and_speakers() -> None:
    _, speech = of_two_seconds("One. Two.\n\nThree. (pause 1s) Four\nALICE: Five.\nBOB: Six.")
    starts = speech.starts
    gaps = [b - a - seconds(2) for a, b in pairwise(starts)]
    assert gaps == [
        seconds(VOICE.sentence_pause_s),
        seconds(VOICE.paragraph_pause_s),
        seconds(VOICE.sentence_pause_s + 1),
        seconds(VOICE.speaker_pause_s),
        seconds(VOICE.speaker_pause_s),
    ]
    assert starts[0] == LEAD_SILENCE
    assert speech.num_samples == starts[-1] + seconds(2) + TAIL_SILENCE


def test_a_pause_within_a_sentence_is_exactly_as_long_as_it_says() -> None:
    _, speech = of_two_seconds("(pause 1s)\nOne and (beat) two.")
    assert speech.starts == (
        LEAD_SILENCE + seconds(1),
        LEAD_SILENCE + seconds(1) + seconds(2) + seconds(0.5),
    )


def test_music_opens_and_closes_the_episode() -> None:
    speech, placed = music("[MUSIC: harp]\nOne.")
    assert speech.starts[0] == seconds(MIX.lead_in_s)
    assert speech.num_samples == speech.starts[0] + seconds(2) + seconds(MIX.tail_s)
    (bed,) = placed
    assert (bed.start, bed.num_samples, bed.gain_db) == (0, speech.num_samples, 0)
    assert (bed.fade_in, bed.fade_out) == (seconds(MIX.fade_in_s), seconds(MIX.fade_out_s))


def test_beds_in_succession_cross_fade() -> None:
    speech, (first, second) = music("[MUSIC: a]\nOne.\n[MUSIC: b]\nTwo.")
    cross = seconds(MIX.crossfade_s)
    assert second.start == speech.starts[1]
    assert first.num_samples == second.start + cross
    assert first.fade_out == second.fade_in == cross


def test_hold_fade_out_and_stop() -> None:
    speech, placed = music(
        "[MUSIC: a, 3 seconds]\nOne.\n[MUSIC: b]\nTwo.\n[MUSIC: fade out 1s]\nThree.\n"
        "[MUSIC: c]\nFour.\n[MUSIC: stop]\nFive."
    )
    a, b, c = placed
    assert a.num_samples == seconds(3)
    assert b.start == speech.starts[1]
    assert b.start + b.num_samples == speech.starts[2] + seconds(1)
    assert b.fade_out == seconds(1)
    assert 0 < c.start + c.num_samples - speech.starts[4] < seconds(0.05)
    assert speech.num_samples == speech.starts[4] + seconds(2) + TAIL_SILENCE


def test_cues_after_the_last_word() -> None:
    speech, (first, outro) = music("[MUSIC: a]\nOne.\n[MUSIC: finale, 8 seconds]")
    end = speech.starts[0] + seconds(2)
    assert outro.start == end
    assert outro.num_samples == seconds(8)
    assert speech.num_samples == end + seconds(8)
    assert first.start + first.num_samples <= speech.num_samples
    speech, (bed,) = music("[MUSIC: a]\nOne.\n(pause 1s)\n[MUSIC: fade out 2s]")
    assert speech.num_samples == speech.starts[0] + seconds(2 + 1 + 2)
    assert bed.num_samples == speech.num_samples


def test_a_jingle_before_a_bed_is_heard_out() -> None:
    speech, (jingle, bed) = music("One.\n[MUSIC: jingle, 4 seconds]\n[MUSIC: bed]\nTwo.")
    pause = seconds(VOICE.sentence_pause_s)
    assert jingle.start == LEAD_SILENCE + seconds(2) + pause
    assert bed.start == jingle.start + seconds(4) == speech.starts[1]


def test_levels_relative_to_speech_and_to_the_bed() -> None:
    _, (a, b) = music("[MUSIC: a, -12dB]\nOne.\n[MUSIC: b, +2dB over bed]\nTwo.")
    assert a.gain_db == -12 - MIX.bed_db
    assert b.gain_db == 2


def amplitude(placed: Sequence[MusicPlacement], num_samples: int) -> NDArray[np.float64]:
    """The sum of all gains with quarter-sine fades, as the mix applies them."""
    total = np.zeros(num_samples)
    for one in placed:
        shape = np.full(one.num_samples, 10 ** (one.gain_db / 20))
        if one.fade_in:
            shape[: one.fade_in] *= np.sin((np.arange(one.fade_in) + 0.5) / one.fade_in * pi / 2)
        if one.fade_out:
            shape[-one.fade_out :] *= np.cos(
                (np.arange(one.fade_out) + 0.5) / one.fade_out * pi / 2
            )
        total[one.start : one.start + one.num_samples] += shape
    return total


def test_changes_of_level_add_up_exactly() -> None:
    speech, placed = music(
        "[MUSIC: a]\nOne.\n[Music down by 6dB]\nTwo.\n[Music up, +2dB over bed]\nThree.\n"
        "[Music down by 3dB]\nFour."
    )
    assert len({one.cue for one in placed}) == 1
    assert all(one.offset == one.start for one in placed)
    total = amplitude(placed, speech.num_samples)
    for line, level_db in enumerate([0, -6, 2, -3]):
        middle = speech.starts[line] + seconds(1)
        assert 20 * np.log10(total[middle]) == pytest.approx(level_db, abs=0.01)
    steps = np.abs(np.diff(total))
    assert steps.max() < 2e-4, "a jump in level would click"
    assert total.max() <= 10 ** (2 / 20) + 1e-3, "no swell above the loudest level"


def test_chapters_cover_the_episode() -> None:
    script, speech = of_two_seconds("# T\nOne.\n## A\nTwo.\n## B\n## C\nThree.\n## D")
    found = chapters(script, speech)
    assert [one.title for one in found] == ["T", "A", "C"]
    assert found[0].start == 0
    assert found[1].start == speech.starts[1]
    ends = [one.start + one.num_samples for one in found]
    assert ends == [*(one.start for one in found[1:]), speech.num_samples]
    script, speech = of_two_seconds("# T\nOne.")
    assert chapters(script, speech) == ()


@pytest.mark.parametrize(
    ("num_samples", "fps", "frames"),
    [(48_000, 30, 30), (48_799, 30, 30), (48_800, 30, 31), (0, 25, 1), (172_800_000, 24, 86_400)],
)
def test_frame_count(num_samples: int, fps: int, frames: int) -> None:
    assert frame_count(num_samples, fps) == frames


@given(st.integers(0, 10**10), st.integers(1, 120))
def test_frames_and_samples_agree(number: int, fps: int) -> None:
    assert frame_at(sample_at(number, fps), fps) == number
    assert sample_at(number, fps) == 0 or frame_at(sample_at(number, fps) - 1, fps) == number - 1
    assert abs(frame_count(number, fps) * SAMPLE_RATE - number * fps) * 2 <= SAMPLE_RATE or (
        frame_count(number, fps) == 1
    )


cue_lines = st.sampled_from(
    [
        "[MUSIC: harp]", "[MUSIC: lute, 3 seconds]", "[MUSIC: organ, -12dB, fade in 9s]",
        "[MUSIC: drum, fade out 20s]", "[MUSIC: fade out]", "[MUSIC: fade out 7s]", "[MUSIC: stop]",
        "[Music up]", "[Music down by 6dB]", "[Music, -20dB]", "(pause 3s)", "", "## Chapter",
        "ALICE: Well.", "One.", "Two and three.", "Four",
    ]
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    st.lists(cue_lines, max_size=14),
    st.lists(st.integers(1, 6 * SAMPLE_RATE), min_size=60, max_size=60),
    st.sampled_from(
        [MIX, MixSpec(lead_in_s=0, tail_s=0, crossfade_s=0, fade_in_s=0, fade_out_s=0)]
    ),
)
def test_invariants_of_any_timeline(lines: list[str], lengths: list[int], mix: MixSpec) -> None:
    script = parse_script("\n".join([*lines, "The end."]), "s.txt")
    speech = spoken(script, lengths[: len(script.segments)], mix)
    last = 0
    for start, line in zip(speech.starts, speech.lines, strict=True):
        assert start >= last
        last = start + line.num_samples
    assert speech.num_samples >= last + TAIL_SILENCE
    placed = place_music(script, speech, mix)
    for one in placed:
        assert one.start >= 0
        assert one.num_samples > 0
        assert one.start + one.num_samples <= speech.num_samples
        assert min(one.fade_in, one.fade_out, one.offset) >= 0
        assert one.fade_in + one.fade_out <= one.num_samples
        assert script.cues[one.cue].action == "play"
    assert [one.start for one in placed] == sorted(one.start for one in placed)
    total = 0
    for chapter in chapters(script, speech):
        assert chapter.start == total
        total += chapter.num_samples
    assert total in {0, speech.num_samples}
    estimate = seconds_estimate(script, VOICE, mix)
    assert len(estimate) == len(script.cues)
    assert all(
        (one > 0) == (cue.action == "play") for one, cue in zip(estimate, script.cues, strict=True)
    )


@settings(max_examples=100, deadline=None)
@given(st.lists(cue_lines, max_size=14), st.floats(0.3, 1.0))
def test_estimates_of_music_are_enough(lines: list[str], share: float) -> None:
    """Speech that takes at most what was estimated never needs more music than was estimated."""
    script = parse_script("\n".join([*lines, "The end."]), "s.txt")
    lengths = [
        max(1, seconds(line_seconds(one.text, VOICE.rate_wpm) * share)) for one in script.segments
    ]
    speech = spoken(script, lengths)
    estimate = seconds_estimate(script, VOICE, MIX)
    for one in place_music(script, speech, MIX):
        assert one.offset + one.num_samples <= seconds(estimate[one.cue])


def test_lengths_must_match() -> None:
    script = parse_script("One. Two.", "s.txt")
    for lengths in ([1], [1, 0], [1, 2, 3]):
        with pytest.raises(ValueError, match="2 segments"):
            lay_out(script, lengths, VOICE, MIX)


def test_faster_speech_needs_less_time() -> None:
    assert line_seconds("Hello there.", 300) < line_seconds("Hello there.", 150) / 1.9
    assert line_seconds("12345", 165) > line_seconds("abcde", 165) * 2
