"""Where sentences end."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.script.sentences import MAX_SEGMENT, is_speakable, sentences


def split(text: str, language: str = "en") -> list[str]:
    return [text[start:end] for start, end in sentences(text, language)]


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Dr. Smith met Mrs. Jones.|They talked.", "en"),
        ("It costs $3.5 million, e.g. for one.|Really?", "en"),
        ("J. R. R. Tolkien wrote it.|I. Newton did not.", "en"),
        ("We met at 5 p.m. on Monday.|It rained.", "en"),
        ("He left at 5 p.m.|The door closed.", "en"),
        ("The U.S. Army came.|Then it left the U.S.|The end.", "en"),
        ("See Fig. 3 and No. 5.|No.|Not that.", "en"),
        ('"Why?" he asked.|"Because." She left.', "en"),
        ("Wait... what?|Well…|Fine.", "en"),
        ("Wait… and see.", "en"),
        ("What?!|No!!!|Yes.", "en"),
        ("(It ended.)|Then it began.", "en"),
        ("Pears, apples, etc.|Then plums.", "en"),
        ("Version 2.0.1 is out.|Get it.", "en"),
        ("Quoi ?|Rien !|Bon.", "fr"),
        ("¿Qué?|¡Nada!|El Sr. López vino.", "es"),
        ("Am 3. Oktober war es so weit.|Es regnete.", "de"),
        ("Das gilt z. B. hier, d.h. immer.|Gut.", "de"),
        ("今天很好。|你呢？|我也是！", "cmn"),
        ("「はい。」|と言った。", "ja"),
        ("यह अच्छा है।|और वह भी।", "hi"),
        ("هل أنت بخير؟|نعم.", "ar"),
        ("Great! 🎉|Next one.", "en"),
    ],
)
def test_sentences(text: str, language: str) -> None:
    joined = text.replace("|", "" if language in {"cmn", "ja"} else " ")
    expected = text.split("|")
    if text.startswith('"Why'):
        expected = ['"Why?" he asked.', '"Because."', "She left."]
    assert split(joined, language) == expected


def test_an_endless_sentence_is_cut_at_clauses() -> None:
    clause = "and so the river went on past the mill and the meadow, "
    parts = split((clause * 40).strip())
    assert all(len(part) <= MAX_SEGMENT for part in parts)
    assert all(part.endswith(",") for part in parts)
    assert min(map(len, parts)) > MAX_SEGMENT // 4
    assert [len(part) for part in split("x" * 1000)] == [400, 400, 200]


def test_a_cut_never_separates_a_mark_from_its_letter() -> None:
    for part in split("e\u0301" * 500):
        assert part.startswith("e")


@given(st.text(max_size=600))
def test_every_character_is_in_one_short_sentence(text: str) -> None:
    spans = sentences(text)
    assert "".join(text[a:b] for a, b in spans).split() == text.split() or "".join(
        "".join(text[a:b].split()) for a, b in spans
    ) == "".join(text.split())
    assert all(0 < b - a <= MAX_SEGMENT for a, b in spans)
    assert all(b <= c for (_, b), (c, _) in pairwise(spans))


@given(st.text(alphabet="ab .!?…\"'。🎉", max_size=200).filter(is_speakable))
def test_each_sentence_has_something_to_say(text: str) -> None:
    assert all(is_speakable(text[a:b]) for a, b in sentences(text))
