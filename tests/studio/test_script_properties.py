"""What holds for every script, whatever is in it."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.errors import ScriptError, StudioError
from studio.script import clean_text, parse_script
from studio.script.sentences import MAX_SEGMENT, is_speakable
from studio.types import Script

PIECES = [
    "[", "]", "(", ")", "<", ">", "*", "_", "`", "MUSIC:", "[MUSIC: ", "[music: harp]", "(beat)",
    "[pause 1s]", "[", "fade out", "-12dB", "ALICE:", "Bob:", "**Eve:**", "# ", "## ", "- ", "> ",
    "\n", "\n", "\n\n", " ", " ", "Hello", "world", ".", "!", "?", "…", "。", "e.g. ", "Dr. ",
    "🎉", "\u0301", "<Person1>", "</Person1>", "<!--", "-->", "file=a.mp3", "Title: x",
    "Production Notes:", "Voice: A=b", "Language: de", "Runtime: 3:00", "3.5", "→", "—", ",",
    "\x00", "\ud800", "\ufeff", "\u2028", "\r", "\u200d", "1 s", "for ", "underlay", "नमस्ते।",
    "مرحبا", '"', "“", "Intro Music", "%{x}", "x" * 450,
]  # fmt: skip
"""What scripts are made of, to be put together in any order."""

scripts = st.one_of(
    st.text(max_size=200),
    st.lists(st.sampled_from(PIECES), max_size=40).map("".join),
)


def check(script: Script) -> None:
    assert [one.index for one in script.segments] == list(range(len(script.segments)))
    for one in script.segments:
        assert one.text == one.text.strip()
        assert 0 < len(one.text) <= MAX_SEGMENT
        assert "\n" not in one.text
        assert is_speakable(one.text)
        assert one.text.encode("utf-8")
        assert one.pause_after_s >= 0
    assert [cue.index for cue in script.cues] == list(range(len(script.cues)))
    positions = [cue.at for cue in script.cues]
    assert positions == sorted(positions)
    assert all(0 <= at <= len(script.segments) for at in positions)
    assert all(cue.prompt or cue.file or cue.action != "play" for cue in script.cues)
    marks = [mark.at for mark in script.chapters]
    assert marks == sorted(set(marks))
    assert all(0 <= at < len(script.segments) for at in marks)
    lines = [one.line_no for one in script.segments]
    assert lines == sorted(lines)


@settings(max_examples=800, deadline=None)
@given(scripts)
def test_any_text_is_a_script_or_one_clear_error(text: str) -> None:
    refused: StudioError | None = None
    try:
        script = parse_script(text, "any.txt")
        clean = clean_text(text)
    except StudioError as error:
        refused = error
    if refused is not None:
        assert "\n" not in str(refused)
        assert refused.where.startswith("any.txt")
        assert refused.remedy
        return
    check(script)
    assert list(clean.cue_offsets) == sorted(clean.cue_offsets)
    assert all(0 <= offset <= len(clean.text) + 1 for offset in clean.cue_offsets)


words = st.text(alphabet="abcdefghäöüλ漢字नम١٢3", min_size=1, max_size=8)
prose = st.lists(words, min_size=1, max_size=12).map(" ".join)
spoken_lines = st.tuples(prose, st.sampled_from([".", "!", "?", "…", ""])).map("".join)
directions = st.sampled_from(
    [
        "[SECRET]", "[MUSIC: SECRET]", "(beat)", "(pause 0.5s)", "[pause 2s]", "(laughs)",
        "[SECRET [SECRET] SECRET]", "*sighs*", "<!-- SECRET -->", "[Music fades out, SECRET]",
    ]
)  # fmt: skip
mixed_lines = st.lists(st.one_of(spoken_lines, directions), min_size=1, max_size=4).map(" ".join)
bodies = st.lists(st.one_of(mixed_lines, st.just("")), min_size=1, max_size=12)


def without_space(text: str) -> str:
    return "".join(text.split())


@settings(max_examples=120, deadline=None)
@given(bodies, st.lists(spoken_lines, min_size=1, max_size=3))
def test_no_direction_is_spoken_and_all_else_is_spoken_once(
    lines: list[str], first: list[str]
) -> None:
    text = "\n".join([*first, *lines])
    script = parse_script(text, "s.txt")
    spoken = "".join(without_space(one.text) for one in script.segments)
    for direction in ("SECRET", "beat", "laughs", "sighs", "pause", "Music", "[", "]", "(", "<"):
        assert direction not in spoken
    expected = text
    for direction in (
        "[SECRET [SECRET] SECRET]", "[MUSIC: SECRET]", "[Music fades out, SECRET]", "[SECRET]",
        "(beat)", "(pause 0.5s)", "[pause 2s]", "(laughs)", "*sighs*", "<!-- SECRET -->",
    ):  # fmt: skip
        expected = expected.replace(direction, "")
    lonely = [one for one in script.warnings if "can be spoken" in one]
    if not lonely:
        assert spoken == without_space(expected)
        assert without_space(clean_text(text).text) == spoken


@settings(max_examples=100, deadline=None)
@given(bodies, st.lists(spoken_lines, min_size=1, max_size=3))
def test_the_clean_text_is_its_own_clean_text(lines: list[str], first: list[str]) -> None:
    clean = clean_text("\n".join([*first, *lines])).text
    again = clean_text(clean)
    assert again.text == clean
    assert again.cue_offsets == ()


@pytest.mark.parametrize(
    "unit",
    [
        "A. ",
        "a\n",
        "[MUSIC: x]\n",
        "[",
        "(a ",
        "<",
        "*a",
        "ALICE: b.\n",
        "漢字",
        "a, ",
        "<!-- ",
        "\n",
    ],
)
def test_time_is_linear(unit: str) -> None:
    """A megabyte takes seconds; ten times the text takes about ten times as long."""

    def cpu_s(num_characters: int) -> float:
        text = "Hello there.\n" + unit * (num_characters // len(unit))
        begin = time.process_time()
        parse_script(text, "s.txt")
        return time.process_time() - begin

    small = max(0.002, min(cpu_s(10_000), cpu_s(10_000)))
    assert cpu_s(100_000) < 40 * small


@pytest.mark.slow
def test_a_megabyte_is_parsed() -> None:
    text = (
        "The river went on, past the mill. [MUSIC: harp]\nALICE: (laughs) Well, Dr. Who?\n" * 13_000
    )
    script = parse_script(text, "s.txt")
    assert len(script.cues) == 13_000


def test_a_long_script_in_one_line() -> None:
    script = parse_script("word " * 2_000, "s.txt")
    assert " ".join(one.text for one in script.segments) == ("word " * 2_000).strip()
    assert all(len(one.text) <= MAX_SEGMENT for one in script.segments)
    with pytest.raises(ScriptError, match="too long"):
        parse_script("a" * 5_000_000, "s.txt")
