"""Runs of a deployment on other machines: ordered, watched, ordered again when their machine died.

The server is asked for two hundred runs at a time, not for each; a run that waits costs nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import FlowRun, StateType, WorkerStatus
from prefect.client.schemas.responses import DeploymentResponse
from prefect.events.filters import EventFilter, EventNameFilter, EventResourceFilter
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelled, Cancelling, Crashed

from studio.errors import ServerError

POLL_S: Final = 2.0
"""How often the states are read."""

LOST_S: Final = 100.0
"""A run that is at work says so every 30 s; after three silent beats its machine is dead."""

STARTING_S: Final = 300.0
"""A run that a worker has taken gives its first sign when its process has imported everything."""

LOOK_S: Final = 10.0
"""How often the signs of life are read."""

MAX_TAKES: Final = 3
"""So often a run is ordered; an episode that kills its machine each time must not go round for
ever."""

PAGE: Final = 200
"""What Prefect's server gives at most in an answer."""

_HEARTBEAT = "prefect.flow-run.heartbeat"

_LOOKED_AT: Final = 10
"""Runs whose signs are read in one request: five beats each fit into one page of 50."""

_GONE = (StateType.CRASHED,)


@dataclass(slots=True, kw_only=True)
class Job:
    """A run that is wanted, and what became of it. `busy_s` is how long machines worked for it."""

    deployment: str
    parameters: dict[str, Any]
    name: str
    takes: int = 0
    run: FlowRun | None = None
    busy_s: float = 0.0
    sign: UUID | None = None
    signed_at: float = field(default_factory=time.monotonic)

    @property
    def over(self) -> bool:
        """Whether its run has ended for good."""
        state = self.run.state if self.run else None
        if state is None or not state.is_final():
            return False
        return state.type not in _GONE or self.takes >= MAX_TAKES


class Fleet:
    """The jobs of one batch. `label` marks their runs in the UI and keeps a request that is sent
    twice from making two runs.
    """

    def __init__(
        self, client: PrefectClient, label: str, queue: str, tell: Callable[[str], None]
    ) -> None:
        self._client, self._label, self._queue, self._tell = client, label, queue, tell
        self._deployments: dict[str, DeploymentResponse] = {}
        self._sent = asyncio.Semaphore(8)
        self._looked_at = 0.0
        self.at_work_s = 0.0

    async def deployment(self, *names: str) -> str:
        """The first of these deployments that the server knows. Raises `ServerError` for none."""
        for name in names:
            if name in self._deployments:
                return name
            try:
                found = await self._client.read_deployment_by_name(name)
            except ObjectNotFound:
                continue
            self._deployments[name] = found
            limit = found.global_concurrency_limit
            if limit is not None:
                self._tell(f"deployment {name}: at most {limit.limit} runs at once, by its limit")
            return name
        remedy = "Register it: `studio serve`, or `prefect --no-prompt deploy --all`"
        raise ServerError(" and ".join(names), "no such deployment on the server", remedy)

    async def order(self, job: Job) -> None:
        """Have a run of its deployment made by whichever worker is free."""
        job.takes += 1
        async with self._sent:
            job.run = await self._client.create_flow_run_from_deployment(
                self._deployments[job.deployment].id,
                parameters=job.parameters,
                name=job.name if job.takes == 1 else f"{job.name} (take {job.takes})",
                tags=[f"batch:{self._label}"],
                idempotency_key=f"{self._label}:{job.name}:{job.takes}",
                work_queue_name=self._queue or None,
            )
        job.sign, job.signed_at = None, time.monotonic()

    async def look(self, jobs: Sequence[Job]) -> None:
        """Read the states of jobs; those whose machine died are ordered again."""
        open_ = [job for job in jobs if not job.over]
        for start in range(0, len(open_), PAGE):
            await self._read(open_[start : start + PAGE])
        if time.monotonic() - self._looked_at >= LOOK_S:
            self._looked_at = time.monotonic()
            await self._read_signs([job for job in open_ if _at_work(job)])
        for job in open_:
            state = job.run.state if job.run else None
            if state is not None and state.type in _GONE and not job.over:
                self._tell(f"{job.name}: its machine died; ordered again ({state.message})")
                await self.order(job)

    async def warn_of_silence(self, jobs: Sequence[Job]) -> None:
        """Say so when runs wait and no worker of their pool is there to take them."""
        waiting = {job.deployment for job in jobs if job.run is not None and not _begun(job.run)}
        for name in waiting:
            pool = self._deployments[name].work_pool_name
            if pool is None:
                continue
            workers = await self._client.read_workers_for_work_pool(pool)
            if not any(worker.status == WorkerStatus.ONLINE for worker in workers):
                queue = f" --work-queue {self._queue}" if self._queue else ""
                self._tell(
                    f"no worker of the pool {pool} is online; start one: "
                    f"prefect worker start --pool {pool}{queue}"
                )

    async def cancel(self, jobs: Sequence[Job]) -> None:
        """End the runs that have not ended."""
        for job in jobs:
            if job.run is not None and not job.over:
                state: Any = Cancelling() if _begun(job.run) else Cancelled()
                await self._client.set_flow_run_state(job.run.id, state)

    async def _read(self, jobs: Sequence[Job]) -> None:
        ids = [job.run.id for job in jobs if job.run is not None]
        wanted = FlowRunFilter(id=FlowRunFilterId(any_=ids))
        found = await self._client.read_flow_runs(flow_run_filter=wanted, limit=PAGE)
        runs = {run.id: run for run in found}
        for job in jobs:
            if job.run is None:
                continue
            before, job.run = job.run, runs.get(job.run.id, job.run)
            if before.state_type != job.run.state_type:
                job.signed_at = time.monotonic()
            if job.run.state is not None and job.run.state.is_final():
                job.busy_s += job.run.total_run_time.total_seconds()

    async def _read_signs(self, jobs: Sequence[Job]) -> None:
        """Note who has given a sign of life, and give up who has not for too long. Beats are told
        apart by their identity: the machines' clocks need not agree.
        """
        for start in range(0, len(jobs), _LOOKED_AT):
            some = {str(job.run.id): job for job in jobs[start : start + _LOOKED_AT] if job.run}
            wanted = EventFilter(
                event=EventNameFilter(name=[_HEARTBEAT]),
                resource=EventResourceFilter(id=[f"prefect.flow-run.{run}" for run in some]),
            )
            page = await self._client.read_events(wanted, limit=50)
            for event in reversed(page.events):
                job = some[event.resource.id.removeprefix("prefect.flow-run.")]
                if event.id != job.sign:
                    job.sign, job.signed_at = event.id, time.monotonic()
        for job in jobs:
            if job.run is None:
                continue
            limit_s = LOST_S if job.run.state_type == StateType.RUNNING else STARTING_S
            if time.monotonic() - job.signed_at > limit_s:
                state: Any = Crashed(message=f"no sign of life for {limit_s:.0f} s")
                await self._client.set_flow_run_state(job.run.id, state, force=True)


def _begun(run: FlowRun) -> bool:
    return run.state_type not in {StateType.SCHEDULED, None}


def _at_work(job: Job) -> bool:
    return job.run is not None and job.run.state_type in {StateType.PENDING, StateType.RUNNING}
