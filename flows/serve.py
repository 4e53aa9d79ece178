"""`studio serve`: a server, its pools and deployments, and the workers of this machine, as one.

What dies is started again; at the end of this process, however it ends, nothing is left of them.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from flows.server import START_LIMIT_S, STOP_LIMIT_S, answers, server_environment
from studio.errors import ServerError, SettingError
from studio.tether import command

RUN_STOP_S: Final = 20.0
"""How long the runs of the workers may take to stop at the next step of their stages."""

_POLL_S: Final = 0.25

_RETRIES: Final = 5
"""So many starts in a row may fail before the whole is given up; between them 1, 2, 4, 8 s."""

_STABLE_S: Final = 60.0
"""Who has lived so long did not fail at its start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Household:
    """What is to run: a server at `host`:`port`, a worker for each of `pools` with at most `limit`
    runs at once. Database and results lie under `home`; `folder` holds the deployments.
    """

    home: Path
    folder: Path
    host: str = "127.0.0.1"
    port: int = 4200
    pools: tuple[str, ...] = ()
    limit: int = 2


def deployments_folder(here: Path) -> Path:
    """Where the deployments are: `here` if it has a `prefect.yaml`, else the studio's own folder.

    Raises `ServerError` when neither has one.
    """
    for folder in (here, Path(__file__).resolve().parents[1]):
        if (folder / "prefect.yaml").is_file():
            return folder
    remedy = "Copy prefect.yaml and automations.yaml of the studio's sources here"
    raise ServerError(str(here), "holds no prefect.yaml", remedy)


class _Member:
    """A process that is started again when it ends."""

    def __init__(self, name: str, line: Sequence[str], environ: dict[str, str]) -> None:
        self.name, self._line, self._environ = name, line, environ
        self._failures = 0
        self._due = 0.0
        self.start()

    def start(self) -> None:
        # A session of its own: the terminal's Ctrl-C reaches us, and we end them in good order.
        self.process = subprocess.Popen(  # noqa: S603 - our own words only
            self._line,
            env=self._environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._began, self._due = time.monotonic(), 0.0

    def tend(self, say: Callable[[str], None]) -> None:
        """Start it again if it has ended. Raises `ServerError` when that does not help."""
        now = time.monotonic()
        if self._due:
            if now >= self._due:
                self.start()
        elif self.process.poll() is not None:
            self._failures = 1 if now - self._began > _STABLE_S else self._failures + 1
            code = self.process.returncode
            if self._failures > _RETRIES:
                remedy = "Its last words are above"
                raise ServerError(self.name, f"ends again and again (exit code {code})", remedy)
            say(f"{self.name} ended (exit code {code}); it is started again")
            self._due = now + 2.0 ** (self._failures - 1)

    def end(self, limit_s: float) -> None:
        """End it and what it started: asked first, made after `limit_s`."""
        with contextlib.suppress(psutil.NoSuchProcess):
            tree = [psutil.Process(self.process.pid)]
            # A worker lets its runs go on to their end; they are asked as well.
            tree += tree[0].children(recursive=True)
            for one in tree:
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.terminate()
            _, alive = psutil.wait_procs(tree, timeout=limit_s)
            for one in alive:
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.kill()
        self.process.wait()


def serve(house: Household, say: Callable[[str], None]) -> None:
    """Run it until Ctrl-C, SIGTERM or SIGHUP. `say` hears what a person should know.

    Raises `SettingError` for an address that must not be served, `ServerError` when the server does
    not start, the deployments cannot be registered, or something ends again and again.
    """
    address = _address(house)
    environ = server_environment(house.home)
    environ |= {"PREFECT_API_URL": f"{address}/api"}
    if auth := environ.get("PREFECT_SERVER_API_AUTH_STRING"):
        environ.setdefault("PREFECT_API_AUTH_STRING", auth)
    # Prefect makes this folder itself, but not the ones above it.
    Path(environ["PREFECT_HOME"]).mkdir(parents=True, exist_ok=True)
    with _asked_to_stop() as stop, contextlib.ExitStack() as stack:
        where = ["--host", house.host, "--port", str(house.port)]
        line = command(STOP_LIMIT_S, "flows.one_writer", ["prefect", "server", "start", *where])
        server = _Member("the server", line, environ)
        stack.callback(server.end, STOP_LIMIT_S)
        if not _await_answer(server, f"{address}/api", stop):
            return
        _register(house.folder, environ)
        members = [server]
        for pool in house.pools:
            # A tied worker must not wait for its runs, they are tied to it: no grace.
            start = ["worker", "start", "--pool", pool, "--limit", str(house.limit)]
            worker = _Member(f"the worker of {pool}", command(0, "prefect", start), environ)
            stack.callback(worker.end, RUN_STOP_S)
            members.append(worker)
        say(f"Prefect UI: {address}  (Ctrl-C ends it all)")
        say(f"In other terminals: export PREFECT_API_URL={address}/api")
        say(f"Workers here: {', '.join(house.pools) or 'none'}")
        while not stop.wait(_POLL_S):
            for member in members:
                member.tend(say)
        say("stopping …")


def _address(house: Household) -> str:
    """The address of the UI. Raises `SettingError` for one that everybody could reach and use, and
    `ServerError` when it is taken.
    """
    place = f"{house.host}:{house.port}"
    if not _is_loopback(house.host) and not os.environ.get("PREFECT_SERVER_API_AUTH_STRING"):
        remedy = 'Set PREFECT_SERVER_API_AUTH_STRING="user:password", or serve 127.0.0.1'
        raise SettingError(f"--host {house.host}", "is open to others, without a password", remedy)
    try:
        with socket.create_server((house.host, house.port)):
            pass
    except OSError as error:
        remedy = "Stop what listens there, or choose another with --port"
        raise ServerError(place, error.strerror or "cannot be used", remedy) from error
    reached = "127.0.0.1" if house.host == "0.0.0.0" else house.host  # noqa: S104 - compared only
    return f"http://{reached}:{house.port}"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@contextlib.contextmanager
def _asked_to_stop() -> Iterator[threading.Event]:
    """An event that the signals set which ask a service to end."""
    stop = threading.Event()
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, lambda _n, _f: stop.set()) for number in numbers}
    try:
        yield stop
    finally:
        for number, answer in before.items():
            signal.signal(number, answer)


def _await_answer(server: _Member, url: str, stop: threading.Event) -> bool:
    """Wait until the server is up; False when asked to stop before that."""
    deadline = time.monotonic() + START_LIMIT_S
    while not answers(url):
        code = server.process.poll()
        if code is not None or time.monotonic() > deadline:
            remedy = "Its last words are above; `prefect server start` says more"
            raise ServerError("Prefect's server", f"did not start (exit code {code})", remedy)
        if stop.wait(_POLL_S):
            return False
    return True


def _register(folder: Path, environ: dict[str, str]) -> None:
    """Register pools, deployments and automations, in a process of its own: none of Prefect's
    memory stays here. Raises `ServerError` with what it said.
    """
    done = subprocess.run(  # noqa: S603 - our own words only
        command(0, "flows.registration", [str(folder)]),
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        start_new_session=True,
        check=False,
    )
    if done.returncode:
        said = (done.stderr or done.stdout).strip()[-2000:]
        raise ServerError("deployments", "cannot be registered", f"It said: {said}")
