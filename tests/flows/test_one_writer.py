"""Transactions of Prefect's server on SQLite wait for each other; as shipped one is refused."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import sqlalchemy as sa
from prefect.server.database.configurations import AioSqliteConfiguration
from prefect.server.database.dependencies import MODELS_DEPENDENCIES
from sqlalchemy.exc import OperationalError

from flows.one_writer import OneWriter, install


async def _read_then_write(
    config: AioSqliteConfiguration, ready: asyncio.Barrier, limit_s: float
) -> None:
    engine = await config.engine()
    session = await config.session(engine)
    async with session, config.begin_transaction(session):
        await session.execute(sa.text("SELECT n FROM counter"))
        # Both have read by now, unless one waits for the other; then it need not wait longer.
        try:
            await asyncio.wait_for(ready.wait(), limit_s)
        except (TimeoutError, asyncio.BrokenBarrierError):
            await ready.abort()
        await session.execute(sa.text("UPDATE counter SET n = n + 1"))


async def _both(config: AioSqliteConfiguration, limit_s: float) -> int:
    engine = await config.engine()
    session = await config.session(engine)
    async with session, config.begin_transaction(session, with_for_update=True):
        await session.execute(sa.text("CREATE TABLE counter (n INTEGER)"))
        await session.execute(sa.text("INSERT INTO counter VALUES (0)"))
    ready = asyncio.Barrier(2)
    try:
        await asyncio.gather(*(_read_then_write(config, ready, limit_s) for _ in range(2)))
        async with await config.session(engine) as session:
            return int((await session.execute(sa.text("SELECT n FROM counter"))).scalar_one())
    finally:
        await engine.dispose()


def _url(place: Path) -> str:
    return f"sqlite+aiosqlite:///{place}/prefect.db"


def test_two_that_read_and_then_write_both_write(tmp_path: Path) -> None:
    assert asyncio.run(_both(OneWriter(connection_url=_url(tmp_path)), 0.2)) == 2


def test_as_shipped_one_of_them_is_refused(tmp_path: Path) -> None:
    """The day this fails, Prefect does it by itself and `flows.one_writer` can go."""
    with pytest.raises(OperationalError, match="database is locked"):
        asyncio.run(_both(AioSqliteConfiguration(connection_url=_url(tmp_path)), 60))


def test_it_is_for_sqlite_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MODELS_DEPENDENCIES, "database_config", None)
    assert not install("postgresql+asyncpg://localhost/prefect")
    assert MODELS_DEPENDENCIES["database_config"] is None
    assert install(_url(tmp_path))
    assert isinstance(MODELS_DEPENDENCIES["database_config"], OneWriter)
