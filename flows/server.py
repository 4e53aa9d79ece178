"""Prefect's settings for this house, and its server: one that lives as long as a run, or one that
stays.

Figures behind the settings: `docs/architecture.md`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import MutableMapping
from pathlib import Path

from studio.store import studio_home

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
    # Twenty seconds, as shipped, are too few on a machine that is busy encoding.
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
}


def apply_settings(environ: MutableMapping[str, str]) -> None:
    """Put the settings into an environment, behind what the user has set. Prefect reads them at its
    import.
    """
    for name, value in SETTINGS.items():
        environ.setdefault(name, value)
    environ.setdefault("PREFECT_RESULTS_LOCAL_STORAGE_PATH", str(studio_home(environ) / "results"))


def warm_server() -> threading.Thread | None:
    """Start Prefect's own short-lived server in the background, if no server is configured.

    It takes 9 to 16 s to start: reading the script and its files need not wait for it.
    """
    from prefect.server.api.server import SubprocessASGIServer
    from prefect.settings import get_current_settings

    if get_current_settings().api.url is not None:
        return None
    server = SubprocessASGIServer()
    thread = threading.Thread(target=server.start, name="prefect-server", daemon=True)
    thread.start()
    return thread


def server_environment(home: Path) -> dict[str, str]:
    """The environment of a server that stays: database and results lie under `home`."""
    environ = dict(os.environ)
    apply_settings(environ)
    environ.setdefault("PREFECT_HOME", str(home / "prefect"))
    return environ


def run_server(home: Path, port: int) -> None:
    """Run `prefect server start` on the loopback interface until Ctrl-C stops it."""
    address = f"http://127.0.0.1:{port}"
    print(f"Prefect UI: {address}  (Ctrl-C stops it)")
    print(f"In other terminals: export PREFECT_API_URL={address}/api")
    where = ["--host", "127.0.0.1", "--port", str(port)]
    command = [sys.executable, "-m", "prefect", "server", "start", *where]
    with subprocess.Popen(command, env=server_environment(home)) as process:  # noqa: S603 - ours
        try:
            process.wait()
        except KeyboardInterrupt:
            process.terminate()
