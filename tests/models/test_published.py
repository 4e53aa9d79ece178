"""Published weights: names and terms; fetched from a hub and from archives on this machine."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from models.published import RELEASES, WAV2LIP_FILES, bytes_here, fetch, find, shelf
from studio.errors import EngineUnavailable, SettingError
from tests.models.hub_server import open_hub

ROOT = Path(__file__).parents[2]
REPOSITORY = "facebook/musicgen-small"


def _silent(_name: str, _done: int, _total: int) -> None:
    pass


def test_names_are_distinct_and_terms_are_told() -> None:
    names = [item.name for item in shelf()]
    assert len(names) == len(set(names))
    assert all(item.weights_licence and item.page.startswith("https://") for item in shelf())
    assert not any(item.commercial for item in shelf() if item.family == "music")
    assert find("gfpgan").commercial


def test_a_misspelt_name_is_answered_with_near_ones() -> None:
    with pytest.raises(SettingError, match="musicgen-small"):
        find("musicgen-smal")


def test_offline_is_said_before_anything_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STUDIO_HOME", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(EngineUnavailable, match="HF_HUB_OFFLINE is set"):
        fetch(find("sadtalker"), _silent)
    assert not list(tmp_path.iterdir())


def test_presenters_are_here_when_all_their_files_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STUDIO_HOME", str(tmp_path))
    folder = tmp_path / "weights" / "avatar"
    folder.mkdir(parents=True)
    for remote in RELEASES["sadtalker"]:
        assert bytes_here(find("sadtalker")) == 0
        (folder / remote.name).write_bytes(b"12345")
    assert bytes_here(find("sadtalker")) == 5 * len(RELEASES["sadtalker"])


def test_what_only_a_person_may_fetch_is_said_with_the_place_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STUDIO_HOME", str(tmp_path))
    folder = tmp_path / "weights" / "avatar"
    folder.mkdir(parents=True)
    (folder / RELEASES["wav2lip"][0].name).write_bytes(b"here already")
    with pytest.raises(SettingError, match=r"Wav2Lip.*put it into") as caught:
        fetch(find("wav2lip"), _silent)
    assert str(folder) in str(caught.value)
    (folder / WAV2LIP_FILES[1]).write_bytes(b"lips")
    assert fetch(find("wav2lip"), _silent) == folder
    assert bytes_here(find("wav2lip")) == 16


@pytest.fixture
def studio(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The command, with its own caches; the hub's library reads its address at import."""

    def run(url: str, *argv: str) -> subprocess.CompletedProcess[str]:
        homes = {"HF_ENDPOINT": url, "HF_HOME": f"{tmp_path}/hf", "STUDIO_HOME": f"{tmp_path}/s"}
        return subprocess.run(
            [sys.executable, "-m", "flows.cli", "engines", "fetch", "musicgen-small", *argv],
            cwd=ROOT,
            env={**os.environ, **homes, "HF_HUB_DISABLE_XET": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.mark.slow
def test_music_comes_from_the_hub_after_its_licence_was_accepted(
    studio: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    pytest.importorskip("huggingface_hub")
    files = {
        (REPOSITORY, "config.json"): b'{"model_type": "musicgen"}',
        (REPOSITORY, "model.safetensors"): os.urandom(2_000_000),
        (REPOSITORY, "state_dict.bin"): os.urandom(1000),
    }
    with open_hub(files) as hub:
        refused = studio(hub.url)
        assert refused.returncode == 2
        assert "CC-BY-NC-4.0" in refused.stdout
        assert "--accept-licence" in refused.stderr
        assert not hub.sent

        hub.forged.add("model.safetensors")
        forged = studio(hub.url, "--accept-licence")
        assert forged.returncode == 3
        assert "SHA-256" in forged.stderr
        hub.forged.clear()

        hub.torn.add("model.safetensors")
        fetched = studio(hub.url, "--accept-licence")
        assert fetched.returncode == 0, fetched.stderr
        (weights,) = (tmp_path / "hf").rglob("model.safetensors")
        assert weights.read_bytes() == files[REPOSITORY, "model.safetensors"]
        # Transformers' files, not audiocraft's.
        assert "state_dict.bin" not in [name for name, _ in hub.sent]
        count = len(hub.sent)
        assert "here already" in studio(hub.url).stdout
        assert len(hub.sent) == count


@pytest.mark.slow
def test_without_a_network_fetching_is_one_line(
    studio: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    pytest.importorskip("huggingface_hub")
    run = studio("http://127.0.0.1:9", "--accept-licence")
    assert run.returncode == 3
    said = [line for line in run.stderr.splitlines() if line.startswith("error")]
    assert len(said) == 1
    assert "Check the network" in said[0]
    assert "Traceback" not in run.stderr


@pytest.mark.slow
def test_a_voice_comes_as_an_archive_and_speaks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("TTS")
    from models.voice.coqui_weights import DEFAULT_MODEL, locate, unpack_release
    from studio.specs import VoiceSpec
    from tests.models.voice.tiny_coqui import make_vits

    monkeypatch.setenv("TTS_HOME", str(tmp_path))
    made = make_vits(tmp_path / "made", speakers=2)
    archive = tmp_path / "release.zip"
    with zipfile.ZipFile(archive, "w") as bundle:
        for path in made.iterdir():
            bundle.write(path, f"../../tts_models--en--vctk--vits/{path.name}")
    home = tmp_path / "tts" / DEFAULT_MODEL.replace("/", "--")
    home.parent.mkdir(exist_ok=True)
    seen: list[tuple[str, int, int]] = []
    with open_hub({("a/b", "vits.zip"): archive.read_bytes()}) as hub:
        hub.torn.add("vits.zip")
        with pytest.raises(EngineUnavailable, match="goes on where it stopped"):
            unpack_release(f"{hub.url}/a/b/vits.zip", home, _silent)
        assert not home.exists()
        unpack_release(f"{hub.url}/a/b/vits.zip", home, lambda *step: seen.append(step))
    # The second call began where the first had stopped.
    assert 0 < seen[0][1] < archive.stat().st_size == seen[-1][1]
    found = locate(VoiceSpec())
    assert found.model.parent == home
    assert found.commercial
    assert bytes_here(find("coqui_tts")) > archive.stat().st_size // 2
