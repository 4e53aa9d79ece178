"""The door to the encoders: which sink a trial's library opens."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import assert_never

from studio import pipe_sink, pyav_sink
from studio.ffmpeg import Trial
from studio.sinks import Job, Sink
from studio.specs import EncodeSpec


@contextlib.contextmanager
def open_sink(trial: Trial, spec: EncodeSpec, job: Job, path: Path) -> Iterator[Sink]:
    """An open sink that writes `path`. When the block ends without an error the file is complete:
    every frame and all of the sound are in it.

    Raises `EncodeError` when the encoder fails or dies, `OutputError` when there is no room.
    """
    match trial.library:
        case "pyav":
            opened = pyav_sink.open_pyav_sink(trial, spec, job, path)
        case "ffmpeg":
            opened = pipe_sink.open_pipe_sink(trial, spec, job, path)
        case _:
            assert_never(trial.library)
    with opened as sink:
        yield sink
