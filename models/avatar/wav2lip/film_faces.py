"""Where the presenter's face is in every frame of a film, without detecting it in every frame.

A detector costs twenty times the lip network. A sitting presenter's box hardly moves within a
fifth of a second, and the boxes are averaged over five frames anyway: the detector looks at every
fifth frame, and between two that disagree it looks again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.avatar.face.boxes import Detection, smooth
from models.avatar.portrait import Picture
from studio.errors import NoFaceError

CHIN_PX: Final = 10
"""The box is extended below by this, so that the chin may drop (the authors' default padding)."""
STEP: Final = 5
"""Frames between two looks: the authors' window of smoothing."""
AGREED: Final = 0.85
"""Overlap (intersection over union) from which on two boxes are the same face going straight from
one to the other: for a box of 200 pixels a shift of 16.
"""


def follow(
    film: Sequence[Picture] | NDArray[np.uint8], detect: Callable[[Picture], list[Detection]]
) -> list[Detection | None]:
    """The largest face of every frame (n, h, w, 3); `None` where there is none.

    Between two looks that agree the box is interpolated; where they do not, because the face
    moved, came or went, or another is larger, `detect` looks half-way, down to the single frame.
    """
    faces: list[Detection | None] = [None] * len(film)

    def look(frame: int) -> None:
        faces[frame] = max(detect(film[frame]), key=lambda face: face.area, default=None)

    def between(first: int, last: int) -> None:
        if last - first < 2:
            return
        before, after = faces[first], faces[last]
        if before is None and after is None:
            return
        if before is None or after is None or overlap(before, after) < AGREED:
            middle = (first + last) // 2
            look(middle)
            between(first, middle)
            between(middle, last)
            return
        for frame in range(first + 1, last):
            faces[frame] = _on_the_way(before, after, (frame - first) / (last - first))

    last = len(film) - 1
    looks = sorted({*range(0, len(film), STEP), last})
    look(0)
    for first, second in pairwise(looks):
        look(second)
        between(first, second)
    return faces


def overlap(one: Detection, other: Detection) -> float:
    """Intersection over union of two boxes, 0 to 1."""
    left, top = max(one.box[0], other.box[0]), max(one.box[1], other.box[1])
    right, bottom = min(one.box[2], other.box[2]), min(one.box[3], other.box[3])
    common = max(0.0, right - left) * max(0.0, bottom - top)
    union = one.area + other.area - common
    return common / union if union > 0 else 0.0


def _on_the_way(before: Detection, after: Detection, share: float) -> Detection:
    left, top, right, bottom = (
        a + (b - a) * share for a, b in zip(before.box, after.box, strict=True)
    )
    return Detection(box=(left, top, right, bottom), score=min(before.score, after.score))


def face_box(face: Detection, width: int, height: int) -> tuple[int, int, int, int]:
    """The rectangle that the network paints: the detector's, with the chin, inside the picture."""
    left, top, right, bottom = (int(v) for v in face.box)
    return max(0, left), max(0, top), min(width, right), min(height, bottom + CHIN_PX)


def film_boxes(faces: list[Detection | None], width: int, height: int) -> NDArray[np.int64]:
    """Boxes (n, 4) of a film from its frames' detections, steadied.

    A frame without a detection takes the box of its nearest neighbour in time instead of failing
    the film.

    Raises:
        NoFaceError: No frame has a face.
    """
    seen = np.array([i for i, face in enumerate(faces) if face is not None])
    if len(seen) == 0:
        remedy = "Give a film in which the presenter faces the camera"
        raise NoFaceError("portrait", f"no face in any of {len(faces)} frames", remedy)
    nearest = [faces[seen[np.abs(seen - i).argmin()]] for i in range(len(faces))]
    boxes = [face_box(face, width, height) for face in nearest if face is not None]
    return smooth(np.array(boxes, np.float64))
