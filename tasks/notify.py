"""Word of a finished or failed run: a webhook as JSON, or as Slack and its kin read it; mail, and
whatever else Prefect has a notification block for.

Addresses and passwords are secrets: they are read from `STUDIO_WEBHOOK_URL` or from Prefect's
blocks, used there and named nowhere else.
"""

from __future__ import annotations

import http.client
import inspect
import json
import logging
import os
import ssl
from collections.abc import Awaitable, Mapping
from smtplib import SMTPException
from typing import Any, Final, TypedDict
from urllib.parse import urlsplit

from prefect.blocks.abstract import NotificationBlock, NotificationError
from prefect.blocks.core import Block
from prefect.blocks.system import Secret
from prefect.client.schemas.objects import FlowRun, State
from prefect.flows import Flow
from prefect.utilities.asyncutils import run_coro_as_sync

from studio.tether import PARENT, end_with_parent
from tasks.mail import MailServer

_LOG = logging.getLogger(__name__)

TIMEOUT_S: Final = 10.0
"""A run must not wait long for somebody to hear of it."""

ORPHAN_GRACE_S: Final = 10.0
"""How long a run may take to stop and say so when its worker has died."""

_MAX_CHARS: Final = 2000
"""Slack cuts a text at 3000 characters; what failed is said in the first."""

_BLOCK: Final = "studio-webhook"

_MAIL: Final = "studio"


def tell(flow: Flow[Any, Any], flow_run: FlowRun, state: State[Any]) -> None:
    """A Prefect hook: send word of a run that ended, to whoever wants to hear of it.

    Episodes of a batch are silent: the batch speaks for them. A receiver that cannot be reached is
    a warning in the log, never a failure of the run.
    """
    if flow_run.parent_task_run_id is not None:
        return
    body = message(flow.name, flow_run, state)
    if url := webhook_url(os.environ):
        slack = _wants_slack(url, os.environ)
        try:
            send(url, {"text": slack_text(body)} if slack else body)
        except (OSError, http.client.HTTPException, ValueError) as error:
            # The text of the error might hold the address.
            _LOG.warning("The webhook could not be told: %s", type(error).__name__)
    for name in notification_blocks(os.environ):
        try:
            _tell_block(name, body)
        except (OSError, SMTPException, NotificationError, ValueError) as error:
            _LOG.warning("The block %s could not be told: %s", name, type(error).__name__)


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


def notification_blocks(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The blocks that are told, as `type/name`: those of `STUDIO_NOTIFY_BLOCKS`, or the mail server
    called `studio` where there is one.
    """
    named = environ.get("STUDIO_NOTIFY_BLOCKS")
    if named is not None:
        return tuple(part.strip() for part in named.split(",") if part.strip())
    there: Any = MailServer.load
    try:
        there(_MAIL, _sync=True)
    except ValueError:
        return ()
    return (f"{MailServer.get_block_type_slug()}/{_MAIL}",)


def _tell_block(name: str, body: Mapping[str, Any]) -> None:
    """Send word through one of Prefect's notification blocks. Raises `ValueError` for one that is
    not there or sends nothing, `NotificationError` and what its service raises.
    """
    load: Any = Block.load
    block = load(name, _sync=True)
    if not isinstance(block, NotificationBlock):
        raise ValueError("not a notification block")  # noqa: TRY004 - of what is named
    notify: Any = block.notify
    with block.raise_on_failure():
        answer = notify(mail_text(body), _headline(body))
        if inspect.isawaitable(answer):
            run_coro_as_sync(_finished(answer))


async def _finished(answer: Awaitable[None]) -> None:
    await answer


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
    said = _headline(body)
    if body["message"]:
        said += f"\n{body['message']}"
    return said.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def mail_text(body: Mapping[str, Any]) -> str:
    """The message as a mail's text."""
    took = "" if body["seconds"] is None else f"\nIt took {body['seconds']} s."
    said = f"\n\n{body['message']}" if body["message"] else ""
    return f"{_headline(body)}{took}\nRun {body['run_id']}{said}\n"


def _headline(body: Mapping[str, Any]) -> str:
    return f"{body['flow']} {body['run']}: {str(body['state']).lower()}"


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
