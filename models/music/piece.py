"""The values that go into and come out of a composer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PIECE_LUFS = -23.0
"""Every piece's loudness (ITU-R BS.1770-4) where all its parts play: the programme level of EBU R
128. Most music peaks 13 to 17 dB above its loudness, so peaks stay below -3 dBFS without a limiter.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class CueSpec:
    """What a cue asks for: its words, an upper estimate of how long it will sound, a seed."""

    prompt: str
    seconds: float
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Music of no fixed length: chunk k begins at `k * hop_samples`, chunks overlap and are added.

    `chunks` are `(n, 2)` float32, made as they are taken; `ending`, taken after the chunks, may
    begin wherever a chunk may and closes the piece. A single chunk without an ending is a
    recording: `models.music.fit` loops it.
    """

    hop_samples: int
    chunks: Iterable[NDArray[np.float32]]
    ending: NDArray[np.float32] | None = None
