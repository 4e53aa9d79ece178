"""The service's films: asked for, waited for, brought to the line's frames, or a clear error."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.avatar import LineSound, Role, open_actor
from models.avatar.did_api import Account, CloudActor, credits_for
from models.voice.cloud_http import Patience
from studio.errors import AvatarError, EngineUnavailable, NoFaceError
from studio.specs import AvatarSpec, DeviceSpec
from studio.types import SAMPLE_RATE
from tests.models.avatar.did_server import FILM_FPS, DidServer, open_did

PORTRAIT = np.full((96, 128, 3), 90, np.uint8)


@pytest.fixture
def did() -> Iterator[DidServer]:
    with open_did() as server:
        yield server


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def actor(did: DidServer, waits: list[float]) -> CloudActor:
    patience = Patience(timeout_s=5.0, sleep=waits.append)
    return CloudActor(PORTRAIT, Account(key="me:secret", address=did.url), patience)


def _line(seconds: float, fps: int) -> LineSound:
    samples = np.full(round(seconds * SAMPLE_RATE), 0.1, np.float32)
    frames = -(-len(samples) * fps // SAMPLE_RATE)
    return LineSound(samples=samples, phonemes=(), words=(), num_frames=frames, fps=fps, seed=1)


@pytest.mark.parametrize("fps", [12, 25, 30])
def test_a_film_is_brought_to_the_frames_that_are_asked_for(
    actor: CloudActor, did: DidServer, fps: int
) -> None:
    line = _line(2.0, fps)
    frames = np.concatenate(list(actor.film(line)))
    assert frames.shape == (line.num_frames, 96, 128, 3)
    assert actor.size_px == did.picture_px == (128, 96)
    levels = frames[:, 48, 64, 1].astype(float) - 40
    # Each frame shows what the film shows in the middle of its time.
    wanted = np.floor((np.arange(line.num_frames) + 0.5) / fps * FILM_FPS)
    assert np.abs(levels - wanted).max() <= 1
    assert did.keys == {"Basic me:secret", ""}  # the film itself is fetched without the key


def test_the_portrait_is_sent_once_and_silence_costs_nothing(
    actor: CloudActor, did: DidServer
) -> None:
    silence = LineSound(
        samples=np.zeros(4800, np.float32), phonemes=(), words=(), num_frames=3, fps=30, seed=1
    )
    shown = np.concatenate(list(actor.film(silence)))
    assert (shown == PORTRAIT).all()
    assert not did.asked
    for _ in range(2):
        list(actor.film(_line(0.4, 25)))
    assert did.asked.count("POST /images") == 1
    assert did.talks == pytest.approx([0.4, 0.4], abs=1e-3)


def test_what_may_pass_is_tried_again_but_nothing_is_paid_twice(
    actor: CloudActor, did: DidServer, waits: list[float]
) -> None:
    did.troubles = {"POST /images": [503], "POST /talks": [429], "GET /talks": [502]}
    list(actor.film(_line(0.4, 25)))
    assert len(did.talks) == 1
    assert waits
    # A service that fails without saying that it did nothing may have begun the film.
    did.troubles = {"POST /talks": [500]}
    with pytest.raises(AvatarError, match="500"):
        list(actor.film(_line(0.4, 25)))
    assert len(did.talks) == 1


def test_refusals_say_who_has_to_do_what(actor: CloudActor, did: DidServer) -> None:
    did.troubles, did.words = {"POST /talks": [402]}, {"description": "not enough credits"}
    with pytest.raises(EngineUnavailable, match="not enough credits"):
        list(actor.film(_line(0.4, 25)))
    did.troubles, did.words = {"POST /talks": [400]}, {"description": "face not detected"}
    with pytest.raises(NoFaceError, match="face not detected"):
        list(actor.film(_line(0.4, 25)))
    did.outcome, did.words = "rejected", {"description": "text\n moderation"}
    with pytest.raises(AvatarError, match="text moderation"):
        list(actor.film(_line(0.4, 25)))


def test_a_film_that_is_too_short_is_none_of_the_line(actor: CloudActor, did: DidServer) -> None:
    did.shortened_s = 0.3
    assert sum(len(chunk) for chunk in actor.film(_line(1.0, 25))) == 25
    did.shortened_s = 0.7
    with pytest.raises(AvatarError, match=r"0\.3 s of film for a line of 1\.0 s"):
        list(actor.film(_line(1.0, 25)))


def test_a_film_that_never_comes_is_given_up(actor: CloudActor, did: DidServer) -> None:
    did.outcome = "started"
    with pytest.raises(AvatarError, match="no film after"):
        list(actor.film(_line(0.4, 25)))


def test_the_balance_is_asked_of_the_service(actor: CloudActor, did: DidServer) -> None:
    assert actor.balance() == 100
    did.troubles = {"GET /credits": [401]}
    with pytest.raises(EngineUnavailable, match="DID_API_KEY"):
        actor.balance()


def test_the_door_wants_a_key_and_takes_another_address(did: DidServer) -> None:
    role = Role(portrait=PORTRAIT, spec=AvatarSpec(endpoint=did.url))
    with (
        pytest.raises(EngineUnavailable, match="DID_API_KEY"),
        open_actor("did_api", role, DeviceSpec()),
    ):
        pass
    with open_actor("did_api", role, DeviceSpec(), cloud_key="k", pause=lambda _: None) as actor:
        assert actor.info.name == "did_api"
        assert sum(len(chunk) for chunk in actor.film(_line(0.4, 25))) == 10


@given(st.lists(st.integers(1, 60 * SAMPLE_RATE), max_size=8))
def test_every_line_costs_its_begun_quarter_minutes(lengths: list[int]) -> None:
    cost = credits_for(lengths)
    assert len(lengths) <= cost
    assert cost * 15 >= sum(lengths) / SAMPLE_RATE > (cost - len(lengths)) * 15 - 1e-9
