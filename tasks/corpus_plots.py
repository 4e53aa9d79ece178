"""A corpus as pictures: how long its clips are, what its buckets waste, how loud it is."""

from __future__ import annotations

import functools
import importlib.resources
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from models.corpus.mapped import Corpus
from models.corpus.statistics import CorpusStats

_SIZE_PX = (1120, 520)
_FRAME_PX = (84, 112, 1092, 440)
"""Left, top, right and bottom of the plotted area."""
_INK, _DIM, _GRID, _PAPER = "#1c2733", "#5d6b7a", "#dde3e9", "#ffffff"
_BAR, _WASTE, _MARK = "#2f6f9f", "#e3a04b", "#b3382c"
_FEW = 5
"""Grid lines, about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A bar from `left` to `right` on the x axis; `lost` of its `height` is drawn as waste."""

    left: float
    right: float
    height: float
    lost: float = 0.0
    label: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Bars over an axis, with upright marks `(x, words)`. `ticks` are drawn when bars have no
    labels.
    """

    title: str
    below: str
    x_name: str
    y_name: str
    bars: Sequence[Bar]
    marks: Sequence[tuple[float, str]] = ()


def draw_corpus(corpus: Corpus, stats: CorpusStats, folder: Path) -> tuple[Path, ...]:
    """Write `lengths.png`, `buckets.png` and `levels.png` into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    charts = {
        "lengths": _lengths(corpus, stats),
        "buckets": _buckets(corpus, stats),
        "levels": _levels(corpus, stats),
    }
    paths = []
    for name, chart in charts.items():
        path = folder / f"{name}.png"
        part = path.with_suffix(".part")
        draw(chart).save(part, "PNG", optimize=True)
        part.replace(path)
        paths.append(path)
    return tuple(paths)


def _lengths(corpus: Corpus, stats: CorpusStats) -> Chart:
    mel = corpus.spec.mel
    seconds = corpus.rows["num_samples"] / mel.sample_rate
    caps = [bucket.frames * mel.hop_length / mel.sample_rate for bucket in stats.buckets]
    low, middle, high = stats.seconds
    return Chart(
        title=f"Length of {stats.num_clips} clips, {stats.hours:.2f} h",
        below=f"5 % under {low:.1f} s, half under {middle:.1f} s, 95 % under {high:.1f} s, "
        f"longest {stats.longest_s:.1f} s; upright lines: caps of the buckets",
        x_name="seconds",
        y_name="clips",
        bars=_histogram(seconds, 60),
        marks=[(cap, "") for cap in caps],
    )


def _buckets(corpus: Corpus, stats: CorpusStats) -> Chart:
    mel = corpus.spec.mel
    bars = []
    for index, bucket in enumerate(stats.buckets):
        hours = bucket.clips * bucket.frames * mel.hop_length / mel.sample_rate / 3600
        words = f"{bucket.frames} × {bucket.tokens}\n{bucket.clips} clips\n{bucket.padding:.1%}"
        bars.append(
            Bar(
                left=index + 0.1,
                right=index + 0.9,
                height=hours,
                lost=hours * bucket.padding,
                label=words,
            )
        )
    first = stats.policies[0] if stats.policies else None
    below = "" if first is None else f"{first.padding:.1%} of all frames are padding"
    if stats.policies:
        rest = (f"{p.name}: {p.padding:.1%}" for p in stats.policies[2:])
        below += "; " + ", ".join(rest)
    return Chart(
        title=f"{len(stats.buckets)} static shapes and what they waste",
        below=below,
        x_name="frames × tokens, clips, padding",
        y_name="hours in batches",
        bars=bars,
    )


def _levels(corpus: Corpus, stats: CorpusStats) -> Chart:
    low, middle, high = stats.level_db
    return Chart(
        title="Level of the clips",
        below=f"RMS: 5 % under {low:.1f}, half under {middle:.1f}, 95 % under {high:.1f} dBFS; "
        f"{stats.clipped} clips reach full scale",
        x_name="RMS, dBFS",
        y_name="clips",
        bars=_histogram(corpus.rows["level_db"], 50),
        marks=[(middle, "median")] if stats.num_clips else [],
    )


def _histogram(values: NDArray[np.floating], count: int) -> list[Bar]:
    if not len(values):
        return []
    low, high = float(values.min()), float(values.max())
    if high - low < 1e-6:
        low, high = low - 0.5, high + 0.5
    heights, edges = np.histogram(values, bins=count, range=(low, high))
    return [
        Bar(left=float(a), right=float(b), height=float(n))
        for a, b, n in zip(edges, edges[1:], heights, strict=False)
    ]


def draw(chart: Chart) -> Image.Image:
    """The chart as an RGB picture of 1120 x 520 pixels."""
    image = Image.new("RGB", _SIZE_PX, _PAPER)
    pen = ImageDraw.Draw(image)
    left, top, right, bottom = _FRAME_PX
    pen.text((left, 20), chart.title, _INK, _font(24))
    pen.text((left, 54), _fitted(pen, chart.below, right - left), _DIM, _font(15))
    pen.text((right, bottom + 56), chart.x_name, _DIM, _font(15), anchor="ra")
    pen.text((16, top - 2), chart.y_name, _DIM, _font(15), anchor="lb")
    if not chart.bars:
        pen.text(((left + right) // 2, (top + bottom) // 2), "no clips", _DIM, _font(20), "mm")
        return image
    reach = [chart.bars[0].left, chart.bars[-1].right, *(x for x, _ in chart.marks)]
    low, high = min(reach), max(reach)
    top_value = max(bar.height for bar in chart.bars) * 1.05 or 1.0

    def x_of(value: float) -> float:
        return left + (value - low) / (high - low) * (right - left)

    def y_of(value: float) -> float:
        return bottom - value / top_value * (bottom - top)

    for value in _ticks(0.0, top_value):
        pen.line((left, y_of(value), right, y_of(value)), _GRID)
        pen.text((left - 10, y_of(value)), f"{value:g}", _DIM, _font(14), anchor="rm")
    for bar in chart.bars:
        ends = (round(x_of(bar.left)), round(x_of(bar.right)) - 1)
        if bar.height:
            pen.rectangle((ends[0], y_of(bar.height), max(ends), bottom), _BAR)
        if bar.lost:
            solid = y_of(bar.height - bar.lost)
            pen.rectangle((ends[0], y_of(bar.height), max(ends), solid), _WASTE)
        place = (sum(ends) / 2, bottom + 6)
        pen.multiline_text(place, bar.label, _DIM, _font(13), "ma", align="center")
    if not chart.bars[0].label:
        for value in _ticks(low, high):
            pen.text((x_of(value), bottom + 8), f"{value:g}", _DIM, _font(14), anchor="ma")
    for value, words in chart.marks:
        pen.line((x_of(value), top, x_of(value), bottom), _MARK, 2)
        pen.text((x_of(value) + 6, top), words, _MARK, _font(14))
    pen.line((left, bottom, right, bottom), _DIM)
    return image


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers from `low` to `high`, about five."""
    raw = (high - low) / _FEW
    power = 10.0 ** np.floor(np.log10(raw))
    step = float(power * min((1, 2, 5, 10), key=lambda factor: abs(factor * power - raw)))
    first = int(np.ceil(low / step - 1e-9))
    last = int(np.floor(high / step + 1e-9))
    return [round(number * step, 9) for number in range(first, last + 1)]


def _fitted(pen: ImageDraw.ImageDraw, text: str, width: int) -> str:
    """`text`, cut with an ellipsis where it is wider than the picture."""
    if pen.textlength(text, _font(15)) <= width:
        return text
    while pen.textlength(f"{text} …", _font(15)) > width:
        text = text[:-1]
    return f"{text.rstrip(' ,;')} …"


@functools.lru_cache(maxsize=8)
def _font(size_px: int) -> ImageFont.FreeTypeFont:
    place = importlib.resources.files("models.picture") / "fonts" / "Inter-SemiBold.otf"
    with importlib.resources.as_file(place) as path:
        return ImageFont.truetype(str(path), size_px)
