"""A corpus of broken media: small real files of every kind we read, damaged by accident."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator, Mapping
from fractions import Fraction
from functools import cache
from itertools import islice
from pathlib import Path

import av
import numpy as np
import soundfile
from numpy.typing import NDArray
from PIL import Image

from models.avatar.portrait import decode_portrait
from models.avatar.viseme.portrait import read_portrait
from models.voice.reference import read_reference
from studio.audio import decode_audio
from studio.corpus import CorpusSpec
from studio.store import Store
from tasks.backdrop import read_film, read_still
from tasks.corpus_clip import Aside, Clip, Hashes, make_clip
from tasks.corpus_sources import Take
from tasks.run import Desk, Run
from tasks.script import Order, rehearse
from tasks.seat import host_picture
from tests.fuzz import grammar

SOUNDS = ("wav", "flac", "mp3", "m4a", "ogg", "opus", "mp4")
PICTURES = ("png", "jpeg", "webp", "gif", "tiff", "bmp")
FILMS = ("mp4", "mkv", "webm")

LONGEST_SOUND_S, MOST_FRAMES = 60, 64
"""A damaged header may promise hours: this much of what is decoded is looked at."""


@cache
def _tone(seconds: float = 1.2) -> NDArray[np.float32]:
    at = np.arange(round(seconds * 48_000)) / 48_000
    wave = 0.3 * np.sin(2 * np.pi * 220 * at) * (0.5 + 0.5 * np.sin(2 * np.pi * 3 * at))
    return np.stack([wave, wave], axis=1).astype(np.float32)


@cache
def sound(kind: str) -> bytes:
    """A second of a tone as a file of that kind."""
    buffer = io.BytesIO()
    if kind in {"wav", "flac", "ogg", "opus"}:
        form, codec = ("ogg", "opus") if kind == "opus" else (kind, None)
        soundfile.write(buffer, _tone(), 48_000, format=form, subtype=codec)
        return buffer.getvalue()
    container, codec = {"m4a": "ipod"}.get(kind, kind), "libmp3lame" if kind == "mp3" else "aac"
    with av.open(buffer, "w", format=container) as file:
        stream = file.add_stream(codec, rate=48_000)
        assert isinstance(stream, av.AudioStream)
        stream.layout = "stereo"
        frame = av.AudioFrame.from_ndarray(_tone().T.copy(), format="fltp", layout="stereo")
        frame.sample_rate, frame.pts = 48_000, 0
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return buffer.getvalue()


@cache
def picture(kind: str) -> bytes:
    """A drawn host's picture as a file of that kind."""
    buffer = io.BytesIO()
    Image.fromarray(host_picture("nova", 128, 7)).save(buffer, kind)
    return buffer.getvalue()


@cache
def film(kind: str) -> bytes:
    """Half a second of a moving picture."""
    buffer = io.BytesIO()
    container = {"mkv": "matroska"}.get(kind, kind)
    with av.open(buffer, "w", format=container) as file:
        stream = file.add_stream("libvpx" if kind == "webm" else "libx264", rate=12)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for index in range(6):
            shade = np.full((64, 96, 3), 40 * index, np.uint8)
            frame = av.VideoFrame.from_ndarray(shade, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 12)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return buffer.getvalue()


def _broken(draw: random.Random, kinds: Mapping[str, bytes]) -> bytes:
    """One of the files, damaged once or more, rarely whole, under any of the names."""
    kind = draw.choice(list(kinds))
    data = kinds[kind]
    for _ in range(draw.choice([0, 1, 1, 1, 2, 4])):
        data = grammar.damaged(draw, data)
    name = draw.choice(list(kinds)) if draw.random() < 0.2 else kind
    return name.encode() + b"\n" + data


def make_sound(draw: random.Random) -> bytes:
    """A damaged recording; its first line is its suffix."""
    return _broken(draw, {kind: sound(kind) for kind in SOUNDS})


def make_picture(draw: random.Random) -> bytes:
    """A damaged picture; its first line is its suffix."""
    return _broken(draw, {kind: picture(kind) for kind in PICTURES})


def make_film(draw: random.Random) -> bytes:
    """A damaged film or recording; its first line is its suffix."""
    return _broken(draw, {kind: film(kind) for kind in FILMS})


def _put(folder: Path, data: bytes) -> Path:
    suffix, _, content = data.partition(b"\n")
    path = folder / f"given.{suffix.decode()}"
    path.write_bytes(content)
    return path


def _rehearsed(folder: Path, **files: str) -> None:
    script = folder / "talk.txt"
    script.write_text("Hello.\n", encoding="utf-8")
    run = Run(store=Store(folder / "store"), out_dir=folder / "out", desk=Desk())
    rehearse.fn(Order(script=str(script), **files), run=run)


def _blocks(path: Path) -> Iterator[NDArray[np.float32]]:
    left = LONGEST_SOUND_S * 48_000
    for block in decode_audio(path):
        assert block.dtype == np.float32
        assert block.ndim == 2
        assert block.shape[1] == 2
        left -= len(block)
        yield block
        if left < 0:
            return


def enter_sound(folder: Path, data: bytes) -> None:
    """As music, and as a voice to be cloned."""
    path = _put(folder, data)
    _rehearsed(folder, music=str(path))
    for _ in _blocks(path):
        pass
    read_reference(path)


def enter_picture(folder: Path, data: bytes) -> None:
    """As a background and as a portrait."""
    path = _put(folder, data)
    _rehearsed(folder, background=str(path))
    still = read_still(path, "#16323a")
    assert still is None or (still.dtype == np.uint8 and still.shape[2:] == (3,))
    picture = decode_portrait(path.read_bytes())
    assert picture.shape[2] == 3
    read_portrait(path.read_bytes(), path.name)


def enter_film(folder: Path, data: bytes) -> None:
    """As a moving background."""
    path = _put(folder, data)
    _rehearsed(folder, background=str(path))
    for time_s, length_s, planes in islice(read_film(path, 64, 36), MOST_FRAMES):
        assert np.isfinite([time_s, length_s]).all()
        assert planes.y.shape == (36, 64)


def enter_take(folder: Path, data: bytes) -> None:
    """As a recording of a training corpus: kept or put aside with a reason, never raised."""
    path = _put(folder, data)
    take = Take(id="a", text="Some words.", path=path, source=path.name)
    made, _ = make_clip(take, CorpusSpec(), Hashes(), frozenset())
    assert isinstance(made, Clip | Aside)
    if isinstance(made, Clip):
        assert np.isfinite(made.mel.astype(np.float32)).all()
    else:
        assert made.what.reason
        assert made.what.found
