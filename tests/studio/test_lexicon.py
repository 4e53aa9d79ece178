"""The pronunciation lexicon."""

from __future__ import annotations

from pathlib import Path

import pytest

from studio.errors import ScriptError
from studio.script import read_lexicon


def test_entries(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text(
        "# how we say things\nGIF = jif\n\nPrefect = [[pr'i:fEkt]]  # our own\nC# = see sharp\n"
        "New York = noo york\nπ = pie\n",
        encoding="utf-8-sig",
    )
    assert read_lexicon(path) == (
        ("GIF", "jif"),
        ("Prefect", "[[pr'i:fEkt]]"),
        ("C#", "see sharp"),
        ("New York", "noo york"),
        ("π", "pie"),
    )


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("GIF jif", "no lexicon entry"),
        ("= jif", "no lexicon entry"),
        ("GIF =", "no lexicon entry"),
        ("--- = jif", "not a word"),
        ("GIF = ...", "without a sound"),
        ("GIF = [[dʒɪf]]", "not espeak-ng phonemes"),
        ("GIF = [[dZIf", "not espeak-ng phonemes"),
        ("one = two", "has a pronunciation already"),
    ],
)
def test_errors_name_the_line(tmp_path: Path, line: str, found: str) -> None:
    path = tmp_path / "words.txt"
    path.write_text(f"One = won\n{line}\n", encoding="utf-8")
    with pytest.raises(ScriptError) as caught:
        read_lexicon(path)
    assert caught.value.where == f"{path}, line 2"
    assert found in caught.value.found


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(ScriptError, match="no such file"):
        read_lexicon(tmp_path / "none.txt")
