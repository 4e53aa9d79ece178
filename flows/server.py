"""Prefect's settings for this house, and its server: one that lives as long as a run, or one that
stays.

Figures behind the settings: `docs/architecture.md`.
"""

from __future__ import annotations

import atexit
import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import MutableMapping
from pathlib import Path

from studio.errors import ServerError
from studio.store import studio_home
from studio.tether import command

SETTINGS = {
    # No figures leave this machine.
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    # The shipped in-memory storage forgets leases when the server restarts and leaks their slots.
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": (
        "prefect.server.concurrency.lease_storage.filesystem"
    ),
    # A freed slot is taken within a quarter of a second; as shipped it may lie idle for ten.
    "PREFECT_SERVER_CONCURRENCY_MAXIMUM_CONCURRENCY_SLOT_WAIT_SECONDS": "0.25",
    "PREFECT_SERVER_TASKS_TAG_CONCURRENCY_SLOT_WAIT_SECONDS": "0.25",
    # SQLite has one writer: fewer, larger writes of events leave it free for the runs.
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_READ_BATCH_SIZE": "50",
    "PREFECT_SERVER_SERVICES_TRIGGERS_READ_BATCH_SIZE": "50",
    "PREFECT_WORKER_QUERY_SECONDS": "2",
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
    # A locked SQLite answers 503 and the client waits 2, 4, 8, ... s: rather wait than lose a run.
    "PREFECT_CLIENT_MAX_RETRIES": "8",
    # The same for a flow that is started by other means than our command.
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
}


START_LIMIT_S = 180.0
"""How long the server may take on a busy machine; 20 s, as shipped, were too few."""

STOP_LIMIT_S = 10.0
"""How long a server may take to end in good order."""


def apply_settings(environ: MutableMapping[str, str]) -> None:
    """Put the settings into an environment, behind what the user has set. Prefect reads them at its
    import.
    """
    for name, value in SETTINGS.items():
        environ.setdefault(name, value)
    environ.setdefault("PREFECT_RESULTS_LOCAL_STORAGE_PATH", str(studio_home(environ) / "results"))


class ShortLivedServer:
    """A Prefect server for one command, on a free port of the loopback interface.

    It starts in the background (9 to 16 s); `join` waits until it answers and makes it the server
    of this process. It ends with the command, even when the command is killed.
    """

    def __init__(self) -> None:
        import prefect

        self._url = f"http://127.0.0.1:{_free_port()}/api"
        where = ["--host", "127.0.0.1", "--port", self._url.split(":")[2].split("/")[0]]
        folder = str(prefect.__module_path__.parent)
        factory = ["--app-dir", folder, "--factory", "prefect.server.api.server:create_app"]
        uvicorn = [*factory, *where, "--log-level", "error"]
        environ = {**os.environ, "PREFECT_UI_ENABLED": "0", "PREFECT__SERVER_EPHEMERAL": "1"}
        self._process = subprocess.Popen(  # noqa: S603 - our own words only
            command(STOP_LIMIT_S, "flows.one_writer", ["uvicorn", *uvicorn]),
            env=environ,
            stdin=subprocess.DEVNULL,
        )
        atexit.register(self.stop)

    def join(self) -> None:
        """Wait until it answers. Raises `ServerError` when it ends before, or takes too long."""
        deadline = time.monotonic() + START_LIMIT_S
        while not answers(self._url):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise ServerError(
                    "Prefect's server",
                    f"did not start (exit code {self._process.poll()})",
                    "Run `prefect server start` to see why, or name a server in PREFECT_API_URL",
                )
            time.sleep(0.1)
        from prefect.context import refresh_global_settings_context

        os.environ["PREFECT_API_URL"] = self._url
        refresh_global_settings_context()

    def stop(self) -> None:
        """End it; nothing is said when it has ended already."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


def answers(api_url: str) -> bool:
    """Whether the server of this address is up. Its health needs no password."""
    try:
        with urllib.request.urlopen(f"{api_url}/health", timeout=5) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except OSError:
        return False


def warm_server() -> ShortLivedServer | None:
    """Start a server for this command, unless one is configured. Call it from the main thread."""
    from prefect.settings import get_current_settings

    return None if get_current_settings().api.url is not None else ShortLivedServer()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def server_environment(home: Path) -> dict[str, str]:
    """The environment of a server that stays: database and results lie under `home`."""
    environ = dict(os.environ)
    apply_settings(environ)
    environ.setdefault("PREFECT_HOME", str(home / "prefect"))
    return environ
