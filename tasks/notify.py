"""Word of a finished or failed run: a webhook as JSON, or as Slack and its kin read it.

The address is a secret: it is read from `STUDIO_WEBHOOK_URL` or from the Prefect block
`studio-webhook` (type Secret), sent to and named nowhere else.
"""

from __future__ import annotations

import http.client
import json
import logging
import os
import ssl
from collections.abc import Mapping
from typing import Any, Final, TypedDict
from urllib.parse import urlsplit

from prefect.blocks.system import Secret
from prefect.client.schemas.objects import FlowRun, State
from prefect.flows import Flow

from studio.tether import PARENT, end_with_parent

_LOG = logging.getLogger(__name__)

TIMEOUT_S: Final = 10.0
"""A run must not wait long for somebody to hear of it."""

ORPHAN_GRACE_S: Final = 10.0
"""How long a run may take to stop and say so when its worker has died."""

_MAX_CHARS: Final = 2000
"""Slack cuts a text at 3000 characters; what failed is said in the first."""

_BLOCK: Final = "studio-webhook"


def tell(flow: Flow[Any, Any], flow_run: FlowRun, state: State[Any]) -> None:
    """A Prefect hook: send word of a run that ended, if an address is set.

    Episodes of a batch are silent: the batch speaks for them. A receiver that cannot be reached is
    a warning in the log, never a failure of the run.
    """
    if flow_run.parent_task_run_id is not None:
        return
    url = webhook_url(os.environ)
    if not url:
        return
    body = message(flow.name, flow_run, state)
    slack = _wants_slack(url, os.environ)
    try:
        send(url, {"text": slack_text(body)} if slack else body)
    except (OSError, http.client.HTTPException, ValueError) as error:
        # The text of the error might hold the address.
        _LOG.warning("The webhook could not be told: %s", type(error).__name__)


class Hooks(TypedDict):
    """The hooks of a flow that sends word, as `prefect.flow` takes them."""

    on_running: list[Any]
    on_completion: list[Any]
    on_failure: list[Any]
    on_crashed: list[Any]
    on_cancellation: list[Any]


def tie(_flow: Flow[Any, Any], _flow_run: FlowRun, _state: State[Any]) -> None:
    """A Prefect hook: a run that a worker started ends with that worker.

    Otherwise a worker that is killed leaves a run behind that nobody can cancel, on cards that the
    next worker believes to be free. What the run has finished is kept. A run that was started by
    hand, in whatever terminal, is left alone.
    """
    if "PREFECT__FLOW_RUN_ID" in os.environ:
        end_with_parent(int(os.environ.get(PARENT) or os.getppid()), ORPHAN_GRACE_S)


NOTIFIED: Final = Hooks(
    on_running=[tie],
    on_completion=[tell],
    on_failure=[tell],
    on_crashed=[tell],
    on_cancellation=[tell],
)
"""Given to `@flow` by every flow that a person waits for."""


def webhook_url(environ: Mapping[str, str]) -> str:
    """The receiver's address; empty when there is none."""
    if url := environ.get("STUDIO_WEBHOOK_URL"):
        return url
    # Prefect types `load` as if it were awaited everywhere; `_sync` makes it answer at once.
    load: Any = Secret.load
    try:
        return str(load(_BLOCK, _sync=True).get())
    except ValueError:
        return ""


def message(flow_name: str, flow_run: FlowRun, state: State[Any]) -> dict[str, Any]:
    """What is told of a run, as JSON values. Parameters are not told: they may be private."""
    return {
        "event": f"podcast-studio.{flow_name}.{state.name.lower() if state.name else 'ended'}",
        "flow": flow_name,
        "run": flow_run.name,
        "run_id": str(flow_run.id),
        "state": state.type.value,
        "message": (state.message or "")[:_MAX_CHARS],
        "seconds": _seconds(flow_run, state),
    }


def _seconds(flow_run: FlowRun, state: State[Any]) -> float | None:
    """How long the run took; None when its start is not known. The run's own figure is not yet
    brought up to date when its hooks run.
    """
    if flow_run.start_time is None:
        return None
    return round((state.timestamp - flow_run.start_time).total_seconds(), 1)


def slack_text(body: Mapping[str, Any]) -> str:
    """The message as one text. Slack's own signs (&, <, >) are escaped as Slack asks."""
    said = f"{body['flow']} {body['run']}: {str(body['state']).lower()}"
    if body["message"]:
        said += f"\n{body['message']}"
    return said.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def send(url: str, body: Mapping[str, Any]) -> None:
    """POST `body` as JSON. Raises `ValueError` for an address that is none, `OSError` or
    `HTTPException` when nobody answers, or answers with another status than 2xx.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("not an http or https address")
    connection = (
        http.client.HTTPSConnection(
            parts.hostname, parts.port, timeout=TIMEOUT_S, context=ssl.create_default_context()
        )
        if parts.scheme == "https"
        else http.client.HTTPConnection(parts.hostname, parts.port, timeout=TIMEOUT_S)
    )
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request(
            "POST",
            target,
            body=json.dumps(body, ensure_ascii=False).encode(),
            headers={"Content-Type": "application/json", "User-Agent": "podcast-studio"},
        )
        answer = connection.getresponse()
        answer.read()
    finally:
        connection.close()
    if not 200 <= answer.status < 300:
        raise http.client.HTTPException(f"status {answer.status}")


def _wants_slack(url: str, environ: Mapping[str, str]) -> bool:
    """Slack, Mattermost and Discord's Slack door take `{"text": ...}`."""
    wanted = environ.get("STUDIO_WEBHOOK_FORMAT", "")
    host = urlsplit(url).hostname or ""
    return wanted == "slack" or (not wanted and host == "hooks.slack.com")
