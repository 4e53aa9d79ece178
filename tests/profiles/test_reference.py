"""The page of profiles tells every key as the specs define it."""

from __future__ import annotations

from pathlib import Path

from profiles import profile_names
from profiles.reference import key_tables, rewrite

PAGE = (Path(__file__).parents[2] / "docs" / "profiles.md").read_text(encoding="utf-8")


def test_the_page_is_what_the_specs_say() -> None:
    assert key_tables().strip() in PAGE, "run: python -m profiles.reference docs/profiles.md"


def test_a_page_is_brought_up_to_date(tmp_path: Path) -> None:
    page = tmp_path / "profiles.md"
    page.write_text(PAGE.replace("`seed`", "`sead`"), encoding="utf-8")
    rewrite(page)
    assert page.read_text(encoding="utf-8") == PAGE


def test_the_page_names_every_profile() -> None:
    for name in profile_names():
        assert f"| `{name}` |" in PAGE
