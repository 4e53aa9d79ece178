"""Word of a run reaches a mailbox through a Prefect block, and its password reaches nobody else."""

from __future__ import annotations

import asyncio
import logging
import smtplib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prefect.blocks.core import Block
from prefect.blocks.notifications import CustomWebhookNotificationBlock, SendgridEmail
from prefect.blocks.system import Secret
from pydantic import SecretStr, ValidationError

from flows.batch import make_batch
from studio.errors import ScriptError
from tasks.mail import MailServer
from tasks.notify import notification_blocks
from tests.tasks.mail_box import MailBox, mail_box
from tests.tasks.receiver import Receiver, receiving

pytestmark = pytest.mark.xdist_group("prefect")

receiver = pytest.fixture(receiving)


@pytest.fixture
def box() -> Iterator[MailBox]:
    with mail_box() as box:
        yield box


def _server(box: MailBox, **more: object) -> MailServer:
    given: dict[str, object] = {
        "host": "127.0.0.1",
        "port": box.port,
        "security": "none",
        "sender": "studio@example.org",
        "recipients": ["ann@example.org", "ben@example.org"],
    }
    return MailServer.model_validate(given | more)


def test_a_mail_reaches_every_recipient_whole(box: MailBox) -> None:
    _server(box).notify("Grüße: 100 %\n.\nthe end", "it\r\nBcc: eve@example.org")
    (message,) = box.messages
    assert box.recipients == ["ann@example.org", "ben@example.org"]
    assert message["Subject"] == "it Bcc: eve@example.org"
    assert message["Bcc"] is None
    assert message["To"] == "ann@example.org, ben@example.org"
    assert message.get_content().replace("\r\n", "\n") == "Grüße: 100 %\n.\nthe end\n"


def test_without_a_recipient_or_with_an_unknown_security_it_is_no_block(box: MailBox) -> None:
    wrongs: list[dict[str, Any]] = [{"recipients": []}, {"security": "rot13"}, {"port": 0}]
    for wrong in wrongs:
        with pytest.raises(ValidationError):
            _server(box, **wrong)


def test_a_password_is_not_sent_over_an_open_line(box: MailBox) -> None:
    with pytest.raises(smtplib.SMTPNotSupportedError):
        _server(box, security="starttls", user="ann", password=SecretStr("SECRET")).notify("x")
    assert box.messages == []
    assert "SECRET" not in repr(_server(box, password=SecretStr("SECRET")))


def _save(block: Block, name: str) -> None:
    # Prefect gives `save` the argument at run time, unseen by its own types.
    save: Any = block.save
    save(name, overwrite=True, _sync=True)


def _fail(place: Path) -> None:
    with pytest.raises(ScriptError):
        asyncio.run(make_batch(folder=str(place / "nothing"), out_dir=str(place / "out")))


def test_word_of_a_failed_run_is_mailed_by_the_saved_block(
    prefect_server: None, box: MailBox, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert notification_blocks({}) == ()
    _save(_server(box, password=SecretStr("PASSWORD")), "studio")
    try:
        assert notification_blocks({}) == ("studio-mail-server/studio",)
        _fail(tmp_path)
        (message,) = box.messages
        assert message["Subject"].startswith("nightly-batch ")
        assert message["Subject"].endswith(": failed")
        assert "no such folder" in message.get_content()

        box.refuses = True
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            _fail(tmp_path)
        assert "studio-mail-server/studio could not be told" in caplog.text
        assert "SECRET" not in caplog.text
        assert "PASSWORD" not in caplog.text
    finally:
        delete: Any = MailServer.delete
        delete("studio", _sync=True)


def test_any_notification_block_of_prefect_can_be_named(
    prefect_server: None,
    receiver: Receiver,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    said = {"said": "{{subject}}", "more": "{{body}}"}
    hook = {"name": "team", "url": receiver.url, "json_data": said}
    _save(CustomWebhookNotificationBlock.model_validate(hook), "team")
    _save(Secret(value=SecretStr("x")), "no-notifier")
    monkeypatch.delenv("STUDIO_WEBHOOK_URL")
    named = "custom-webhook/team, secret/no-notifier, studio-mail-server/absent"
    monkeypatch.setenv("STUDIO_NOTIFY_BLOCKS", named)
    with caplog.at_level(logging.WARNING):
        _fail(tmp_path)
    ((_, body),) = receiver.heard
    assert body["said"].endswith(": failed")
    assert "no such folder" in body["more"]
    assert "The block secret/no-notifier could not be told" in caplog.text
    assert "The block studio-mail-server/absent could not be told" in caplog.text


def test_mail_through_sendgrid_is_part_of_prefect() -> None:
    block = SendgridEmail(
        api_key=SecretStr("SG.key"), sender_email="a@example.org", to_emails=["b@example.org"]
    )
    assert SendgridEmail.get_block_type_slug() == "sendgrid-email"
    assert "SG.key" not in repr(block)
