"""The report of a run as one page: no scripts, no requests, readable by a screen reader and on
paper.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from studio.gpu.causes import WORDS
from studio.gpu.report_rows import (
    ABSENT,
    UTILISATION_NOTE,
    card_name,
    change_sentence,
    figure,
    step_rows,
    use_rows,
)
from studio.gpu.run_report import RunReport
from studio.gpu.timeline_svg import CAUSE_COLOURS, timeline_svg
from studio.gpu.verdict import CardFinding

_STYLE = """
:root{--ink:#1f2937;--soft:#5b6472;--line:#dfe3e9;--page:#f5f6f8;--sheet:#fff;--accent:#2f5fa3}
@media(prefers-color-scheme:dark){:root{--ink:#e8ebf0;--soft:#a6afbd;--line:#39414e;--page:#15181d;
--sheet:#1d2229;
--accent:#8fb6ec}.picture{background:#fff;border-radius:6px}}
*{box-sizing:border-box}body{margin:0;background:var(--page);color:var(--ink);
font:15px/1.55 system-ui,"Segoe UI",Roboto,sans-serif}
main{max-width:1060px;margin:0 auto;padding:28px 20px 60px}
h1{font-size:1.55rem;margin:0 0 .3rem;line-height:1.25;overflow-wrap:anywhere}
h2{font-size:1.1rem;margin:2.2rem 0 .7rem}
.lead{font-size:1.08rem;margin:.2rem 0 1.2rem;color:var(--ink);max-width:75ch}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:10px;margin:0;
padding:0}
.figures div{background:var(--sheet);border:1px solid var(--line);border-radius:8px;
padding:10px 14px}
.figures dt{color:var(--soft);font-size:.83rem}
.figures dd{margin:0;font-size:1.3rem;font-weight:600}
.sheet{background:var(--sheet);border:1px solid var(--line);border-radius:8px;padding:14px;
overflow-x:auto}
.sheet svg{display:block;width:100%;min-width:640px;height:auto}
table{border-collapse:collapse;width:100%;font-size:.88rem}
caption{text-align:left;color:var(--soft);padding-bottom:6px}
th,td{padding:5px 9px;border-bottom:1px solid var(--line);text-align:right;white-space:nowrap}
th:first-child,td:first-child,.text{text-align:left}.text{white-space:normal;min-width:14ch}
thead th{color:var(--soft);font-weight:600}tbody th{font-weight:600}
ol{padding-left:1.4rem}li{margin:.45rem 0}.why{color:var(--soft);display:block;font-size:.9rem}
.bar{display:flex;height:14px;border-radius:4px;overflow:hidden;background:#e5e8ee;margin:.5rem 0}
.note{color:var(--soft);font-size:.88rem;max-width:80ch}
.swatch{display:inline-block;width:.75em;height:.75em;border-radius:2px;margin-right:.45em}
@media print{body{background:#fff}.sheet,.figures div{break-inside:avoid}}
"""


def report_html(report: RunReport) -> str:
    """The page. Every text that came from outside is escaped; a content policy forbids it to load
    anything.
    """
    title = escape(report.title)
    body = [
        f"<h1>{title}</h1>",
        f'<p class="lead">{escape(report.verdict.headline)}</p>',
        _figures(report),
        "<h2>The run in one picture</h2>",
        f'<div class="sheet picture">{timeline_svg(report.trace, title=report.title)}</div>',
        *_utilisation_note(report.verdict.cards),
        "<h2>What to change</h2>",
        _changes(report),
        *_cards(report.verdict.cards),
        "<h2>Who used what</h2>",
        _uses_table(report),
        *_steps_table(report),
        "<h2>The chain that decided the length</h2>",
        _path_table(report),
        *_notes(report.trace.notes),
    ]
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style></head>"
        f"<body><main>{''.join(body)}</main></body></html>\n"
    )


def _figures(report: RunReport) -> str:
    verdict = report.verdict
    energy = [
        card.energy_j for use in report.uses for card in use.cards if card.energy_j is not None
    ]
    pairs = [
        ("Length of the run", f"{verdict.wall_s:.1f} s"),
        ("Work done in it", f"{verdict.work_s:.1f} s"),
        ("Stages at a time", f"{verdict.overlap_reached:.2f} of {verdict.overlap_possible:.2f}"),
    ]
    if verdict.cards:
        told = f"{sum(energy) / 1000.0:.1f} kJ" if energy else ABSENT
        pairs.append(("Energy of the cards", told))
    for card in verdict.cards:
        busy = ABSENT if card.busy_pct is None else f"{card.busy_pct:.0f} %"
        pairs.append((f"Card {card.card} busy", busy))
    cells = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(text)}</dd></div>" for name, text in pairs
    )
    return f'<dl class="figures">{cells}</dl>'


def _changes(report: RunReport) -> str:
    items = "".join(
        f"<li><strong>{escape(change_sentence(change.what, change.saves_s))}.</strong>"
        f'<span class="why">{escape(change.why)}</span></li>'
        for change in report.verdict.changes
    )
    if not items:
        return '<p class="note">Nothing in this run could be shown to save time.</p>'
    note = "Each saving assumes that its cause goes away entirely, and that nothing else changes."
    return f'<ol>{items}</ol><p class="note">{note}</p>'


def _utilisation_note(cards: Sequence[CardFinding]) -> Iterable[str]:
    if cards:
        yield f'<p class="note">{escape(UTILISATION_NOTE)}</p>'


def _cards(cards: Sequence[CardFinding]) -> Iterable[str]:
    if not cards:
        return
    yield "<h2>Why the cards were idle</h2>"
    for card in cards:
        yield f'<div class="sheet"><strong>{escape(card_name(card))}</strong>'
        yield f"<p>{escape(card.sentence)}</p>{_cause_bar(card)}{_cause_table(card)}</div><br>"


def _cause_bar(card: CardFinding) -> str:
    if not card.watched_s:
        return ""
    parts = "".join(
        f'<span style="width:{100 * time.seconds / card.watched_s:.2f}%;'
        f'background:{CAUSE_COLOURS[time.cause]}"></span>'
        for time in card.causes
    )
    return f'<div class="bar" role="presentation">{parts}</div>'


def _cause_table(card: CardFinding) -> str:
    rows = [
        f'<tr><th scope="row"><span class="swatch" style="background:{CAUSE_COLOURS[time.cause]}">'
        f"</span>{escape(WORDS[time.cause])}</th><td>{figure(time.seconds)}</td>"
        f'<td class="text">{escape(time.evidence)}</td></tr>'
        for time in card.causes
    ]
    head = (
        '<th scope="col">cause</th><th scope="col">seconds</th>'
        '<th scope="col" class="text">evidence</th>'
    )
    caption = f"Idle time of card {card.card} by cause"
    return (
        f"<table><caption>{caption}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table>"
    )


def _uses_table(report: RunReport) -> str:
    rows = use_rows(report.uses)
    if not rows:
        return '<p class="note">No stage ran.</p>'
    names = list(rows[0])
    head = "".join(f'<th scope="col"{_text_class(name)}>{escape(name)}</th>' for name in names)
    body = "".join(
        f'<tr><th scope="row">{escape(row["stage"])}</th>'
        + "".join(f"<td{_text_class(name)}>{escape(row[name])}</td>" for name in names[1:])
        + "</tr>"
        for row in rows
    )
    caption = "Shares add up to the whole; n/a is a figure that no sensor gave"
    return (
        f'<div class="sheet"><table><caption>{caption}</caption><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _steps_table(report: RunReport) -> Iterable[str]:
    rows = step_rows(report.uses)
    if not rows:
        return
    head = "".join(f'<th scope="col"{_text_class(name)}>{escape(name)}</th>' for name in rows[0])
    body = "".join(
        f'<tr><th scope="row">{escape(row["stage"])}</th>'
        + "".join(f"<td{_text_class(name)}>{escape(row[name])}</td>" for name in list(row)[1:])
        + "</tr>"
        for row in rows
    )
    caption = (
        "Wall time is the working thread's; GPU time is the card's, which works behind its back"
    )
    yield "<h2>What the stages did with their time</h2>"
    yield (
        f'<div class="sheet"><table><caption>{caption}</caption><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _text_class(name: str) -> str:
    return ' class="text"' if name in ("stage", "step", "card idle because") else ""


def _path_table(report: RunReport) -> str:
    rows = "".join(
        f'<tr><th scope="row">{escape(step.stage)}</th><td>{figure(step.seconds)}</td></tr>'
        for step in report.verdict.critical_path
    )
    head = '<th scope="col">stage</th><th scope="col">seconds that it decided</th>'
    caption = "Only what is shortened here shortens the run"
    return (
        f'<div class="sheet"><table><caption>{caption}</caption><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _notes(notes: Sequence[str]) -> Iterable[str]:
    if notes:
        items = "".join(f"<li>{escape(note)}</li>" for note in notes)
        yield f'<h2>What could not be measured</h2><ul class="note">{items}</ul>'
