"""What the terminal shows when something is done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from profiles import Profile
from studio.errors import MediaError
from studio.gpu.device_setup import SettingRow
from studio.gpu.doctor import DoctorRow
from studio.gpu.report_rows import (
    UTILISATION_NOTE,
    card_name,
    card_rows,
    change_sentence,
    host_rows,
    step_rows,
)
from studio.types import Episode
from tasks.doctor import Finding
from tasks.report import stage_rows
from tasks.report_files import REPORT, Told, read_report


def print_summary(episode: Episode, console: Console) -> None:
    """The stages with what they cost, what fell back and why, and where the episode lies."""
    table = Table(title=escape(episode.title), title_justify="left")
    rows = stage_rows(episode.uses)
    for name in rows[0]:
        table.add_column(name, justify="left" if name in {"stage", ""} else "right")
    for row in rows:
        table.add_row(*row.values())
    console.print(table)
    if episode.uses:
        try:
            _print_verdict(read_report(Path(episode.folder) / REPORT), console)
        except MediaError:
            console.print("no report: another run has put its episode there since")
    if episode.engines:
        made = ", ".join(sorted({engine.name for engine in episode.engines}))
        console.print(f"made by {escape(made)}", highlight=False)
    for step in episode.fallbacks:
        found = f"{step.stage}: {step.wanted} -> {step.used}: {step.why}"
        console.print(f"[yellow]fell back[/] {escape(found)}")
    minutes, seconds = divmod(round(episode.duration_s), 60)
    passed = sum(check.passed for check in episode.checks)
    console.print(
        f"{minutes}:{seconds:02d} min, {episode.loudness_lufs:.1f} LUFS, "
        f"{episode.true_peak_dbtp:.1f} dBTP, {passed} of {len(episode.checks)} checks passed"
    )
    console.print(escape(episode.folder), style="bold green", soft_wrap=True)


def _print_verdict(told: Told, console: Console) -> None:
    """The verdict's first line, what was expected and missed, what the device did not do."""
    console.print(escape(told.report.verdict.headline), highlight=False)
    for missed in told.missed:
        console.print(f"[yellow]expected[/] {escape(missed)}", highlight=False)
    for ignored in told.ignored:
        console.print(f"[yellow]not as asked[/] {escape(ignored)}", highlight=False)


def report_tables(told: Told) -> Iterator[RenderableType]:
    """A report for the terminal: the headline, what to change, why cards were idle, who used what,
    the critical path.
    """
    report = told.report
    yield Text(report.title, style="bold")
    yield Text(report.verdict.headline)
    for number, change in enumerate(report.verdict.changes, start=1):
        yield Text(f"{number}. {change_sentence(change.what, change.saves_s)} ({change.why})")
    for card in report.verdict.cards:
        yield Text(f"{card_name(card)}: {card.sentence}")
    for rows in (host_rows(report.uses), card_rows(report.uses)):
        if rows:
            yield _table(rows)
    if rows := step_rows(report.uses):
        yield _table(rows)
    steps = [f"{step.stage} {step.seconds:.1f} s" for step in report.verdict.critical_path]
    yield Text(f"Critical path: {' > '.join(steps) or 'n/a'}")
    for line in (*told.missed, *told.unmeasured, *told.ignored, *report.trace.notes):
        yield Text(line, style="yellow")
    if report.trace.cards:
        yield Text(UTILISATION_NOTE, style="dim")


def settings_table(settings: Sequence[SettingRow]) -> Table:
    """What the profile asks of the device, and what became of it."""
    table = Table(title="Device settings", title_justify="left")
    for name in ("setting", "requested", "effective", "why"):
        table.add_column(name, overflow="fold")
    for row in settings:
        style = "yellow" if row.ignored else ""
        table.add_row(row.setting, row.requested, row.effective, escape(row.why), style=style)
    return table


def card_doctor_table(rows: Sequence[DoctorRow]) -> Table:
    """A row per trial on the cards; what could not be examined is neither good nor bad."""
    table = Table(title="Cards", title_justify="left")
    for name in ("", "what", "found", "remedy"):
        table.add_column(name, overflow="fold")
    marks = {True: "[green]ok[/]", False: "[yellow]no[/]", None: "-"}
    for row in rows:
        cells = (escape(cell) for cell in (row.what, row.found, row.remedy))
        table.add_row(marks[row.passed], *cells)
    return table


def _table(rows: Sequence[dict[str, str]]) -> Table:
    table = Table()
    for name in rows[0]:
        table.add_column(
            name, justify="left" if name in {"stage", "step"} else "right", overflow="fold"
        )
    for row in rows:
        table.add_row(*(escape(cell) for cell in row.values()))
    return table


def profile_table(profiles: Sequence[Profile]) -> Table:
    """A row per profile."""
    table = Table()
    for name in ("profile", "picture", "voice", "music", "avatar", "for"):
        table.add_column(name)
    for profile in profiles:
        picture = f"{profile.picture.quality} {profile.picture.fps} fps"
        engines = (
            "\n".join(spec.engine) for spec in (profile.voice, profile.music, profile.avatar)
        )
        table.add_row(profile.name, picture, *engines, profile.summary)
    return table


def doctor_table(findings: Sequence[Finding]) -> Table:
    """A row per thing examined."""
    table = Table()
    for name in ("", "what", "found", "remedy"):
        table.add_column(name, overflow="fold")
    for finding in findings:
        mark = "[green]ok[/]" if finding.works else "[yellow]no[/]"
        table.add_row(mark, escape(finding.what), escape(finding.found), escape(finding.remedy))
    return table
