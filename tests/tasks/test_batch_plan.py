"""A batch's plan: every episode with a name of its own, whatever the scripts are called."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.errors import ScriptError, SettingError
from studio.slugs import slug
from tasks.batch_plan import BatchItem, named, plan_batch

SHARED = BatchItem(script="", profile="cpu", options={"seed": 3, "picture.fps": 25})


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    for name in ("b.txt", "a.txt", "a.md", "notes.pdf", "sub/a.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("Hello.")
    return tmp_path


def _plan(source: object, limit: int = 0) -> list[tuple[str, str]]:
    return [(Path(i.script).name, i.name) for i in plan_batch.fn(str(source), SHARED, limit)]


def test_a_folder_gives_its_scripts_and_no_two_have_one_name(scripts: Path) -> None:
    assert _plan(scripts) == [("a.md", "a.md"), ("a.txt", "a.txt"), ("b.txt", "b")]
    assert _plan(scripts, 1) == [("a.md", "a.md")]


def test_a_pattern_reaches_into_folders(scripts: Path) -> None:
    found = plan_batch.fn(f"{scripts}/**/*.txt", SHARED)
    assert len(found) == 3
    assert len({slug(item.name) for item in found}) == 3
    assert next(item.name for item in found if item.script.endswith("sub/a.txt")) == "sub a.txt"
    assert _plan(scripts / "b.txt") == [("b.txt", "b")]


@pytest.mark.parametrize("source", ["nothing", "*.pdf", "empty", "none.json"])
def test_nothing_to_make_is_said(scripts: Path, source: str) -> None:
    (scripts / "empty").mkdir()
    with pytest.raises(ScriptError):
        plan_batch.fn(str(scripts / source), SHARED)


def test_a_list_wins_over_the_batch_and_an_episode_over_the_list(scripts: Path) -> None:
    listed: dict[str, Any] = {
        "profile": "mine.toml",
        "options": {"seed": 5},
        "lexicon": "words.txt",
        "episodes": [
            {"script": "a.txt", "options": {"seed": 9}},
            {"script": "b.txt", "name": "Bee", "profile": "draft", "music_file": "m.mp3"},
        ],
    }
    (scripts / "list.json").write_text(json.dumps(listed))
    one, two = plan_batch.fn(str(scripts / "list.json"), SHARED)
    assert one.options == {"seed": 9, "picture.fps": 25}
    assert two.options == {"seed": 5, "picture.fps": 25}
    assert one.profile == str(scripts / "mine.toml")
    assert (two.profile, two.name) == ("draft", "Bee")
    assert two.music_file == str(scripts / "m.mp3")
    assert one.lexicon == two.lexicon == str(scripts / "words.txt")
    assert one.script == str(scripts / "a.txt")


@pytest.mark.parametrize(
    ("text", "named_"),
    [
        ("{", "no valid JSON"),
        ("[]", "the list"),
        ('{"episodes": []}', "episodes"),
        ('{"episodes": [{"scirpt": "a.txt"}]}', "script"),
        ('{"episodes": [{"script": "a", "name": "x"}, {"script": "b", "name": "X"}]}', "two"),
        ('{"episodes": [{"script": "a.txt"}, {"script": "a.txt"}]}', "twice"),
    ],
)
def test_a_wrong_list_is_refused(scripts: Path, text: str, named_: str) -> None:
    (scripts / "list.json").write_text(text)
    with pytest.raises(SettingError, match=named_):
        plan_batch.fn(str(scripts / "list.json"), SHARED)


@given(
    st.lists(
        st.builds(
            lambda folder, stem, end: f"{folder}/{stem}.{end}",
            st.sampled_from(["x", "y", "y/x"]),
            st.sampled_from(["a", "A", "a b", "a-b", "ä", "🌊", "x a", "a.txt"]),
            st.sampled_from(["txt", "md"]),
        ),
        unique=True,
        max_size=12,
    )
)
def test_names_differ_as_folders_whatever_the_scripts_are_called(paths: list[str]) -> None:
    items = named([BatchItem(script=path) for path in paths])
    assert [item.script for item in items] == paths
    assert len({slug(item.name) for item in items}) == len(paths)
