"""The shelf of engines: what runs here and why not, what a folder of checkpoints holds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from studio.errors import SettingError
from tasks.engine_shelf import examine_engines, install_environment, recognise_weights, terms_of


def test_every_engine_of_the_profiles_is_listed_with_its_terms() -> None:
    found = {engine.name.split(":")[0]: engine for engine in examine_engines({})}
    assert set(found) >= {"espeak_ng", "coqui_tts", "gtts_cloud", "arranger", "musicgen_hf"}
    assert set(found) >= {"musicgen_audiocraft", "viseme", "wav2lip", "sadtalker", "did_api"}
    assert all(engine.code_licence and engine.weights_licence for engine in found.values())
    assert all(bool(engine.why) == bool(engine.remedy) for engine in found.values())
    assert found["espeak_ng"].runs
    assert not found["did_api"].runs
    assert "DID_API_KEY" in found["did_api"].why


def test_a_key_in_the_environment_is_seen() -> None:
    found = {engine.name: engine for engine in examine_engines({"DID_API_KEY": "user:word"})}
    assert found["did_api"].runs
    assert not found["gtts_cloud:azure"].runs


def test_without_its_environment_audiocraft_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STUDIO_HOME", str(tmp_path))
    found = {engine.name.split(":")[0]: engine for engine in examine_engines({})}
    engine = found["musicgen_audiocraft"]
    assert not engine.installed
    assert engine.remedy == "studio engines install audiocraft"


def test_checkpoints_go_to_the_engines_that_read_them(tmp_path: Path) -> None:
    for name, config in (
        ("speech", {"model": "vits"}),
        ("bed", {"model_type": "musicgen_melody"}),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (tmp_path / "speech" / "model.pth").touch()
    (tmp_path / "faces").mkdir()
    (tmp_path / "faces" / "wav2lip_gan.pth").touch()
    found = recognise_weights(tmp_path)
    assert found == {
        "voice": ("coqui_tts", str(tmp_path / "speech")),
        "music": ("musicgen_hf", str(tmp_path / "bed")),
        "avatar": ("wav2lip", str(tmp_path / "faces")),
    }
    assert recognise_weights(tmp_path / "bed") == {"music": ("musicgen_hf", str(tmp_path / "bed"))}


def test_a_folder_without_checkpoints_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("no json", encoding="utf-8")
    with pytest.raises(SettingError, match="no checkpoint that is known"):
        recognise_weights(tmp_path)
    with pytest.raises(SettingError, match="is no folder"):
        recognise_weights(tmp_path / "nowhere")


def test_only_audiocraft_has_an_environment_of_its_own() -> None:
    with pytest.raises(SettingError, match="audiocraft"):
        install_environment("coqui_tts", lambda _: None)


def test_terms_are_known_before_anything_is_fetched() -> None:
    terms = terms_of("xtts_v2")
    assert terms.weights_licence == "CPML"
    assert not terms.commercial
