"""A mail server on this machine that keeps what it is handed."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage


class MailBox(socketserver.ThreadingTCPServer):
    """SMTP as RFC 5321 has it, as far as a client that submits a message needs it."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Postman)
        self.recipients: list[str] = []
        self.messages: list[EmailMessage] = []
        self.refuses = False

    @property
    def port(self) -> int:
        return int(self.server_address[1])


class Postman(socketserver.StreamRequestHandler):
    server: MailBox

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())

    def handle(self) -> None:
        self._say("220 box")
        while line := self.rfile.readline().decode().strip():
            word = line.split()[0].upper()
            if word == "DATA":
                self._say("354 go on")
                self._take()
            elif word == "RCPT" and self.server.refuses:
                self._say("550 SECRET nobody here")
            elif word == "RCPT":
                self.server.recipients.append(line.split(":", 1)[1].strip("<> "))
                self._say("250 ok")
            elif word == "QUIT":
                self._say("221 bye")
                return
            else:
                self._say("250 ok")

    def _take(self) -> None:
        lines = []
        while (line := self.rfile.readline()) != b".\r\n":
            lines.append(line.removeprefix(b"."))
        message = message_from_bytes(b"".join(lines), policy=policy.default)
        assert isinstance(message, EmailMessage)
        self.server.messages.append(message)
        self._say("250 taken")


@contextmanager
def mail_box() -> Iterator[MailBox]:
    with MailBox() as box:
        threading.Thread(target=box.serve_forever, args=(0.01,), daemon=True).start()
        yield box
        box.shutdown()
