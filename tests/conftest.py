"""One thread, one throw-away home, one Prefect server for the session."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

# Before anything imports numpy, torch or Prefect: with two threads on two busy cores tiny torch
# models are 10 to 40 times slower than with one, and results of another session must not be found.
os.environ["OMP_NUM_THREADS"] = "1"
_HOME = tempfile.mkdtemp(prefix="studio-tests-")
os.environ["STUDIO_HOME"] = f"{_HOME}/store"
os.environ["PREFECT_HOME"] = f"{_HOME}/prefect"
os.environ["PREFECT_RESULTS_LOCAL_STORAGE_PATH"] = f"{_HOME}/store/results"
os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"
os.environ["DO_NOT_TRACK"] = "1"
os.environ["PREFECT_LOGGING_LEVEL"] = "ERROR"


@pytest.fixture(scope="session")
def studio_home() -> Path:
    """The store that all flows of this session share."""
    return Path(os.environ["STUDIO_HOME"])


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[None]:
    """A real server with a database of its own, for the tests that run flows."""
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=180):
        yield
