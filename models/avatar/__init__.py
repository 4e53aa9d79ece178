"""Presenters. Two doors: `open_performer` turns a line's sound into motion, `open_painter` draws
frames from motion.

A weightless engine stores motion, which is small, and the encode draws it as it goes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Protocol, assert_never

import numpy as np
from numpy.typing import NDArray

from models.avatar.viseme.portrait import Portrait
from models.avatar.viseme.presence import Facing
from studio.errors import EngineUnavailable
from studio.specs import AvatarEngineName, AvatarSpec, DeviceSpec
from studio.types import EngineInfo, Phoneme, Word


@dataclass(frozen=True, slots=True, kw_only=True)
class LineSound:
    """One line's sound: mono `samples` at `studio.types.SAMPLE_RATE`, full scale ±1, with the times
    of phonemes and words in samples from its start; `num_frames` at `fps` frames per second are
    wanted. `seed` is the line's own.
    """

    samples: NDArray[np.float32]
    phonemes: tuple[Phoneme, ...]
    words: tuple[Word, ...]
    num_frames: int
    fps: int
    seed: int


class Performer(Protocol):
    """An engine that turns sound into motion."""

    @property
    def info(self) -> EngineInfo:
        """What the engine says of itself."""

    def perform(self, line: LineSound) -> NDArray[np.float32]:
        """The motion of a line: (num_frames, channels); at rest in its last frame."""


class Painter(Protocol):
    """Draws one presenter."""

    @property
    def size_px(self) -> int:
        """Width and height of a frame."""

    @property
    def changed(self) -> tuple[int, int, int, int]:
        """Where the last `paint` differs from the one before it: x, y, width, height; the first
        differs everywhere, and width 0 says that nothing does.
        """

    def paint(self, frame: int) -> NDArray[np.uint8]:
        """Frame number `frame` of the episode: planes (4, size_px, size_px).

        Y, Cb, Cr (4:4:4, BT.709, limited range) and A, the first three premultiplied by alpha with
        their offsets: transparent is (0, 0, 0, 0), and a picture behind shows as
        `planes[:3] + (1 - a / 255) * below`. The same buffer is returned again and again: use it
        before the next call. Frames may be asked for in any order.
        """


class Actor(Protocol):
    """An engine that turns sound into frames of one presenter; warm for as many lines as there
    are.
    """

    @property
    def info(self) -> EngineInfo:
        """What the engine says of itself."""

    @property
    def size_px(self) -> tuple[int, int]:
        """Width and height of a frame, both even."""

    def film(self, line: LineSound) -> Iterator[NDArray[np.uint8]]:
        """The line's `num_frames` frames in chunks (n, height, width, 3), RGB; memory is constant.

        Raises:
            AvatarError: The device failed; nothing was skipped or repeated.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """Whom an actor plays: a `portrait` (h, w, 3), RGB, or for lips alone a film (n, h, w, 3)
    that is repeated.

    `pose_film`, frames (h, w, 3) at 25 fps, lends SadTalker its head's motion. `marks` are the
    portrait's 68 landmarks in its pixels where they are known, as for a drawing. `commercial`
    refuses weights that forbid commercial use.
    """

    portrait: NDArray[np.uint8]
    spec: AvatarSpec
    marks: NDArray[np.float64] | None = None
    pose_film: Iterable[NDArray[np.uint8]] | None = None
    commercial: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Sitting:
    """Who is drawn, how large, and where it looks.

    `portrait`, where given, is drawn instead of a host (`viseme.portrait.read_portrait` makes one).
    `look` is a host's name (`viseme.hosts.HOSTS`), perhaps with an outfit ("nova/teal"). `facing`
    says where the other host stands in the picture. `motion_scale` 0..2 scales the movement of head
    and brows.
    """

    look: str
    size_px: int
    fps: int
    seed: int
    facing: Facing = "front"
    portrait: Portrait | None = None
    motion_scale: float = 1.0


@contextmanager
def open_performer(engine: AvatarEngineName) -> Iterator[Performer]:
    """An engine that makes motion.

    Raises:
        EngineUnavailable: The engine makes frames, not motion.
    """
    match engine:
        case "viseme":
            from models.avatar.viseme.performer import VisemePerformer

            yield VisemePerformer()
        case "still":
            from models.avatar.still import StillPerformer

            yield StillPerformer()
        case "wav2lip" | "sadtalker" | "did_api":
            raise _absent(engine)
        case _:
            assert_never(engine)


@contextmanager
def open_painter(
    engine: AvatarEngineName,
    sitting: Sitting,
    parts: Sequence[tuple[int, NDArray[np.float32]]],
) -> Iterator[Painter]:
    """A painter for a whole episode.

    Args:
        engine: The engine that made the motion.
        sitting: Who is drawn, and how.
        parts: (first frame, motion) of every line of this presenter; all other frames show it
            listening.

    Raises:
        EngineUnavailable: The engine stores frames, not motion.
        SettingError: There is no such host or outfit.
    """
    match engine:
        case "viseme":
            from models.avatar.viseme.performer import paint_sitting

            yield paint_sitting(sitting, parts)
        case "still":
            from models.avatar.still import paint_still

            yield paint_still(sitting, parts)
        case "wav2lip" | "sadtalker" | "did_api":
            raise _absent(engine)
        case _:
            assert_never(engine)


@contextmanager
def open_actor(
    engine: AvatarEngineName,
    role: Role,
    device: DeviceSpec,
    *,
    cloud_key: str = "",
    pause: Callable[[float], None] = time.sleep,
) -> Iterator[Actor]:
    """An engine that films a presenter from a portrait.

    `cloud_key` is the secret of the service, for `did_api` only; `pause` waits for it, in seconds.

    Raises:
        EngineUnavailable: The engine makes no frames; torch, weights, the card or the key are
            missing; or the weights' licence forbids what is asked.
        NoFaceError: The portrait has no usable face.
    """
    match engine:
        case "wav2lip" | "sadtalker":
            if role.commercial:
                found = f"the published weights of {engine} are for non-commercial use"
                raise EngineUnavailable("avatar", found, 'Use "viseme", or leave out --commercial')
            if find_spec("torch") is None:
                remedy = "Install the extra: pip install podcast-studio[avatar]"
                raise EngineUnavailable("avatar", f"{engine} needs torch", remedy)
            if role.marks is not None:
                from models.avatar.portrait import check_marks

                check_marks(role.marks)
            if engine == "wav2lip":
                from models.avatar.wav2lip.lipsync import open_lipsync

                yield open_lipsync(role.portrait, role.spec, device, role.marks)
            else:
                from models.avatar.sadtalker.talker import open_talker

                yield open_talker(role.portrait, role.spec, device, role.marks, role.pose_film)
        case "did_api":
            from models.avatar.did_api import ADDRESS, Account, CloudActor
            from models.voice.cloud_http import Patience

            account = Account(key=cloud_key, address=role.spec.endpoint or ADDRESS)
            yield CloudActor(role.portrait, account, Patience(sleep=pause))
        case "viseme" | "still":
            raise EngineUnavailable(
                "avatar", f"the engine {engine!r} makes no frames", "Use another"
            )
        case _:
            assert_never(engine)


def _absent(engine: str) -> EngineUnavailable:
    found = f"the engine {engine!r} films: it makes no motion that could be drawn"
    return EngineUnavailable("avatar", found, "Open it as an actor, or use viseme")
