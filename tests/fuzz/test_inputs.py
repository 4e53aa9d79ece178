"""Whatever comes in is used or refused in one line: never a traceback, never a hang.

`make fuzz` tries 100,000 inputs; the default run tries 600. An input is named by its door and its
number: `STUDIO_FUZZ_ONLY="script 4711"` repeats one.
"""

from __future__ import annotations

import os
import random
import tempfile
from pathlib import Path

import pytest

from studio.errors import StudioError
from tests.fuzz.doors import DOORS

SHARDS = 4
"""Parts of a door's inputs, for several workers."""

LONGEST_REFUSAL = 2000
"""Characters: what somebody wrote is quoted, not repeated at length."""

INPUTS = int(os.environ.get("STUDIO_FUZZ_INPUTS", "600"))
ONLY = os.environ.get("STUDIO_FUZZ_ONLY", "")


def _numbers(door: str, shard: int) -> range:
    if ONLY:
        name, _, number = ONLY.rpartition(" ")
        return range(int(number), int(number) + 1) if (name, shard) == (door, 0) else range(0)
    share = INPUTS * DOORS[door].weight // sum(one.weight for one in DOORS.values())
    return range(shard, max(share, SHARDS), SHARDS)


def _check_refusal(error: StudioError, which: str) -> None:
    said = str(error)
    assert error.remedy, f"{which}: no remedy in {said!r}"
    assert said.isprintable(), f"{which}: {said!r}"
    assert len(said) < LONGEST_REFUSAL, f"{which}: {len(said)} characters"


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("shard", range(SHARDS))
@pytest.mark.parametrize("door", DOORS)
def test_every_input_is_used_or_refused_in_one_line(door: str, shard: int) -> None:
    used = refused = 0
    for number in _numbers(door, shard):
        data = DOORS[door].make(random.Random(f"{door} {number}"))  # noqa: S311
        with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
            try:
                DOORS[door].enter(Path(folder), data)
            except StudioError as error:
                _check_refusal(error, f"{door} {number}")
                refused += 1
            except Exception as error:
                error.add_note(f"STUDIO_FUZZ_ONLY={f'{door} {number}'!r}: {data[:400]!r}")
                raise
            else:
                used += 1
    if not ONLY:
        assert used + refused == len(_numbers(door, shard))
