"""The whole picture of an episode, drawn frame by frame into an encoder's planes.

Layers lie over a backdrop. Layers whose boxes meet form a group; a frame restores and repaints
only the groups in which something changed, so a still background stays bit-identical and costs the
encoder next to nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from models.picture.captions import CaptionLayer
from models.picture.hearing import Hearing
from models.picture.labels import ChapterLayer, NamePlate, title_layer
from models.picture.layout import Layout
from models.picture.planes import Blender, Planes, Rect, Sprite
from models.picture.visualizer import VisualizerLayer
from studio.specs import PictureSpec
from studio.types import Caption, Chapter


class Painter(Protocol):
    """Draws a host: see `models.avatar`."""

    def paint(self, frame: int) -> NDArray[np.uint8]:
        """`(4, h, w)`: Y, U, V (4:4:4, BT.709, limited range) and A, premultiplied."""
        ...


class Backdrop(Protocol):
    """What stands behind everything."""

    moves: bool

    def at(self, frame: int) -> Planes:
        """The planes of a frame; frames come in rising order."""
        ...


class Layer(Protocol):
    """Something in the picture."""

    box: Rect

    def update(self, frame: int) -> bool:
        """Go to a frame; whether it looks different from the frame before."""
        ...

    def paint(self, canvas: Planes) -> None:
        """Blend itself into the canvas part of `box`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A presenter in the picture: name, painter with its own rate, `(start, end)` of each turn in
    samples.
    """

    name: str
    painter: Painter
    fps: int
    turns: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Programme:
    """What the picture has to tell, on the episode's timeline. `desk` says that the backdrop has
    one in front of the hosts; elsewhere their lower edge fades out.
    """

    title: str
    hosts: tuple[Host, ...]
    captions: tuple[Caption, ...]
    chapters: tuple[Chapter, ...]
    desk: bool


FADE_SHARE = 0.14
"""Lower part of a host that fades out where no desk hides the cut."""


class HostLayer:
    """A host in its square: scaled to it if need be, standing at its foot."""

    def __init__(self, host: Host, box: Rect, fps: int, fades: bool) -> None:
        self.box = box
        self._painter, self._host_fps, self._fps = host.painter, host.fps, fps
        self._painted = -1
        self._full = np.zeros((4, box.h, box.w), np.uint8)
        self._half = np.zeros((3, box.h // 2, box.w // 2), np.uint8)
        self._clear = np.zeros((box.h, box.w), np.uint8)
        self._ramp = _ramp(box.w, box.h) if fades else None
        self._blender = Blender()
        self._sprite: Sprite | None = None
        self._at: Rect | None = None

    def update(self, frame: int) -> bool:
        """Paint the host, unless it moves at a lower rate and has not moved yet."""
        moment = frame * self._host_fps // self._fps
        if moment == self._painted:
            return False
        self._painted = moment
        drawn = self._painter.paint(moment)
        if drawn.shape[1:] != (self.box.h, self.box.w) or self._ramp is not None:
            drawn = self._stood(drawn)
        self._at = _even_bounds(drawn[3])
        if self._at is not None:
            self._sprite = self._halved(drawn, self._at)
        return True

    def paint(self, canvas: Planes) -> None:
        """Blend the host into the canvas part of `box`."""
        if self._at is not None and self._sprite is not None:
            self._blender.blend(canvas.part(self._at), self._sprite)

    def _halved(self, drawn: NDArray[np.uint8], at: Rect) -> Sprite:
        """The part of the host that is not clear, as a 4:2:0 sprite in buffers used again."""
        full = np.s_[at.y : at.bottom, at.x : at.right]
        clear = self._clear[full]
        u, v, clear_half = (plane[: at.h // 2, : at.w // 2] for plane in self._half)
        cv2.bitwise_not(drawn[3][full], dst=clear)
        for source, target in ((drawn[1][full], u), (drawn[2][full], v), (clear, clear_half)):
            cv2.resize(source, (at.w // 2, at.h // 2), dst=target, interpolation=cv2.INTER_AREA)
        return Sprite(Planes(drawn[0][full], u, v), clear, clear_half)

    def _stood(self, drawn: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The host scaled into the box with its aspect kept, feet at the bottom, faded there."""
        tall, wide = drawn.shape[1:]
        scale = min(self.box.w / wide, self.box.h / tall)
        w, h = min(self.box.w, round(wide * scale)), min(self.box.h, round(tall * scale))
        left, top = (self.box.w - w) // 2, self.box.h - h
        method = cv2.INTER_AREA if scale < 1.0 else cv2.INTER_LINEAR
        for source, target in zip(drawn, self._full, strict=True):
            part = target[top:, left : left + w]
            if (w, h) == (wide, tall):
                np.copyto(part, source)
            else:
                cv2.resize(source, (w, h), dst=part, interpolation=method)
        if self._ramp is not None:
            for plane in self._full[:, -len(self._ramp) :]:
                cv2.multiply(plane, self._ramp, dst=plane, scale=1.0 / 255.0)
        return self._full


def _even_bounds(alpha: NDArray[np.uint8]) -> Rect | None:
    """The smallest even box around all that is not clear; None when everything is."""
    x, y, w, h = cv2.boundingRect(alpha)
    if not w:
        return None
    left, top = x & ~1, y & ~1
    return Rect(left, top, (x + w - left + 1) & ~1, (y + h - top + 1) & ~1)


def _ramp(width: int, height: int) -> NDArray[np.uint8]:
    """Falls smoothly from opaque to clear over the lowest `FADE_SHARE` of a host."""
    rows = max(2, round(FADE_SHARE * height))
    share = 0.5 + 0.5 * np.cos(np.pi * (np.arange(rows) + 0.5) / rows)
    return np.repeat(np.rint(255 * share).astype(np.uint8)[:, None], width, axis=1)


class Scene:
    """All layers of an episode over a backdrop."""

    def __init__(
        self,
        picture: PictureSpec,
        layout: Layout,
        programme: Programme,
        backdrop: Backdrop,
        hearing: Hearing,
    ) -> None:
        self._backdrop = backdrop
        self._groups = _groups(_layers(picture, layout, programme, hearing))

    def draw(self, frame: int, canvas: Planes) -> None:
        """Bring `canvas`, which holds the frame before, to `frame`; frames come in order from 0."""
        behind = self._backdrop.at(frame)
        everything = self._backdrop.moves or frame == 0
        if everything:
            canvas.copy_from(behind)
        for group in self._groups:
            changed = [layer.update(frame) for layer in group]
            if not (everything or any(changed)):
                continue
            if not everything:
                for layer in group:
                    canvas.part(layer.box).copy_from(behind.part(layer.box))
            for layer in group:
                layer.paint(canvas.part(layer.box))


def _layers(
    picture: PictureSpec, layout: Layout, programme: Programme, hearing: Hearing
) -> list[Layer]:
    """Everything that is shown, from back to front."""
    layers: list[Layer] = []
    accent = picture.captions.highlight_color
    if picture.visualizer is not None and layout.visualizer is not None:
        spec = picture.visualizer
        layers.append(VisualizerLayer(spec, layout.visualizer, layout.unit, picture.fps, hearing))
        accent = spec.color
    if layout.title is not None and programme.title:
        layers.append(title_layer(programme.title, layout.title, layout.unit, layout.centred))
    if layout.chapter is not None and len(programme.chapters) > 1:
        align = 0.5 if layout.centred else (1.0 if layout.width > layout.height else 0.0)
        # The opening chapter often has the episode's own title, which stands there already.
        running = [
            replace(chapter, title="") if chapter.title == programme.title else chapter
            for chapter in programme.chapters
        ]
        layers.append(ChapterLayer(running, layout.chapter, picture.fps, align))
    shown = list(zip(programme.hosts, layout.hosts, layout.plates, strict=False))
    for host, box, _ in shown:
        layers.append(HostLayer(host, box, picture.fps, fades=not programme.desk))
    for host, _, box in shown:
        solo = len(shown) == 1
        layers.append(NamePlate(host.name, box, picture.fps, host.turns, accent, solo))
    if layout.captions is not None and programme.captions:
        box, size = layout.captions, layout.caption_px
        layers.append(CaptionLayer(programme.captions, box, size, picture.captions, picture.fps))
    return layers


def _groups(layers: Sequence[Layer]) -> list[list[Layer]]:
    """Layers whose boxes meet, directly or through others, each group from back to front."""
    group_of = list(range(len(layers)))
    for i, first in enumerate(layers):
        for j in range(i):
            if first.box.meets(layers[j].box) and group_of[i] != group_of[j]:
                old, new = group_of[i], group_of[j]
                group_of = [new if group == old else group for group in group_of]
    return [
        [layer for layer, group in zip(layers, group_of, strict=True) if group == wanted]
        for wanted in dict.fromkeys(group_of)
    ]
