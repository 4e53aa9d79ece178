"""Reads a page as strictly as a validator would, as far as these pages go."""

from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urlsplit

VOID = {"meta", "link", "img", "source", "track", "br", "hr", "input"}
PHRASING_ONLY = {"p", "h1", "h2", "h3", "a", "span", "strong", "time", "title"}
BLOCKS = {"p", "div", "section", "ul", "ol", "li", "h1", "h2", "h3", "article", "nav", "header"}


class Page(HTMLParser):
    """Every element with its attributes and text; raises on what is not well formed HTML5."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[tuple[str, str]] = []
        assert text.startswith("<!DOCTYPE html>\n<html ")
        self.feed(text)
        self.close()
        assert self.open == [], f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"an attribute twice in {tag}"
        if tag in BLOCKS:
            around = [parent for parent in self.open if parent in PHRASING_ONLY]
            assert not around, f"{tag} inside {around}"
        if tag == "li":
            assert self.open[-1] in {"ul", "ol"}
        if tag == "a":
            assert "a" not in self.open, "a link inside a link"
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert tag not in VOID, f"</{tag}>"
        assert self.open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        self.texts.append((self.open[-1] if self.open else "", data))

    def all(self, tag: str) -> list[dict[str, str]]:
        return [facts for name, facts in self.elements if name == tag]

    def text(self, tag: str) -> list[str]:
        return [text for name, text in self.texts if name == tag]


def check_page(path: Path) -> Page:
    """What a visitor and a screen reader rely on, and every local link."""
    page = Page(path.read_text(encoding="utf-8"))
    (html,) = page.all("html")
    assert html["lang"]
    assert html["dir"] in {"ltr", "rtl"}
    assert len(page.all("h1")) == len(page.all("main")) == len(page.all("title")) == 1
    levels = [int(tag[1]) for tag, _ in page.elements if tag in {"h1", "h2", "h3"}]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    ids = [facts["id"] for _, facts in page.elements if "id" in facts]
    assert len(ids) == len(set(ids))
    for _, facts in page.elements:
        assert facts.get("aria-labelledby", ids[0]) in ids
        assert not [name for name in facts if name.startswith("on")], "a script in an attribute"
    assert all("alt" in facts for facts in page.all("img"))
    for facts in page.all("script"):
        assert set(facts) == {"src", "defer"}
    for link in (facts.get("href", facts.get("src", "")) for _, facts in page.elements):
        parts = urlsplit(link)
        if not link or parts.scheme:
            assert parts.scheme in {"", "https", "data"}
        elif parts.path:
            assert (path.parent / unquote(parts.path)).is_file(), link
        else:
            assert parts.fragment in ids
    return page
