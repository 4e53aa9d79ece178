"""Prefect's server on SQLite, one writer after the other.

SQLite has one writer. Prefect begins most of its transactions as readers (`BEGIN DEFERRED`); one
that then wants to write, when another has written since, is refused at once with "database is
locked", however long it was willing to wait. One that begins as a writer (`BEGIN IMMEDIATE`) waits
its turn. Reads outside of a transaction are as before, and so is PostgreSQL.

`python -m flows.one_writer MODULE ARGUMENT…` runs a module that serves Prefect's API so.
"""

from __future__ import annotations

import runpy
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from prefect.server.database.configurations import AioSqliteConfiguration
from prefect.server.database.dependencies import MODELS_DEPENDENCIES
from prefect.settings import PREFECT_API_DATABASE_CONNECTION_URL
from sqlalchemy.ext.asyncio import AsyncSession, AsyncSessionTransaction


class OneWriter(AioSqliteConfiguration):
    """SQLite whose transactions wait for their turn when they begin, up to Prefect's 60 s."""

    @asynccontextmanager
    async def begin_transaction(
        self, session: AsyncSession, with_for_update: bool = False
    ) -> AsyncGenerator[AsyncSessionTransaction, None]:
        """A transaction that may write; `with_for_update` asks for what holds anyway."""
        async with super().begin_transaction(session, with_for_update=True) as transaction:
            yield transaction


def install(connection_url: str) -> bool:
    """Make it the database of the server that this process is about to run. False for any other
    database than SQLite.
    """
    if not connection_url.startswith("sqlite"):
        return False
    MODELS_DEPENDENCIES["database_config"] = OneWriter(connection_url=connection_url)
    return True


if __name__ == "__main__":
    install(str(PREFECT_API_DATABASE_CONNECTION_URL.value()))
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
