"""Any title gives a safe file name."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.slugs import MAX_BYTES, slug


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("The Hidden Life of Tide Pools", "the-hidden-life-of-tide-pools"),
        ('"Quotes": 100% [brackets] %{pts} a/b\\c', "quotes-100-brackets-pts-a-b-c"),
        ("../../etc/passwd", "etc-passwd"),
        (".hidden", "hidden"),
        ("شعر العربية", "شعر-العربية"),
        ("日本語のタイトル", "日本語のタイトル"),
        ("con", "con-episode"),
        ("ﬁne  ①", "fine-1"),
    ],
)
def test_known_titles(title: str, name: str) -> None:
    assert slug(title) == name


@pytest.mark.parametrize("title", ["", "   ", "🎙🌊", "...", "%%%", "\u202e\u200f"])
def test_titles_without_letters_have_a_name_of_their_own(title: str) -> None:
    assert slug(title).startswith("episode-")
    assert slug(title) != slug(title + "!")


@given(st.text(alphabet=st.characters(exclude_categories=()), max_size=300))
def test_any_title(title: str) -> None:
    name = slug(title)
    assert 0 < len(name.encode()) <= MAX_BYTES + len("-episode")
    assert Path(name).name == name
    assert not set(name) & set('/\\:*?"<>|%{}[]\0\n\r\t ')
    assert not name.startswith((".", "-"))
    assert slug(name) == name or name.endswith("-episode")
