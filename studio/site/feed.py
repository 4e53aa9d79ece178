"""The feed: RSS 2.0 with the namespaces of Apple and of Podcasting 2.0.

Sources: RSS 2.0.11; Apple's "A Podcaster's Guide to RSS"; the podcast namespace 1.0 of
podcastindex.org (guid, locked, medium, person, transcript, chapters, alternateEnclosure).
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Sequence
from email.utils import format_datetime
from typing import Final
from urllib.parse import quote
from xml.etree import ElementTree as ET

from studio.site.listing import EpisodePage, MediaFile, clock
from studio.site.markup import Element, element, html
from studio.site.show import ShowSpec

NAMESPACES: Final = {
    "itunes": "http://www.itunes.com/dtds/podcast-1.0.dtd",
    "podcast": "https://podcastindex.org/namespace/1.0",
    "atom": "http://www.w3.org/2005/Atom",
    "content": "http://purl.org/rss/1.0/modules/content/",
}

PODCAST_NAMESPACE: Final = uuid.UUID("ead4c236-bf58-58c6-a2c6-a6b28d128cb6")
"""In which a show's guid is the UUIDv5 of a feed address (podcast namespace, `<podcast:guid>`)."""


def show_guid(feed_url: str) -> str:
    """A show's guid, made from the address of its feed at its first publication: without the
    protocol and closing slashes, as the namespace defines.
    """
    return str(uuid.uuid5(PODCAST_NAMESPACE, feed_url.split("://", 1)[-1].rstrip("/")))


def episode_guid(show: str, slug: str) -> str:
    """An episode's guid: of the show's and of its folder, so that a new title changes nothing."""
    return str(uuid.uuid5(uuid.UUID(show), slug))


def feed_xml(show: ShowSpec, guid: str, episodes: Sequence[EpisodePage]) -> bytes:
    """The feed, newest episode first, as UTF-8.

    `show` has its title, description, author and language by now; `guid` is the show's.
    """
    for prefix, uri in NAMESPACES.items():
        ET.register_namespace(prefix, uri)
    channel = element(
        "channel",
        {},
        element("title", {}, show.title),
        element("link", {}, f"{show.url}/"),
        element(_in("atom", "link"), _self_link(show)),
        element("description", {}, show.description),
        element("language", {}, show.language),
        element("generator", {}, "Podcast Studio"),
        element("copyright", {}, show.copyright) if show.copyright else None,
        element("lastBuildDate", {}, format_datetime(max(one.published for one in episodes))),
        element(
            "image",
            {},
            element("url", {}, f"{show.url}/cover.jpg"),
            element("title", {}, show.title),
            element("link", {}, f"{show.url}/"),
        ),
        *_apple_channel(show),
        element(_in("podcast", "guid"), {}, guid),
        element(
            _in("podcast", "locked"), {"owner": show.owner_email} if show.owner_email else {}, "yes"
        ),
        element(_in("podcast", "medium"), {}, "video" if show.enclosure == "video" else "podcast"),
        *(_item(show, one) for one in episodes),
    )
    root = element("rss", {"version": "2.0"}, channel)
    ET.indent(root)
    data: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return data + b"\n"


def _in(prefix: str, name: str) -> str:
    return f"{{{NAMESPACES[prefix]}}}{name}"


def _self_link(show: ShowSpec) -> dict[str, str]:
    return {"href": f"{show.url}/feed.xml", "rel": "self", "type": "application/rss+xml"}


def _apple_channel(show: ShowSpec) -> list[Element]:
    found = [
        element(_in("itunes", "author"), {}, show.author),
        element(_in("itunes", "image"), {"href": f"{show.url}/cover.jpg"}),
        element(_in("itunes", "explicit"), {}, _truth(show.explicit)),
        element(_in("itunes", "type"), {}, "episodic"),
    ]
    for category in show.category:
        main, _, sub = category.partition("/")
        inner = element(_in("itunes", "category"), {"text": sub}) if sub else None
        found.append(element(_in("itunes", "category"), {"text": main}, inner))
    if show.owner_email:
        owner = element(
            _in("itunes", "owner"),
            {},
            element(_in("itunes", "name"), {}, show.owner_name or show.author),
            element(_in("itunes", "email"), {}, show.owner_email),
        )
        found.append(owner)
    return found


def _item(show: ShowSpec, one: EpisodePage) -> Element:
    base = f"{show.url}/{one.place}"
    enclosed = one.mp4 if show.enclosure == "video" and one.mp4 else one.mp3
    others = [file for file in (one.mp3, one.m4a, one.mp4) if file and file is not enclosed]
    return element(
        "item",
        {},
        element("title", {}, one.title),
        element("link", {}, base),
        element("guid", {"isPermaLink": "false"}, one.guid),
        element("pubDate", {}, format_datetime(one.published)),
        element("description", {}, one.description),
        element(_in("content", "encoded"), {}, _notes(one)),
        element(
            "enclosure",
            {
                "url": base + _quoted(enclosed),
                "length": str(enclosed.num_bytes),
                "type": enclosed.media_type,
            },
        ),
        element(_in("itunes", "title"), {}, one.title),
        element(_in("itunes", "duration"), {}, str(max(1, round(one.duration_s)))),
        element(_in("itunes", "image"), {"href": f"{base}cover.jpg"}),
        element(_in("itunes", "explicit"), {}, _truth(one.explicit)),
        element(_in("itunes", "episodeType"), {}, "full"),
        element(_in("itunes", "season"), {}, str(one.season)) if one.season else None,
        element(_in("itunes", "episode"), {}, str(one.episode)) if one.episode else None,
        *_transcripts(one, base),
        _chapters(one, base),
        *(
            element(_in("podcast", "person"), {"role": "host", "group": "cast"}, speaker)
            for speaker in one.speakers
        ),
        *(_alternate(one, file, base) for file in others),
    )


def _notes(one: EpisodePage) -> str:
    """The show notes as HTML: what it is about, and its chapters with their times."""
    text = html(element("p", {}, one.description))
    if one.chapters:
        rows = [element("li", {}, f"{clock(c.start_s)} {c.title}") for c in one.chapters]
        text += html(element("ul", {}, *rows))
    return text


def _transcripts(one: EpisodePage, base: str) -> list[Element]:
    tag = _in("podcast", "transcript")
    return [
        element(
            tag,
            {"url": base + _quoted(file), "type": kind, "language": one.language}
            | ({"rel": "captions"} if file is not one.transcript else {}),
        )
        for file, kind in (
            (one.vtt, "text/vtt"),
            (one.srt, "application/x-subrip"),
            (one.transcript, "application/json"),
        )
    ]


def _chapters(one: EpisodePage, base: str) -> Element | None:
    file = one.chapters_file
    if file is None:
        return None
    where = {"url": base + _quoted(file), "type": "application/json+chapters"}
    return element(_in("podcast", "chapters"), where)


def _alternate(one: EpisodePage, file: MediaFile, base: str) -> Element:
    """Another file of the same episode, with its hash so that a player can check it."""
    facts = {"type": file.media_type, "length": str(file.num_bytes)}
    facts["bitrate"] = f"{file.num_bytes * 8 / max(one.duration_s, 1e-3):.0f}"
    if file is one.mp4:
        facts["height"] = str(one.height_px)
    digest = base64.b64encode(bytes.fromhex(file.sha256)).decode()
    return element(
        _in("podcast", "alternateEnclosure"),
        facts,
        element(_in("podcast", "source"), {"uri": base + _quoted(file)}),
        element(_in("podcast", "integrity"), {"type": "sri", "value": f"sha256-{digest}"}),
    )


def _quoted(file: MediaFile) -> str:
    return quote(file.name)


def _truth(value: bool) -> str:
    return "true" if value else "false"
