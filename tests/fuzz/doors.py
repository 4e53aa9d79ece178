"""Every place where somebody's bytes come in, as a function of bytes.

A door lets an input in or refuses it with a `StudioError`; anything else is a fault of ours.
"""

from __future__ import annotations

import atexit
import io
import json
import os
import random
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from PIL import Image

from models.avatar.portrait import decode_marks
from models.avatar.viseme.landmarks import read_sidecar
from profiles import load_profile, profile_names, settle
from studio.gpu.device_setup import SettingRow
from studio.gpu.run_report import report_of
from studio.script import read_lexicon, read_script
from studio.site.show import read_show
from studio.store import Store
from studio.types import Header, Mix, Rehearsal, StageUse
from tasks.batch_plan import BatchItem, plan_batch
from tasks.corpus_sources import list_takes
from tasks.delivery import staged
from tasks.package import package_episode
from tasks.publish import publish_folder
from tasks.report_files import read_report, write_report
from tests.fuzz import grammar, media
from tests.studio.gpu.demo_run import demo_run
from tests.studio.test_script_properties import check
from tests.tasks.small_episode import heard_only, shared_contents, shared_store, small_brief

SHOW = {"title": "Sea", "url": "https://example.org/show", "author": "A", "category": ["Science"]}
POINTS = {"left_eye": [100, 100], "right_eye": [156, 100], "mouth_left": [110, 160],
          "mouth_right": [146, 160], "chin": [128, 200]}  # fmt: skip
TAKE = {"audio_filepath": "wavs/a.wav", "text": "Some words.", "speaker": "A", "duration": 1.5,
        "offset": 0.0, "lang": "en"}  # fmt: skip
EPISODES = {
    "profile": "draft",
    "options": {"picture.fps": 12},
    "episodes": [{"script": "a.txt", "name": "one"}, {"script": "b.md", "lexicon": "l.txt"}],
}
PACKAGE = {"files": [{"name": "a", "bytes": 1}]}


@dataclass(frozen=True, slots=True)
class Door:
    """How an input is made, and who reads it: `enter` gets it with an empty folder."""

    make: Callable[[random.Random], bytes]
    enter: Callable[[Path, bytes], object]
    weight: int = 1


def _file(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def _script(folder: Path, data: bytes) -> None:
    script = read_script(_file(folder, "any.txt", data))
    check(script)
    settle(load_profile("cpu"), script.header, {})


def _lexicon(folder: Path, data: bytes) -> None:
    for written, spoken in read_lexicon(_file(folder, "words.txt", data)):
        assert written.strip()
        assert spoken.strip()


def _profile(folder: Path, data: bytes) -> None:
    profile = load_profile(str(_file(folder, "mine.toml", data)))
    # What was let in can be written down and read again, and says the same.
    again = _file(folder, "again.toml", grammar.as_toml(profile.model_dump(mode="json")))
    assert load_profile(str(again)) == profile
    assert all(str(expectation) for expectation in profile.expectations)


def _option(_folder: Path, data: bytes) -> None:
    key, _, value = data.decode("utf-8", "replace").partition("=")
    settle(load_profile("cpu"), Header(), {key: value})


def _show(folder: Path, data: bytes) -> None:
    _file(folder, "show.toml", data)
    read_show(folder, {})


def _batch(folder: Path, data: bytes) -> None:
    items = plan_batch.fn(str(_file(folder, "list.json", data)), BatchItem(script=""))
    assert len({item.name for item in items}) == len(items)


def _marks(_folder: Path, data: bytes) -> None:
    read_sidecar(data, "me.landmarks.json", 256, 256)
    decode_marks(data, _picture())


@cache
def _picture() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (256, 256), "tan").save(file, "png")
    return file.getvalue()


def _takes(folder: Path, data: bytes) -> None:
    _file(folder, "manifest.jsonl", data)
    rows = [line for line in data.split(b"\n") if line.strip()]
    assert len(list_takes([folder])) == len(rows), "a line was lost"


def _rows(folder: Path, data: bytes) -> None:
    (folder / "wavs").mkdir()
    _file(folder, "metadata.csv", data)
    list_takes([folder])


def _report(folder: Path, data: bytes) -> None:
    read_report(_file(folder, "report.json", data))


def _replaced(folder: Path, data: bytes) -> None:
    """A new package takes the place of a folder with that manifest."""
    final = folder / "episode"
    final.mkdir()
    _file(final, "manifest.json", data)
    _file(final, "a note of mine.txt", b"keep")
    with staged(final) as beside:
        _file(beside, "manifest.json", grammar.as_json(PACKAGE))
        _file(beside, "a", b"1")
    assert (final / "a note of mine.txt").read_bytes() == b"keep"
    assert (final / "a").read_bytes() == b"1"
    assert [path.name for path in folder.iterdir()] == ["episode"]


def _memory(folder: Path, data: bytes) -> None:
    store = Store(folder)
    _file(folder / "memory", "0.json", data)
    for kind in (Mix, Rehearsal):
        store.recall("0", kind)


@cache
def _package() -> Path:
    """A real episode package that is heard only, made once."""
    out = Path(tempfile.mkdtemp(prefix="fuzz-"))
    atexit.register(shutil.rmtree, out, ignore_errors=True)
    contents = heard_only(shared_contents())
    package_episode(contents, small_brief(), out_dir=out, store=shared_store(), name="episode")
    return out / "episode"


@cache
def _told() -> Any:
    """The report of a run on two imagined cards."""
    with tempfile.TemporaryDirectory() as folder:
        use = StageUse(
            stage="avatar", wall_s=46.0, cpu_s=12.0, rss_peak_mib=9.0, read_mib=1.0, write_mib=None
        )
        row = SettingRow(setting="tf32", requested="True", effective="off", why="old")
        report = report_of("Tide", demo_run(0.1), (use,))
        path = write_report(Path(folder), report, (), (row,), ())
        return json.loads(path.read_text(encoding="utf-8"))


def _published(folder: Path, data: bytes) -> None:
    name, _, document = data.partition(b"\n")
    place = folder / "out" / "episode"
    shutil.copytree(_package(), place, copy_function=os.link)
    (place / name.decode()).unlink()
    _file(place, name.decode(), document)
    publish_folder(folder / "out", read_show(folder, SHOW), folder / "site", None)
    outside = [p for p in folder.iterdir() if p.name not in {"out", "site"}]
    assert outside == []


def _of(document: Any, write: Callable[[Any], bytes], names: tuple[str, ...] = ()) -> Any:
    """Documents near a good one; a quarter of them damaged as bytes as well."""

    def make(draw: random.Random) -> bytes:
        data = write(grammar.changed(draw, document, names))
        return grammar.damaged(draw, data) if draw.random() < 0.25 else data

    return make


def _toml(document: Any) -> bytes:
    return grammar.as_toml(document) if isinstance(document, dict) else grammar.as_json(document)


def _make_script(draw: random.Random) -> bytes:
    data = grammar.script(draw)
    return grammar.damaged(draw, data) if draw.random() < 0.2 else data


def _make_lexicon(draw: random.Random) -> bytes:
    words = [draw.choice((*grammar.WORDS, *grammar.VALUES, *grammar.NOISE)) for _ in range(24)]
    lines = [f"{a}{draw.choice(['=', ' = ', '#', ' '])}{b}" for a, b in pairwise(words)]
    return "\n".join(lines[: draw.randint(0, 20)]).encode("utf-8", "replace")


def _make_profile(draw: random.Random) -> bytes:
    document = load_profile(draw.choice(profile_names())).model_dump(mode="json")
    names = tuple(document)
    data: bytes = _of(document, _toml, names)(draw)
    return data


def _make_option(draw: random.Random) -> bytes:
    profile = load_profile("cpu").model_dump()
    room = draw.choice(list(profile))
    inside = profile[room]
    key = f"{room}.{draw.choice(list(inside))}" if isinstance(inside, dict) and inside else room
    if draw.random() < 0.2:
        key = grammar.damaged(draw, key.encode()).decode("utf-8", "replace")
    value = draw.choice((*grammar.VALUES, str(grammar.value(draw))))
    return f"{key}={value}".encode("utf-8", "replace")


def _make_takes(draw: random.Random) -> bytes:
    rows = [grammar.as_json(grammar.changed(draw, TAKE)) for _ in range(draw.randint(0, 8))]
    data = b"\n".join(rows)
    return grammar.damaged(draw, data) if draw.random() < 0.3 else data


def _make_rows(draw: random.Random) -> bytes:
    words = (*grammar.WORDS, *grammar.VALUES, *grammar.NOISE)
    rows = ["|".join(draw.choices(words, k=draw.choice([1, 2, 3, 3, 3, 4]))) for _ in range(9)]
    data = "\n".join(rows).encode("utf-8", "replace")
    return grammar.damaged(draw, data) if draw.random() < 0.3 else data


def _make_published(draw: random.Random) -> bytes:
    name = draw.choice(["manifest.json", "transcript.json", "chapters.json"])
    document = json.loads(next(_package().glob(f"*{name}")).read_text(encoding="utf-8"))
    data: bytes = _of(document, grammar.as_json)(draw)
    return next(_package().glob(f"*{name}")).name.encode() + b"\n" + data


def _make_report(draw: random.Random) -> bytes:
    data: bytes = _of(_told(), grammar.as_json)(draw)
    return data


DOORS: Mapping[str, Door] = {
    "script": Door(_make_script, _script, weight=8),
    "lexicon": Door(_make_lexicon, _lexicon),
    "profile": Door(_make_profile, _profile, weight=3),
    "option": Door(_make_option, _option, weight=2),
    "show": Door(_of(SHOW, _toml), _show),
    "batch list": Door(_of(EPISODES, grammar.as_json, tuple(BatchItem.model_fields)), _batch),
    "landmarks": Door(_of(POINTS, grammar.as_json, ("points",)), _marks),
    "corpus manifest": Door(_make_takes, _takes),
    "corpus rows": Door(_make_rows, _rows),
    "run report": Door(_make_report, _report),
    "package manifest": Door(_of(PACKAGE, grammar.as_json), _replaced),
    "memory": Door(_of({"kind": "Mix", "loudness_lufs": -16.0}, grammar.as_json), _memory),
    "published package": Door(_make_published, _published),
    "recording": Door(media.make_sound, media.enter_sound),
    "picture": Door(media.make_picture, media.enter_picture),
    "film": Door(media.make_film, media.enter_film),
    "corpus take": Door(media.make_sound, media.enter_take),
}
