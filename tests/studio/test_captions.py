"""Captions keep every word and every rule."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.captions import (
    chapters_json,
    check_captions,
    make_captions,
    to_srt,
    to_transcript,
    to_vtt,
)
from studio.captions.make import MAX_EARLY, MAX_LATE
from studio.captions.rules import LONGEST, MAX_CPS, SHORTEST, characters
from studio.script import parse_script
from studio.specs import MixSpec, VoiceSpec
from studio.text_width import columns
from studio.timeline import chapters, lay_out
from studio.types import (
    SAMPLE_RATE,
    Blob,
    Caption,
    Script,
    SpeechTrack,
    SpokenLine,
    Word,
)

ESSAY = """# The Test
Somewhere tonight, a graphics card that cost more than a car is doing nothing at all. It is not
broken. It is not even bored. It is waiting for a file.

## Next
MAYA: Well. That is a shame, because it was expensive, and because somebody has to pay for it.
DEAN: Yes.
MAYA: No.
DEAN: "Perhaps" it is a very-long-hyphenated-word, or Donaudampfschifffahrtselektrizitätenhauptwerk.
今天我们讨论为什么显卡总是空闲，因为它们必须等待数据，而数据来得太慢了。这是一个非常常见的问题。
"""


def speak(script: Script, cps: float = 15.0) -> SpeechTrack:
    """The script spoken evenly, `cps` characters a second, a word being what spaces part."""
    nothing = Blob(sha256="0" * 64, suffix=".flac", num_bytes=0)
    lines = []
    for one in script.segments:
        words, at = [], 0
        for text in one.text.split():
            length = max(1, round((columns(text) + 1) / cps * SAMPLE_RATE))
            words.append(Word(text=text, start=at, num_samples=length))
            at += length
        lines.append(
            SpokenLine(
                index=one.index,
                speaker=one.speaker,
                text=one.text,
                engine="espeak_ng",
                voice="en",
                audio=nothing,
                num_samples=at,
                words=tuple(words),
                phonemes=(),
            )
        )
    lengths = [line.num_samples for line in lines]
    starts, num_samples = lay_out(script, lengths, VoiceSpec(), MixSpec())
    return SpeechTrack(
        sample_rate=SAMPLE_RATE, num_samples=num_samples, lines=tuple(lines), starts=starts
    )


def captions_of(text: str, cps: float = 15.0) -> tuple[Script, SpeechTrack, tuple[Caption, ...]]:
    script = parse_script(text, "s.txt")
    speech = speak(script, cps)
    return script, speech, make_captions(script, speech)


def squeezed(parts: Sequence[str]) -> str:
    return "".join("".join(parts).split())


def holds_all(script: Script, found: Sequence[Caption]) -> None:
    assert squeezed([line for one in found for line in one.lines]) == squeezed(
        [one.text for one in script.segments]
    )


def test_an_essay_keeps_all_rules() -> None:
    script, speech, found = captions_of(ESSAY)
    assert check_captions(found) == ()
    holds_all(script, found)
    for one in found:
        assert characters(one) * SAMPLE_RATE <= MAX_CPS * one.num_samples
        assert SHORTEST <= one.num_samples <= LONGEST
        assert squeezed([word.text for word in one.words]) == squeezed(one.lines)
    assert found[-1].start + found[-1].num_samples <= speech.num_samples


def test_lines_break_where_the_sentence_breathes() -> None:
    _, _, found = captions_of(
        "The chef in the kitchen was very good, but the waiter was slow. He carried one onion."
    )
    assert [one.lines for one in found] == [
        ("The chef in the kitchen was very good,", "but the waiter was slow."),
        ("He carried one onion.",),
    ]


def test_no_line_ends_with_an_article() -> None:
    _, _, found = captions_of(ESSAY)
    for one in found:
        for line in one.lines:
            assert not re.search(r"\b(?:a|the|and|of)$", line)


def test_short_neighbours_of_one_speaker_share_a_caption() -> None:
    _, _, found = captions_of("Yes. No. Yes. No.")
    assert check_captions(found) == ()
    assert len(found) < 4
    assert squeezed([line for one in found for line in one.lines]) == "Yes.No.Yes.No."


def test_speakers_never_share_a_caption() -> None:
    opening = "ANN: Let us see how quick we two are today, shall we? I shall begin, then.\n"
    _, _, found = captions_of(opening + "BOB: No.\nANN: Yes.\n" * 3)
    assert [one.speaker for one in found] == ["ANN"] * 2 + ["BOB", "ANN"] * 3
    assert check_captions(found) == ()


def test_a_quick_exchange_is_neither_announced_nor_dragged_along() -> None:
    calm = "ANN: And now we go on at the pace at which people speak to each other.\n"
    _, _, found = captions_of(calm + "BOB: No.\nANN: Yes.\n" * 5 + calm + calm)
    assert check_captions(found) == ()
    shifts = [one.start - one.words[0].start for one in found]
    assert -MAX_EARLY <= min(shifts) < 0 < max(shifts) <= MAX_LATE + SHORTEST


@pytest.mark.parametrize("cps", [25.0, 40.0])
def test_speech_too_fast_to_read_keeps_its_words_and_its_time(cps: float) -> None:
    script, speech, found = captions_of(ESSAY * 4, cps)
    holds_all(script, found)
    assert check_captions(found) == ()
    for one in found:
        assert -MAX_EARLY <= one.start - one.words[0].start <= MAX_LATE + SHORTEST
    assert any(characters(one) * SAMPLE_RATE > MAX_CPS * one.num_samples for one in found)
    assert found[-1].start + found[-1].num_samples <= speech.num_samples


def caption(**changes: object) -> Caption:
    values: dict[str, object] = {
        "speaker": "ANN",
        "lines": ("Hello there.",),
        "start": 0,
        "num_samples": 2 * SAMPLE_RATE,
        "words": (),
    }
    return Caption(**(values | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("broken", "problem"),
    [
        (caption(lines=("x" * 43,), num_samples=5 * SAMPLE_RATE), "43 columns"),
        (caption(lines=("字" * 22,), num_samples=5 * SAMPLE_RATE), "44 columns"),
        (caption(lines=("a", "b", "c")), "3 lines"),
        (caption(lines=()), "0 lines"),
        (caption(lines=("a", " ")), "empty line"),
        (caption(num_samples=SAMPLE_RATE // 2), "0.500 s"),
        (caption(num_samples=8 * SAMPLE_RATE), "8.000 s"),
        (caption(lines=("x" * 42,)), "21.0 characters a second"),
    ],
)
def test_the_check_finds(broken: Caption, problem: str) -> None:
    assert any(problem in one for one in check_captions([broken]))
    assert check_captions([caption()]) == ()


def test_the_check_finds_overlap_and_slower_words() -> None:
    assert any("before caption 1 ends" in one for one in check_captions([caption(), caption()]))
    slow = (Word(text="x", start=0, num_samples=3 * SAMPLE_RATE),)
    fast = (Word(text="x", start=0, num_samples=SAMPLE_RATE),)
    assert check_captions([caption(lines=("x" * 42,), words=slow)])
    assert check_captions([caption(lines=("x" * 42,), words=fast)]) == ()


def read_times(text: str, point: str) -> list[tuple[int, int]]:
    stamp = rf"(\d\d):(\d\d):(\d\d)[{point}](\d{{3}})"
    found = re.findall(rf"^{stamp} --> {stamp}$", text, re.MULTILINE)
    times = []
    for one in found:
        h, m, s, ms, h2, m2, s2, ms2 = map(int, one)
        times.append((((h * 60 + m) * 60 + s) * 1000 + ms, ((h2 * 60 + m2) * 60 + s2) * 1000 + ms2))
    return times


def test_files_escape_what_players_would_take_for_markup() -> None:
    one = caption(
        speaker="A <b> & co", lines=("x --> <i>y</i>", "{\\an8} & z"), start=3723 * SAMPLE_RATE
    )
    vtt, srt = to_vtt([one]), to_srt([one])
    assert vtt.startswith("WEBVTT\n\n1\n01:02:03.000 --> 01:02:05.000\n")
    assert "<v A &lt;b&gt; &amp; co>x --&gt; &lt;i&gt;y&lt;/i&gt;\n{\\an8} &amp; z</v>" in vtt
    assert srt.startswith("1\n01:02:03,000 --> 01:02:05,000\n")
    assert srt.count("-->") == 1
    assert "<i>" not in srt
    assert "{\\" not in srt
    assert srt.replace("\u2060", "").endswith("x → <i>y</i>\n{\\an8} & z\n")


def test_transcript() -> None:
    script, speech, _ = captions_of(ESSAY)
    plain = to_transcript(script)
    assert plain.startswith("The Test\n========\n\nNARRATOR: Somewhere tonight, a graphics card")
    assert "\n\nNext\n----\n\nMAYA: Well. That is a shame" in plain
    assert "\n\nDEAN: Yes.\n\nMAYA: No.\n\n" in plain
    marked = to_transcript(script, speech, markdown=True)
    assert "\n\n## Next (00:" in marked
    assert "\n\n**DEAN:** Yes.\n\n" in marked
    alone = parse_script("One. Two.\n\nThree *4*5 [x].", "s")
    assert to_transcript(alone).endswith("\n\nOne. Two.\n\nThree *4*5 .\n")
    assert "\\*4\\*5" in to_transcript(alone, markdown=True)


def test_chapters_json() -> None:
    script, speech, _ = captions_of(ESSAY)
    document = json.loads(chapters_json(chapters(script, speech), "Ünï"))
    assert document["version"] == "1.2.0"
    assert document["title"] == "Ünï"
    assert [one["title"] for one in document["chapters"]] == ["The Test", "Next"]
    assert document["chapters"][0]["startTime"] == 0
    assert document["chapters"][0]["endTime"] == document["chapters"][1]["startTime"]


words = st.one_of(
    st.text(alphabet="abcdefghijklmnopqrstuvwxyzéß", min_size=1, max_size=12),
    st.sampled_from(
        [
            "the",
            "a",
            "of",
            "and,",
            "x" * 130,
            "漢字かな交じり文。",
            "🎉",
            "שלום",
            "e\u0301" * 60,
            "—",
        ]
    ),
    st.just("字" * 90),
)
turns = st.tuples(
    st.sampled_from(["ANN: ", "BOB: ", ""]),
    st.lists(words, min_size=1, max_size=16).map(" ".join),
    st.sampled_from([".", "?", "", "…"]),
).map("".join)


@settings(max_examples=80, deadline=None)
@given(st.lists(turns, min_size=1, max_size=8), st.floats(4.0, 60.0))
def test_any_script_at_any_speed(lines: list[str], cps: float) -> None:
    script, speech, found = captions_of("\n".join([*lines, "The end."]), cps)
    holds_all(script, found)
    end = 0
    for one in found:
        assert one.start >= end
        assert one.num_samples > 0
        end = one.start + one.num_samples
        assert one.num_samples <= LONGEST
        assert 1 <= len(one.lines) <= 2
        assert all(0 < columns(line) <= 42 for line in one.lines)
    assert end <= speech.num_samples
    stamps = read_times(to_srt(found), ",")
    assert stamps == read_times(to_vtt(found), ".")
    assert len(stamps) == len(found)
    assert all(before[1] <= after[0] for before, after in pairwise(stamps))


@settings(max_examples=40, deadline=None)
@given(st.lists(turns, min_size=1, max_size=8), st.floats(6.0, 14.0))
def test_unhurried_speech_keeps_all_rules(lines: list[str], cps: float) -> None:
    _, _, found = captions_of("\n".join([*lines, "The end."]), cps)
    assert check_captions(found) == ()


def test_lines_and_script_must_belong_together() -> None:
    script, speech, _ = captions_of(ESSAY)
    with pytest.raises(ValueError, match="1 segments"):
        make_captions(parse_script("One.", "s"), speech)
    assert script.segments
