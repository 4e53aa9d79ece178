"""Files of the edit loop: a copy of a stored medium, speech as one file, a storyboard."""

from __future__ import annotations

import io
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
from PIL import Image

from models.picture.storyboard import draw_board
from studio.audio import read_flac
from studio.errors import OutputError
from studio.specs import MixSpec, PictureSpec, VoiceSpec
from studio.store import Store
from studio.storyboard import board_of
from studio.types import SAMPLE_RATE, Blob, Script, SpeechTrack
from tasks.delivery import output_error

SOUND_KINDS = {".wav": "PCM_24", ".flac": "PCM_24", ".mp3": "MPEG_LAYER_III", ".ogg": "VORBIS"}
"""Suffix to libsndfile's subtype."""


def deliver_copy(store: Store, blob: Blob, output: Path) -> None:
    """Copy a medium of the store to `output`. Raises `OutputError`."""
    source = store.path(blob)
    _deliver(output, lambda part: shutil.copyfile(source, part))


def deliver_speech(store: Store, speech: SpeechTrack, output: Path) -> float:
    """Write all lines at their places as one mono file; returns its length in seconds."""
    kind = SOUND_KINDS.get(output.suffix.lower())
    if kind is None:
        known = ", ".join(SOUND_KINDS)
        raise OutputError(str(output), "a sound file of an unknown kind", f"Known: {known}")
    sound = np.zeros(speech.num_samples, np.float32)
    for line, start in zip(speech.lines, speech.starts, strict=True):
        sound[start : start + line.num_samples] = read_flac(store.path(line.audio))
    _deliver(output, lambda part: soundfile.write(part, sound, SAMPLE_RATE, subtype=kind))
    return speech.num_samples / SAMPLE_RATE


def draw_storyboard(
    script: Script, voice: VoiceSpec, mix: MixSpec, picture: PictureSpec, output: Path
) -> float:
    """Draw a script's storyboard as PNG (or JPEG, by the suffix); returns the length in seconds
    that is expected.
    """
    kind = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}.get(output.suffix.lower())
    if kind is None:
        raise OutputError(str(output), "a picture of an unknown kind", "Known: .png, .jpg")
    board = board_of(script, voice, mix)
    buffer = io.BytesIO()
    Image.fromarray(draw_board(board, picture.background_color)).save(buffer, kind, optimize=True)
    _deliver(output, lambda part: part.write_bytes(buffer.getvalue()))
    return board.duration_s


def _deliver(output: Path, write: Callable[[Path], object]) -> None:
    """Write beside, rename in. Raises `OutputError`."""
    if output.is_dir():
        raise OutputError(str(output), "is a folder", "Name a file with --output")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".studio-", dir=output.parent) as beside:
            part = Path(beside) / f"part{output.suffix}"
            write(part)
            part.replace(output)
    except OSError as error:
        raise output_error(output, error) from error
    except soundfile.LibsndfileError as error:
        raise OutputError(str(output), str(error), "Choose another place") from error
