"""`report.json` beside an episode: written, found, read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from studio.errors import MediaError, OutputError, StoreError
from studio.gpu.device_setup import SettingRow
from studio.gpu.expectations import Outcome
from studio.gpu.report_html import report_html
from studio.gpu.run_report import RunReport, report_from_dict, report_to_dict

REPORT = "report.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a run tells of itself: the report, what the profile expected and how it came out in
    words, the device settings that differ from what was asked.
    """

    report: RunReport
    missed: tuple[str, ...] = ()
    unmeasured: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()


def write_report(
    folder: Path,
    report: RunReport,
    outcomes: Sequence[Outcome],
    settings: Sequence[SettingRow],
    held: Sequence[dict[str, str]],
) -> Path:
    """Write the report whole or not at all; returns where it is."""
    data = {
        **report_to_dict(report),
        "expectations": [
            {
                "expectation": str(outcome.expectation),
                "measured": outcome.measured,
                "met": outcome.met,
            }
            for outcome in outcomes
        ],
        "device": [asdict(row) for row in settings],
        "ledger": list(held),
    }
    path = folder / REPORT
    part = path.with_suffix(".part")
    part.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    part.replace(path)
    return path


def read_report(path: Path) -> Told:
    """Read a report. Raises `MediaError` for a file that is none."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        told = Told(
            report=report_from_dict(data),
            missed=tuple(map(_outcome, _where(data["expectations"], met=False))),
            unmeasured=tuple(map(_outcome, _where(data["expectations"], met=None))),
            ignored=_ignored([SettingRow(**row) for row in data["device"]]),
        )
    except StoreError as error:
        raise MediaError(str(path), error.found, error.remedy) from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        said = " ".join(str(error).split())[:200]
        raise MediaError(str(path), f"is no report ({said})", "Run the episode again") from error
    return told


def find_report(place: str, out_dir: Path) -> Path:
    """The report of an episode's folder, of a file, or of the "latest" episode in `out_dir`.

    Raises `OutputError` when there is none.
    """
    if place != "latest":
        path = Path(place)
        path = path / REPORT if path.is_dir() else path
        if not path.is_file():
            raise OutputError(place, "no report there", "Name an episode's folder, or `latest`")
        return path
    reports = [*out_dir.glob(REPORT), *out_dir.glob(f"*/{REPORT}")]
    if not reports:
        remedy = "Make an episode first, or name its folder or --out-dir"
        raise OutputError(str(out_dir), "no episode with a report there", remedy)
    return max(reports, key=lambda path: path.stat().st_mtime_ns)


def write_page(report: RunReport, path: Path) -> None:
    """Write the report as a page that needs nothing else. Raises `OutputError`."""
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(report_html(report), encoding="utf-8")
        part.replace(path)
    except OSError as error:
        found = error.strerror or "cannot be written"
        raise OutputError(str(path), found, "Choose another place") from error


def _ignored(rows: Sequence[SettingRow]) -> tuple[str, ...]:
    """What a card did not do as asked. Without one, nothing of this is worth a line."""
    if not any(row.setting == "device" and row.effective == "cuda" for row in rows):
        return ()
    return tuple(
        f"device.{row.setting} = {row.requested}: {row.effective} ({row.why})"
        for row in rows
        if row.ignored
    )


def _where(outcomes: Sequence[dict[str, Any]], *, met: bool | None) -> list[dict[str, Any]]:
    return [outcome for outcome in outcomes if outcome["met"] is met]


def _outcome(outcome: dict[str, Any]) -> str:
    if outcome["measured"] is None:
        return f"{outcome['expectation']}: not measured"
    return f"{outcome['expectation']}: missed ({outcome['measured']:.4g})"
