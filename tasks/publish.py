"""Publish: a folder of episode packages becomes a feed and a small static site."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError
from prefect import task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.context import TaskRunContext

from models.picture.cover import draw_cover
from studio.errors import MediaError, SettingError
from studio.site import (
    EpisodeNotes,
    EpisodePage,
    MediaFile,
    ShowSpec,
    SiteChapter,
    SpokenText,
    episode_page,
    feed_xml,
    index_page,
    read_show,
)
from studio.site.feed import episode_guid, show_guid
from studio.site.listing import summary
from studio.site.pages import THUMB
from studio.slugs import slug
from tasks.delivery import MANIFEST
from tasks.manifest import media_type
from tasks.package_facts import PackageFacts, read_chapters, read_facts, read_lines
from tasks.site_files import Content, Copied, Ledger, opened_site, place_files
from tasks.stills import jpeg, levels

COVER_MIN_PX, COVER_MAX_PX = 1400, 3000
"""What Apple Podcasts accepts as artwork, width and height alike."""

_THUMB_PX = 640


@dataclass(frozen=True, slots=True)
class Package:
    """An episode's folder and its manifest."""

    folder: Path
    facts: PackageFacts
    made: datetime

    @property
    def slug(self) -> str:
        """Its folder's name on the site."""
        return slug(self.folder.name)

    def file(self, suffix: str) -> MediaFile | None:
        """The one file with that suffix, or that whole name, at the top of the package.

        Raises `MediaError` when it is not there in full length.
        """
        for entry in self.facts.files:
            name = entry.name
            if "/" in name or not name.endswith(suffix):
                continue
            path = self.folder / name
            if path.is_symlink() or not path.is_file() or path.stat().st_size != entry.bytes:
                remedy = "Make the episode again"
                raise MediaError(str(path), "is missing or cut short", remedy)
            return MediaFile(
                name=name,
                media_type=media_type(name),
                num_bytes=entry.bytes,
                sha256=entry.sha256,
            )
        return None

    def needed(self, suffix: str) -> MediaFile:
        """As `file`. Raises `MediaError` when the package has none."""
        found = self.file(suffix)
        if found is None:
            raise MediaError(str(self.folder), f"has no {suffix}", "Make the episode again")
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """What was published: where, how many episodes, which files are new, what is worth knowing."""

    site: str
    feed_url: str
    episodes: int
    written: tuple[str, ...]
    hints: tuple[str, ...]


@task(name="publish", task_run_name="publish", tags=["cpu"], cache_policy=NO_CACHE)
def publish(folder: str, show: Mapping[str, Any], site: str, cover: str = "") -> Publication:
    """Publish a folder of episodes; `show` holds what is said beside its `show.toml`, and wins."""
    spec = read_show(Path(folder), show)
    done = publish_folder(Path(folder), spec, Path(site), Path(cover) if cover else None)
    if TaskRunContext.get() is not None:
        rows = [
            f"{done.episodes} episodes, {len(done.written)} files written, feed {done.feed_url}"
        ]
        text = "\n".join(f"- {row}" for row in (*rows, *done.hints))
        create_markdown_artifact(key="publication", markdown=text + "\n")
    return done


def publish_folder(folder: Path, show: ShowSpec, site: Path, cover: Path | None) -> Publication:
    """Write the site of all episodes in `folder`; what has not changed is not touched.

    The show's guid and the day an episode was first published stay as they were. Raises
    `MediaError` for a package that is not whole or artwork of a wrong size, `OutputError` when the
    place cannot be written or holds files of the user's under our names.
    """
    packages = _packages(folder)
    show = _completed(show, packages)
    with opened_site(site) as ledger:
        ledger.guid = ledger.guid or show_guid(f"{show.url}/feed.xml")
        episodes = sorted(
            (_episode(package, show, ledger) for package in packages),
            key=lambda one: (one.published, one.slug),
            reverse=True,
        )
        contents = _contents(packages, episodes, show, ledger, cover)
        written, kept = place_files(site, ledger, contents)
    return Publication(
        site=str(site),
        feed_url=f"{show.url}/feed.xml",
        episodes=len(episodes),
        written=written,
        hints=(*_missing(show), *(f"{name} is your own and was kept" for name in kept)),
    )


def _packages(folder: Path) -> list[Package]:
    if not folder.is_dir():
        raise MediaError(str(folder), "no such folder", "Name the folder that holds the episodes")
    found = []
    for place in sorted(folder.iterdir()):
        if place.name.startswith(".") or not (place / MANIFEST).is_file():
            continue
        facts = read_facts(place / MANIFEST)
        made = datetime.fromtimestamp(int((place / MANIFEST).stat().st_mtime), UTC)
        found.append(Package(place, facts, made))
    if not found:
        remedy = "Make one with `studio create`, or name the folder given as --out-dir"
        raise MediaError(str(folder), "holds no episode", remedy)
    slugs: dict[str, Path] = {}
    for package in found:
        other = slugs.setdefault(package.slug, package.folder)
        if other != package.folder:
            clash = f"has the address of {other.name!r}"
            raise SettingError(str(package.folder), clash, "Rename one of the folders")
    return found


def _completed(show: ShowSpec, packages: Sequence[Package]) -> ShowSpec:
    """The show with what its author left out, from the episodes."""
    facts = packages[-1].facts
    unknown = sorted(set(show.episodes) - {package.folder.name for package in packages})
    if unknown:
        known = ", ".join(package.folder.name for package in packages)
        raise SettingError(f"episodes.{unknown[0]}", "no such episode", f"Known: {known}")
    title = show.title or facts.show_name or packages[-1].folder.parent.name
    author = show.author or facts.author or title
    return show.model_copy(
        update={
            "title": title,
            "author": author,
            "description": show.description or title,
            "language": show.language or facts.language or "en",
        }
    )


def _missing(show: ShowSpec) -> Iterator[str]:
    """What directories ask for and the show does not say."""
    if not show.category:
        yield "directories ask for a category: --category"
    if not show.owner_email:
        yield "Apple and Spotify verify the owner by mail: --owner-email"
    if show.description == show.title:
        yield "directories show a description: --description"
    if show.url.startswith("http://"):
        yield "Apple Podcasts asks for https"


def _episode(package: Package, show: ShowSpec, ledger: Ledger) -> EpisodePage:
    facts, notes = package.facts, show.notes(package.folder.name)
    known = ledger.episodes.setdefault(
        package.slug,
        {
            "guid": episode_guid(ledger.guid, package.slug),
            "published": package.made.isoformat(),
        },
    )
    transcript = package.needed("transcript.json")
    lines = _lines(package.folder / transcript.name)
    chapters_file = package.file("chapters.json")
    picture = package.file(".mp4")
    return EpisodePage(
        slug=package.slug,
        guid=known["guid"],
        title=facts.title,
        description=notes.description or summary(lines),
        published=notes.date or datetime.fromisoformat(known["published"]),
        language=facts.language or show.language,
        duration_s=facts.duration_s,
        mp3=package.needed(".mp3"),
        m4a=package.needed(".m4a"),
        mp4=picture,
        height_px=facts.video.height_px if picture and facts.video else 0,
        vtt=package.needed(".vtt"),
        srt=package.needed(".srt"),
        transcript=transcript,
        chapters_file=chapters_file,
        chapters=_chapters(package.folder / chapters_file.name) if chapters_file else (),
        lines=lines,
        **_numbers(notes, show),
    )


def _numbers(notes: EpisodeNotes, show: ShowSpec) -> dict[str, Any]:
    explicit = show.explicit if notes.explicit is None else notes.explicit
    return {"season": notes.season, "episode": notes.episode, "explicit": explicit}


def _lines(path: Path) -> tuple[SpokenText, ...]:
    return tuple(
        SpokenText(
            speaker=_spelt(line.speaker), text=line.body, start_s=line.start_s, end_s=line.end_s
        )
        for line in read_lines(path)
    )


def _chapters(path: Path) -> tuple[SiteChapter, ...]:
    return tuple(
        SiteChapter(title=chapter.title, start_s=chapter.start_s) for chapter in read_chapters(path)
    )


def _spelt(speaker: str) -> str:
    """A script's `ANNA-MARIA` as a name is written; short capitals (DJ, AI) stay as they are."""
    return speaker.title() if speaker.isupper() and len(speaker) > 3 else speaker


def _contents(
    packages: Sequence[Package],
    episodes: Sequence[EpisodePage],
    show: ShowSpec,
    ledger: Ledger,
    cover: Path | None,
) -> dict[str, Content]:
    """Every file of the site in the order of its appearance: what is pointed to before what points
    to it, the feed last.
    """
    folders = {package.slug: package for package in packages}
    contents: dict[str, Content] = {}
    for one in episodes:
        place, package = f"episodes/{one.slug}", folders[one.slug]
        names = (*one.files, package.needed("cover.jpg"), package.file("poster.jpg"))
        for file in (file for file in names if file is not None):
            source = package.folder / file.name
            contents[f"{place}/{file.name}"] = Copied(source, file.num_bytes, file.sha256)
        data = (package.folder / "cover.jpg").read_bytes()
        contents[f"{place}/{THUMB}"] = _thumb(data, package.folder / "cover.jpg")
    look = files("studio.site") / "look"
    contents["style.css"] = (look / "style.css").read_bytes()
    contents["player.js"] = (look / "player.js").read_bytes()
    artwork = _artwork(show, cover, folders[episodes[-1].slug])
    contents["cover.jpg"] = artwork
    contents[THUMB] = _thumb(artwork, cover or Path("cover.jpg"))
    for one in episodes:
        contents[f"episodes/{one.slug}/index.html"] = episode_page(show, one).encode()
    contents["index.html"] = index_page(show, episodes).encode()
    contents["feed.xml"] = feed_xml(show, ledger.guid, episodes)
    return contents


def _artwork(show: ShowSpec, cover: Path | None, first: Package) -> bytes:
    """The show's artwork: the user's, or one drawn from its title and its first episode's sound."""
    if cover is None:
        colour = first.facts.settings.picture.background_color
        sound = levels(first.folder / first.needed(".mp3").name)
        author = "" if show.author == show.title else show.author
        return jpeg(draw_cover(show.title, "Podcast", author, sound, colour=colour))
    data = _read(cover)
    with _opened(data, cover) as image:
        width, height = image.size
        if width != height or not COVER_MIN_PX <= width <= COVER_MAX_PX:
            found = f"is {width} x {height} px"
            remedy = f"Artwork is square, {COVER_MIN_PX} to {COVER_MAX_PX} px"
            raise MediaError(str(cover), found, remedy)
        if image.format == "JPEG" and image.mode == "RGB":
            return data
        return _jpeg(image, quality=92)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        remedy = "Give a JPEG or PNG picture"
        raise MediaError(str(path), error.strerror or "cannot be read", remedy) from error


def _thumb(data: bytes, where: Path) -> bytes:
    with _opened(data, where) as image:
        image.thumbnail((_THUMB_PX, _THUMB_PX))
        return _jpeg(image, quality=86)


def _opened(data: bytes, where: Path) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data))
            image.load()
    except (
        UnidentifiedImageError,
        OSError,
        Image.DecompressionBombError,
        Image.DecompressionBombWarning,
    ) as error:
        remedy = "Give a JPEG or PNG picture"
        raise MediaError(str(where), "is not a picture that can be read", remedy) from error
    return image


def _jpeg(image: Image.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "JPEG", quality=quality, optimize=True, progressive=True)
    return buffer.getvalue()
