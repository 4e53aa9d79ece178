"""What a run leaves to be read: `report.json` beside the episode, artifacts in the Prefect UI."""

from __future__ import annotations

import base64
import dataclasses
import io
from collections.abc import Sequence
from pathlib import Path
from typing import get_args
from urllib.parse import quote

from PIL import Image
from prefect import task
from prefect.artifacts import (
    acreate_image_artifact,
    acreate_markdown_artifact,
    acreate_table_artifact,
)
from prefect.cache_policies import NO_CACHE
from prefect.events import emit_event

from studio.gpu.device_setup import SettingRow
from studio.gpu.excerpt import trace_of_run
from studio.gpu.expectations import Expectation, Outcome, check_expectations
from studio.gpu.report_rows import (
    escape_markdown,
    holding_rows,
    step_rows,
    use_rows,
    verdict_markdown,
)
from studio.gpu.run_report import RunReport, report_of
from studio.gpu.timeline_svg import svg_data_uri, timeline_svg
from studio.gpu.trace import Trace
from studio.gpu.usage import UNATTRIBUTED
from studio.slugs import slug
from studio.specs import StageName
from studio.types import Episode, StageUse
from tasks.report_files import write_report
from tasks.run import Run

STAGES: tuple[str, ...] = get_args(StageName)
"""The stages of an episode in the order of the DAG."""

MISSED_EVENT = "podcast-studio.expectation.missed"
"""What an automation listens to; its resource is `podcast-studio.episode.NAME`."""

_SHEET_PX = 640
"""Width of the contact sheet in the UI: with JPEG at quality 70 it stays under 100 KB, since the UI
loads every artifact of a list in full."""


@task(name="report", task_run_name="report", tags=["cpu"], cache_policy=NO_CACHE)
async def report_run(episode: Episode, run: Run, expect: tuple[Expectation, ...] = ()) -> Episode:
    """Write what the stages cost and why beside the episode, and publish it; returns the episode
    with it.
    """
    uses = run.meter.uses(run.name or None) if run.meter else ()
    episode = dataclasses.replace(episode, uses=uses)
    report = report_of(episode.title, _trace(run), uses)
    outcomes = check_expectations(expect, uses)
    settings = run.machine.settings(run.device) if run.machine else ()
    held = holding_rows(run.machine.holdings()) if run.machine else []
    write_report(Path(episode.folder), report, outcomes, settings, held)
    tell_missed(slug(Path(episode.folder).name), outcomes)
    await publish_verdict(report, outcomes, settings, held)
    await acreate_table_artifact(
        key="stages", table=stage_rows(uses), description="What each stage took; no row is a guess"
    )
    if steps := step_rows(uses):
        await acreate_table_artifact(
            key="steps", table=steps, description="What the stages did with their time"
        )
    await acreate_table_artifact(
        key="release-gate",
        table=[dataclasses.asdict(check) for check in episode.checks],
        description="Measured on the decoded files",
    )
    sheet = Path(episode.folder) / "contact_sheet.jpg"
    if sheet.is_file():
        await acreate_image_artifact(
            image_url=_data_uri(sheet), key="contact-sheet", description=episode.title
        )
    await acreate_markdown_artifact(key="package", markdown=_links(episode))
    return episode


async def publish_verdict(
    report: RunReport,
    outcomes: Sequence[Outcome],
    settings: Sequence[SettingRow],
    held: list[dict[str, str]],
) -> None:
    """The verdict, the utilisation timeline and what is lent, as artifacts."""
    await acreate_markdown_artifact(
        key="verdict", markdown=verdict_markdown(report) + _asked(outcomes, settings)
    )
    await acreate_image_artifact(
        key="timeline",
        image_url=svg_data_uri(timeline_svg(report.trace, title=report.title)),
        description="Stages above, each card below, and why it was idle",
    )
    if held:
        await acreate_table_artifact(
            key="leases", table=held, description="Memory of cards that is lent or waited for"
        )


def tell_missed(name: str, outcomes: Sequence[Outcome]) -> None:
    """A Prefect event for each expectation that was measured and not met."""
    for outcome in outcomes:
        if outcome.met is False:
            emit_event(
                event=MISSED_EVENT,
                resource={
                    "prefect.resource.id": f"podcast-studio.episode.{name}",
                    "prefect.resource.name": name,
                    "podcast-studio.stage": outcome.expectation.stage,
                },
                payload={
                    "expectation": str(outcome.expectation),
                    "measured": outcome.measured,
                    "said": str(outcome),
                },
            )


def stage_rows(uses: tuple[StageUse, ...]) -> list[dict[str, str]]:
    """A row per stage (and card) for a person; a stage that did not run was answered from the
    store.
    """
    ran: dict[str, list[dict[str, str]]] = {}
    for use in uses:
        ran.setdefault(use.stage, []).extend(use_rows((use,)))
    watched = any(use.cards for use in uses)
    rows = []
    for name in (*STAGES, *(stage for stage in ran if stage not in STAGES)):
        for row in ran.get(name) or [{}]:
            cells = {
                "stage": name,
                # What nobody did took no time of its own: its span is the whole run.
                "wall s": "" if name == UNATTRIBUTED else row.get("wall s", ""),
                "CPU s": row.get("CPU s", ""),
                "peak MiB": row.get("peak RSS MiB", ""),
            }
            if watched:
                cells |= {key: row.get(key, "") for key in _CARD_COLUMNS}
            rows.append(cells | {"": "" if row else "remembered"})
    return rows


_CARD_COLUMNS = ("card", "GPU s", "GPU % mean", "memory peak GiB", "energy J", "card idle because")


def _trace(run: Run) -> Trace:
    if run.meter is None:
        return Trace(cpu_count=1, notes=("this run was not measured",))
    trace = run.meter.trace()
    return trace_of_run(trace, run.name) if run.name else trace


def _asked(outcomes: Sequence[Outcome], settings: Sequence[SettingRow]) -> str:
    """What the profile expected and asked of the device, as markdown; empty where nothing was."""
    lines: list[str] = []
    if outcomes:
        lines += ["", "### What the profile expects", ""]
        lines += [f"- {escape_markdown(str(outcome))}" for outcome in outcomes]
    if settings:
        lines += ["", "### Device settings", "", "| setting | requested | effective | why |"]
        lines.append("| --- | --- | --- | --- |")
        lines += [
            "| " + " | ".join(escape_markdown(cell) for cell in dataclasses.astuple(row)) + " |"
            for row in settings
        ]
    return "\n".join([*lines, ""])


def _data_uri(picture: Path) -> str:
    with Image.open(picture) as image:
        image.thumbnail((_SHEET_PX, _SHEET_PX * 2))
        buffer = io.BytesIO()
        image.convert("RGB").save(buffer, "JPEG", quality=70)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def _links(episode: Episode) -> str:
    """The package's files. Titles and names are text from a user: they stand in code spans."""
    place = quote(episode.folder)
    files = "\n".join(f"- `{name.replace('`', '_')}`" for name in episode.files)
    folder = episode.folder.replace("`", "_")
    return f"Episode folder: [`{folder}`](file://{place})\n\n{files}\n{_used(episode)}"


def _used(episode: Episode) -> str:
    """Which engines made the episode, and why others that were asked for did not."""
    engines = sorted({engine.name for engine in episode.engines})
    lines = [f"- {escape_markdown(name)}" for name in engines]
    if lines:
        lines = ["", "### Made by", "", *lines]
    if episode.fallbacks:
        lines += ["", "### Fell back", "", "| stage | wanted | used | why |"]
        lines.append("| --- | --- | --- | --- |")
        lines += [
            "| " + " | ".join(escape_markdown(cell) for cell in dataclasses.astuple(step)) + " |"
            for step in episode.fallbacks
        ]
    return "\n".join([*lines, ""])
