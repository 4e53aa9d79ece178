from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.voice import reading_en
from models.voice.lexis_en import Seat
from models.voice.numerals import cardinal, ordinal, roman, year
from models.voice.reading import place_words, read


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("at 1080p, 60fps", "at ten eighty P, sixty frames per second"),
        ("3.5 GB, 50 % more", "three point five gigabytes, fifty percent more"),
        ("$2.5 million in 1995", "two point five million dollars in nineteen ninety-five"),
        ("$3.50 and $1.01", "three dollars fifty cents and one dollar one cent"),
        ("€1.2M", "one point two million euros"),
        ("Dr. Smith, e.g. GPUs", "Doctor Smith, for example G P U's"),
        ("on Nov. 20, 2026", "on November twentieth, twenty twenty-six"),
        ("me@x.org", "me at x dot org"),
        ("https://www.example.com/a-b?x=1.", "example dot com slash a dash b."),
        ("10:30, 10:05 or 9:00?", "ten thirty, ten oh five or nine o'clock?"),
        ("the 3rd, 3/4, 24/7", "the third, three quarters, twenty-four seven"),
        ("No. 5 on Main St. now", "number five on Main Street now"),
        ("Louis XIV, Chapter IV", "Louis the fourteenth, Chapter four"),
        ("the 1990s and '80s", "the nineteen nineties and 'eighties"),
        ("20–30% of 5-10 km", "twenty to thirty percent of five to ten kilometres"),
        ("GPT-4 on an RTX 4090", "GPT four on an RTX forty ninety"),
        ("2026-11-20", "November twentieth, twenty twenty-six"),
        ("10 GB/s", "ten gigabytes per second"),
        ("-16 LUFS", "minus sixteen luffs"),
        ("C++ — *really* 🎉", "C plus plus, really"),
        ("1 km, 2 km", "one kilometre, two kilometres"),
        (
            "~3 of 1,234,567",
            "about three of one million two hundred thirty-four thousand five hundred sixty-seven",
        ),
        ("Come in. I am here.", "Come in. I am here."),
        ("We sell in 5 countries", "We sell in five countries"),
        ("for 3,50 € or 1 €", "for three point five zero euros or one euro"),
        ("{like these}, `code` and snake_case", "like these, code and snake_case"),
        ("192.168.0.1", "one nine two dot one six eight dot zero dot one"),
    ],
)
def test_english_is_read_as_people_say_it(written: str, spoken: str) -> None:
    assert read(written, "en-us").text == spoken


@pytest.mark.parametrize(
    ("language", "written", "spoken"),
    [
        ("de", "z.B. 3,5 GB bei Dr. Müller", "zum Beispiel 3,5 Gigabyte bei Doktor Müller"),
        (
            "de-AT",
            "Am 3. Oktober 1905 um 3:04 Uhr, am 1. Mai",
            "Am dritten Oktober neunzehnhundertfünf um drei Uhr vier, am ersten Mai",
        ),
        ("fr-FR", "M. Dupont a 5 km", "monsieur Dupont a 5 kilomètres"),
        ("es", "Sr. García & Cía", "señor García y Cía"),
    ],
)
def test_other_languages_keep_their_numbers(language: str, written: str, spoken: str) -> None:
    assert read(written, language).text == spoken


def test_the_lexicon_comes_first_and_keeps_the_written_words() -> None:
    lexicon = (("nginx", "engine x"), ("New York", "[[nju: j'o@k]]"), ("3.5", "three and a half"))
    reading = read("New York's Nginx: 3.5 GB", "en", lexicon)
    assert reading.text == "[[nju: j'o@kz]] engine x: three and a half gigabytes"
    assert reading.written == ("New", "York's", "Nginx:", "3.5", "GB")
    assert [(piece.first, piece.last) for piece in reading.pieces] == [
        (0, 1),
        (2, 2),
        (3, 3),
        (4, 4),
    ]


def test_phonemes_are_for_engines_that_know_them() -> None:
    lexicon = (("hello", "[[h@l'oU]]"),)
    assert read("Hello!", "en", lexicon).text == "[[h@l'oU]]!"
    assert read("Hello!", "en", lexicon, phonemes=False).text == "Hello!"
    assert "[[" not in read("x [[h@l'oU]] y [[a b]]", "en").text


def test_a_line_of_marks_has_nothing_to_read() -> None:
    assert read("… — 🎉 *", "en").pieces == ()
    assert read("", "en").pieces == ()


@given(st.text(max_size=80), st.sampled_from(["en", "de", "fr", "xx"]))
def test_pieces_cover_every_written_word_once(text: str, language: str) -> None:
    reading = read(text, language)
    covered = [index for piece in reading.pieces for index in range(piece.first, piece.last + 1)]
    assert covered == (list(range(len(reading.written))) if reading.pieces else [])
    assert all(piece.text.strip() for piece in reading.pieces)
    assert [
        reading.text[at:][: len(p.text)]
        for at, p in zip(reading.positions, reading.pieces, strict=True)
    ] == [piece.text for piece in reading.pieces]


@given(
    st.lists(
        st.sampled_from(["one", "—", "$2.5", "million", "a,", "GPUs."]), min_size=1, max_size=12
    ),
    st.lists(st.tuples(st.integers(0, 90), st.integers(0, 5000)), max_size=15),
    st.lists(st.integers(0, 5000), max_size=4),
)
def test_words_rise_do_not_overlap_and_none_is_empty(
    texts: list[str], marks: list[tuple[int, int]], pauses: list[int]
) -> None:
    reading = read(" ".join(texts), "en")
    gaps = [(start, start + 300) for start in pauses]
    words = place_words(reading, sorted(marks), gaps, 5000)
    if not reading.pieces:
        assert words == ()
        return
    assert [word.text for word in words] == texts
    ends = [word.start + word.num_samples for word in words]
    assert all(word.num_samples > 0 for word in words)
    assert all(end <= word.start for end, word in zip(ends, words[1:], strict=False))
    assert words[0].start >= 0
    assert ends[-1] <= 5000


def test_words_end_at_the_pause_after_them() -> None:
    reading = read("Yes, no.", "en")
    first, second = place_words(reading, [(0, 100), (5, 1000)], [(400, 1000), (1500, 2000)], 2000)
    assert (first.start, first.num_samples) == (100, 300)
    assert (second.start, second.num_samples) == (1000, 500)


@given(st.integers(0, 10**15 - 1))
def test_cardinals_can_be_read_back(number: int) -> None:
    small = {cardinal(n): n for n in range(100)}
    total, part = 0, 0
    for word in cardinal(number).split():
        if word == "hundred":
            part *= 100
        elif word in {"thousand", "million", "billion", "trillion"}:
            scale = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}[
                word
            ]
            total, part = total + part * scale, 0
        else:
            part += small[word]
    assert total + part == number


def test_ordinals_years_and_roman_numerals() -> None:
    assert [ordinal(n) for n in (1, 12, 20, 22)] == [
        "first",
        "twelfth",
        "twentieth",
        "twenty-second",
    ]
    assert year(1905) == "nineteen oh five"
    assert year(1900) == "nineteen hundred"
    assert [year(n) for n in (2000, 2005, 2010)] == [
        "two thousand",
        "two thousand five",
        "twenty ten",
    ]
    assert [roman(text) for text in ("IV", "XCIX", "IIII", "VX", "MIX", "")] == [4, 99, *[None] * 4]


@given(
    st.text(st.characters(categories=["L"]), min_size=1, max_size=8),
    st.sampled_from(["", "$3", "12", "chapter", "May", "1.5"]),
    st.sampled_from(["", "pm", "4", "V", "million"]),
)
def test_rules_that_are_left_out_for_plain_words_would_not_read_them(
    core: str, before: str, after: str
) -> None:
    seat = Seat(core=core, before=before, after=after, stopped=True, first=False)
    left_out = [rule for rule in reading_en._RULES if rule not in reading_en._WORD_RULES]
    assert left_out
    assert all(rule(seat) is None for rule in left_out)
