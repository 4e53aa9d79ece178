"""Word of a run reaches a real receiver, and its address reaches nobody else."""

from __future__ import annotations

import json
import logging
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from prefect import Flow
from prefect.client.schemas.objects import FlowRun, State, StateType

from tasks.notify import message, send, slack_text, tell
from tests.tasks.receiver import Receiver, receiving

receiver = pytest.fixture(receiving)


def _flow() -> Flow[Any, Any]:
    return Flow(lambda: None, name="episode")


def _run(**more: Any) -> FlowRun:
    started: Any = FAILED.timestamp - timedelta(seconds=3)
    return FlowRun(flow_id=uuid4(), name="talk", start_time=started, **more)


FAILED: State[Any] = State(
    type=StateType.FAILED, name="Failed", message="ScriptError: a <b> & c: no. Mend it"
)
DONE: State[Any] = State(type=StateType.COMPLETED, name="Completed")


def test_a_webhook_hears_what_ended_and_how(receiver: Receiver) -> None:
    run = _run()
    tell(_flow(), run, FAILED)
    tell(_flow(), run, DONE)
    (path, failed), (_, done) = receiver.heard
    assert path == "/hooks/T0/SECRET?token=SECRET2"
    assert failed["event"] == "podcast-studio.episode.failed"
    assert failed["message"] == FAILED.message
    assert done["event"] == "podcast-studio.episode.completed"
    assert {body["run_id"] for body in (failed, done)} == {str(run.id)}
    assert failed["seconds"] == 3.0
    assert message("episode", FlowRun(flow_id=uuid4()), DONE)["seconds"] is None


def test_slack_hears_one_text_in_which_nothing_is_markup(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STUDIO_WEBHOOK_FORMAT", "slack")
    tell(_flow(), _run(), FAILED)
    ((_, body),) = receiver.heard
    assert set(body) == {"text"}
    assert "a &lt;b&gt; &amp; c" in body["text"]
    assert "failed" in body["text"]


def test_episodes_of_a_batch_are_silent(receiver: Receiver) -> None:
    tell(_flow(), _run(parent_task_run_id=uuid4()), FAILED)
    assert receiver.heard == []


@pytest.mark.parametrize("fault", ["refused", "status", "address"])
def test_a_receiver_that_fails_is_a_warning_without_its_address(
    receiver: Receiver,
    fault: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    receiver.status = 500
    addresses = {"refused": "http://127.0.0.1:9/SECRET", "address": "SECRET://SECRET"}
    if fault in addresses:
        monkeypatch.setenv("STUDIO_WEBHOOK_URL", addresses[fault])
    with caplog.at_level(logging.DEBUG):
        tell(_flow(), _run(), FAILED)
    assert "could not be told" in caplog.text
    assert "SECRET" not in caplog.text


def test_what_is_sent_holds_no_parameters(receiver: Receiver) -> None:
    run = _run(parameters={"options": {"token": "SECRET"}})
    assert "SECRET" not in json.dumps(message("episode", run, DONE))
    assert slack_text(message("episode", run, DONE)) == "episode talk: completed"


def test_an_address_that_is_none_is_refused() -> None:
    for url in ("file:///etc/passwd", "ftp://x/y", "http://", "x"):
        with pytest.raises(ValueError, match="not an http"):
            send(url, {})
