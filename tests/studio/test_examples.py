"""The example scripts are read as they are meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from studio.script import clean_text, read_script
from studio.specs import VoiceSpec
from studio.timeline import line_seconds

EXAMPLES = Path(__file__).parents[2] / "examples"
SCRIPTS = sorted(path for path in EXAMPLES.iterdir() if path.suffix in {".txt", ".md"})


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_example(path: Path) -> None:
    script = read_script(path)
    spoken = " ".join(one.text for one in script.segments)
    assert not any(sign in spoken for sign in ("[", "]", "MUSIC", "(beat)", "(pause", "**", "##"))
    clean = clean_text(path.read_text(encoding="utf-8"))
    assert "".join(clean.text.split()) == "".join(spoken.split())
    assert any(cue.action == "play" for cue in script.cues)
    assert len(script.warnings) == ("odd" in path.stem)  # it leaves a bracket open on purpose


def test_the_essay() -> None:
    script = read_script(EXAMPLES / "why-gpus-idle.txt")
    assert script.title == "The Most Expensive Waiting Room in the World"
    assert len(script.chapters) == 3
    plays = [cue.prompt for cue in script.cues if cue.action == "play"]
    assert len(set(plays)) == 3
    seconds = sum(line_seconds(one.text, VoiceSpec().rate_wpm) for one in script.segments)
    assert 50 < seconds < 95


def test_the_dialogue() -> None:
    script = read_script(EXAMPLES / "two-hosts.md")
    assert script.speakers == ("MAYA", "DEAN")
    assert script.header.avatars == (("MAYA", "nova"),)
    assert [mark.title for mark in script.chapters] == [
        "Narration",
        "Part 1: The Usual Suspects",
        "Outro",
    ]
    assert [cue.action for cue in script.cues] == ["play", "play", "level", "fade_out"]
    assert script.notes.startswith("Keep the turns tight")
    explained = next(one for one in script.segments if "one question" in one.text)
    assert (
        "explaining" in explained.direction
        or "explaining" in script.segments[explained.index - 1].direction
    )


def test_the_other_language() -> None:
    script = read_script(EXAMPLES / "nachtzug.txt")
    assert script.language == "de"
    assert any(one.text.startswith("Am 3. Oktober hat") for one in script.segments)


def test_odd_characters_survive() -> None:
    script = read_script(EXAMPLES / "odd characters & co. (100%).txt")
    assert script.title == '"Odd" Characters: 100% <Safe>, %{...} & [Brackets] 🎙️ — שלום'
    spoken = " ".join(one.text for one in script.segments)
    for odd in (
        "%{pts}",
        r"C:\temp\new",
        "<tag>",
        "👩‍👩‍👧‍👦",
        "שלום עולם, مرحبا بالعالم",
        "{like these}",
        "#hashtags",
        "3,50 €",
    ):
        assert odd in spoken
    assert script.speakers == ("ZOË", "O'NEIL")
