"""Both dialects, what else is understood, and every error of the format."""

from __future__ import annotations

import pytest

from studio.errors import ScriptError
from studio.script import clean_text, parse_script
from studio.types import Script


def spoken(script: Script) -> list[tuple[str, str]]:
    return [(segment.speaker, segment.text) for segment in script.segments]


def texts(text: str) -> list[str]:
    return [segment.text for segment in parse_script(text, "s.txt").segments]


PRODUCTION = """Runtime: ~3:00
Tone: calm

Intro Music
[Intro music: soft piano + light synth pulse, -12dB, fade in 2s → underlay for 5s]

 Narration
NARRATOR (professional, clear tone):
Welcome. This is the first part.
(pause 0.5s)
It goes on.
[Shift tone warmer, reflective]
Warmer now.   [pause 1s]
[Fade up soft strings, +2dB over bed]
And strings. (beat)
DEAN: One line of mine.

Outro
NARRATOR:
Goodbye.
[Music fade out — 3s, end clean]
[Music fades out
Production Notes:
Speak as if to a friend.
[MUSIC: ]
"""


def test_production_dialect() -> None:
    script = parse_script(PRODUCTION, "p.txt")
    assert spoken(script) == [
        ("NARRATOR", "Welcome."),
        ("NARRATOR", "This is the first part."),
        ("NARRATOR", "It goes on."),
        ("NARRATOR", "Warmer now."),
        ("NARRATOR", "And strings."),
        ("DEAN", "One line of mine."),
        ("NARRATOR", "Goodbye."),
    ]
    assert [segment.pause_after_s for segment in script.segments] == [0, 0.5, 0, 1, 0.5, 0, 0]
    assert script.segments[0].direction == "professional, clear tone"
    assert script.segments[3].direction == (
        "professional, clear tone; Shift tone warmer, reflective"
    )
    assert script.segments[5].direction == ""
    assert [(mark.at, mark.title) for mark in script.chapters] == [(0, "Narration"), (6, "Outro")]
    assert script.notes == "Speak as if to a friend.\n[MUSIC: ]"
    assert script.header.runtime_s == 180
    assert script.header.tone == "calm"
    assert [(cue.at, cue.action, cue.line_no) for cue in script.cues] == [
        (0, "play", 5),
        (4, "play", 14),
        (7, "fade_out", 21),
        (7, "fade_out", 22),
    ]
    assert script.cues[0].prompt == "soft piano + light synth pulse"
    assert (script.cues[0].gain_db, script.cues[0].gain_from) == (-12, "speech")
    assert (script.cues[1].gain_db, script.cues[1].gain_from) == (2, "bed")
    assert any("line 22" in warning and "not closed" in warning for warning in script.warnings)


def test_simple_dialect() -> None:
    script = parse_script(
        "\ufeff# My show\r\n\r\n[music:  soft piano ]\r\nOne. Two!\r\n\r\n## Next part\r\n"
        "- a bullet\r\n#1 is speech\r\nEnd [MUSIC: a][Music: b] of it.\r\n",
        "s.txt",
    )
    assert script.title == "My show"
    assert [text for _, text in spoken(script)] == [
        "One.",
        "Two!",
        "a bullet",
        "#1 is speech",
        "End of it.",
    ]
    assert [(cue.at, cue.prompt) for cue in script.cues] == [(0, "soft piano"), (5, "a"), (5, "b")]
    assert [(mark.at, mark.title) for mark in script.chapters] == [(2, "Next part")]
    assert [segment.ends_paragraph for segment in script.segments] == [
        False,
        True,
        False,
        False,
        True,
    ]
    assert [segment.line_no for segment in script.segments] == [4, 4, 7, 8, 9]


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("Hello there.", "Untitled Podcast"),
        ("#Hello there.", "Untitled Podcast"),
        ("Hello.\n# Not the title\nMore.", "Untitled Podcast"),
        ("\n\n# The title [MUSIC: x]\nHello.", "The title"),
        ("# 100% %{x} [live], 'so' [pause 1s]to say\nHello.", "100% %{x} [live], 'so' to say"),
        ("# One\nTitle: Two\n\nHello.", "Two"),
    ],
)
def test_title(text: str, title: str) -> None:
    assert parse_script(text, "s.txt").title == title


def test_clean_text_offsets_of_cues() -> None:
    clean = clean_text("[MUSIC: x]\n\nOne.\n[MUSIC: y]\nTwo.\nThree.\n[MUSIC: z]")
    assert clean.text == "One.\nTwo.\nThree."
    assert clean.cue_offsets == (0, 5, 17)


def test_clean_text_offset_of_an_inline_cue_is_where_speech_goes_on() -> None:
    clean = clean_text("# T\n- One [MUSIC: x] two.\nALICE: Three. [MUSIC: y]\n(beat)\nFour.")
    assert clean.text == "One two.\nThree.\nFour."
    assert clean.cue_offsets == (4, 15)
    assert clean.text[4:].startswith("two.")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ALICE: Hi.\nBOB: Ho.\nMore.", "ALICE: Hi.|BOB: Ho.|BOB: More."),
        ("**Alice:** Hi.\n**Bob**: Ho.", "Alice: Hi.|Bob: Ho."),
        ("**ALICE (low):** Hi.", "ALICE: Hi."),
        (
            '<Person1>Hi.</Person1>\n<Person2>"Ho."</Person2><Person2>Yes.\n<Person3>No.',
            'Person1: Hi.|Person2: "Ho."|Person2: Yes.|Person3: No.',
        ),
        ("<Anna>Hi there.</Anna>Bye.", "Anna: Hi there.|NARRATOR: Bye."),
        ("Alice: Hi there.\nBob: Ho.\nAlice: Bye.", "Alice: Hi there.|Bob: Ho.|Alice: Bye."),
        ("Host 1: Hi there.\nHost 2: Ho.", "Host 1: Hi there.|Host 2: Ho."),
        ("ALICE: Hi.\nAlice: Ho.", "ALICE: Hi.|ALICE: Ho."),
        ("小明：你好。\n小红：早上好！\n小明：再见。", "小明: 你好。|小红: 早上好！|小明: 再见。"),
        ("Alice (laughing): Hi there.", "Alice: Hi there."),
    ],
)
def test_speakers(text: str, expected: str) -> None:
    turns = [f"{speaker}: {words}" for speaker, words in spoken(parse_script(text, "s.txt"))]
    assert turns == expected.split("|")


@pytest.mark.parametrize(
    "text",
    [
        "Remember: the card is never the problem.",
        "At 10:30 we meet.",
        "AT 10:30 we meet.",
        "See https://example.org for more.",
        "It was clear: nobody had asked.",
        "Three things matter here. First: the disk.",
    ],
)
def test_a_colon_alone_makes_no_speaker(text: str) -> None:
    script = parse_script(f"Good evening.\n\n{text}", "s.txt")
    assert script.speakers == ("NARRATOR",)
    assert " ".join(segment.text for segment in script.segments) == f"Good evening. {text}"


@pytest.mark.parametrize(
    "direction",
    [
        "[laughs]",
        "[Shift tone warmer]",
        "[an unclosed one",
        "(laughs)",
        "(pause 2s)",
        "(beat)",
        "[pause 1.5 seconds]",
        "[nested [brackets] here]",
        "*sighs*",
        "<!-- a comment -->",
        "(SFX: door slams)",
        "【音乐】",
        "[MUSIC: soft piano]",
        '<break time="500ms"/>',
    ],
)
def test_no_direction_is_spoken(direction: str) -> None:
    for text in (
        f"Before it. {direction}\nAfter it.",
        f"Before it.\n{direction}\nAfter it.",
        f"ALICE: Before it. {direction}\nAfter it.",
    ):
        assert texts(text) == ["Before it.", "After it."]


def test_comments_and_bare_labels_of_directions() -> None:
    assert texts("One.\n<!-- a\nb\nc --> Two.\nSFX: door\nMUSIC: soft piano\nThree.") == [
        "One.",
        "Two.",
        "Three.",
    ]
    assert parse_script("One.\nMUSIC: soft piano", "s").cues[0].prompt == "soft piano"


def test_parentheses_in_prose_are_speech() -> None:
    text = "The card (a big one) waits (as always)."
    assert texts(text) == [text]
    assert texts("Well.\n(That one is said aloud.)") == ["Well.", "(That one is said aloud.)"]


def test_markup_is_not_spoken_but_its_text_is() -> None:
    assert texts(
        "This is **very** *odd* and `code` in snake_case * 2.\n> Quoted.\n---\n* Item."
    ) == [
        "This is very odd and code in snake_case * 2.",
        "Quoted.",
        "Item.",
    ]
    assert texts("Read [our page](https://example.org/a_b) today.") == ["Read our page today."]


def test_pauses() -> None:
    script = parse_script(
        "(pause 1s)\nOne (beat) two. [pause] Three. [long pause]\n"
        "(two beats)\n[2 seconds of silence]",
        "s.txt",
    )
    assert script.pause_before_s == 1
    assert [(one.text, one.pause_after_s) for one in script.segments] == [
        ("One", 0.5),
        ("two.", 0.5),
        ("Three.", 4.5),
    ]


def test_wrapped_lines_are_one_sentence_and_short_lines_are_not() -> None:
    wrapped = (
        "This sentence was wrapped by an editor at some column,\n"
        "so that it goes on here and ends there."
    )
    assert texts(wrapped) == [wrapped.replace("\n", " ")]
    assert texts("Roses are red\nViolets are blue") == ["Roses are red", "Violets are blue"]
    half = "今天天气很好我们去散步吧" * 4
    assert texts(f"{half}\n再见。") == [f"{half}再见。"]


def test_a_direction_stands_with_the_sentence_that_it_colours() -> None:
    script = parse_script("One. [softly] Two. Three (laughs)\n[quietly]\nFour.\n[fading]", "s")
    assert [one.direction for one in script.segments] == ["", "softly", "laughs", "quietly; fading"]


def test_header() -> None:
    script = parse_script(
        "# Ignored\nTITLE: A: B\n**Language:** German\nAspect: 9x16\nBackground: my room.jpg\n"
        "Voice: alice=en-us+f4, BOB=coqui_tts:tts_models/en/vctk/vits\nVoice: en-gb\n"
        "Avatar: ALICE=nova\nRuntime: 2-3 minutes\n\nALICE: Hi.\nBOB: Ho.",
        "s.txt",
    )
    header = script.header
    assert (script.title, script.language) == ("A: B", "de")
    assert header.voices == (
        ("ALICE", "en-us+f4"),
        ("BOB", "coqui_tts:tts_models/en/vctk/vits"),
        ("", "en-gb"),
    )
    assert header.avatars == (("ALICE", "nova"),)
    assert (header.aspect, header.background, header.runtime_s) == ("9:16", "my room.jpg", 150)


def test_header_music_plays_where_no_cue_does() -> None:
    script = parse_script("Music: slow lute\n\nHello there.", "s.txt")
    assert [(cue.at, cue.prompt, cue.line_no) for cue in script.cues] == [(0, "slow lute", 1)]
    assert parse_script("Music: none\n\nHi there.\n[MUSIC: x]", "s.txt").cues == ()
    filled = parse_script("Music: slow lute\n\n[MUSIC: 8 seconds]\nHi there.", "s.txt").cues
    assert [(cue.prompt, cue.hold_s) for cue in filled] == [("slow lute", 8)]


@pytest.mark.parametrize(
    ("line", "near"),
    [
        ("Langauge: de", "Language"),
        ("Titel: My show", "Title"),
        ("Runtme: 3:00", "Runtime"),
        ("VOCE: x", "Voice"),
        ("Backgrund: What a sentence it is.", "Background"),
    ],
)
def test_a_misspelt_header_key_names_the_nearest(line: str, near: str) -> None:
    with pytest.raises(ScriptError) as caught:
        parse_script(f"# T\n{line}\n\nHello there.", "s.txt")
    assert caught.value.where == "s.txt, line 2"
    assert repr(line.partition(":")[0])[1:-1] in caught.value.found
    assert f"'{near}'" in caught.value.remedy


def test_an_unknown_header_key_lists_the_known_ones() -> None:
    with pytest.raises(ScriptError, match="Runtime, Tone") as caught:
        parse_script("Foo: bar\n\nHello there.", "s.txt")
    assert "FOO: ..." in caught.value.remedy
    with pytest.raises(ScriptError, match="Pacing"):
        parse_script("Runtime: 3:00\nPacing: Slow, please.\n\nHello.", "s.txt")


def test_dialogue_before_any_header_is_no_header() -> None:
    for text in ("TONY: Hello.", "Alice: Hi.\nBob: Ho.", "Alice: Hi\nBob: Ho.\nAlice: Bye."):
        assert len(parse_script(text, "s.txt").segments) == text.count("\n") + 1
    assert texts("Remember: the card is not at fault.") == ["Remember: the card is not at fault."]


def test_header_lines_end_with_the_first_speech() -> None:
    script = parse_script("Hello there.\nAspect: 9:16", "s.txt")
    assert script.header.aspect == ""
    assert any("line 2: 'Aspect:'" in warning for warning in script.warnings)
