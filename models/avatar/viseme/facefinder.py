"""Finding a face and its lips in a picture without a trained landmark model.

OpenCV's own boosted cascades (Viola and Jones, 2001) find the face and the eyes; the eyes place an
average face, whose lids are then fitted to the lash line and whose lips are looked for by
`lipfinder`.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from models.avatar.viseme.landmarks import Curve, Landmarks, from_eyes
from models.avatar.viseme.lipfinder import see_lips
from studio.errors import EngineUnavailable, NoFaceError

REMEDY = (
    "Use a picture of one person looking straight at the camera, well lit, the face at least 100 "
    "pixels wide, or put a NAME.landmarks.json beside it."
)

Rgb = NDArray[np.uint8]
Lids = tuple[Curve, Curve]


@lru_cache(maxsize=8)
def _cascade(name: str) -> cv2.CascadeClassifier:
    folder = getattr(getattr(cv2, "data", None), "haarcascades", None)
    if folder is None or not hasattr(cv2, "CascadeClassifier"):
        raise EngineUnavailable(
            "portrait", f"OpenCV {cv2.__version__} has no cascades", "Install opencv below 5."
        )
    cascade = cv2.CascadeClassifier(str(Path(folder) / f"haarcascade_{name}.xml"))
    if cascade.empty():
        raise EngineUnavailable("portrait", f"OpenCV's {name} cascade is missing", "Reinstall it.")
    return cascade


def find_face(rgb: Rgb, name: str) -> Landmarks:
    """The landmarks of the largest face.

    Raises:
        NoFaceError: There is no face, or it is too small.
    """
    grey = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8)
    # Detection is quickest and steadiest when the picture is about 640 pixels wide.
    shrink = min(1.0, 640 / max(grey.shape))
    small = cv2.resize(grey, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    found = _largest_face(np.asarray(cv2.equalizeHist(small), np.uint8))
    if found is None:
        raise NoFaceError(name, "no face was found in the picture", REMEDY)
    x, y, side = (float(v) / shrink for v in found)
    if side < 40:
        raise NoFaceError(name, f"the face is only {side:.0f} pixels wide", REMEDY)
    eyes = _find_eyes(grey, x, y, side)
    face = from_eyes(*eyes)
    return see_lips(rgb, replace(face, lids=_see_lids(grey, face)))


def _largest_face(grey: NDArray[np.uint8]) -> tuple[int, int, int] | None:
    smallest = max(24, min(grey.shape) // 12)
    # From strict to lenient: glasses and beards pass only the later ones.
    for name, neighbours in (
        ("frontalface_alt2", 4),
        ("frontalface_default", 5),
        ("frontalface_alt", 2),
        ("frontalface_alt2", 1),
    ):
        boxes = _cascade(name).detectMultiScale(
            grey, scaleFactor=1.08, minNeighbors=neighbours, minSize=(smallest, smallest)
        )
        if len(boxes):
            x, y, width, _ = max(boxes, key=lambda box: int(box[2]))
            return int(x), int(y), int(width)
    return None


def _find_eyes(
    grey: NDArray[np.uint8], x: float, y: float, side: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Both eyes' middles. Where the cascade sees none, where the face's box says they are."""
    eyes = []
    for expected in (0.31, 0.69):
        x0, x1 = int(max(0, x + (expected - 0.21) * side)), int(x + (expected + 0.21) * side)
        y0, y1 = int(max(0, y + 0.20 * side)), int(y + 0.56 * side)
        part = grey[y0:y1, x0:x1]
        middle = np.array([x + expected * side, y + 0.39 * side], np.float32)
        zoom = 110 / max(part.shape[1], 1)
        view = cv2.resize(part, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_LINEAR)
        for cascade in ("eye", "eye_tree_eyeglasses"):
            boxes = _cascade(cascade).detectMultiScale(view, 1.05, 4, minSize=(28, 28))
            if len(boxes):
                bx, by, bw, bh = max(boxes, key=lambda box: int(box[2]))
                middle = np.array(
                    [x0 + (bx + bw / 2) / zoom, y0 + (by + bh * 0.53) / zoom], np.float32
                )
                break
        eyes.append(_pupil(grey, middle, side * 0.07))
    return eyes[0], eyes[1]


def _pupil(grey: NDArray[np.uint8], near: NDArray[np.float32], reach: float) -> NDArray[np.float32]:
    """The centre of the dark spot near a point: iris and lashes, weighted by darkness."""
    x0, y0 = (int(max(0, v - reach)) for v in near)
    part = grey[y0 : int(near[1] + reach) + 1, x0 : int(near[0] + reach) + 1].astype(np.float32)
    if part.size < 9:
        return near
    dark = np.clip(np.percentile(part, 35) - part, 0, None) ** 1.5
    if dark.sum() < 1:
        return near
    rows, columns = np.arange(part.shape[0]) + y0, np.arange(part.shape[1]) + x0
    seen = np.array([(dark.sum(0) @ columns), (dark.sum(1) @ rows)]) / dark.sum()
    # The spot steadies the cascade's guess; it does not replace it.
    return np.asarray(near * 0.45 + seen * 0.55, np.float32)


def _see_lids(grey: NDArray[np.uint8], face: Landmarks) -> tuple[Lids, Lids]:
    """The average face's lids, opened as far as the lash line lies above each eye's middle."""
    unit = face.eye_distance
    heights = []
    for upper, lower in face.lids:
        x, y = (upper.mean(0) + lower.mean(0)) / 2
        rows = (np.linspace(-0.24, -0.02, 45) * unit + y).astype(np.float32)
        columns = (np.linspace(-0.10, 0.10, 15) * unit + x).astype(np.float32)
        map_x, map_y = np.meshgrid(columns, rows)
        view = cv2.remap(grey, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        profile = np.asarray(view, np.float64).mean(1)
        # Skin turns to lashes where the rows darken fastest; a lid at its usual height is
        # preferred.
        darker = np.convolve(profile[:-4] - profile[4:], np.ones(3) / 3, "same")
        usual = np.exp(-(((np.linspace(-0.24, -0.02, 45)[2:-2] + 0.11) / 0.09) ** 2))
        best = int((darker * usual).argmax())
        seen = float(y - rows[2 + best]) / unit
        heights.append(seen if darker[best] > 6 else 0.085)
    # Both eyes are open alike; one that was misread is outvoted by the cautious one.
    open_by = float(np.clip(min(heights), 0.06, 0.20))

    def opened(pair: Lids) -> Lids:
        upper, lower = pair
        stretch_up, stretch_down = open_by / 0.085, max(0.85, open_by / 0.11)
        chord_up = np.linspace(upper[0], upper[-1], len(upper))
        chord_down = np.linspace(lower[0], lower[-1], len(lower))
        return (
            np.asarray(chord_up + (upper - chord_up) * stretch_up, np.float32),
            np.asarray(chord_down + (lower - chord_down) * stretch_down, np.float32),
        )

    return opened(face.lids[0]), opened(face.lids[1])
