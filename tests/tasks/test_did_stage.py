"""D-ID through the avatar stage: its cost told first, paid once, stepped down from when it cannot
be paid.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from studio.errors import AvatarError
from studio.specs import AvatarSpec, MixSpec, PictureSpec, VoiceSpec
from studio.types import Presenters, Rehearsal, SpeechTrack
from tasks.avatar import animate, open_presenter
from tasks.run import Desk, Run
from tasks.script import Order, rehearse
from tasks.seat import host_picture
from tasks.speech import speak
from tests.models.avatar.did_server import DidServer, open_did

PICTURE = PictureSpec(fps=12)


@pytest.fixture
def did(monkeypatch: pytest.MonkeyPatch) -> Iterator[DidServer]:
    monkeypatch.setenv("DID_API_KEY", "me:secret")
    with open_did() as server:
        yield server


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def run(run: Run, told: list[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    # The service is asked in a test's own time.
    monkeypatch.setattr(Run, "pause", lambda self, seconds: None)
    return replace(run, desk=Desk(tell=told.append))


@pytest.fixture
def spoken(tmp_path: Path, run: Run) -> tuple[Rehearsal, SpeechTrack]:
    Image.fromarray(host_picture("nova", 128, 7)).save(tmp_path / "me.png")
    path = tmp_path / "talk.txt"
    path.write_text("Avatar: me.png\n\nHello there. It is late.\n", encoding="utf-8")
    heard = rehearse.fn(Order(script=str(path)), run=run)
    return heard, speak.fn(heard, VoiceSpec(), MixSpec(), 7, run=run)


def _made(spoken: tuple[Rehearsal, SpeechTrack], did: DidServer, run: Run, seed: int) -> Presenters:
    spec = AvatarSpec(engine=("did_api", "viseme"), endpoint=did.url)
    return animate.fn(*spoken, spec, PICTURE, seed, run=run)


def test_lines_are_filmed_and_paid_once(
    spoken: tuple[Rehearsal, SpeechTrack], did: DidServer, run: Run, told: list[str]
) -> None:
    (clip,) = _made(spoken, did, run, 7).clips
    assert (clip.engine, clip.kind) == ("did_api", "frames")
    assert len(did.talks) == 2
    assert len(told) == 1
    assert "2 lines" in told[0]
    assert "about 2 credits; 100 are left" in told[0]
    assert did.asked.index("GET /credits") < did.asked.index("POST /talks")
    with open_presenter(clip, 128, "front", 1.0, run.store) as painter:
        start = next(part.start_frame for part in clip.parts if part.line == 0)
        frames = [painter.paint(start + step).copy() for step in range(4)]
    # The service's film gets brighter from frame to frame.
    means = [int(frame[0, 64, 64]) for frame in frames]
    assert means == sorted(set(means))
    assert _made(spoken, did, run, 8).clips[0].parts == clip.parts
    assert len(did.talks) == 2
    assert len(told) == 1


def test_an_account_that_does_not_hold_enough_steps_down_unspent(
    spoken: tuple[Rehearsal, SpeechTrack], did: DidServer, run: Run
) -> None:
    did.credits = 1
    made = _made(spoken, did, run, 7)
    assert [clip.engine for clip in made.clips] == ["viseme"]
    (step,) = made.fallbacks
    assert "needs about 2 credits" in step.why
    assert not did.talks


def test_without_a_key_it_says_where_to_put_one(
    spoken: tuple[Rehearsal, SpeechTrack],
    did: DidServer,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    prefect_server: None,
) -> None:
    monkeypatch.delenv("DID_API_KEY")
    made = _made(spoken, did, run, 7)
    assert "DID_API_KEY" in made.fallbacks[0].why
    assert not did.asked


def test_a_film_that_fails_leaves_nothing_in_the_store(
    spoken: tuple[Rehearsal, SpeechTrack], did: DidServer, run: Run
) -> None:
    did.shortened_s = 0.6
    with pytest.raises(AvatarError, match="of film for a line of"):
        _made(spoken, did, run, 7)
    # The film of listening was free; nothing of the line is there.
    assert len([path for path in run.store.media() if path.suffix == ".mkv"]) <= 1
    assert not list((run.store.root / "drafts").iterdir())


def test_a_drawn_host_that_the_service_takes_for_no_face_is_drawn(
    tmp_path: Path, did: DidServer, run: Run
) -> None:
    path = tmp_path / "drawn.txt"
    path.write_text("Hello there.\n", encoding="utf-8")
    heard = rehearse.fn(Order(script=str(path)), run=run)
    speech = speak.fn(heard, VoiceSpec(), MixSpec(), 7, run=run)
    did.troubles, did.words = {"POST /talks": [400]}, {"description": "face not detected"}
    made = _made((heard, speech), did, run, 7)
    assert [clip.engine for clip in made.clips] == ["viseme"]
    assert "face not detected" in made.fallbacks[0].why
