"""An ffmpeg program behind one pipe.

Frames go in through its standard input in one large buffer; what it says is drained by a thread. It
lives in its own process group, so Ctrl-C reaches us alone and we end it; when this process dies, by
whatever signal, the pipe closes, ffmpeg sees the end of its input and ends by itself.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from studio.errors import EncodeError
from studio.ffmpeg import Trial, first_lines
from studio.sinks import (
    MOVFLAGS,
    Job,
    PlaneArrays,
    Sink,
    failure,
    tells_no_room,
    video_options,
)
from studio.specs import EncodeSpec
from studio.types import SAMPLE_RATE

PIPE_BYTES = 1 << 20
"""Size asked of the kernel for the pipe: its limit without privileges, a third of a 1080p frame."""

COLOUR = "range=limited:color_primaries=bt709:color_trc=bt709:colorspace=bt709"

SAID_CHARS = 8_000
"""How much of ffmpeg's words is kept."""

END_TIMEOUT_S = 600.0
"""How long ffmpeg may take after the last frame, when it moves the index to the front."""

KILL_TIMEOUT_S = 5.0


@contextlib.contextmanager
def open_pipe_sink(trial: Trial, spec: EncodeSpec, job: Job, path: Path) -> Iterator[Sink]:
    """See `studio.encoders.open_sink`."""
    words = path.with_suffix(".ffmetadata")
    words.write_text(ffmetadata(job), encoding="utf-8")
    try:
        process = subprocess.Popen(  # noqa: S603 - a fixed argument list, no shell
            command(trial, spec, job, path, words),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            bufsize=0,
            process_group=0,
        )
    except OSError as error:
        words.unlink(missing_ok=True)
        raise failure(trial.name, f"cannot be started ({error.strerror})", error.errno) from error
    sink = _PipeSink(trial.name, job, process)
    try:
        yield sink
        sink.finish()
    finally:
        sink.end()
        words.unlink(missing_ok=True)


def command(trial: Trial, spec: EncodeSpec, job: Job, path: Path, words: Path) -> list[str]:
    """The argument list. Paths begin with `file:`: none can be read as an option or a URL."""
    arguments = [trial.binary, "-hide_banner", "-loglevel", "error", "-y", "-f", "rawvideo"]
    arguments += ["-pix_fmt", "yuv420p", "-s", f"{job.width}x{job.height}", "-r", str(job.fps)]
    arguments += ["-color_range", "tv", "-colorspace", "bt709", "-i", "pipe:0"]
    arguments += ["-i", f"file:{job.sound}", "-f", "ffmetadata", "-i", f"file:{words}"]
    arguments += ["-map", "0:v", "-map", "1:a", "-map_metadata", "2", "-map_chapters", "2"]
    arguments += ["-c:v", trial.encoder, "-pix_fmt", "yuv420p", "-threads:v", str(spec.threads)]
    for key, value in video_options(trial.encoder, spec, job).items():
        arguments += [f"-{key}:v", value]
    # Tags follow the frames; options alone do not reach the encoder's primaries and transfer.
    arguments += ["-vf", f"setparams={COLOUR},setsar=1", "-fps_mode", "passthrough"]
    if job.sound.suffix == ".m4a":
        arguments += ["-c:a", "copy"]
    else:
        arguments += ["-c:a", "aac", "-b:a", f"{spec.audio_kbps}k", "-ar", str(SAMPLE_RATE)]
    return [*arguments, "-movflags", MOVFLAGS, "-f", "mp4", f"file:{path}"]


def ffmetadata(job: Job) -> str:
    """Title and chapters in FFmpeg's metadata format, every special character escaped."""
    lines = [";FFMETADATA1", f"title={_escaped(job.title)}"]
    for chapter in job.chapters:
        lines += ["[CHAPTER]", f"TIMEBASE=1/{SAMPLE_RATE}", f"START={chapter.start}"]
        lines += [f"END={chapter.start + chapter.num_samples}", f"title={_escaped(chapter.title)}"]
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    for special in ("\\", "=", ";", "#", "\n"):
        text = text.replace(special, "\\" + special)
    return text


class _PipeSink:
    """Writes frames to ffmpeg and watches it."""

    planes: PlaneArrays

    def __init__(self, name: str, job: Job, process: subprocess.Popen[bytes]) -> None:
        self._name, self._job, self._process = name, job, process
        chroma = (job.height // 2, job.width // 2)
        self.planes = (
            np.full((job.height, job.width), 16, np.uint8),
            np.full(chroma, 128, np.uint8),
            np.full(chroma, 128, np.uint8),
        )
        self._sent = 0
        self._said = ""
        assert process.stdin is not None  # noqa: S101 - asked for above
        assert process.stderr is not None  # noqa: S101
        self._input: IO[bytes] = process.stdin
        with contextlib.suppress(OSError, AttributeError):
            fcntl.fcntl(self._input.fileno(), fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self._listener = threading.Thread(
            target=self._listen, args=(process.stderr,), name="ffmpeg-stderr", daemon=True
        )
        self._listener.start()

    def _listen(self, stderr: IO[bytes]) -> None:
        for line in stderr:
            self._said = (self._said + line.decode("utf-8", "replace"))[:SAID_CHARS]

    def send(self) -> None:
        """Write the planes as the next frame."""
        try:
            for plane in self.planes:
                rest = memoryview(plane.data).cast("B")
                while rest:
                    rest = rest[self._input.write(rest) or 0 :]
        except BrokenPipeError as error:
            raise self._died() from error
        self._sent += 1

    def finish(self) -> None:
        """Close the pipe and wait until the file is complete."""
        if self._sent != self._job.num_frames:
            found = f"{self._sent} of {self._job.num_frames} frames were drawn"
            raise EncodeError(self._name, found, "Report this: the stage lost frames")
        with contextlib.suppress(BrokenPipeError):
            self._input.close()
        try:
            status = self._process.wait(END_TIMEOUT_S)
        except subprocess.TimeoutExpired as error:
            raise failure(self._name, "ffmpeg does not end") from error
        if status:
            raise self._died()

    def _died(self) -> Exception:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(KILL_TIMEOUT_S)
        self._listener.join(KILL_TIMEOUT_S)
        status = self._process.returncode
        how = f"killed by signal {-status}" if status is not None and status < 0 else "failed"
        said = first_lines(self._said, 2)
        # A limit on file sizes ends a program by a signal.
        full = status == -signal.SIGXFSZ or tells_no_room(self._said)
        told = f"ffmpeg {how} at frame {self._sent}" + f": {said}" * bool(said)
        return failure(self._name, told, errno.ENOSPC if full else None)

    def end(self) -> None:
        """Leave no process behind."""
        with contextlib.suppress(BrokenPipeError):
            self._input.close()
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._listener.join(KILL_TIMEOUT_S)
        if self._process.stderr is not None:
            self._process.stderr.close()
