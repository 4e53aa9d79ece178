"""What a server is told once at its start: work pools, deployments, automations, our kind of block.
Telling it again changes nothing that is right already.

`python -m flows.registration FOLDER`, where FOLDER holds `prefect.yaml` and `automations.yaml`.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]  # Prefect brings it
from prefect.blocks.core import Block
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.events.schemas.automations import AutomationCore
from prefect.exceptions import ObjectNotFound

from flows.pools import pools
from studio.errors import ServerError
from tasks.mail import MailServer

DEPLOYMENTS, AUTOMATIONS = "prefect.yaml", "automations.yaml"


async def register(folder: Path) -> None:
    """Make the server of `PREFECT_API_URL` know our pools and what stands in `folder`.

    A pool that is there is left as it is: it may have been given limits, or another type. Raises
    `ServerError` when a deployment is refused.
    """
    async with get_client() as client:
        for name, description in pools().items():
            await _keep_pool(client, name, description)
        _deploy(folder / DEPLOYMENTS)
        wanted = {one["name"] for one in _read(folder / DEPLOYMENTS)["deployments"]}
        lacking = wanted - {one.name for one in await client.read_deployments()}
        if lacking:
            raise ServerError(DEPLOYMENTS, f"{', '.join(lacking)}: not registered", "See its log")
        for one in _read(folder / AUTOMATIONS)["automations"]:
            await _keep_automation(client, AutomationCore.model_validate(one))
    # So that the UI offers it.
    await _block_type(MailServer)


async def _keep_pool(client: PrefectClient, name: str, description: str) -> None:
    try:
        await client.read_work_pool(name)
    except ObjectNotFound:
        pool = WorkPoolCreate(name=name, type="process", description=description)
        await client.create_work_pool(pool)


async def _keep_automation(client: PrefectClient, wanted: AutomationCore) -> None:
    """One automation of that name; Prefect's own command would add another each time."""
    there = await client.read_automations_by_name(wanted.name)
    if there:
        kept = wanted.model_copy(update={"enabled": there[0].enabled})
        await client.update_automation(there[0].id, kept)
    else:
        await client.create_automation(wanted)


async def _block_type(kind: type[Block]) -> None:
    answer: Any = kind.register_type_and_schema()
    await answer


def _deploy(file: Path) -> None:
    line = [sys.executable, "-P", "-m", "prefect", "--no-prompt", "deploy", "--all"]
    done = subprocess.run(  # noqa: S603 - our own words only
        [*line, "--prefect-file", str(file)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        found = f"is refused (exit code {done.returncode})"
        raise ServerError(file.name, found, f"It said: {done.stdout}{done.stderr}")


def _read(file: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return content


if __name__ == "__main__":
    asyncio.run(register(Path(sys.argv[1])))
