"""Tags of the task runs, and Prefect's coarse limits on them.

The ledger decides what runs on a card; it counts memory, hands over in milliseconds and forgets a
killed process at once. Prefect's limits count task runs, over all hosts that share a server, and
leave a freed slot idle for up to a quarter of a second. They are for fleets, and off by default.
"""

from __future__ import annotations

from collections.abc import Sequence

from prefect.client.orchestration import get_client
from prefect.settings import get_current_settings

from models.needs import NEURAL
from studio.specs import GpuSpec
from tasks.run import Run

GPU, NVENC = "gpu", "gpu:nvenc"


def tags_for(run: Run, engines: Sequence[str]) -> tuple[str, ...]:
    """The resource tags of a stage that may use these engines or encoders, on this machine.

    Which card a stage gets is known when it is lent, not before: the tag `gpu:INDEX` is for runs
    that are bound to a card (`device.card`).
    """
    machine = run.machine
    tags: list[str] = []
    if machine is None or not machine.found.cards:
        return ()
    if run.device.device != "cpu" and NEURAL & set(engines):
        tags.append(GPU)
        if run.device.card is not None:
            tags.append(f"gpu:{run.device.card}")
    if machine.encodes() and any(name.endswith("_nvenc") for name in engines):
        tags.append(NVENC)
    return tuple(tags)


async def keep_limits(gpu: GpuSpec) -> dict[str, int]:
    """Make Prefect's limits on our tags what the profile asks for, and return what was set.

    Only on a server that stays (`PREFECT_API_URL`). A limit that the profile does not ask for is
    left as it is. Setting the same again changes nothing.
    """
    wanted = {tag: n for tag, n in ((GPU, gpu.gpu_tasks), (NVENC, gpu.nvenc_tasks)) if n}
    if not wanted or get_current_settings().api.url is None:
        return {}
    async with get_client() as client:
        for tag, limit in wanted.items():
            await client.upsert_global_concurrency_limit_by_name(f"tag:{tag}", limit)
    return wanted
