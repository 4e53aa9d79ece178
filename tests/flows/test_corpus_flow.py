"""The corpus flow and its command: a store, its pictures, its checks, its exit codes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from prefect.client.orchestration import get_client
from typer.testing import CliRunner

from flows.cli import app
from flows.corpus import check_corpus, make_corpus
from models.corpus import open_store
from models.corpus.statistics import measure
from studio.corpus import BatchSpec, CorpusSpec, MelSpec
from studio.errors import SettingError, StoreError
from tasks.corpus import draw_figures, figure_rows, wanted_spec
from tasks.corpus_check import check_store
from tasks.corpus_prepare import prepare_corpus
from tests.tasks.recordings import write_recordings

pytestmark = pytest.mark.xdist_group("prefect")

SMALL = CorpusSpec(mel=MelSpec(n_mels=16, n_fft=512, win_length=512))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("flow")
    source = write_recordings(folder / "lj", 20)
    (source / "wavs" / "clip-003.wav").write_bytes(b"")
    prepare_corpus([source], folder / "store", SMALL)
    return folder / "store"


def _damage(store: Path) -> None:
    """Turn one bit of one clip's mel."""
    corpus = open_store(store)
    at = int(corpus.rows["frame"][7]) * 16 * 2 + 40
    with (store / "mel.f16").open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1]))


def test_the_flow_prepares_checks_and_publishes(prefect_server: None, tmp_path: Path) -> None:
    source = write_recordings(tmp_path / "lj", 12)
    (source / "wavs" / "clip-005.wav").write_bytes(b"")
    options = {"mel.n_mels": "16", "mel.n_fft": 512, "mel.win_length": 512}
    place = str(tmp_path / "store")
    report = asyncio.run(make_corpus([str(source)], place, options, {"batch_size": 4}))
    assert (report.added, report.reasons) == (11, {"empty_file": 1})
    assert open_store(place).sha256 == report.store_sha256
    assert open_store(place).spec.mel.n_mels == 16
    for name in ("lengths", "buckets", "levels"):
        assert (tmp_path / "store" / "plots" / f"{name}.png").is_file()
    keys = asyncio.run(_artifact_keys())
    assert keys >= {"stages", "corpus", "corpus-checks", "corpus-quarantine", "corpus-lengths"}

    _damage(tmp_path / "store")
    with pytest.raises(StoreError, match="checksums: 10 of 11 clips, not rows 7"):
        asyncio.run(check_corpus(place))


async def _artifact_keys() -> set[str]:
    async with get_client() as client:
        return {artifact.key or "" for artifact in await client.read_artifacts(limit=200)}


def test_a_sound_store_passes_every_check(store: Path) -> None:
    checks = check_store(open_store(store), BatchSpec(batch_size=4))
    assert all(one.passed for one in checks), checks
    assert {one.name for one in checks} == {
        "checksums", "mel values", "tokens", "lengths", "texts", "quarantine", "plan",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "change", "failing"),
    [
        ("tokens.u16", lambda data: b"\xff\xff" + data[2:], {"checksums", "tokens"}),
        ("mel.f16", lambda data: b"\x00\x7e" + data[2:], {"checksums", "mel values"}),
        ("clips.jsonl", lambda data: b"x" + data[1:], {"texts"}),
        ("quarantine.jsonl", lambda data: data.replace(b"empty_file", b"bored"), {"quarantine"}),
    ],
)
def test_each_check_can_fail(
    store: Path, tmp_path: Path, name: str, change: object, failing: set[str]
) -> None:
    import shutil

    shutil.copytree(store, tmp_path / "store")
    place = tmp_path / "store" / name
    assert callable(change)
    place.write_bytes(change(place.read_bytes()))
    checks = check_store(open_store(tmp_path / "store"), BatchSpec(batch_size=4))
    assert {one.name for one in checks if not one.passed} == failing


def test_the_pictures_show_the_figures(store: Path, tmp_path: Path) -> None:
    paths = draw_figures(str(store), {"batch_size": "4", "num_buckets": 3}, tmp_path)
    assert [path.name for path in paths] == ["lengths.png", "buckets.png", "levels.png"]
    pictures = {path.stem: np.asarray(Image.open(path).convert("RGB")) for path in paths}
    waste = (pictures["buckets"] == (227, 160, 75)).all(axis=2).sum()
    bars = (pictures["buckets"] == (47, 111, 159)).all(axis=2).sum()
    stats = measure(open_store(store), BatchSpec(batch_size=4, num_buckets=3))
    hours = [bucket.clips * bucket.frames for bucket in stats.buckets]
    lost = sum(h * bucket.padding for h, bucket in zip(hours, stats.buckets, strict=True))
    assert waste / (waste + bars) == pytest.approx(lost / sum(hours), abs=0.02)


def test_statistics_of_an_empty_store_are_zeros(tmp_path: Path) -> None:
    (tmp_path / "lj" / "wavs").mkdir(parents=True)
    (tmp_path / "lj" / "metadata.csv").write_text("")
    prepare_corpus([tmp_path / "lj"], tmp_path / "store", SMALL)
    corpus = open_store(tmp_path / "store")
    stats = measure(corpus, BatchSpec())
    assert (stats.num_clips, stats.hours, stats.buckets) == (0, 0.0, ())
    assert draw_figures(str(tmp_path / "store"), {}, None)
    assert all(one.passed for one in check_store(corpus, BatchSpec()))


def test_the_store_remembers_its_spec(store: Path, tmp_path: Path) -> None:
    assert wanted_spec(store, {}) == SMALL
    assert wanted_spec(tmp_path, {"limits.max_s": "9.5"}).limits.max_s == 9.5
    with pytest.raises(SettingError, match="Did you mean 'n_mels'"):
        wanted_spec(store, {"mel.n_mel": 3})
    with pytest.raises(SettingError, match=r"mel\.n_mels"):
        wanted_spec(store, {"mel.n_mels": "many"})


def test_the_command_prints_the_figures(store: Path, tmp_path: Path) -> None:
    command = ["corpus", "stats", str(store), "--batch", "batch_size=4", "--plots", str(tmp_path)]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert "19, 0." in result.output
    assert (tmp_path / "levels.png").is_file()
    rows = {
        row["figure"]: row["value"] for row in figure_rows(measure(open_store(store), BatchSpec()))
    }
    assert rows["clips"].startswith("19, ")


def test_an_option_that_is_no_pair_is_refused(store: Path) -> None:
    result = CliRunner().invoke(app, ["corpus", "stats", str(store), "--batch", "batch_size"])
    assert result.exit_code == 2
