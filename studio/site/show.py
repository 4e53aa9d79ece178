"""What directories of podcasts are told of a show, and what an author may add to an episode."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, AwareDatetime, Field, ValidationError, model_validator

from studio.errors import SettingError, quoted
from studio.specs import Spec

SHOW_FILE = "show.toml"
"""Beside the episodes' folders: the show's data, for those who would rather not type them."""

CATEGORIES: Mapping[str, tuple[str, ...]] = {
    "Arts": ("Books", "Design", "Fashion & Beauty", "Food", "Performing Arts", "Visual Arts"),
    "Business": ("Careers", "Entrepreneurship", "Investing", "Management", "Marketing",
                 "Non-Profit"),
    "Comedy": ("Comedy Interviews", "Improv", "Stand-Up"),
    "Education": ("Courses", "How To", "Language Learning", "Self-Improvement"),
    "Fiction": ("Comedy Fiction", "Drama", "Science Fiction"),
    "Government": (),
    "History": (),
    "Health & Fitness": ("Alternative Health", "Fitness", "Medicine", "Mental Health", "Nutrition",
                         "Sexuality"),
    "Kids & Family": ("Education for Kids", "Parenting", "Pets & Animals", "Stories for Kids"),
    "Leisure": ("Animation & Manga", "Automotive", "Aviation", "Crafts", "Games", "Hobbies",
                "Home & Garden", "Video Games"),
    "Music": ("Music Commentary", "Music History", "Music Interviews"),
    "News": ("Business News", "Daily News", "Entertainment News", "News Commentary", "Politics",
             "Sports News", "Tech News"),
    "Religion & Spirituality": ("Buddhism", "Christianity", "Hinduism", "Islam", "Judaism",
                                "Religion", "Spirituality"),
    "Science": ("Astronomy", "Chemistry", "Earth Sciences", "Life Sciences", "Mathematics",
                "Natural Sciences", "Nature", "Physics", "Social Sciences"),
    "Society & Culture": ("Documentary", "Personal Journals", "Philosophy", "Places & Travel",
                          "Relationships"),
    "Sports": ("Baseball", "Basketball", "Cricket", "Fantasy Sports", "Football", "Golf", "Hockey",
               "Rugby", "Running", "Soccer", "Swimming", "Tennis", "Volleyball", "Wilderness",
               "Wrestling"),
    "Technology": (),
    "True Crime": (),
    "TV & Film": ("After Shows", "Film History", "Film Interviews", "Film Reviews", "TV Reviews"),
}  # fmt: skip
"""The categories of Apple Podcasts, which the other directories read as well."""


def _category(value: str) -> str:
    known = [*CATEGORIES, *(f"{one}/{two}" for one, all_ in CATEGORIES.items() for two in all_)]
    if value not in known:
        near = difflib.get_close_matches(value, known, n=1, cutoff=0.4)
        raise ValueError(f"no category of the directories; did you mean {(near or ['News'])[0]!r}?")
    return value


Category = Annotated[str, AfterValidator(_category)]
Address = Annotated[str, Field(pattern=r"^https?://[^\s/?#]+(/[^\s?#]*)?$")]
Mail = Annotated[str, Field(pattern=r"^$|^[^@\s<>]+@[^@\s<>]+\.[^@\s<>]+$")]
Tongue = Annotated[str, Field(pattern=r"^$|^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$")]


class EpisodeNotes(Spec):
    """What the author adds to an episode; what is not said comes from the episode itself."""

    description: str = ""
    season: int | None = Field(default=None, ge=1)
    episode: int | None = Field(default=None, ge=1)
    date: AwareDatetime | None = Field(default=None, description="of publication, with its zone")
    explicit: bool | None = None


class ShowSpec(Spec):
    """A show. Empty fields are filled from the episodes, where they know it."""

    url: Address = Field(description="where the site will lie")
    title: str = ""
    description: str = ""
    author: str = ""
    language: Tongue = ""
    category: tuple[Category, ...] = ()
    owner_name: str = ""
    owner_email: Mail = ""
    copyright: str = ""
    explicit: bool = False
    enclosure: Literal["audio", "video"] = Field(
        default="audio", description="which file podcast players fetch; the other is offered too"
    )
    episodes: dict[str, EpisodeNotes] = Field(
        default_factory=dict, description="by the folder's name"
    )

    @model_validator(mode="after")
    def _base_without_slash(self) -> Self:
        object.__setattr__(self, "url", self.url.rstrip("/"))
        return self

    def notes(self, folder: str) -> EpisodeNotes:
        """What the author says of the episode in a folder."""
        return self.episodes.get(folder, EpisodeNotes())


def read_show(folder: Path, overrides: Mapping[str, object]) -> ShowSpec:
    """The show's data from `show.toml` in `folder`, if there is one, under `overrides`.

    Raises `SettingError` naming the key.
    """
    place = folder / SHOW_FILE
    data: dict[str, Any] = {}
    if place.is_file():
        try:
            data = tomllib.loads(place.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SettingError(str(place), f"is no valid TOML ({error})", "Mend it") from error
    where = str(place) if data else "the show"
    data |= overrides
    if not data.get("url"):
        remedy = f"Give --url https://..., or url in {SHOW_FILE}"
        raise SettingError("the show", "its address is not known", remedy)
    try:
        return ShowSpec.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part)[:60] for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        known = ", ".join(ShowSpec.model_fields)
        remedy = f"Known: {known}" if first["type"] == "extra_forbidden" else "Mend the value"
        raise SettingError(where, f"{key} = {quoted(first['input'])}: {message}", remedy) from error
