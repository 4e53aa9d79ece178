"""Music for a cue, in arrays: what a cue asks of a composer, what a piece is, and the door to the
engines.

Every engine delivers stereo float32 at `SAMPLE_RATE`, at `PIECE_LUFS` and with peaks under -3 dBFS,
so that a level in the mix means the same whoever composed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from models.music.piece import PIECE_LUFS, CueSpec, Piece
from studio.specs import DeviceSpec, MusicEngineName, MusicSpec
from studio.types import EngineInfo

__all__ = ["PIECE_LUFS", "Composer", "CueSpec", "Piece", "open_composer"]


class Composer(Protocol):
    """Makes music from words."""

    @property
    def info(self) -> EngineInfo:
        """Name, licences, memory need, native sample rate."""
        ...

    def compose(self, cues: Sequence[CueSpec]) -> Iterator[Piece]:
        """One piece per cue, in order. A neural engine generates all of them in one batch.

        Raises `MusicError` for a cue that no music could be made for.
        """
        ...


@contextmanager
def open_composer(
    engine: MusicEngineName, spec: MusicSpec, device: DeviceSpec
) -> Iterator[Composer]:
    """The engine, loaded; unloaded (memory freed) when the context ends.

    Raises `EngineUnavailable` when a package, weights or the device it needs are not there.
    """
    match engine:
        case "arranger":
            from models.music.arranger import Arranger

            yield Arranger(max_piece_s=spec.max_piece_s)
        case "hum":
            from models.music.hum import Hum

            yield Hum()
        case "musicgen_hf":
            from models.music.musicgen_hf import open_musicgen

            with open_musicgen(spec, device) as composer:
                yield composer
        case "musicgen_audiocraft":
            from models.music.musicgen_audiocraft import open_audiocraft

            with open_audiocraft(spec, device) as composer:
                yield composer
