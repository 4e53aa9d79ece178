"""The pages: an index, and a page per episode with player, chapters and clickable transcript.

They work without JavaScript: a sentence links to the media file at its time (Media Fragments URI
1.0, `#t=`). The script only keeps such a link on the page and shows the sentence that sounds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final
from urllib.parse import quote

from studio.site.listing import EpisodePage, SpokenText, clock
from studio.site.markup import Element, element, html_document
from studio.site.show import ShowSpec
from studio.site.wording import Wording, direction, wording

TURN_S: Final = 40.0
"""After this long one speaker's words begin a new paragraph at the next sentence."""

THUMB: Final = "cover-640.jpg"
"""The cover at the size the pages show it in."""

_INLINE_ICON: Final = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E"
    "%3Crect width='16' height='16' rx='4' fill='%2316323a'/%3E"
    "%3Cpath d='M4 6v4M7 4v8M10 5v6M13 7v2' stroke='%23ffb454' stroke-width='1.6' "
    "stroke-linecap='round'/%3E%3C/svg%3E"
)


def index_page(show: ShowSpec, episodes: Sequence[EpisodePage]) -> str:
    """The show and its episodes, newest first."""
    words = wording(show.language)
    hero = element(
        "header",
        {"class": "hero"},
        _picture(THUMB, "", "hero-cover", eager=True),
        element(
            "div",
            {},
            element("h1", {}, show.title),
            element("p", {"class": "byline"}, show.author) if show.author != show.title else None,
            *(element("p", {}, part) for part in _paragraphs(show)),
            element("p", {}, element("a", {"class": "button", "href": "feed.xml"}, words.feed)),
        ),
    )
    cards = [element("li", {}, _card(one, words)) for one in episodes]
    main = element(
        "main",
        {"id": "content"},
        hero,
        element(
            "section",
            {"aria-labelledby": "episodes"},
            element("h2", {"id": "episodes"}, words.episodes),
            element("ol", {"class": "cards", "reversed": ""}, *cards),
        ),
    )
    head = _head(show, title=show.title, about=show.description, base="", canonical=f"{show.url}/")
    return _document(show.language, head, words, None, main, _footer(show))


def _paragraphs(show: ShowSpec) -> list[str]:
    """The show's description, unless it only repeats the title."""
    parts = [part.strip() for part in show.description.split("\n")]
    return [part for part in parts if part and part != show.title]


def episode_page(show: ShowSpec, one: EpisodePage) -> str:
    """The page of an episode; it lies two folders below the index."""
    words = wording(one.language)
    head = _head(
        show,
        title=f"{one.title} – {show.title}",
        about=one.description,
        base="../../",
        canonical=f"{show.url}/{one.place}",
    )
    if one.chapters_file is None:
        aside = None
    else:
        aside = element(
            "nav",
            {"class": "chapters", "aria-labelledby": "chapters"},
            element("h2", {"id": "chapters"}, words.chapters),
            element("ol", {}, *(element("li", {}, link) for link in _chapter_links(one, words))),
        )
    main = element(
        "main",
        {"id": "content", "class": "episode"},
        element(
            "header",
            {"class": "intro"},
            element("h1", {}, one.title),
            _facts(one, words),
            element("p", {"class": "about"}, one.description),
        ),
        _player(one, words),
        aside,
        _transcript(one, words),
    )
    back = element(
        "a", {"class": "home", "href": "../../index.html"}, _picture(f"../../{THUMB}", ""),
        show.title,
    )  # fmt: skip
    script = element("script", {"src": "../../player.js", "defer": ""})
    head.append(script)
    return _document(one.language, head, words, back, main, _footer(show))


def _document(
    language: str,
    head: Element,
    words: Wording,
    home: Element | None,
    main: Element,
    footer: Element,
) -> str:
    top = element("nav", {"class": "top", "aria-label": words.episodes}, home) if home else None
    skip = element("a", {"class": "skip", "href": "#content"}, words.skip)
    body = element("body", {}, skip, top, main, footer)
    return html_document(
        element("html", {"lang": language, "dir": direction(language)}, head, body)
    )


def _head(show: ShowSpec, *, title: str, about: str, base: str, canonical: str) -> Element:
    link = {"rel": "alternate", "type": "application/rss+xml", "title": show.title}
    return element(
        "head",
        {},
        element("meta", {"charset": "utf-8"}),
        element("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}),
        element("title", {}, title),
        element("meta", {"name": "description", "content": about}),
        element("meta", {"name": "color-scheme", "content": "light dark"}),
        element("meta", {"property": "og:title", "content": title}),
        element("meta", {"property": "og:description", "content": about}),
        element("meta", {"property": "og:url", "content": canonical}),
        element("meta", {"property": "og:image", "content": f"{canonical}cover.jpg"}),
        element("link", {"rel": "canonical", "href": canonical}),
        element("link", link | {"href": f"{base}feed.xml"}),
        element("link", {"rel": "icon", "href": _INLINE_ICON}),
        element("link", {"rel": "stylesheet", "href": f"{base}style.css"}),
    )


def _footer(show: ShowSpec) -> Element:
    return element("footer", {}, element("p", {}, show.copyright or show.author or show.title))


def _picture(source: str, about: str, kind: str = "", *, eager: bool = False) -> Element:
    facts = {"src": source, "alt": about, "width": "640", "height": "640"}
    if kind:
        facts["class"] = kind
    return element("img", facts if eager else facts | {"loading": "lazy", "decoding": "async"})


def _card(one: EpisodePage, words: Wording) -> Element:
    place = f"{one.place}index.html"
    return element(
        "article",
        {"class": "card", "lang": one.language, "dir": direction(one.language)},
        _picture(f"{one.place}{THUMB}", ""),
        element(
            "div",
            {},
            element("h3", {}, element("a", {"href": place}, one.title)),
            _facts(one, words, people=False),
            element("p", {}, one.description),
        ),
    )


def _facts(one: EpisodePage, words: Wording, *, people: bool = True) -> Element:
    """When, how long, who."""
    minutes = max(1, round(one.duration_s / 60))
    day = one.published.date().isoformat()
    numbers = [f"S{one.season}" if one.season else "", f"E{one.episode}" if one.episode else ""]
    number = "".join(numbers)
    return element(
        "p",
        {"class": "facts"},
        f"{number} · " if number else None,
        element("time", {"datetime": day}, day),
        f" · {minutes} {words.minutes}",
        f" · {words.with_} {', '.join(one.speakers)}" if people else None,
    )


def _player(one: EpisodePage, words: Wording) -> Element:
    facts = {"controls": "", "preload": "metadata", "id": "player", "aria-label": one.title}
    if one.mp4 is not None:
        track = {"kind": "captions", "src": quote(one.vtt.name), "srclang": one.language}
        player = element(
            "video",
            facts | {"poster": "poster.jpg", "playsinline": ""},
            element("source", {"src": quote(one.mp4.name), "type": one.mp4.media_type}),
            element("track", track | {"label": words.captions}),
        )
    else:
        sources = [
            element("source", {"src": quote(file.name), "type": file.media_type})
            for file in (one.mp3, one.m4a)
        ]
        player = element("audio", facts, *sources)
    cover = None if one.mp4 else _picture(THUMB, "", eager=True)
    offered = [(one.mp4, f"{words.video} (MP4)"), (one.mp3, f"{words.sound} (MP3)")]
    offered += [(one.m4a, f"{words.sound} (M4A)"), (one.vtt, f"{words.captions} (VTT)")]
    links = [
        element("li", {}, element("a", {"href": quote(file.name), "download": ""}, label))
        for file, label in offered
        if file is not None
    ]
    return element(
        "section",
        {"class": "watch" if one.mp4 else "watch heard", "aria-label": one.title},
        cover,
        player,
        element("p", {"class": "visually-hidden", "id": "downloads"}, words.download),
        element("ul", {"class": "downloads", "aria-labelledby": "downloads"}, *links),
    )


def _fragment(one: EpisodePage, start_s: float) -> str:
    """The media file at a time; browsers begin to play there."""
    return f"{quote((one.mp4 or one.mp3).name)}#t={start_s:.3f}".rstrip("0").rstrip(".")


def _chapter_links(one: EpisodePage, words: Wording) -> Iterator[Element]:
    for chapter in one.chapters:
        yield element(
            "a",
            {
                "class": "chapter",
                "href": _fragment(one, chapter.start_s),
                "data-start": f"{chapter.start_s:.3f}",
            },
            element("span", {"class": "at"}, clock(chapter.start_s)),
            " ",
            element("span", {}, chapter.title),
        )


def _transcript(one: EpisodePage, words: Wording) -> Element:
    parts: list[Element] = []
    marks = list(one.chapters)
    for is_in, lines in groupby(one.lines, lambda line: _chapter_of(one, line)):
        if marks and is_in >= 0 and len(marks) > 1:
            parts.append(element("h3", {}, marks[is_in].title))
        parts += [_turn(one, turn, words) for turn in _turns(list(lines))]
    return element(
        "section",
        {"class": "transcript", "aria-labelledby": "transcript"},
        element("h2", {"id": "transcript"}, words.transcript),
        element("p", {"class": "facts"}, words.hint),
        *parts,
    )


def _chapter_of(one: EpisodePage, line: SpokenText) -> int:
    return sum(chapter.start_s <= line.start_s + 1e-3 for chapter in one.chapters) - 1


def _turns(lines: Sequence[SpokenText]) -> Iterator[list[SpokenText]]:
    """The lines of one speaker in succession, in paragraphs of a readable length."""
    turn: list[SpokenText] = []
    for line in lines:
        if turn and (line.speaker != turn[0].speaker or line.start_s - turn[0].start_s >= TURN_S):
            yield turn
            turn = []
        turn.append(line)
    if turn:
        yield turn


def _turn(one: EpisodePage, lines: Sequence[SpokenText], words: Wording) -> Element:
    first = lines[0]
    said: list[Element | str] = []
    for line in lines:
        facts = {"class": "said", "href": _fragment(one, line.start_s)}
        facts |= {"data-start": f"{line.start_s:.3f}", "data-end": f"{line.end_s:.3f}"}
        said += [element("a", facts, line.text), " "]
    at = element(
        "a",
        {
            "class": "at",
            "href": _fragment(one, first.start_s),
            "data-start": f"{first.start_s:.3f}",
            "aria-label": f"{words.play_from} {clock(first.start_s)}",
        },
        clock(first.start_s),
    )
    speaker = element("strong", {"class": "speaker"}, first.speaker)
    return element(
        "div",
        {"class": "turn"},
        element("p", {"class": "who"}, at, " ", speaker),
        element("p", {"class": "words"}, *said),
    )
