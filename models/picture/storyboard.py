"""The storyboard as a picture: a timeline above, the words below."""

from __future__ import annotations

import numpy as np
from PIL import Image as PilImage
from PIL import ImageDraw

from models.picture import lettering
from models.picture.colour import Image, mixed, rgb_of, shifted
from studio.storyboard import Board, Strip

WIDTH_PX = 1800
MARGIN_PX = 60
COLUMNS = 3
GAP_PX = 24
ROW_PX = 46
"""Height of a row of the timeline; a level of -24 dB and below is a tenth of it."""

MAX_PANELS = 60
"""Panels of the sheet; a longer script has several lines in one."""

_INK, _QUIET = "#f4f2ec", "#a9b8bb"
_VOICES = ("#ffb454", "#7cc7ff", "#b5e48c", "#ff8fa3", "#c3a6ff", "#80ded9")
_MUSIC = "#5fb49c"


def draw_board(board: Board, colour: str) -> Image:
    """Draw a storyboard `(height, WIDTH_PX, 3)` in RGB; the height follows from the script."""
    paper = shifted(colour, 0, 0.9, 0.55)
    panels = _panels(board)
    rows = -(-len(panels) // COLUMNS)
    speakers = board.speakers
    top = 210
    sheet_top = top + (len(speakers) + 2) * (ROW_PX + 8) + 90
    height = sheet_top + rows * (_PANEL_PX + GAP_PX) + MARGIN_PX
    pen = _Pen(height, paper)
    pen.text(board.title, MARGIN_PX, 110, 60, _INK, WIDTH_PX - 2 * MARGIN_PX, display=True)
    facts = f"about {_clock(board.duration_s)} · {len(board.lines)} lines · "
    pen.text(facts + ", ".join(speakers), MARGIN_PX, 160, 28, _QUIET, WIDTH_PX - 2 * MARGIN_PX)
    _timeline(pen, board, top, paper)
    for index, panel in enumerate(panels):
        column, row = index % COLUMNS, index // COLUMNS
        left = MARGIN_PX + column * (_panel_width() + GAP_PX)
        _draw_panel(pen, panel, board, left, sheet_top + row * (_PANEL_PX + GAP_PX), paper)
    return np.asarray(pen.image, np.uint8)


_PANEL_PX = 275


def _panel_width() -> int:
    return (WIDTH_PX - 2 * MARGIN_PX - (COLUMNS - 1) * GAP_PX) // COLUMNS


class _Pen:
    """A picture and the two things that are drawn on it."""

    def __init__(self, height: int, paper: str) -> None:
        self.image = PilImage.new("RGB", (WIDTH_PX, height), rgb_of(paper))
        self._draw = ImageDraw.Draw(self.image)

    def box(self, left: float, top: float, right: float, bottom: float, colour: str) -> None:
        """A filled box with rounded corners, at least two pixels wide."""
        right = max(right, left + 2)
        radius = min(8.0, (right - left) / 2, (bottom - top) / 2)
        self._draw.rounded_rectangle((left, top, right, bottom), radius, rgb_of(colour))

    def text(
        self,
        words: str,
        left: float,
        baseline: float,
        size_px: int,
        colour: str,
        width: float,
        *,
        display: bool = False,
    ) -> None:
        """One line of text, cut off where it does not fit."""
        face: lettering.Face = "display" if display else "text"
        line = lettering.set_line(
            lettering.pieces_of(_cut(words, face, size_px, width)), face, size_px
        )
        above = lettering.ascent_px(size_px) + 4
        area = PilImage.new("L", (max(1, round(width) + 4), above + size_px // 2 + 4))
        shift = 0.0 if lettering.direction(words) != "rtl" else max(0.0, width - line.width)
        lettering.draw_line(area, line, shift, above)
        place = (round(left), round(baseline) - above)
        self.image.paste(PilImage.new("RGB", area.size, rgb_of(colour)), place, area)


def _cut(words: str, face: lettering.Face, size_px: int, width: float) -> str:
    """As many characters as fit, with an ellipsis where some are missing."""
    if lettering.measure(words, face, size_px) <= width:
        return words
    low, high = 0, len(words)
    while low < high:
        middle = (low + high + 1) // 2
        if lettering.measure(words[:middle] + "…", face, size_px) <= width:
            low = middle
        else:
            high = middle - 1
    return words[:low].rstrip() + "…" if low else ""


def _timeline(pen: _Pen, board: Board, top: int, paper: str) -> None:
    """A row of chapters, one per speaker, one of music, and the time below."""
    left, room = MARGIN_PX + 190, WIDTH_PX - 2 * MARGIN_PX - 190
    scale = room / max(board.duration_s, 1e-6)
    names = ["chapters", *board.speakers, "music"]
    for row, name in enumerate(names):
        y = top + row * (ROW_PX + 8)
        pen.box(left, y, left + room, y + ROW_PX, mixed(paper, _INK, 0.07))
        pen.text(name, MARGIN_PX, y + 31, 24, _QUIET, 175)
    for strip in board.chapters:
        x0, x1 = left + strip.start_s * scale, left + strip.end_s * scale
        pen.box(x0, top, x1 - 3, top + ROW_PX, mixed(paper, _INK, 0.25))
        pen.text(strip.label, x0 + 10, top + 31, 22, _INK, max(0.0, x1 - x0 - 22))
    for strip in board.lines:
        row = 1 + board.speakers.index(strip.who)
        y = top + row * (ROW_PX + 8)
        pen.box(
            left + strip.start_s * scale, y, left + strip.end_s * scale - 1, y + ROW_PX,
            _voice(board, strip.who),
        )  # fmt: skip
    base = top + (len(names) - 1) * (ROW_PX + 8)
    for strip in board.music:
        loud = min(1.0, max(0.1, 1.0 + strip.level_db / 24.0))
        x0, x1 = left + strip.start_s * scale, left + strip.end_s * scale
        pen.box(x0, base + ROW_PX * (1 - loud), x1 - 2, base + ROW_PX, _MUSIC)
        pen.text(strip.label, x0 + 10, base + 31, 22, _INK, max(0.0, x1 - x0 - 22))
    step = next((s for s in _STEPS if board.duration_s / s <= 12), _STEPS[-1])
    for tick in range(int(board.duration_s // step) + 1):
        x = left + tick * step * scale
        pen.text(_clock(tick * step), x, base + ROW_PX + 34, 22, _QUIET, 120)


_STEPS = (5, 10, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600)
"""Seconds between the marks of the time, at most twelve of them."""


def _panels(board: Board) -> list[list[Strip]]:
    """The lines of each panel: new speaker or chapter, new panel; neighbours joined if too many."""
    begins = {chapter.start_s for chapter in board.chapters}
    panels: list[list[Strip]] = []
    for line in board.lines:
        opens = any(panels and panels[-1][-1].start_s < at <= line.start_s for at in begins)
        if panels and not opens and panels[-1][0].who == line.who and len(panels[-1]) < 4:
            panels[-1].append(line)
        else:
            panels.append([line])
    share = -(-len(panels) // MAX_PANELS)
    groups = [panels[at : at + share] for at in range(0, len(panels), max(1, share))]
    return [[line for panel in group for line in panel] for group in groups]


def _draw_panel(
    pen: _Pen, lines: list[Strip], board: Board, left: int, top: int, paper: str
) -> None:
    width, first = _panel_width(), lines[0]
    pen.box(left, top, left + width, top + _PANEL_PX, mixed(paper, _INK, 0.1))
    pen.box(left, top, left + 10, top + _PANEL_PX, _voice(board, first.who))
    inner = width - 50
    pen.text(f"{_clock(first.start_s)}  {first.who}", left + 28, top + 40, 24, _QUIET, inner)
    chapter = [one for one in board.chapters if one.start_s <= first.start_s < one.end_s]
    shown = f"shown: {chapter[0].label}" if chapter else ""
    playing = [one for one in board.music if one.start_s <= first.start_s < one.end_s]
    played = f"played: {playing[-1].label} ({playing[-1].level_db:+.0f} dB)" if playing else ""
    said = lettering.wrapped(" ".join(one.label for one in lines), "text", 27, inner)
    texts = ["".join(_words(line)) for line in said]
    for row, text in enumerate(texts[:4]):
        more = row == 3 and len(texts) > 4
        pen.text(text + (" …" if more else ""), left + 28, top + 80 + row * 35, 27, _INK, inner)
    foot = [text for text in (shown, played) if text]
    for row, text in enumerate(foot):
        pen.text(text, left + 28, top + _PANEL_PX - 16 - (len(foot) - 1 - row) * 27, 20, _QUIET,
                 inner)  # fmt: skip


def _words(line: lettering.SetLine) -> list[str]:
    return [" ".join(piece.text for piece in line.pieces)]


def _voice(board: Board, who: str) -> str:
    return _VOICES[board.speakers.index(who) % len(_VOICES)]


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
