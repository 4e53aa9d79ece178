"""What was made for want of an engine is made again when the engine is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from studio.specs import AvatarSpec, MusicSpec, VoiceSpec
from tasks.reach import within_reach

CHOICE = AvatarSpec(engine=("wav2lip", "viseme"))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STUDIO_HOME", str(tmp_path))
    monkeypatch.delenv("DID_API_KEY", raising=False)
    return tmp_path


def test_a_profile_without_a_choice_is_not_looked_at() -> None:
    assert (
        within_reach((VoiceSpec(), MusicSpec(), AvatarSpec(engine=("wav2lip",)), "text", 3)) == ()
    )
    assert within_reach((AvatarSpec(engine=("viseme", "still")),)) == ()


def test_weights_that_arrive_are_seen(home: Path) -> None:
    before = within_reach((CHOICE,))
    assert before == within_reach((CHOICE,))
    (home / "weights" / "avatar").mkdir(parents=True)
    (home / "weights" / "avatar" / "wav2lip_gan.pth").write_bytes(b"weights")
    assert within_reach((CHOICE,)) != before


def test_weights_in_a_folder_of_ones_own_are_seen(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    spec = VoiceSpec(engine=("coqui_tts", "espeak_ng"), weights_dir=str(folder))
    before = within_reach((spec,))
    (folder / "config.json").write_text("{}")
    assert within_reach((spec,)) != before


def test_a_key_that_is_set_is_seen_and_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = AvatarSpec(engine=("did_api", "viseme"))
    before = within_reach((spec,))
    monkeypatch.setenv("DID_API_KEY", "secret")
    after = within_reach((spec,))
    assert after != before
    assert "secret" not in "".join(after)
