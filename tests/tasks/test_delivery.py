"""A package appears whole or not at all, and nothing of the user's is ever deleted."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from studio.errors import OutputError
from tasks.delivery import MANIFEST, staged


def write(folder: Path, **texts: str) -> None:
    """Files and a manifest that lists them; `__` in a name is a folder."""
    names = []
    for key, text in texts.items():
        name = key.replace("__", "/") + ".txt"
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
        names.append({"name": name})
    (folder / MANIFEST).write_text(json.dumps({"files": names}))


def contents(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*.txt")}


def test_a_package_appears_when_its_block_ends(tmp_path: Path) -> None:
    final = tmp_path / "new" / "episode"
    with staged(final) as folder:
        write(folder, a="1", stems__b="2")
        assert not final.exists()
    assert contents(final) == {"a.txt": "1", "stems/b.txt": "2"}
    assert [path.name for path in final.parent.iterdir()] == ["episode"]


def test_a_failure_leaves_the_old_package_and_no_half_one(tmp_path: Path) -> None:
    final = tmp_path / "episode"
    with staged(final) as folder:
        write(folder, a="old")

    def fail() -> None:
        with staged(final) as folder:
            write(folder, a="half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert contents(final) == {"a.txt": "old"}
    assert [path.name for path in tmp_path.iterdir()] == ["episode"]


def test_what_a_killed_run_left_is_removed_and_what_a_living_one_writes_is_not(
    tmp_path: Path,
) -> None:
    final = tmp_path / "episode"
    words = (
        "import sys; from pathlib import Path; from tasks.delivery import staged\n"
        "with staged(Path(sys.argv[1])) as folder:\n"
        "    (folder / 'half.txt').write_text('half'); print(folder, flush=True); sys.stdin.read()"
    )

    def writing() -> tuple[subprocess.Popen[str], Path]:
        process = subprocess.Popen(
            [sys.executable, "-c", words, str(final)],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        return process, Path(process.stdout.readline().strip())

    (dead, left), (living, held) = writing(), writing()
    dead.kill()
    dead.communicate()
    mine = tmp_path / ".episode.draft"
    mine.mkdir()
    try:
        assert left.is_dir()
        with staged(final) as folder:
            write(folder, a="whole")
        assert not left.exists()
        assert (held / "half.txt").read_text() == "half"
        assert mine.is_dir()
    finally:
        living.kill()
        living.communicate()
    with staged(final) as folder:
        write(folder, a="again")
    assert {path.name for path in tmp_path.iterdir()} == {"episode", mine.name}


def test_a_new_package_replaces_the_old_one_entirely(tmp_path: Path) -> None:
    final = tmp_path / "episode"
    with staged(final) as folder:
        write(folder, a="old", gone="old")
    (final / "report.json").write_text("{}")
    with staged(final) as folder:
        write(folder, a="new", added="new")
    assert contents(final) == {"a.txt": "new", "added.txt": "new"}
    assert [path.name for path in tmp_path.iterdir()] == ["episode"]


def test_the_users_files_in_the_folder_stay(tmp_path: Path) -> None:
    final = tmp_path / "episode"
    final.mkdir()
    (final / "portrait.txt").write_text("mine")
    for text in ("first", "second"):
        with staged(final) as folder:
            write(folder, a=text, **({"b": "1"} if text == "first" else {}))
    assert contents(final) == {"a.txt": "second", "portrait.txt": "mine"}


def test_a_manifest_that_names_files_outside_deletes_nothing_there(tmp_path: Path) -> None:
    outside = tmp_path / "precious.txt"
    outside.write_text("mine")
    final = tmp_path / "episode"
    final.mkdir()
    (final / "own.txt").write_text("mine")
    (final / MANIFEST).write_text(json.dumps({"files": [{"name": "../precious.txt"}]}))
    with staged(final) as folder:
        write(folder, a="new")
    assert outside.read_text() == "mine"
    assert (final / "own.txt").exists()


@pytest.mark.parametrize("kind", ["file in the way", "parent is a file"])
def test_a_place_that_cannot_be_written_is_an_output_error(tmp_path: Path, kind: str) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file")
    final = blocked if kind == "file in the way" else blocked / "episode"

    def put() -> None:
        with staged(final) as folder:
            write(folder, a="1")

    with pytest.raises(OutputError, match="blocked"):
        put()
    assert blocked.read_text() == "a file"
