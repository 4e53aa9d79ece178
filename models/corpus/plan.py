"""Which clips are in which batch: a function of the seed, the epoch and the world, and of no state.

Clips are shuffled inside their bucket and cut into steps of `world * batch_size`. What is left over
goes into the next longer bucket, so that nothing is dropped before the epoch's last step; that one
is filled with blank rows. Then the steps are shuffled. All ranks of a step have the same shape, and
a clip is in exactly one row of an epoch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.corpus.buckets import Ints, Shape, best_caps, bucket_of, shapes_for
from models.corpus.draws import permutation
from studio.corpus import BatchSpec

PLAN_VERSION = 1
"""Raised when the same inputs give another plan; a cursor of another version is refused."""

BLANK = -1
"""The clip of a row that holds none."""

_ORDER, _STEPS = 1, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A part of an epoch that is done: `steps` steps with `world` ranks of `batch_size` rows."""

    world: int
    batch_size: int
    steps: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plan:
    """The steps of one epoch that are still to come.

    `rows[s, r]` are the clips `(batch_size,)` of rank r in step s, `BLANK` for none; `bucket[s]` is
    the index of its shape in `shapes`. `dropped` clips are in no row (remainder "drop" only).
    """

    epoch: int
    shapes: tuple[Shape, ...]
    bucket: Ints
    rows: NDArray[np.int32]
    dropped: Ints
    padding: float

    def __len__(self) -> int:
        return len(self.bucket)


def corpus_shapes(num_frames: Ints, num_tokens: Ints, spec: BatchSpec) -> tuple[Shape, ...]:
    """The static shapes of all batches of a corpus, the same in every epoch and for every world.

    Caps are chosen for whole batches of clips in order of length: a small corpus then has its caps
    where its batches end, and few clips are left over to move up.
    """
    ranked = np.sort(num_frames)
    tops = np.append(ranked[spec.batch_size - 1 :: spec.batch_size], ranked[-1:])
    caps = best_caps(tops, spec.num_buckets, spec.round_to)
    return shapes_for(num_frames, num_tokens, caps, spec.round_to)


def plan(
    num_frames: Ints,
    num_tokens: Ints,
    spec: BatchSpec,
    *,
    epoch: int = 0,
    world: int = 1,
    done: tuple[Stretch, ...] = (),
    shapes: tuple[Shape, ...] | None = None,
) -> Plan:
    """The plan of `epoch` for `world` ranks, after what is `done` of it.

    What is done may have been done by another world (elastic training): its clips are left out and
    the others are planned anew, so that every clip still comes exactly once. `shapes` are those of
    `corpus_shapes`, for a caller that plans many epochs.

    Raises `ValueError` for a negative epoch, an empty world, or a stretch longer than its plan.
    """
    if epoch < 0 or world < 1:
        raise ValueError(f"epoch {epoch} or world {world} is out of range")
    if shapes is None:
        shapes = corpus_shapes(num_frames, num_tokens, spec)
    caps = tuple(shape.frames for shape in shapes)
    left = np.arange(len(num_frames), dtype=np.int64)
    stretches = done or (Stretch(world=world, batch_size=spec.batch_size, steps=0),)
    if (stretches[-1].world, stretches[-1].batch_size) != (world, spec.batch_size):
        stretches += (Stretch(world=world, batch_size=spec.batch_size, steps=0),)
    for turn, stretch in enumerate(stretches):
        group = stretch.world * stretch.batch_size
        bucket, steps = _steps(left, num_frames, caps, spec, group, (epoch, turn))
        if stretch.steps > len(steps):
            raise ValueError(f"{stretch.steps} steps done of an epoch of {len(steps)}")
        bucket, steps, finished = (
            bucket[stretch.steps :],
            steps[stretch.steps :],
            steps[: stretch.steps],
        )
        left = _without(left, finished, len(num_frames))
    used = steps[steps != BLANK]
    room = int(np.array(caps, np.int64)[bucket].sum()) * world * spec.batch_size
    return Plan(
        epoch=epoch,
        shapes=shapes,
        bucket=bucket,
        rows=steps.reshape(-1, world, spec.batch_size).astype(np.int32),
        dropped=_without(left, used, len(num_frames)),
        padding=1.0 - float(num_frames[used].sum()) / room if room else 0.0,
    )


def _steps(
    clips: Ints,
    num_frames: Ints,
    caps: tuple[int, ...],
    spec: BatchSpec,
    group: int,
    purpose: tuple[int, int],
) -> tuple[Ints, Ints]:
    """The bucket of every step `(steps,)` and its clips `(steps, group)`, in order."""
    where = bucket_of(num_frames[clips], caps)
    if spec.shuffle:
        order = permutation(len(clips), spec.seed, _ORDER, *purpose)
        where = where[order]
        clips = clips[order]
    # Bucket by bucket, in the order drawn; sorting small numbers takes one pass each byte.
    clips = clips[np.argsort(where.astype(np.uint8), kind="stable")]
    begin = 0
    buckets: list[Ints] = []
    steps: list[Ints] = []
    over = np.zeros(0, np.int64)
    for index, count in enumerate(np.bincount(where, minlength=len(caps)).tolist()):
        # What was left over comes first: no clip moves up more than one bucket while there are
        # enough of them.
        pool = np.concatenate([over, clips[begin : begin + count]])
        begin += count
        whole = len(pool) // group
        steps.append(pool[: whole * group].reshape(whole, group))
        buckets.append(np.full(whole, index, np.int64))
        over = pool[whole * group :]
    if len(over) and spec.remainder == "blank":
        steps.append(np.append(over, np.full(group - len(over), BLANK, np.int64))[None])
        # The shortest shape that holds them all.
        buckets.append(bucket_of(num_frames[over], caps).max(keepdims=True))
    bucket = np.concatenate([np.zeros(0, np.int64), *buckets])
    rows = np.concatenate([np.zeros((0, group), np.int64), *steps])
    if spec.shuffle:
        shuffled = permutation(len(rows), spec.seed, _STEPS, *purpose)
        bucket, rows = bucket[shuffled], rows[shuffled]
    return bucket, rows


def _without(clips: Ints, taken: Ints, num_clips: int) -> Ints:
    """`clips` in their order, less those `taken`, which may hold `BLANK`."""
    if not len(taken):
        return clips
    there = np.ones(num_clips + 1, np.bool_)
    there[taken] = False  # BLANK marks the last entry, which is no clip
    return clips[there[clips]]
