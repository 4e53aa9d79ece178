"""What an episode costs Prefect's server: requests, rows, processor time; and how many runs a
second it takes.

    python benchmarks/control_plane.py --episodes 6 --runs 200 [--database-url URL] [--json FILE]

It starts a server of its own with the house's settings, makes small episodes one after the other in
one process, then creates and finishes empty runs of a deployment as fast as the server answers.
Everything it makes lies in a temporary folder. Requests are counted by the server's own access log
middleware (uvicorn's log), rows in its database, processor time by the kernel.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.error import URLError

import psutil

ROOT = Path(__file__).parents[1]
TEXT = """# Episode {number}

[MUSIC: calm piano]

ANNA: Welcome to episode number {number}. Today we speak about what keeps a processor busy.

BEN: And about what does not, which is most of what it waits for, number {number}.
"""
OPTIONS = {"picture.fps": 5}

_REQUEST = re.compile(r'"([A-Z]+) (/api/[^ ?"]*)[^"]*" (\d+)')
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")


class Server:
    """A Prefect server of our own, and what it has done so far."""

    def __init__(self, place: Path, database_url: str) -> None:
        from flows.server import server_environment

        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}/api"
        self._log = place / "server.log"
        self._database = place / "prefect" / "prefect.db"
        self._database_url = database_url
        environ = server_environment(place)
        environ["PREFECT_HOME"] = str(place / "prefect")
        if database_url:
            environ["PREFECT_API_DATABASE_CONNECTION_URL"] = database_url
        # Every request is a line of this log.
        environ["PREFECT_SERVER_LOGGING_LEVEL"] = "INFO"
        environ["PREFECT_UI_ENABLED"] = "0"
        (place / "prefect").mkdir(parents=True, exist_ok=True)
        where = ["--host", "127.0.0.1", "--port", str(self.port), "--log-level", "info"]
        factory = ["--factory", "prefect.server.api.server:create_app"]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "uvicorn", *factory, *where],
                env=environ | {"PREFECT__SERVER_EPHEMERAL": ""},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._await()

    def _await(self) -> None:
        deadline = time.monotonic() + 240
        while time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(f"{self.url}/health", timeout=5):  # noqa: S310 - ours
                    return
            except URLError:
                time.sleep(0.3)
        raise SystemExit(f"the server does not answer: {self._log.read_text()[-2000:]}")

    def cpu_s(self) -> float:
        """Processor seconds of the server's process."""
        times = psutil.Process(self.process.pid).cpu_times()
        return float(times.user + times.system)

    def rss_mib(self) -> float:
        """Its memory."""
        return float(psutil.Process(self.process.pid).memory_info().rss) / 2**20

    def requests(self) -> Counter[str]:
        """Requests so far, by method and path; identities are left out."""
        found = _REQUEST.findall(self._log.read_text(errors="replace"))
        return Counter(
            f"{method} {_ID.sub('ID', path)}" for method, path, _ in found if "health" not in path
        )

    def faults(self) -> int:
        """How many requests it could not answer (5xx); the client asks again."""
        found = _REQUEST.findall(self._log.read_text(errors="replace"))
        return sum(status.startswith("5") for _, _, status in found)

    def rows(self) -> Counter[str]:
        """Rows of each table."""
        if self._database_url:
            return asyncio.run(_postgres_rows(self._database_url))
        with closing(sqlite3.connect(f"file:{self._database}?mode=ro", uri=True)) as base:
            names = base.execute("select name from sqlite_master where type = 'table'").fetchall()
            return Counter(
                {
                    name: base.execute(f'select count(*) from "{name}"').fetchone()[0]  # noqa: S608
                    for (name,) in names
                }
            )

    def bytes(self) -> int:
        """Length of the database: all its pages, and for Postgres all of its files."""
        if self._database_url:
            return asyncio.run(_postgres_bytes(self._database_url))
        with closing(sqlite3.connect(f"file:{self._database}?mode=ro", uri=True)) as base:
            pages = base.execute("pragma page_count").fetchone()[0]
            free = base.execute("pragma freelist_count").fetchone()[0]
            size = base.execute("pragma page_size").fetchone()[0]
        return int((pages - free) * size)

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(timeout=30)


async def _postgres(url: str, *queries: str) -> list[list[Any]]:
    import asyncpg  # type: ignore[import-untyped]

    base = await asyncpg.connect(url.replace("postgresql+asyncpg", "postgresql"))
    try:
        return [[tuple(row) for row in await base.fetch(query)] for query in queries]
    finally:
        await base.close()


async def _postgres_rows(url: str) -> Counter[str]:
    (names,) = await _postgres(url, "select tablename from pg_tables where schemaname = 'public'")
    counts = await _postgres(url, *(f'select count(*) from "{name}"' for (name,) in names))  # noqa: S608
    return Counter({name: rows[0][0] for (name,), rows in zip(names, counts, strict=True)})


async def _postgres_bytes(url: str) -> int:
    ((size,),) = (await _postgres(url, "select pg_database_size(current_database())"))[0]
    return int(size)


@contextmanager
def measured(server: Server, count: int, settle_s: float) -> Iterator[dict[str, Any]]:
    """What `count` of something cost the server. Its recorder writes late: it is waited for."""
    figures: dict[str, Any] = {}
    before = (server.requests(), server.rows(), server.cpu_s(), server.bytes(), server.faults())
    began = time.monotonic()
    yield figures
    figures["wall_s"] = time.monotonic() - began
    time.sleep(settle_s)
    requests, rows = server.requests() - before[0], server.rows() - before[1]
    figures |= {
        "count": count,
        "requests_each": requests.total() / count,
        "rows_each": rows.total() / count,
        "server_cpu_s_each": (server.cpu_s() - before[2]) / count,
        "database_bytes_each": (server.bytes() - before[3]) / count,
        "refused_requests": server.faults() - before[4],
        "most_requests": {k: v / count for k, v in requests.most_common(12)},
        "most_rows": {k: v / count for k, v in rows.most_common(12)},
    }


def idle(server: Server, seconds: float) -> dict[str, float]:
    """What the server costs when nothing happens."""
    before, began = server.cpu_s(), time.monotonic()
    time.sleep(seconds)
    spent = server.cpu_s() - before
    return {
        "cpu_pct_of_a_core": 100 * spent / (time.monotonic() - began),
        "rss_mib": server.rss_mib(),
    }


def episodes(place: Path, count: int, first: int) -> dict[str, Any]:
    """Make small draft episodes, one after the other; what they leave in the store."""
    from flows.episode import make_episode

    folder = place / "scripts"
    folder.mkdir(exist_ok=True)
    walls = []
    for number in range(first, first + count):
        script = folder / f"talk-{number}.txt"
        script.write_text(TEXT.format(number=number))
        began = time.monotonic()
        episode: Any = asyncio.run(
            make_episode(str(script), "draft", str(place / "out"), options=dict(OPTIONS))
        )
        walls.append(time.monotonic() - began)
    package = [p for p in Path(episode.folder).rglob("*") if p.is_file()]
    return {
        "duration_s": episode.duration_s,
        "package_bytes": sum(p.stat().st_size for p in package),
        "wall_s": walls,
    }


def store_figures(home: Path, shared: Path) -> dict[str, float]:
    """Files and bytes of the store and of the shared one."""
    kinds = {
        "media": [p for p in home.glob("[0-9a-f][0-9a-f]/*") if p.is_file()],
        "memory": list((home / "memory").glob("*.json")),
        "results": [p for p in (home / "results").rglob("*") if p.is_file()],
        "shared": [p for p in shared.rglob("*") if p.is_file()],
    }
    figures: dict[str, float] = {}
    for kind, files in kinds.items():
        figures[f"{kind}_files"] = len(files)
        figures[f"{kind}_bytes"] = sum(p.stat().st_size for p in files)
    return figures


async def empty_runs(count: int, at_once: int) -> dict[str, float]:
    """Create runs of a deployment, take and finish them as workers do: how many a second."""
    from prefect import flow
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import PrefectHTTPStatusError
    from prefect.states import Completed, Pending, Running

    @flow(name="nothing")
    def nothing() -> None:
        """Do nothing."""

    places = asyncio.Semaphore(at_once)
    async with get_client() as client:
        await client.create_work_pool(WorkPoolCreate(name="bench", type="process"))
        flow_id = await client.create_flow(nothing)
        deployment = await client.create_deployment(flow_id, "bench", work_pool_name="bench")

        async def insist(ask: Callable[[], Awaitable[Any]]) -> Any:
            """Ask again where the server answers 500: SQLite's writer was taken for too long."""
            while True:
                try:
                    return await ask()
                except PrefectHTTPStatusError:
                    await asyncio.sleep(0.5)

        async def create(number: int) -> Any:
            async with places:
                return await insist(
                    lambda: client.create_flow_run_from_deployment(deployment, name=f"{number}")
                )

        async def finish(run: Any) -> None:
            async with places:
                states: tuple[Any, ...] = (Pending(), Running(), Completed())
                for state in states:
                    await insist(partial(client.set_flow_run_state, run.id, state))

        began = time.monotonic()
        runs = await asyncio.gather(*(create(number) for number in range(count)))
        created = time.monotonic()
        polls = 0
        while True:
            scheduled = await client.get_scheduled_flow_runs_for_work_pool("bench")
            polls += 1
            if scheduled or polls > 50:
                break
        polled = time.monotonic()
        await asyncio.gather(*(finish(run) for run in runs))
        ended = time.monotonic()
    return {
        "created_per_s": count / (created - began),
        "poll_s": (polled - created) / polls,
        "finished_per_s": count / (ended - polled),
    }


def main() -> None:
    """Measure, and print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--episodes", type=int, default=6)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--at-once", type=int, default=8)
    parser.add_argument("--idle-s", type=float, default=20.0)
    parser.add_argument(
        "--database-url", default="", help="postgresql+asyncpg://… instead of SQLite"
    )
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="control-plane-") as name:
        place = Path(name)
        server = Server(place, given.database_url)
        try:
            for figures in _figures(server, place, given):
                text = json.dumps(figures, indent=2)
                if given.json:
                    given.json.write_text(text + "\n")
        finally:
            server.stop()
    print(text)


def _figures(server: Server, place: Path, given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The figures so far, after each part."""
    from flows.server import apply_settings

    home, shared = place / "store", place / "shared"
    os.environ |= {
        "PREFECT_API_URL": server.url,
        "PREFECT_HOME": str(place / "client"),
        "STUDIO_HOME": str(home),
        "STUDIO_REMOTE": f"file://{shared}",
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
    }
    apply_settings(os.environ)
    figures: dict[str, Any] = {"database": "postgres" if given.database_url else "sqlite"}
    figures["idle"] = idle(server, given.idle_s)
    warm = episodes(place, 1, 0)  # tables, tags and artifact collections are made once
    time.sleep(5)
    with measured(server, given.episodes, settle_s=8) as cost:
        made = episodes(place, given.episodes, 1)
    figures["episode"] = cost | made
    count = given.episodes + 1
    figures["store_each"] = {k: v / count for k, v in store_figures(home, shared).items()}
    yield figures
    with measured(server, given.runs, settle_s=8) as cost:
        pace = asyncio.run(empty_runs(given.runs, given.at_once))
    figures["run"] = cost | pace
    figures["first_episode_wall_s"] = warm["wall_s"][0]
    figures["rss_mib_at_the_end"] = server.rss_mib()
    yield figures


if __name__ == "__main__":
    main()
