"""The instant engine for tests and drafts: a soft hummed chord whose pitch comes from the words."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from models.music.arranger.room import loudness_lufs
from models.music.piece import PIECE_LUFS, CueSpec, Piece
from studio.types import SAMPLE_RATE, EngineInfo

HUM_SECONDS = 4
CHORD = (1.0, 1.25, 1.5)


class Hum:
    """Hums a major chord on one of twelve roots for four seconds whose end joins their start."""

    info = EngineInfo(
        name="hum",
        code_licence="Apache-2.0",
        weights_licence="none",
        commercial=True,
        memory_gib=0.01,
        rate=SAMPLE_RATE,
    )

    def compose(self, cues: Sequence[CueSpec]) -> Iterator[Piece]:
        """One single-chunk piece per cue, at once."""
        for cue in cues:
            key = f"{cue.seed}\n{cue.prompt.strip().lower()}".encode()
            step = hashlib.blake2b(key, digest_size=1).digest()[0] % 12
            # Whole periods in four seconds: multiples of 1 Hz for all three notes need a root
            # divisible by 4.
            root = round(110 * 2 ** (step / 12) / 4) * 4
            t = np.arange(HUM_SECONDS * SAMPLE_RATE) / SAMPLE_RATE
            mono = np.sum(
                [np.sin(2 * np.pi * root * ratio * t) / (i + 1) for i, ratio in enumerate(CHORD)],
                axis=0,
            )
            gain = 10 ** ((PIECE_LUFS - loudness_lufs(_stereo(mono))) / 20)
            sound = _stereo(mono * gain)
            yield Piece(hop_samples=len(sound), chunks=(sound,))


def _stereo(mono: NDArray[np.float64]) -> NDArray[np.float32]:
    return np.repeat(mono.astype(np.float32)[:, None], 2, axis=1)
