"""MusicGen through the audiocraft package, in an environment of its own.

audiocraft's pins cannot live beside the rest; a worker process in its environment keeps the model
warm and hands sound back over a pipe. audiocraft draws the random numbers of a batch from one
generator: a batch is repeatable as a whole, and a cue alone may differ from the same cue in
company. `musicgen_hf` has no such limit and is the engine to prefer.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.music.musicgen_hf import OVERLAP_S, TAKES, WINDOW_S, fault_of, levelled
from models.music.musicgen_weights import MEMORY_GIB, WEIGHTS_LICENCE
from models.music.piece import CueSpec, Piece
from studio.audio import resample
from studio.errors import MusicError
from studio.isolation.environment import Install, Recipe
from studio.isolation.host import EngineFault, Worker
from studio.specs import DeviceSpec, MusicSpec
from studio.store import studio_home
from studio.types import SAMPLE_RATE, EngineInfo

Sound = NDArray[np.float32]

_SIDE_FILE = Path(__file__).with_name("audiocraft_side.py")
SIDE = f"{_SIDE_FILE}:Side"
AUDIOCRAFT = Recipe(
    name="audiocraft",
    installs=(
        Install(lock=Path(__file__).with_name("audiocraft_base.txt")),
        Install(lock=Path(__file__).with_name("audiocraft_itself.txt"), with_dependencies=False),
    ),
    trial=f"import runpy; runpy.run_path({str(_SIDE_FILE)!r})['prepare']()\n"
    "import audiocraft.models",
)
"""Its environment: what it runs on, then the package without what its metadata asks for."""


def audiocraft_home() -> Path:
    """The folder of audiocraft's environment, whether it is there or not."""
    return studio_home(os.environ) / "engines" / "audiocraft"


def audiocraft_python() -> Path:
    """The interpreter of audiocraft's environment, whether it is there or not."""
    return audiocraft_home() / "bin" / "python"


@contextmanager
def open_audiocraft(
    spec: MusicSpec, device: DeviceSpec, *, source: str = "", python: Path | None = None
) -> Iterator[MusicGenAudiocraft]:
    """The model of `spec` in its worker; the worker ends with the context.

    `source` ("debug" is audiocraft's own tiny model) and `python` replace the published checkpoint
    and the environment. Raises `EngineUnavailable` when the environment or the weights are missing.
    """
    interpreter = python or audiocraft_python()
    remedy = "Build its environment: studio engines install audiocraft"
    checkpoint = source or spec.weights_dir or f"facebook/musicgen-{spec.model}"
    arguments = {
        "source": checkpoint,
        "device": device.device,
        "threads": device.threads,
        "strides_s": WINDOW_S - OVERLAP_S,
    }
    with Worker("music musicgen_audiocraft", interpreter, SIDE, arguments, remedy=remedy) as worker:
        yield MusicGenAudiocraft(spec, worker, checkpoint)


class MusicGenAudiocraft:
    """A MusicGen in another process. Use `open_audiocraft`."""

    def __init__(self, spec: MusicSpec, worker: Worker, source: str) -> None:
        self._spec, self._worker = spec, worker
        self._rate = int(worker.call("describe")[0]["rate"])
        settings = (source, spec.guidance, spec.top_k, spec.temperature, spec.max_generated_s)
        self.info = EngineInfo(
            name="musicgen_audiocraft",
            code_licence="MIT",
            weights_licence=WEIGHTS_LICENCE,
            commercial=False,
            memory_gib=MEMORY_GIB[spec.model],
            rate=self._rate,
            identity=hashlib.sha256(repr(settings).encode()).hexdigest(),
        )

    def compose(self, cues: Sequence[CueSpec]) -> Iterator[Piece]:
        """One single-chunk piece per cue, generated `spec.batch` cues at a time.

        Raises `MusicError` for a cue that came out silent or clipped `TAKES` times.
        """
        for first in range(0, len(cues), self._spec.batch):
            batch = [
                replace(cue, seconds=min(cue.seconds, self._spec.max_generated_s))
                for cue in cues[first : first + self._spec.batch]
            ]
            for sound in self._checked(batch):
                yield Piece(hop_samples=len(sound), chunks=(sound,))

    def _checked(self, cues: Sequence[CueSpec]) -> list[Sound]:
        done: dict[int, Sound] = {}
        fault = ""
        for take in range(TAKES):
            missing = [place for place in range(len(cues)) if place not in done]
            if not missing:
                break
            for place, sound in zip(
                missing, self._generate([cues[p] for p in missing], take), strict=True
            ):
                wrong = fault_of(sound)
                if wrong:
                    fault = f"audiocraft made {wrong} for {cues[place].prompt!r}, {TAKES} times"
                else:
                    done[place] = levelled(sound)
        if len(done) < len(cues):
            raise MusicError("music", fault, "Use other words, or the arranger")
        return [done[place] for place in range(len(cues))]

    def _generate(self, cues: Sequence[CueSpec], take: int) -> list[Sound]:
        """Stereo at `SAMPLE_RATE`; the whole batch is as long as its longest cue, then cut."""
        seed = hashlib.sha256(repr(([cue.seed for cue in cues], take)).encode()).digest()
        try:
            _, sounds = self._worker.call(
                "generate",
                prompts=[cue.prompt for cue in cues],
                seconds=max(cue.seconds for cue in cues),
                seed=int.from_bytes(seed[:4], "big"),
                guidance=self._spec.guidance,
                top_k=self._spec.top_k,
                temperature=self._spec.temperature,
            )
        except EngineFault as error:
            raise MusicError("music", f"audiocraft failed ({error})", "Use musicgen_hf") from error
        stereo = [np.repeat(s, 2, axis=1) if s.shape[1] == 1 else s for s in sounds]
        return [
            resample(np.ascontiguousarray(s), self._rate)[: round(cue.seconds * SAMPLE_RATE)]
            for s, cue in zip(stereo, cues, strict=True)
        ]
