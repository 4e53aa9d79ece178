"""A stage as a Prefect task: its key, its record, its tags.

The key of a stage is the hash of its inputs, of the code that makes its output, of what its run
forbids (`strict`, `commercial`) and of what decides among alternatives (`tasks.reach`);
the run it belongs to, the card and the folder it ran in are no part of it. Prefect keeps the result
as JSON under the store's root. A result whose media is gone is not a result: reading it raises, and
Prefect runs the stage again. What Prefect on this machine does not know, another run or another
machine may be making at this moment, or have made: the store is asked, and one of them makes it.
"""

from __future__ import annotations

import functools
import inspect
import json
import logging
import os
from collections.abc import Callable
from typing import Any, Literal, ParamSpec, TypeVar, get_type_hints

from prefect import Task, task
from prefect.cache_policies import NO_CACHE, CacheKeyFnPolicy
from prefect.serializers import Serializer
from prefect.utilities.annotations import NotSet
from pydantic import TypeAdapter

from studio import types
from studio.errors import StoreError
from studio.keys import code_version, fingerprint
from studio.store import blobs_in, open_store
from tasks.reach import within_reach
from tasks.run import RUNNING, Run
from tasks.tag_limits import tags_for

P = ParamSpec("P")
R = TypeVar("R")

_LOG = logging.getLogger("studio.stage")


# Prefect registers serializers by class; a parametrised base would be registered in its place.
class MediaSerializer(Serializer):
    """Values of `studio.types` as JSON; reading one back checks that its media is still there.

    It has no fields: Prefect's server keeps only a serializer's type.
    """

    type: Literal["studio-media"] = "studio-media"

    def dumps(self, obj: Any) -> bytes:
        """The value with the name of its type."""
        value = TypeAdapter(type(obj)).dump_python(obj, mode="json")
        return json.dumps({"kind": type(obj).__name__, "value": value}).encode()

    def loads(self, blob: bytes) -> Any:
        """The value. Raises `StoreError` when a file it names is missing from the store."""
        data = json.loads(blob)
        value = TypeAdapter(getattr(types, data["kind"])).validate_python(data["value"])
        store = open_store(os.environ)
        for media in blobs_in(value):
            if not store.holds(media):
                raise StoreError(media.sha256, "gone from the store", "The stage runs again")
        return value


def stage(
    name: str,
    *,
    tags: tuple[str, ...],
    made_by: tuple[str, ...],
    after: tuple[str, ...] = (),
    remembered: bool = True,
) -> Callable[[Callable[P, R]], Task[P, R]]:
    """Make a function of values and a `run` a Prefect task called `name`.

    `made_by` names the modules whose source determines the output, `after` every stage before
    it in the DAG: one that was answered from the store leaves no trace for the verdict. A stage
    that is not `remembered` runs each time: it reads what lies elsewhere.
    """

    def key(_: object, parameters: dict[str, Any]) -> str:
        values = {name: value for name, value in parameters.items() if name != "run"}
        run = parameters.get("run")
        if isinstance(run, Run) and (run.strict or run.commercial):
            # What a run forbids is no answer to it: neither steps down nor non-commercial weights.
            values["run"] = run.strict, run.commercial
        if here := within_reach(values.values()):
            values["within reach"] = here
        return fingerprint(name, code_version(*made_by), values)

    def wrap(work: Callable[P, R]) -> Task[P, R]:
        signature = inspect.signature(work)

        def measured(*values: P.args, **rest: P.kwargs) -> R:
            run = rest.get("run")
            if not isinstance(run, Run) or run.meter is None:
                return work(*values, **rest)
            with run.meter.stage(name, run=run.name, after=after) as running:
                token = RUNNING.set(running)
                try:
                    return work(*values, **rest)
                finally:
                    RUNNING.reset(token)

        @functools.wraps(work)
        def made_once(*values: P.args, **rest: P.kwargs) -> R:
            run = rest.get("run")
            if not isinstance(run, Run) or not remembered:
                return measured(*values, **rest)
            work_key = key(None, signature.bind(*values, **rest).arguments)

            made: list[str] = []

            def make() -> R:
                made.append(work_key)
                return measured(*values, **rest)

            kind: type[R] = get_type_hints(work)["return"]
            value = run.store.once(work_key, kind, make, run.pause)
            for one in made:
                _LOG.info("made %s %s", name, one)
            return value

        return task(
            name=name,
            task_run_name=name,
            tags=[*tags, f"stage:{name}"],
            cache_policy=CacheKeyFnPolicy(cache_key_fn=key) if remembered else NO_CACHE,
            persist_result=remembered,
            description=(work.__doc__ or "").splitlines()[0],
        )(made_once)

    return wrap


def at(run: Run, stage_task: Task[P, R], engines: tuple[str, ...] = ()) -> Task[..., R]:
    """The stage with its results kept in the store of this run; its inputs may be futures.

    `engines` are those that the profile lists for it: with what they need of this machine the task
    run is tagged.
    """
    return stage_task.with_options(
        tags=[*stage_task.tags, *tags_for(run, engines)],
        refresh_cache=NotSet if run.store.recalls else True,
        result_storage=run.store.root / "results",
        result_serializer=MediaSerializer(),
    )
