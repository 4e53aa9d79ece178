"""A folder of real packages becomes a feed and pages that hold; nothing of the user's is lost."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree as ET

import pytest
from PIL import Image

from studio.errors import MediaError, OutputError, SettingError
from studio.site.feed import show_guid
from studio.site.show import read_show
from tasks.package import package_episode
from tasks.publish import Publication, publish
from tasks.site_files import LEDGER, PART
from tests.tasks.site_reading import check_page
from tests.tasks.small_episode import heard_only, shared_contents, shared_store, small_brief

NS = {
    "itunes": "http://www.itunes.com/dtds/podcast-1.0.dtd",
    "podcast": "https://podcastindex.org/namespace/1.0",
    "atom": "http://www.w3.org/2005/Atom",
    "content": "http://purl.org/rss/1.0/modules/content/",
}
SHOW = {
    "url": "https://example.org/show/",
    "title": 'Salt & "Sand" <b>',
    "author": "A. Author",
    "description": "The sea.\nAnd </description> what lives in it.",
    "category": ("Science/Nature", "News"),
    "owner_email": "sea@example.org",
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two packages of the same small episode: one seen and heard, one only heard."""
    out = tmp_path_factory.mktemp("episodes")
    contents, store = shared_contents(), shared_store()
    brief = small_brief()
    package_episode(contents, brief, out_dir=out, store=store, name="tide")
    package_episode(heard_only(contents), brief, out_dir=out, store=store, name="الماء 1")
    (out / "notes").mkdir()
    (out / "notes" / "mine.txt").write_text("not an episode")
    for number, place in enumerate(("tide", "الماء-1")):
        stamp = 1_700_000_000 + number * 86_400
        os.utime(out / place / "manifest.json", (stamp, stamp))
    return out


@pytest.fixture
def episodes(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "out")
    return tmp_path / "out"


@pytest.fixture(scope="module")
def site(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    site = tmp_path_factory.mktemp("web") / "site"
    publish.fn(str(made), SHOW, str(site))
    return site


def _publish(episodes: Path, **more: Any) -> tuple[Path, Publication]:
    site = episodes.parent / "site"
    return site, publish.fn(str(episodes), SHOW | more, str(site))


def _feed(site: Path) -> ET.Element:
    return ET.fromstring((site / "feed.xml").read_bytes())  # noqa: S314 - our own


def _items(site: Path) -> list[ET.Element]:
    return _feed(site).findall("channel/item")


def _tree(site: Path) -> dict[str, bytes]:
    return {str(p.relative_to(site)): p.read_bytes() for p in site.rglob("*") if p.is_file()}


def test_the_feed_says_of_the_show_what_directories_ask(site: Path) -> None:
    root = _feed(site)
    channel = root.find("channel")
    assert root.attrib == {"version": "2.0"}
    assert channel is not None
    assert channel.findtext("title") == SHOW["title"]
    assert channel.findtext("description") == SHOW["description"]
    assert channel.findtext("link") == "https://example.org/show/"
    assert channel.findtext("language") == "en-us"
    own = channel.find("atom:link", NS)
    assert own is not None
    assert own.attrib["href"] == "https://example.org/show/feed.xml"
    categories = channel.findall("itunes:category", NS)
    assert [category.attrib["text"] for category in categories] == ["Science", "News"]
    inner = categories[0].find("itunes:category", NS)
    assert inner is not None
    assert inner.attrib["text"] == "Nature"
    assert channel.findtext("itunes:owner/itunes:email", None, NS) == "sea@example.org"
    found = channel.findtext("podcast:guid", None, NS)
    assert found == show_guid("http://example.org/show/feed.xml/")
    with Image.open(site / "cover.jpg") as art:
        assert (art.format, art.mode) == ("JPEG", "RGB")
        assert art.width == art.height
        assert 1400 <= art.width <= 3000


def test_the_guid_is_the_one_that_the_namespace_gives_as_its_example() -> None:
    guid = show_guid("https://mp3s.nashownotes.com/pc20rss.xml")
    assert guid == "917393e3-1b1e-5cef-ace4-edaa54e1f810"


def test_every_file_that_the_feed_names_is_there_with_its_true_length_and_hash(site: Path) -> None:
    base = "https://example.org/show/"
    items = _items(site)
    assert len(items) == 2
    for item in items:
        enclosure = item.find("enclosure")
        assert enclosure is not None
        file = site / unquote(enclosure.attrib["url"].removeprefix(base))
        assert int(enclosure.attrib["length"]) == file.stat().st_size > 1000
        assert enclosure.attrib["type"] == "audio/mpeg"
        assert enclosure.attrib["url"].isascii()
        for tag in ("podcast:transcript", "podcast:chapters"):
            for named in item.findall(tag, NS):
                assert (site / unquote(named.attrib["url"].removeprefix(base))).is_file()
        for other in item.findall("podcast:alternateEnclosure", NS):
            source, proof = other.find("podcast:source", NS), other.find("podcast:integrity", NS)
            assert source is not None
            assert proof is not None
            data = (site / unquote(source.attrib["uri"].removeprefix(base))).read_bytes()
            digest = base64.b64encode(hashlib.sha256(data).digest()).decode()
            assert proof.attrib["value"] == f"sha256-{digest}"
            assert int(other.attrib["length"]) == len(data)


def test_an_item_has_its_people_times_and_a_guid_of_its_own(site: Path, made: Path) -> None:
    newest, oldest = _items(site)
    assert newest.findtext("pubDate") == "Wed, 15 Nov 2023 22:13:20 +0000"
    assert oldest.findtext("pubDate") == "Tue, 14 Nov 2023 22:13:20 +0000"
    assert newest.findtext("guid") != oldest.findtext("guid")
    assert oldest.findtext("title") == 'Tide: "pools" & 100% [salt] %{x} 🌊'
    people = [person.text for person in oldest.findall("podcast:person", NS)]
    assert people == ["Alice", "BOB"]
    facts = json.loads((made / "tide" / "manifest.json").read_text(encoding="utf-8"))
    assert oldest.findtext("itunes:duration", None, NS) == str(round(facts["duration_s"]))
    kinds = [one.attrib["type"] for one in oldest.findall("podcast:alternateEnclosure", NS)]
    assert kinds == ["audio/mp4", "video/mp4"]
    kinds = [one.attrib["type"] for one in newest.findall("podcast:alternateEnclosure", NS)]
    assert kinds == ["audio/mp4"]


def test_a_video_feed_encloses_the_video(episodes: Path) -> None:
    site, _ = _publish(episodes, enclosure="video")
    kinds = [item.find("enclosure").attrib["type"] for item in _items(site)]  # type: ignore[union-attr]
    assert kinds == ["audio/mpeg", "video/mp4"]


def test_pages_are_valid_and_say_everything_as_text(site: Path) -> None:
    index = check_page(site / "index.html")
    assert index.text("h1") == [SHOW["title"]]
    assert len(index.all("article")) == 2
    seen = check_page(site / "episodes" / "tide" / "index.html")
    assert seen.text("h1") == ['Tide: "pools" & 100% [salt] %{x} 🌊']
    assert "Second: الماء" in seen.text("h3")
    assert [track["src"] for track in seen.all("track")] == ["tide.vtt"]
    heard = check_page(site / "episodes" / "الماء-1" / "index.html")
    assert heard.all("video") == []
    assert len(heard.all("audio")) == 1


def test_every_sentence_leads_to_its_time_in_the_media_file(site: Path, made: Path) -> None:
    rows = json.loads((made / "tide" / "transcript.json").read_text(encoding="utf-8"))["segments"]
    page = check_page(site / "episodes" / "tide" / "index.html")
    links = [facts for facts in page.all("a") if facts.get("class") == "said"]
    assert len(links) == len(rows) == 3
    for link, row in zip(links, rows, strict=True):
        assert float(link["href"].removeprefix("tide.mp4#t=")) == row["startTime"]
    marks = [facts["href"] for facts in page.all("a") if facts.get("class") == "chapter"]
    assert marks[0] == "tide.mp4#t=0"
    assert len(marks) == 2


def test_hostile_words_stay_words(episodes: Path) -> None:
    place = episodes / "tide"
    facts = json.loads((place / "manifest.json").read_text(encoding="utf-8"))
    evil = "</title><script>alert(1)</script>\x0b&#0; ]]>"
    facts["title"] = evil
    (place / "manifest.json").write_text(json.dumps(facts), encoding="utf-8")
    site, _ = _publish(episodes, title=evil, author=evil, description=evil)
    for path in site.rglob("*.html"):
        page = check_page(path)
        assert all(facts.get("src", "").endswith("player.js") for facts in page.all("script"))
    titles = {item.findtext("title") for item in _items(site)}
    assert evil.replace("\x0b", "") in titles


def test_publishing_again_touches_nothing(episodes: Path) -> None:
    site, first = _publish(episodes)
    assert len(first.written) > 20
    before = {p: p.stat().st_mtime_ns for p in site.rglob("*") if p.is_file()}
    _, second = _publish(episodes)
    assert second.written == ()
    assert {p: p.stat().st_mtime_ns for p in site.rglob("*") if p.is_file()} == before


def test_guids_and_dates_outlive_a_new_title_a_new_take_and_a_new_address(episodes: Path) -> None:
    site, _ = _publish(episodes)
    before = {item.findtext("guid"): item.findtext("pubDate") for item in _items(site)}
    manifest = episodes / "tide" / "manifest.json"
    facts = json.loads(manifest.read_text(encoding="utf-8"))
    manifest.write_text(json.dumps(facts | {"title": "Another"}), encoding="utf-8")
    _, again = _publish(episodes, url="https://elsewhere.example")
    assert "feed.xml" in again.written
    assert not [name for name in again.written if name.endswith(("mp3", "mp4", "m4a"))]
    assert {item.findtext("guid"): item.findtext("pubDate") for item in _items(site)} == before
    assert "Another" in {item.findtext("title") for item in _items(site)}


@pytest.mark.parametrize("name", ["index.html", "feed.xml", "episodes/tide/tide.mp3"])
def test_a_file_of_the_users_is_never_replaced(episodes: Path, name: str) -> None:
    site = episodes.parent / "site"
    (site / name).parent.mkdir(parents=True)
    (site / name).write_text("mine")
    (site / "CNAME").write_text("mine too")
    with pytest.raises(OutputError, match="was not made by a publication"):
        _publish(episodes)
    assert _tree(site) == {name: b"mine", "CNAME": b"mine too"}


def test_a_page_that_the_user_changed_is_not_replaced_and_a_changed_style_is_kept(
    episodes: Path,
) -> None:
    site, _ = _publish(episodes)
    (site / "style.css").write_text("body {}")
    _, again = _publish(episodes, title="New")
    assert (site / "style.css").read_text() == "body {}"
    assert any("style.css" in hint for hint in again.hints)
    (site / "index.html").write_text("mine")
    with pytest.raises(OutputError):
        _publish(episodes, title="Newer")
    assert (site / "index.html").read_text() == "mine"


def test_a_folder_that_links_elsewhere_is_not_written_through(episodes: Path) -> None:
    site, elsewhere = episodes.parent / "site", episodes.parent / "elsewhere"
    elsewhere.mkdir()
    site.mkdir()
    (site / "episodes").symlink_to(elsewhere)
    with pytest.raises(OutputError):
        _publish(episodes)
    assert list(elsewhere.iterdir()) == []


def test_a_damaged_file_is_not_published(episodes: Path) -> None:
    sound = episodes / "tide" / "tide.mp3"
    data = bytearray(sound.read_bytes())
    data[5000] ^= 1
    sound.write_bytes(data)
    with pytest.raises(MediaError, match="is not what its manifest says"):
        _publish(episodes)
    assert not (episodes.parent / "site" / "feed.xml").exists()
    assert not list((episodes.parent / "site").rglob(f"{PART}*"))
    sound.write_bytes(data[:-1])
    with pytest.raises(MediaError, match="cut short"):
        _publish(episodes)


def test_a_killed_publication_is_finished_by_the_next(episodes: Path, site: Path) -> None:
    code = (
        "import sys\nfrom tasks.publish import publish\n"
        f"publish.fn({str(episodes)!r}, {SHOW!r}, {str(episodes.parent / 'site')!r})"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    target = episodes.parent / "site"
    deadline = time.monotonic() + 60
    while not (target / LEDGER).is_file() and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.002)
    process.kill()
    process.wait()
    (target / f"{PART}left").write_bytes(b"half")
    _publish(episodes)
    assert _tree(target) == _tree(site)


def test_what_the_show_file_says_is_used_and_the_command_wins(episodes: Path) -> None:
    (episodes / "show.toml").write_text(
        'url = "https://example.org"\ntitle = "From the file"\nlanguage = "de"\n'
        "[episodes.tide]\n"
        'description = "Said by its author."\nseason = 2\nepisode = 5\n'
        "date = 2024-01-02T03:04:05Z\nexplicit = true\n",
        encoding="utf-8",
    )
    site = episodes.parent / "site"
    publish.fn(str(episodes), {"title": "From the command"}, str(site))
    assert _feed(site).findtext("channel/title") == "From the command"
    item = _items(site)[0]
    assert item.findtext("description") == "Said by its author."
    assert item.findtext("pubDate") == "Tue, 02 Jan 2024 03:04:05 +0000"
    assert item.findtext("itunes:season", None, NS) == "2"
    assert item.findtext("itunes:episode", None, NS) == "5"
    assert item.findtext("itunes:explicit", None, NS) == "true"
    assert check_page(site / "index.html").text("h2") == ["Folgen"]


@pytest.mark.parametrize(
    ("show", "named"),
    [
        ({}, "--url"),
        ({"url": "example.org"}, "url"),
        ({"url": "https://e.org", "category": ("Sience",)}, "Science"),
        ({"url": "https://e.org", "owner_email": "nobody"}, "owner_email"),
        ({"url": "https://e.org", "titel": "x"}, "title"),
    ],
)
def test_a_wrong_show_names_the_key(tmp_path: Path, show: dict[str, Any], named: str) -> None:
    with pytest.raises(SettingError, match=named):
        read_show(tmp_path, show)


def test_notes_for_no_episode_are_refused(episodes: Path) -> None:
    with pytest.raises(SettingError, match="tied"):
        publish.fn(str(episodes), SHOW | {"episodes": {"tied": {}}}, str(episodes.parent / "site"))


def test_artwork_of_a_wrong_size_is_refused_and_a_right_one_taken(episodes: Path) -> None:
    for size, fits in (((1399, 1399), False), ((3000, 3000), True), ((2000, 1999), False)):
        art = episodes.parent / "art.png"
        Image.new("RGBA", size, "#123456").save(art)
        if not fits:
            with pytest.raises(MediaError, match="1400 to 3000"):
                publish.fn(str(episodes), SHOW, str(episodes.parent / "site"), str(art))
            continue
        publish.fn(str(episodes), SHOW, str(episodes.parent / "site"), str(art))
        with Image.open(episodes.parent / "site" / "cover.jpg") as taken:
            assert (taken.size, taken.mode, taken.format) == (size, "RGB", "JPEG")


def test_folders_without_episodes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="holds no episode"):
        publish.fn(str(tmp_path), SHOW, str(tmp_path / "site"))
    with pytest.raises(MediaError, match="no such folder"):
        publish.fn(str(tmp_path / "x"), SHOW, str(tmp_path / "site"))
