"""What a run leaves to be read: `report.json` beside the episode, artifacts in the Prefect UI."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
from pathlib import Path
from urllib.parse import quote

from PIL import Image
from prefect import task
from prefect.artifacts import (
    acreate_image_artifact,
    acreate_markdown_artifact,
    acreate_table_artifact,
)
from prefect.cache_policies import NO_CACHE

from studio.types import Episode, StageUse
from tasks.run import Run

STAGES = ("parse", "speech", "music", "avatar", "mix", "encode", "package")
"""The stages of an episode in the order of the DAG."""

_SHEET_PX = 640
"""Width of the contact sheet in the UI: with JPEG at quality 70 it stays under 100 KB, since the UI
loads every artifact of a list in full."""


@task(name="report", task_run_name="report", tags=["cpu"], cache_policy=NO_CACHE)
async def report_run(episode: Episode, run: Run) -> Episode:
    """Write what the stages cost beside the episode and publish it; returns the episode with it."""
    uses = run.meter.uses() if run.meter else ()
    episode = dataclasses.replace(episode, uses=uses)
    folder = Path(episode.folder)
    rows = stage_rows(uses)
    report = folder / "report.json"
    report.with_suffix(".part").write_text(
        json.dumps({"stages": [dataclasses.asdict(use) for use in uses]}, indent=2) + "\n",
        encoding="utf-8",
    )
    report.with_suffix(".part").replace(report)
    await acreate_table_artifact(
        key="stages", table=rows, description="What each stage took; no row is a guess"
    )
    await acreate_table_artifact(
        key="release-gate",
        table=[dataclasses.asdict(check) for check in episode.checks],
        description="Measured on the decoded files",
    )
    sheet = folder / "contact_sheet.jpg"
    if sheet.is_file():
        await acreate_image_artifact(
            image_url=_data_uri(sheet), key="contact-sheet", description=episode.title
        )
    await acreate_markdown_artifact(key="package", markdown=_links(episode))
    return episode


def stage_rows(uses: tuple[StageUse, ...]) -> list[dict[str, str]]:
    """A row per stage for a person; a stage that did not run was answered from the store."""
    ran = {use.stage: use for use in uses}
    rows = []
    for name in (*STAGES, *(use.stage for use in uses if use.stage not in STAGES)):
        use = ran.get(name)
        rows.append(
            {
                "stage": name,
                "wall s": f"{use.wall_s:.1f}" if use else "",
                "CPU s": _figure(use.cpu_s) if use else "",
                "peak MiB": _figure(use.rss_peak_mib, 0) if use else "",
                "": "" if use else "remembered",
            }
        )
    return rows


def _figure(value: float | None, digits: int = 1) -> str:
    return "n/a" if value is None else f"{value:.{digits}f}"


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
    return f"Episode folder: [`{episode.folder.replace('`', '_')}`](file://{place})\n\n{files}\n"
