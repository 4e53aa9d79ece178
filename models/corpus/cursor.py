"""Where in the data a training run is: a few hundred bytes that a checkpoint carries along."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace

from models.corpus.mapped import Corpus
from models.corpus.plan import PLAN_VERSION, Stretch, plan
from studio.corpus import BatchSpec
from studio.errors import SettingError
from studio.keys import fingerprint


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """The next step to train on: `epoch`, and what is `done` of it (nothing, or stretches).

    `store_sha256` and `order_sha256` say what the position counts in: the store's content, and all
    of a `BatchSpec` that changes the order or the look of batches.
    """

    store_sha256: str
    order_sha256: str
    epoch: int = 0
    done: tuple[Stretch, ...] = ()

    @property
    def step(self) -> int:
        """Steps of the epoch that are done."""
        return sum(stretch.steps for stretch in self.done)

    def to_json(self) -> str:
        """Under 1 KB unless the world changed more than a dozen times in one epoch."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @staticmethod
    def from_json(text: str) -> Cursor:
        """What `to_json` wrote. Raises `SettingError` for anything else."""
        try:
            told = json.loads(text)
            done = tuple(Stretch(**stretch) for stretch in told.pop("done"))
            return Cursor(**told, done=done)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            remedy = "Start the epoch anew without it"
            raise SettingError("cursor", f"cannot be read ({error})", remedy) from error


def start(corpus: Corpus, spec: BatchSpec, epoch: int = 0) -> Cursor:
    """The beginning of an epoch."""
    return Cursor(store_sha256=corpus.sha256, order_sha256=_order(spec), epoch=epoch)


def require_match(cursor: Cursor, corpus: Corpus, spec: BatchSpec) -> None:
    """Raises `SettingError` when the cursor counts in another store or another order."""
    if cursor.store_sha256 != corpus.sha256:
        found = f"counts in store {cursor.store_sha256[:12]}, not in {corpus.sha256[:12]}"
        raise SettingError("cursor", found, "Go on with the same store, or start a new epoch")
    if cursor.order_sha256 != _order(spec):
        found = "counts in batches of another spec or version"
        raise SettingError("cursor", found, "Go on with the same batch spec, or start a new epoch")


def advanced(
    cursor: Cursor, corpus: Corpus, spec: BatchSpec, steps: int, *, world: int = 1
) -> Cursor:
    """The cursor after `steps` more steps with `world` ranks, over as many epochs as they take.

    Raises `SettingError` when the cursor does not belong to the store and the spec.
    """
    require_match(cursor, corpus, spec)
    ahead = plan(
        corpus.num_frames,
        corpus.num_tokens,
        spec,
        epoch=cursor.epoch,
        world=world,
        done=cursor.done,
    )
    if steps >= len(ahead):
        fresh = start(corpus, spec, cursor.epoch + 1)
        full = steps_per_epoch(corpus, spec, world=world)
        epochs, steps = divmod(steps - len(ahead), full) if full else (0, 0)
        cursor = replace(fresh, epoch=fresh.epoch + epochs)
    if not steps:
        return cursor
    last = cursor.done[-1] if cursor.done else None
    if last and (last.world, last.batch_size) == (world, spec.batch_size):
        return replace(cursor, done=(*cursor.done[:-1], replace(last, steps=last.steps + steps)))
    stretch = Stretch(world=world, batch_size=spec.batch_size, steps=steps)
    return replace(cursor, done=(*cursor.done, stretch))


def steps_per_epoch(corpus: Corpus, spec: BatchSpec, *, world: int = 1) -> int:
    """Steps of every whole epoch: the number depends on the lengths, not on the shuffle."""
    return len(plan(corpus.num_frames, corpus.num_tokens, spec, world=world))


def _order(spec: BatchSpec) -> str:
    # batch_size is told by each stretch, so that a run may go on with another.
    told = spec.model_dump(include={"num_buckets", "round_to", "remainder", "seed", "shuffle"})
    return fingerprint(PLAN_VERSION, told, spec.augment)
