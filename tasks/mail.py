"""Mail through a server of your own, as a Prefect block: made once in the UI or in Python, kept on
Prefect's server with its password encrypted, used by our hooks and by Prefect's automations alike.
"""

from __future__ import annotations

import smtplib
import ssl
from email.message import EmailMessage
from typing import Final, Literal

from prefect.blocks.abstract import NotificationBlock
from pydantic import Field, SecretStr

TIMEOUT_S: Final = 10.0
"""A run must not wait long for a mail server."""


class MailServer(NotificationBlock):
    """A mail server that is handed messages (SMTP submission, RFC 6409), and whom they are for."""

    _block_type_name = "Mail Server"
    _block_type_slug = "studio-mail-server"
    _description = "Sends word of runs by mail, through an SMTP server of your own."

    host: str = Field(description="The server's name.")
    port: int = Field(default=587, ge=1, le=65535, description="587 for STARTTLS, 465 for TLS.")
    security: Literal["starttls", "tls", "none"] = Field(
        default="starttls", description="`none` only for a server on this machine."
    )
    user: str = Field(default="", description="Empty: the server is not logged in to.")
    password: SecretStr = Field(default=SecretStr(""), description="Of `user`.")
    sender: str = Field(description="The address that the mail comes from.")
    recipients: list[str] = Field(min_length=1, description="The addresses that it goes to.")

    # Prefect types it as a coroutine and takes a function as well.
    def notify(self, body: str, subject: str | None = None) -> None:  # type: ignore[override]
        """Send `body` as plain text to all recipients in one message.

        Raises `OSError` when the server cannot be reached, `smtplib.SMTPException` when it refuses,
        `ValueError` when an address is none.
        """
        message = EmailMessage()
        # A line break would begin another header.
        message["Subject"] = " ".join((subject or "Podcast Studio").split())
        message["From"], message["To"] = self.sender, ", ".join(self.recipients)
        message.set_content(body)
        with self._open() as server:
            if self.security == "starttls":
                server.starttls(context=ssl.create_default_context())
            if self.user:
                server.login(self.user, self.password.get_secret_value())
            server.send_message(message)

    def _open(self) -> smtplib.SMTP:
        if self.security == "tls":
            context = ssl.create_default_context()
            return smtplib.SMTP_SSL(self.host, self.port, timeout=TIMEOUT_S, context=context)
        return smtplib.SMTP(self.host, self.port, timeout=TIMEOUT_S)
