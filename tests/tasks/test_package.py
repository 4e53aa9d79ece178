"""The package stage on a small real episode."""

import json
import re
import resource
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import mutagen.id3
import mutagen.mp4
import numpy as np
import pytest
from PIL import Image

from studio.audio import write_flac
from studio.errors import DeliveryError, OutputError
from studio.specs import MixSpec
from studio.store import Store
from studio.types import SAMPLE_RATE, Episode, Mix
from tasks.delivery import MANIFEST
from tasks.package import Contents, package_episode
from tasks.soundtrack import encode_soundtrack, frame_samples, measure_file
from tests.tasks.small_episode import heard_only, put, shared_contents, shared_store, small_brief

NAME = "tide-pools-100-salt-x"


@pytest.fixture(scope="module")
def store() -> Store:
    return shared_store()


@pytest.fixture(scope="module")
def contents() -> Contents:
    return shared_contents()


@pytest.fixture(scope="module")
def episode(store: Store, contents: Contents, tmp_path_factory: pytest.TempPathFactory) -> Episode:
    out_dir = tmp_path_factory.mktemp("out")
    return package_episode(contents, small_brief(), out_dir=out_dir, store=store, name=NAME)


def test_everything_is_there_and_every_check_passed(episode: Episode) -> None:
    folder = Path(episode.folder)
    wanted = {
        f"{NAME}.mp4", f"{NAME}.m4a", f"{NAME}.mp3", f"{NAME}.srt", f"{NAME}.vtt",
        "transcript.md", "transcript.txt", "transcript.json", "chapters.json", "cover.jpg",
        "poster.jpg", "contact_sheet.jpg", "manifest.json",
        "stems/mix.flac", "stems/speech.flac", "stems/music.flac",
    }  # fmt: skip
    assert set(episode.files) == wanted
    assert all((folder / name).stat().st_size > 0 for name in wanted)
    assert all(check.passed for check in episode.checks)
    assert len(episode.checks) > 40
    assert [path.name for path in folder.parent.iterdir()] == [NAME]


def test_the_manifest_tells_hashes_and_no_secrets_and_no_paths(
    episode: Episode, contents: Contents, store: Store
) -> None:
    folder = Path(episode.folder)
    text = (folder / MANIFEST).read_text(encoding="utf-8")
    facts = json.loads(text)
    assert facts["title"] == contents.script.title
    assert facts["seed"] == 7
    assert {entry["name"] for entry in facts["files"]} == set(episode.files) - {MANIFEST}
    for entry in facts["files"]:
        assert entry["bytes"] == (folder / entry["name"]).stat().st_size
        assert re.fullmatch(r"[0-9a-f]{64}", entry["sha256"])
    types = {entry["name"]: entry["type"] for entry in facts["files"]}
    assert types[f"{NAME}.mp4"] == "video/mp4"
    assert types["chapters.json"] == "application/json+chapters"
    assert str(folder.parent) not in text
    assert str(store.root) not in text
    assert str(Path.home()) not in text.replace('"/', "")
    assert facts["checks"][0].keys() == {"name", "measured", "required", "passed"}


def test_again_gives_the_same_manifest_and_replaces_the_folder(
    episode: Episode, contents: Contents, store: Store, tmp_path: Path
) -> None:
    again = package_episode(contents, small_brief(), out_dir=tmp_path, store=store, name=NAME)
    first, second = (Path(one.folder) / MANIFEST for one in (episode, again))
    assert first.read_bytes() == second.read_bytes()


def test_the_m4a_is_the_sound_of_the_video(episode: Episode) -> None:
    packets = []
    for suffix in (".mp4", ".m4a"):
        with av.open(str(Path(episode.folder) / f"{NAME}{suffix}")) as container:
            stream = container.streams.audio[0]
            packets.append([bytes(p) for p in container.demux(stream) if p.dts is not None])
    assert packets[0] == packets[1]


def test_sound_files_carry_title_cover_and_chapters(episode: Episode, contents: Contents) -> None:
    folder = Path(episode.folder)
    cover = (folder / "cover.jpg").read_bytes()
    tags: Any = mutagen.id3.ID3(folder / f"{NAME}.mp3")  # type: ignore[no-untyped-call]
    assert tags["TIT2"].text == [contents.script.title]
    assert tags["APIC:Cover"].data == cover
    assert len(tags.getall("CHAP")) == 2
    m4a: Any = mutagen.mp4.MP4(folder / f"{NAME}.m4a")  # type: ignore[no-untyped-call]
    assert bytes(m4a["covr"][0]) == cover
    with Image.open(folder / "cover.jpg") as picture:
        assert picture.width == picture.height
        assert 1400 <= picture.width <= 3000
    assert len(cover) < 512_000


def test_words_arrive_unchanged(episode: Episode, contents: Contents) -> None:
    folder = Path(episode.folder)
    vtt = (folder / f"{NAME}.vtt").read_text(encoding="utf-8")
    assert "<v ALICE>" in vtt
    chapters = json.loads((folder / "chapters.json").read_text(encoding="utf-8"))
    assert chapters["version"] == "1.2.0"
    assert [one["title"] for one in chapters["chapters"]] == ["First", "Second: الماء"]
    for line in contents.speech.lines:
        assert line.text in (folder / "transcript.txt").read_text(encoding="utf-8")


def test_an_episode_that_is_only_heard_has_no_picture(
    contents: Contents, store: Store, tmp_path: Path
) -> None:
    heard = package_episode(heard_only(contents), small_brief(), out_dir=tmp_path, store=store)
    assert not {Path(name).suffix for name in heard.files} & {".mp4"}
    assert {"cover.jpg"} == {name for name in heard.files if name.endswith(".jpg")}
    assert any(name.endswith(".mp3") for name in heard.files)
    assert Path(heard.folder).parent == tmp_path


@pytest.mark.parametrize("option", ["stems", "contact_sheet"])
def test_what_is_not_wanted_is_not_written(
    contents: Contents, store: Store, tmp_path: Path, option: str
) -> None:
    brief = small_brief()
    brief = replace(brief, package=brief.package.model_copy(update={option: False}))
    made = package_episode(contents, brief, out_dir=tmp_path, store=store)
    assert not [name for name in made.files if name.startswith(option)]


def test_an_episode_that_misses_its_promise_is_not_delivered(
    contents: Contents, store: Store, tmp_path: Path
) -> None:
    brief = replace(small_brief(), mix=MixSpec(loudness_lufs=-20.0))
    with pytest.raises(DeliveryError, match=r"loudness -16\.\d LUFS"):
        package_episode(contents, brief, out_dir=tmp_path, store=store)
    assert not list(tmp_path.iterdir())


def hot_mix(store: Store) -> Mix:
    """Noise cut off at 0.75: between samples, and after a codec, it rises far above."""
    rng = np.random.default_rng(1)
    noise = rng.standard_normal((3 * SAMPLE_RATE, 2)).astype(np.float32)
    blob = put(store, np.clip(noise * 0.35, -0.75, 0.75))
    level = measure_file(store.path(blob))
    assert level.true_peak_dbtp is not None
    return Mix(
        audio=blob, speech_stem=blob, music_stem=blob, sample_rate=SAMPLE_RATE,
        num_samples=3 * SAMPLE_RATE, num_channels=2, loudness_lufs=level.integrated_lufs,
        true_peak_dbtp=level.true_peak_dbtp,
    )  # fmt: skip


@pytest.mark.parametrize("codec", ["aac", "mp3"])
def test_what_a_codec_adds_to_a_peak_is_found_and_taken_away(store: Store, codec: Any) -> None:
    mix = hot_mix(store)
    plain = encode_soundtrack(mix, codec, 192, true_peak_dbtp=20.0, store=store)
    assert plain.true_peak_dbtp > -1.0
    made = encode_soundtrack(mix, codec, 192, true_peak_dbtp=-1.0, store=store)
    found = measure_file(store.path(made.audio))
    assert found.true_peak_dbtp is not None
    assert found.true_peak_dbtp <= -1.0
    assert made.true_peak_dbtp == pytest.approx(found.true_peak_dbtp, abs=0.01)
    assert encode_soundtrack(mix, codec, 192, true_peak_dbtp=-1.0, store=store) == made


@pytest.mark.parametrize("kbps", [128, 192, 256])
def test_mp3_and_aac_are_equally_loud(store: Store, contents: Contents, kbps: int) -> None:
    made = encode_soundtrack(contents.mix, "mp3", kbps, true_peak_dbtp=-1.0, store=store)
    assert made.loudness_lufs == pytest.approx(contents.mix.loudness_lufs, abs=0.1)


def test_a_video_whose_sound_peaks_too_high_gets_lower_sound(
    contents: Contents, store: Store, tmp_path: Path
) -> None:
    ceiling = -9.0
    assert contents.mix.true_peak_dbtp > ceiling
    brief = replace(small_brief(), mix=MixSpec(true_peak_dbtp=ceiling, loudness_lufs=-16.4))
    made = package_episode(contents, brief, out_dir=tmp_path, store=store)
    found = measure_file(Path(made.folder) / next(n for n in made.files if n.endswith(".mp4")))
    assert found.true_peak_dbtp is not None
    assert found.true_peak_dbtp <= ceiling


def test_decoded_integers_have_the_same_scale(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    write_flac(path, np.array([0.5, -0.25] * 500, np.float32))
    with av.open(str(path)) as container:
        decoded = np.concatenate([frame_samples(frame) for frame in container.decode(audio=0)])
    np.testing.assert_allclose(decoded[:2, 0], [0.5, -0.25], atol=1e-6)


@pytest.fixture
def small_files() -> Iterator[None]:
    """A place with room for 100 kB in any file, as a full disk has."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_is_an_output_error_and_leaves_nothing(
    contents: Contents, store: Store, tmp_path: Path, small_files: None
) -> None:
    with pytest.raises(OutputError, match="room"):
        package_episode(contents, small_brief(), out_dir=tmp_path / "out", store=store)
    assert not list((tmp_path / "out").iterdir())
