"""What the terminal shows when something is done."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from profiles import Profile
from studio.types import Episode
from tasks.doctor import Finding
from tasks.report import stage_rows


def print_summary(episode: Episode, console: Console) -> None:
    """The stages with what they cost, what fell back and why, and where the episode lies."""
    table = Table(title=escape(episode.title), title_justify="left")
    rows = stage_rows(episode.uses)
    for name in rows[0]:
        table.add_column(name, justify="left" if name in {"stage", ""} else "right")
    for row in rows:
        table.add_row(*row.values())
    console.print(table)
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
