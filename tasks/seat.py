"""Who sits before the camera: a speaker, what its presenter looks like, what an engine is shown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.avatar import Sitting, open_painter
from models.avatar.portrait import decode_marks, decode_portrait
from studio.specs import AvatarEngineName, AvatarSpec
from studio.store import Store
from studio.types import Blob, SpokenLine
from tasks.film import film_frames

POSE_FPS = 25
"""Frames a second of a film that lends its head's motion: SadTalker's own rate."""

POSE_S = 20.0
"""So much of the film is followed, then from its start again. A face is looked for in every frame:
a second of film costs a processor half a minute.
"""

POSE_PX = 640
"""Longer sides are scaled down: a head's pose needs no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """Who acts, and in which lines: a user's portrait, or the drawn host called `look`. `engine`
    is what the script asks for before the profile's own list; `pose_film` lends its head's motion
    to engines that can follow one.
    """

    speaker: str
    look: str
    portrait: Blob | None
    landmarks: Blob | None = None
    engine: AvatarEngineName | None = None
    pose_film: Blob | None = None
    seed: int
    lines: tuple[SpokenLine, ...] = ()


def picture_of(seat: Seat, avatar: AvatarSpec, store: Store) -> NDArray[np.uint8]:
    """What a neural engine animates: the portrait, or the drawn host."""
    if seat.portrait is not None:
        return decode_portrait(store.path(seat.portrait).read_bytes(), "portrait")
    return host_picture(seat.look, avatar.size_px, seat.seed)


def marks_of(seat: Seat, store: Store) -> NDArray[np.float64] | None:
    """A portrait's 68 landmarks, where the user gave them."""
    if seat.portrait is None or seat.landmarks is None:
        return None
    sidecar = store.path(seat.landmarks).read_bytes()
    return decode_marks(sidecar, store.path(seat.portrait).read_bytes())


def pose_film_of(seat: Seat, store: Store) -> Iterator[NDArray[np.uint8]] | None:
    """The frames that lend the head's motion, decoded as they are asked for."""
    if seat.pose_film is None:
        return None
    return film_frames(store.path(seat.pose_film), POSE_FPS, POSE_S, POSE_PX)


def host_picture(look: str, size_px: int, seed: int) -> NDArray[np.uint8]:
    """A drawn host at rest before a grey wall: (size_px, size_px, 3), RGB."""
    sitting = Sitting(look=look, size_px=size_px, fps=25, seed=seed)
    with open_painter("viseme", sitting, ()) as painter:
        y, cb, cr, alpha = painter.paint(0).astype(np.float32)
    # BT.709, limited range; the planes are premultiplied, the wall fills what is left.
    rest = 1 - alpha / 255
    y, cb, cr = y + 150 * rest - 16, cb + 128 * rest - 128, cr + 128 * rest - 128
    luma = y * (255 / 219)
    rgb = np.stack(
        (luma + 1.7927 * cr, luma - 0.2132 * cb - 0.5329 * cr, luma + 2.1124 * cb), axis=-1
    )
    return np.asarray(np.rint(np.clip(rgb, 0, 255)), np.uint8)
