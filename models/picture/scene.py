"""The whole picture of an episode, drawn frame by frame into an encoder's planes.

Layers lie over a backdrop. Layers whose boxes meet form a group; a frame restores and repaints
only the parts of a group that changed, so a still background stays bit-identical and costs the
encoder next to nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from models.picture.captions import CaptionLayer
from models.picture.hearing import Hearing
from models.picture.host_layer import Host, HostLayer
from models.picture.labels import ChapterLayer, NamePlate, title_layer
from models.picture.layout import Layout
from models.picture.planes import Planes, Rect
from models.picture.visualizer import VisualizerLayer
from studio.specs import PictureSpec
from studio.types import Caption, Chapter


class Backdrop(Protocol):
    """What stands behind everything."""

    moves: bool

    def at(self, frame: int) -> Planes:
        """The planes of a frame; frames come in rising order."""
        ...


class Layer(Protocol):
    """Something in the picture."""

    box: Rect

    def update(self, frame: int) -> Rect | None:
        """Go to a frame; the part of the picture, within `box`, that looks different from the frame
        before, None when nothing does.
        """
        ...

    def paint(self, canvas: Planes, part: Rect) -> None:
        """Blend `part` of itself, a box within its own, into the canvas part of `box`."""
        ...


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
            if everything:
                for layer in group:
                    layer.paint(canvas.part(layer.box), layer.box.inner)
                continue
            for part in _apart([part for part in changed if part is not None]):
                canvas.part(part).copy_from(behind.part(part))
                for layer in group:
                    shown = layer.box.common(part)
                    if shown is not None:
                        inside = shown.shifted(-layer.box.x, -layer.box.y)
                        layer.paint(canvas.part(layer.box), inside)


def _apart(parts: Sequence[Rect]) -> list[Rect]:
    """Boxes that do not meet, around all parts: what meets is joined."""
    apart: list[Rect] = []
    for part in parts:
        joined = part
        while (met := next((other for other in apart if other.meets(joined)), None)) is not None:
            apart.remove(met)
            joined = joined.around(met)
        apart.append(joined)
    return apart


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
