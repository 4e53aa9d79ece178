"""Where everything stands in the picture: a pure function of what is shown, for any size.

The picture is a stack: title, (visualiser), hosts, (visualiser), captions. The hosts stand on one
line and take what height the rest leaves. A visualiser too tall for its share grows behind the
hosts, never under a caption.
"""

from __future__ import annotations

from dataclasses import dataclass

from models.picture.planes import Rect
from studio.specs import Aspect, PictureSpec, Quality

SHORT_SIDE_PX: dict[Quality, int] = {
    "480p": 480,
    "720p": 720,
    "1080p": 1080,
    "1440p": 1440,
    "2160p": 2160,
}
"""Lines of the short side; the long side follows from the aspect."""

MAX_HOSTS = 4
"""More than four faces side by side are too small to read; other speakers are only heard."""

REFERENCE_PX = 1080
"""The short side at which lengths in pixels are given."""

LINES_PER_CAPTION = 2
LINE_HEIGHT_EM = 1.28
"""Line spacing of captions in font sizes: enough that accents and descenders do not touch."""

OVERLAP = 0.12
"""Share of a host's width that its neighbour may cover: a bust is narrower than its square."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Boxes in pixels. Hosts stand on the line `stage_y`; `unit` is one reference pixel."""

    width: int
    height: int
    unit: float
    stage_y: int
    title: Rect | None
    chapter: Rect | None
    hosts: tuple[Rect, ...]
    plates: tuple[Rect, ...]
    visualizer: Rect | None
    captions: Rect | None
    caption_px: int
    centred: bool

    def faces(self) -> tuple[Rect, ...]:
        """The part of each host's square that holds head and neck."""
        return tuple(
            Rect(_even(box.x + 0.2 * box.w), box.y, _even(0.6 * box.w), _even(0.72 * box.h))
            for box in self.hosts
        )


def frame_size(aspect: Aspect, quality: Quality) -> tuple[int, int]:
    """Width and height in pixels, both even."""
    short = SHORT_SIDE_PX[quality]
    long = _even(short * 16 / 9)
    match aspect:
        case "16:9":
            return long, short
        case "9:16":
            return short, long
        case "1:1":
            return short, short


def lay_out(picture: PictureSpec, num_hosts: int) -> Layout:
    """Place title, hosts (the first `MAX_HOSTS`), visualiser and captions."""
    width, height = frame_size(picture.aspect, picture.quality)
    num_hosts = min(num_hosts, MAX_HOSTS)
    unit = min(width, height) / REFERENCE_PX
    margin = 40 * unit
    top, floor = margin, height - margin
    caption_px = max(8, round(min(picture.captions.size_pct / 100 * height, width / 24)))
    captions = title = chapter = visualizer = None
    if picture.captions.burn:
        tall = _even(caption_px * (LINES_PER_CAPTION * LINE_HEIGHT_EM + 0.8))
        captions = Rect(_even(margin), _even(floor - tall), _even(width - 2 * margin), tall)
        floor = captions.y - 20 * unit
    if picture.show_title and num_hosts:
        title, chapter = _corner_title(width, height, top, unit)
        top = max(title.bottom, chapter.bottom) + 4 * unit
    if picture.visualizer is not None:
        visualizer = _visualizer(picture, width, top, floor, unit, num_hosts)
        if picture.visualizer.position == "top" and num_hosts:
            top = min(visualizer.bottom + 8 * unit, top + 0.25 * height)
        elif picture.visualizer.position == "bottom":
            floor = max(visualizer.y - 8 * unit, floor - 0.25 * height)
    if picture.show_title and not num_hosts:
        title, chapter = _hero_title(width, top, floor, unit, visualizer)
    stage_y = _even(floor)
    hosts = _hosts(num_hosts, width, top, stage_y, margin)
    return Layout(
        width=width, height=height, unit=unit, stage_y=stage_y, title=title, chapter=chapter,
        hosts=hosts,
        plates=tuple(_plate(box, stage_y, unit) for box in hosts),
        visualizer=visualizer, captions=captions,
        caption_px=caption_px, centred=not num_hosts,
    )  # fmt: skip


def _even(value: float) -> int:
    return max(2, 2 * round(value / 2)) if value > 0 else 2 * round(value / 2)


def _visualizer(
    picture: PictureSpec, width: int, top: float, floor: float, unit: float, num_hosts: int
) -> Rect:
    spec = picture.visualizer
    assert spec is not None  # noqa: S101 - the caller asked
    share = (
        spec.height_pct / 100 * (picture_height := frame_size(picture.aspect, picture.quality)[1])
    )
    if spec.style == "circular":
        # A ring needs a square: three times the strip's height shows as much movement.
        share = min(3 * share, 0.8 * width, 0.9 * picture_height)
    tall = _even(min(share, floor - top))
    wide = tall if spec.style == "circular" else _even(width - 2 * 56 * unit)
    x = _even((width - wide) / 2)
    match spec.position:
        case "top":
            return Rect(x, _even(top), wide, tall)
        case "bottom":
            return Rect(x, _even(floor) - tall, wide, tall)
        case "center":
            middle = (top + floor) / 2 if num_hosts else 0.56 * (top + floor)
            y = min(max(middle - tall / 2, top), floor - tall)
            return Rect(x, _even(y), wide, tall)


def _corner_title(width: int, height: int, top: float, unit: float) -> tuple[Rect, Rect]:
    """Title and chapter: on one line left and right; in a square or upright picture one above the
    other, the upright one with room for two lines.
    """
    x, room = _even(48 * unit), width - 96 * unit
    if width > height:
        left = Rect(x, _even(top), _even(0.62 * room), _even(68 * unit))
        wide = _even(0.36 * room)
        return left, Rect(width - x - wide, left.y, wide, left.h)
    if width == height:
        left = Rect(x, _even(top), _even(room), _even(76 * unit))
        return left, Rect(x, left.bottom, left.w, _even(56 * unit))
    tall = Rect(x, _even(top + 24 * unit), _even(room), _even(216 * unit))
    return tall, Rect(x, tall.bottom, tall.w, _even(72 * unit))


def _hero_title(
    width: int, top: float, floor: float, unit: float, visualizer: Rect | None
) -> tuple[Rect, Rect]:
    """With nobody in the picture the title is the picture: centred in the free part above or below
    the visualiser, the chapter under it.
    """
    if visualizer is not None:
        above, below = visualizer.y - top, floor - visualizer.bottom
        top, floor = (top, visualizer.y) if above >= below else (visualizer.bottom, floor)
    room = max(8.0, floor - top)
    tall, small = min(320 * unit, 0.74 * room), min(76 * unit, 0.22 * room)
    y = top + (room - tall - small) / 2
    x, wide = _even(0.08 * width), _even(0.84 * width)
    title = Rect(x, _even(y), wide, max(2, 2 * int(tall / 2)))
    return title, Rect(x, title.bottom, wide, max(2, 2 * int(small / 2)))


def _hosts(count: int, width: int, top: float, stage_y: int, margin: float) -> tuple[Rect, ...]:
    """Squares side by side on the stage line, centred, overlapping a little where room is short."""
    if not count:
        return ()
    room = width - margin / 2
    side = min(stage_y - top, room / (count - OVERLAP * (count - 1)), 0.92 * width)
    side = 2 * int(side / 2)
    step = min(1.25 * side, (room - side) / max(1, count - 1))
    left = (width - (count - 1) * step - side) / 2
    return tuple(Rect(_even(left + i * step), stage_y - side, side, side) for i in range(count))


def _plate(host: Rect, stage_y: int, unit: float) -> Rect:
    wide, tall = _even(min(host.w * 0.84, 460 * unit)), _even(58 * unit)
    return Rect(_even(host.x + (host.w - wide) / 2), stage_y - _even(tall + 10 * unit), wide, tall)
