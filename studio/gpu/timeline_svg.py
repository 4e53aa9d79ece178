"""The run as one picture: bands of stages above, what each card did below, and why it did not.

Plain SVG without scripts, fonts or references, so that it stands alone, inside a page and as a data
URI. It stays well under 100 kB however long the run: readings are averaged per pixel column, bands
closer than a pixel are joined.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Sequence
from html import escape as escape_html

from studio.gpu.causes import WORDS, Cause, idle_parts
from studio.gpu.trace import CardReading, PhaseKind, Sample, Trace

_WIDTH, _LEFT, _RIGHT = 960.0, 132.0, 14.0
_ROW, _BAR, _CHART, _STRIP, _GAP = 24.0, 16.0, 84.0, 9.0, 34.0
_COLUMNS = 400
_MOST_BANDS = 600
_SHOWN_IDLE = 0.3
"""The strip of causes shows where at least this share of the card was idle."""

STAGE_COLOURS = (
    "#3b6fb6",
    "#c4622d",
    "#3d8b53",
    "#8a5aa8",
    "#b8860b",
    "#b04a6b",
    "#2f8f96",
    "#6b7280",
)
CAUSE_COLOURS: dict[Cause, str] = {
    "no_gpu_work": "#9aa3af",
    "between_stages": "#d4d8de",
    "lease": "#e0a100",
    "input": "#7fb3e6",
    "loading": "#b48ad6",
    "encoder_bound": "#e67e50",
    "io_bound": "#5fb39a",
    "launch_bound": "#e05c86",
    "cpu_bound": "#d64545",
    "unknown": "#eceff3",
}
_PHASE_CAUSES: dict[PhaseKind, Cause] = {"lease": "lease", "input": "input", "load": "loading"}
_PHASE_SHADES = {kind: CAUSE_COLOURS[cause] for kind, cause in _PHASE_CAUSES.items()}
_TICKS_S = (0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200)


def timeline_svg(trace: Trace, *, title: str = "Timeline of the run") -> str:
    """Draw a trace.

    Args:
        trace: what to draw; an empty one gives an empty frame that says so.
        title: accessible name of the picture; escaped.
    """
    total_s = max(trace.end_s, 1e-3)
    stages = list(dict.fromkeys(span.stage for span in trace.spans))
    parts: list[str] = []
    top = 10.0
    for row, stage in enumerate(stages):
        parts += _stage_row(trace, stage, row, top, total_s, budget=_MOST_BANDS // len(stages))
        top += _ROW
    for card in trace.cards:
        top += _GAP
        parts += _card_chart(trace, card.index, f"card {card.index}: {card.name}", top, total_s)
        top += _CHART + _STRIP + 6
    top += _GAP
    parts += _cpu_chart(trace, top, total_s)
    top += _CHART
    parts += _axis(top, total_s)
    top += 38
    legend, height = _legend(trace, top)
    return _frame(title, trace, height + 8, [*parts, *legend])


def svg_data_uri(svg: str) -> str:
    """The picture as a data URI, for image artifacts and markdown: still under 100 kB."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()


def _frame(title: str, trace: Trace, height: float, parts: Iterable[str]) -> str:
    name = _escape(title)
    text = _escape(f"{len(trace.spans)} stage runs over {trace.end_s:.1f} seconds")
    style = (
        "text{font:12px system-ui,'Segoe UI',sans-serif;fill:#1f2937}"
        ".s{font-size:11px;fill:#5b6472}"
        ".g{stroke:#e3e6eb;stroke-width:1}.u{fill:#3b6fb6;fill-opacity:.35}"
        ".l{fill:none;stroke-width:1.3}"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH:.0f} {height:.0f}" '
        'role="img" '
        f'aria-label="{name}"><title>{name}</title><desc>{text}</desc><style>{style}</style>'
        f'<rect width="{_WIDTH:.0f}" height="{height:.0f}" fill="#fff"/>{"".join(parts)}</svg>'
    )


def _escape(text: str) -> str:
    """Text as XML may hold it: no control characters, no half surrogates, signs escaped."""
    return escape_html("".join(sign if sign.isprintable() else " " for sign in text))


def _x(moment_s: float, total_s: float) -> float:
    return _LEFT + (_WIDTH - _LEFT - _RIGHT) * min(1.0, max(0.0, moment_s / total_s))


def _stage_row(
    trace: Trace, stage: str, row: int, top: float, total_s: float, *, budget: int
) -> list[str]:
    colour = STAGE_COLOURS[row % len(STAGE_COLOURS)]
    spans = [span for span in trace.spans if span.stage == stage]
    times = _joined([(span.start_s, span.end_s) for span in spans], total_s, budget)
    parts = [_label(stage, top + 13), _bars(times, top + 3, _BAR, colour, total_s)]
    for kind, shade in _PHASE_SHADES.items():
        times = [
            (phase.start_s, phase.end_s)
            for span in spans
            for phase in span.phases
            if phase.kind == kind
        ]
        times = _joined(times, total_s, max(4, budget // 4))
        parts.append(_bars(times, top + 3 + _BAR / 2, _BAR / 2, shade, total_s))
    return parts


def _label(text: str, baseline: float) -> str:
    short = text if len(text) <= 19 else text[:18] + "…"
    return f'<text x="{_LEFT - 8:.0f}" y="{baseline:.0f}" text-anchor="end">{_escape(short)}</text>'


def _bars(
    times: Iterable[tuple[float, float]], top: float, height: float, colour: str, total_s: float
) -> str:
    """Boxes of one colour in one row, as a single path: a third of the size of as many
    rectangles.
    """
    boxes = []
    for start, end in times:
        left = _x(start, total_s)
        width = max(0.8, _x(end, total_s) - left)
        boxes.append(f"M{left:.1f} {top:.0f}h{width:.1f}v{height:.0f}h-{width:.1f}z")
    return f'<path fill="{colour}" d="{"".join(boxes)}"/>' if boxes else ""


def _joined(
    times: Sequence[tuple[float, float]], total_s: float, budget: int
) -> list[tuple[float, float]]:
    """Intervals in order, joined over ever larger gaps until they are few enough to draw."""
    gap_s = total_s / 2000.0
    while True:
        merged: list[tuple[float, float]] = []
        for start, end in sorted(times):
            if merged and start - merged[-1][1] <= gap_s:
                merged[-1] = (merged[-1][0], max(merged[-1][1], end))
            else:
                merged.append((start, end))
        if len(merged) <= max(1, budget):
            return merged
        gap_s *= 2.0


def _card_chart(trace: Trace, card: int, name: str, top: float, total_s: float) -> list[str]:
    def column(field: str) -> list[tuple[float, float | None]]:
        return _columns(trace.samples, total_s, lambda sample: _figure(sample.card(card), field))

    base = top + _CHART
    parts = [*_grid(top, name, "100 %"), _area(column("gpu_util_pct"), base, 100.0, total_s)]
    lines = (("sm_active_pct", "#12355b"), ("encoder_util_pct", "#d97706"))
    for field, colour in lines:
        parts.append(_line(column(field), base, 100.0, total_s, colour))
    parts.append(_label("why idle", base + _STRIP + 2))
    strip = _cause_strip(trace, card)
    for cause, colour in CAUSE_COLOURS.items():
        times = [(start, end) for start, end, why in strip if why == cause]
        parts.append(_bars(times, base + 3, _STRIP, colour, total_s))
    return parts


def _cpu_chart(trace: Trace, top: float, total_s: float) -> list[str]:
    points = _columns(trace.samples, total_s, lambda sample: sample.cpu_cores)
    most = float(max(1, trace.cpu_count))
    area = _area(points, top + _CHART, most, total_s).replace('class="u"', 'fill="#7c8798"')
    return [*_grid(top, "CPU cores in use", f"{most:.0f}"), area]


def _grid(top: float, name: str, most: str) -> list[str]:
    right, base = _WIDTH - _RIGHT, top + _CHART
    lines = "".join(
        f'<path class="g" d="M{_LEFT:.0f} {at:.0f}H{right:.0f}"/>'
        for at in (top, top + _CHART / 2, base)
    )
    return [
        f'<text x="{_LEFT:.0f}" y="{top - 7:.0f}">{_escape(name)}</text>',
        lines,
        f'<text class="s" x="{_LEFT - 8:.0f}" y="{top + 4:.0f}" text-anchor="end">{most}</text>',
        f'<text class="s" x="{_LEFT - 8:.0f}" y="{base - 2:.0f}" text-anchor="end">0</text>',
    ]


def _figure(reading: CardReading | None, field: str) -> float | None:
    value = None if reading is None else getattr(reading, field)
    return None if value is None else float(value)


def _columns(
    samples: Sequence[Sample], total_s: float, figure: Callable[[Sample], float | None]
) -> list[tuple[float, float | None]]:
    """Means per column of the picture; `None` where nothing was read."""
    sums, weights = [0.0] * _COLUMNS, [0.0] * _COLUMNS
    for sample in samples:
        value = figure(sample)
        if value is None:
            continue
        first = int(sample.start_s / total_s * _COLUMNS)
        last = int(sample.end_s / total_s * _COLUMNS)
        for at in range(max(0, first), min(_COLUMNS - 1, last) + 1):
            sums[at] += value * sample.seconds
            weights[at] += sample.seconds
    width_s = total_s / _COLUMNS
    return [
        ((at + 0.5) * width_s, sums[at] / weights[at] if weights[at] else None)
        for at in range(_COLUMNS)
    ]


def _runs(points: Sequence[tuple[float, float | None]]) -> list[list[tuple[float, float]]]:
    """The stretches in which something was read."""
    runs: list[list[tuple[float, float]]] = [[]]
    for at, value in points:
        if value is None:
            runs.append([])
        else:
            runs[-1].append((at, value))
    return [run for run in runs if run]


def _path(run: Sequence[tuple[float, float]], base: float, most: float, total_s: float) -> str:
    return "L".join(
        f"{_x(at, total_s):.1f} {base - min(1.0, value / most) * _CHART:.1f}" for at, value in run
    )


def _area(
    points: Sequence[tuple[float, float | None]], base: float, most: float, total_s: float
) -> str:
    shapes = "".join(
        f"M{_x(run[0][0], total_s):.1f} {base:.1f}L{_path(run, base, most, total_s)}"
        f"L{_x(run[-1][0], total_s):.1f} {base:.1f}Z"
        for run in _runs(points)
    )
    return f'<path class="u" d="{shapes}"/>' if shapes else ""


def _line(
    points: Sequence[tuple[float, float | None]],
    base: float,
    most: float,
    total_s: float,
    colour: str,
) -> str:
    runs = _runs(points)
    if not any(value for run in runs for _, value in run):
        return ""
    shapes = "".join(f"M{_path(run, base, most, total_s)}" for run in runs)
    return f'<path class="l" stroke="{colour}" d="{shapes}"/>'


def _cause_strip(trace: Trace, card: int) -> list[tuple[float, float, Cause]]:
    """Where the card was idle, and why; neighbours with one cause are joined."""
    strip: list[tuple[float, float, Cause]] = []
    coarse_s = trace.end_s / _COLUMNS
    for sample, _, parts in idle_parts(trace, card):
        if sum(part.seconds for part in parts) < _SHOWN_IDLE * sample.seconds:
            continue
        cause = max(parts, key=lambda part: part.seconds).cause
        goes_on = strip and strip[-1][2] == cause and sample.start_s - strip[-1][1] <= coarse_s
        too_thin = strip and strip[-1][1] - strip[-1][0] < coarse_s
        if goes_on or too_thin:
            strip[-1] = (strip[-1][0], sample.end_s, strip[-1][2])
        else:
            strip.append((sample.start_s, sample.end_s, cause))
    return strip


def _axis(top: float, total_s: float) -> list[str]:
    step = next((step for step in _TICKS_S if total_s / step <= 10), total_s / 8)
    parts, at = [], 0.0
    while at <= total_s * 1.0001:
        words = f"{at:g} s" if total_s < 180 else f"{int(at // 60)}:{int(at % 60):02d}"
        parts.append(
            f'<text class="s" x="{_x(at, total_s):.1f}" y="{top + 15:.0f}" '
            f'text-anchor="middle">{words}</text>'
        )
        at += step
    return parts


def _legend(trace: Trace, top: float) -> tuple[list[str], float]:
    """Only what occurs in the picture, in rows that fit its width; and where it ends."""
    entries = [("#b8cae6", "a kernel was running (NVML utilisation)")] if trace.cards else []
    if any(card.sm_active_pct is not None for sample in trace.samples for card in sample.cards):
        entries.append(("#12355b", "multiprocessors with work"))
    if any(card.encoder_util_pct for sample in trace.samples for card in sample.cards):
        entries.append(("#d97706", "video encoder"))
    seen = {cause for card in trace.cards for _, _, cause in _cause_strip(trace, card.index)}
    entries += [(CAUSE_COLOURS[cause], f"idle: {WORDS[cause]}") for cause in WORDS if cause in seen]
    said = {phase.kind for span in trace.spans for phase in span.phases}
    entries += [
        (_PHASE_SHADES[kind], WORDS[cause])
        for kind, cause in _PHASE_CAUSES.items()
        if kind in said and cause not in seen
    ]
    parts, left = [], _LEFT
    for colour, words in entries:
        width = 24 + 6.1 * len(words)
        if left + width > _WIDTH - _RIGHT and left > _LEFT:
            left, top = _LEFT, top + 18
        parts.append(
            f'<rect x="{left:.0f}" y="{top - 9:.0f}" width="10" height="10" fill="{colour}"/>'
            f'<text class="s" x="{left + 15:.0f}" y="{top:.0f}">{_escape(words)}</text>'
        )
        left += width
    return parts, top
