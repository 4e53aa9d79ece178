"""A run's report as table rows and as markdown: pure values, for Prefect artifacts, terminals and
pages.
"""

from __future__ import annotations

from collections.abc import Sequence

from studio.gpu.lease import Holding
from studio.gpu.run_report import RunReport
from studio.gpu.usage import OTHERS, UNATTRIBUTED
from studio.gpu.verdict import CardFinding
from studio.types import CardUse, StageUse

ABSENT = "n/a"
"""How a figure is printed that no sensor gave; 0 is a measurement."""

UTILISATION_NOTE = (
    "GPU utilisation is NVML's: the share of time in which a kernel was running. It says nothing "
    "of how much of the card that kernel filled; where the card can tell (Hopper and newer), "
    "active multiprocessors are shown beside it."
)


def figure(value: float | None, digits: int = 1) -> str:
    """A number for people."""
    return ABSENT if value is None else f"{value:,.{digits}f}"


def use_rows(uses: Sequence[StageUse]) -> list[dict[str, str]]:
    """One row per stage and card (a stage without cards has one row), sums at the end being the
    whole. Where no card was watched there are no columns for cards.
    """
    watched = any(use.cards for use in uses)
    return [
        {**_host_cells(use), **(_card_cells(use, card) if watched else {})}
        for use in uses
        for card in use.cards or (None,)
    ]


def host_rows(uses: Sequence[StageUse]) -> list[dict[str, str]]:
    """One row per stage: what it took of the host."""
    return [_host_cells(use) for use in uses]


def card_rows(uses: Sequence[StageUse]) -> list[dict[str, str]]:
    """One row per stage and card: what it took of the card; none where no card was watched. The
    reasons of idleness are sentences, for which a terminal's table has no room.
    """
    rows = [{"stage": _name(use), **_card_cells(use, card)} for use in uses for card in use.cards]
    return [{name: row[name] for name in row if name != "card idle because"} for row in rows]


def step_rows(uses: Sequence[StageUse]) -> list[dict[str, str]]:
    """One row per step that a stage told of; the share is of the stage's own time."""
    return [
        {
            "stage": _name(use),
            "step": step.step,
            "times": str(step.times),
            "wall s": figure(step.wall_s, 2),
            "% of stage": figure(_share_pct(step.wall_s, use.wall_s), 0),
            "GPU s": figure(step.gpu_s, 2),
            "GPU % of stage": figure(_share_pct(step.gpu_s, use.wall_s), 0),
        }
        for use in uses
        for step in use.steps
    ]


def _share_pct(seconds: float | None, whole_s: float) -> float | None:
    return None if seconds is None or whole_s <= 0.0 else 100.0 * seconds / whole_s


def holding_rows(holdings: Sequence[Holding]) -> list[dict[str, str]]:
    """Who holds, or waits for, what: one row per line of the ledger."""
    return [
        {
            "stage": item.stage,
            "process": str(item.pid),
            "card": ABSENT if item.card is None else str(item.card),
            "GiB": figure(item.gib),
            "NVENC sessions": str(item.nvenc),
            "since (s)": figure(item.seconds),
            "state": "waiting" if item.card_uuid is None else "idle" if item.idle else "in use",
        }
        for item in holdings
    ]


def verdict_markdown(report: RunReport) -> str:
    """The verdict as markdown: headline, changes, causes per card, critical path."""
    verdict = report.verdict
    lines = [f"## {escape_markdown(report.title)}", "", escape_markdown(verdict.headline), ""]
    lines += ["### What to change", ""]
    lines += [
        f"{number}. {escape_markdown(change_sentence(change.what, change.saves_s))} "
        f"({escape_markdown(change.why)})"
        for number, change in enumerate(verdict.changes, start=1)
    ] or ["Nothing that this run could price."]
    if verdict.cards:
        lines += ["", "### Why the cards were idle", ""]
        lines += [
            f"- **{escape_markdown(card_name(card))}** {escape_markdown(card.sentence)}"
            for card in verdict.cards
        ]
    path = " → ".join(f"{step.stage} {step.seconds:.1f} s" for step in verdict.critical_path)
    reached, possible = verdict.overlap_reached, verdict.overlap_possible
    overlap = f"Stages at a time: {reached:.2f}; possible with unlimited room: {possible:.2f}."
    lines += [
        "",
        "### Where the time went",
        "",
        f"Critical path: {escape_markdown(path) or ABSENT}.",
    ]
    lines += ["", overlap, ""]
    if verdict.cards:
        lines += [f"_{UTILISATION_NOTE}_", ""]
    lines += [f"_{escape_markdown(note)}_" for note in report.trace.notes]
    return "\n".join(lines) + "\n"


def change_sentence(what: str, saves_s: float | None) -> str:
    """A change with its price."""
    saving = "what it saves cannot be told from this run" if saves_s is None else ""
    return f"{what[:1].upper()}{what[1:]}: " + (saving or f"saves up to {saves_s:.1f} s")


def card_name(card: CardFinding) -> str:
    """A card as reports call it."""
    return f"Card {card.card} ({card.name})"


def escape_markdown(text: str) -> str:
    """Text that markdown shows as it is."""
    for sign in "\\`*_[]<>|#":
        text = text.replace(sign, f"\\{sign}")
    return text.replace("\n", " ")


def _host_cells(use: StageUse) -> dict[str, str]:
    # What nobody can claim took no time of its own: its span is the whole run.
    nobodys = use.stage in (UNATTRIBUTED, OTHERS)
    return {
        "stage": _name(use),
        "wall s": "" if nobodys else figure(use.wall_s),
        "CPU s": figure(use.cpu_s),
        "peak RSS MiB": figure(use.rss_peak_mib, 0),
        "read MiB": figure(use.read_mib),
        "written MiB": figure(use.write_mib),
    }


def _name(use: StageUse) -> str:
    return f"{use.run}: {use.stage}" if use.run else use.stage


def _card_cells(use: StageUse, card: CardUse | None) -> dict[str, str]:
    if card is None:
        card = CardUse(card=-1, name="")
    return {
        "card": ABSENT if card.card < 0 else str(card.card),
        "GPU s": figure(card.gpu_s),
        "GPU % mean": figure(card.util_mean_pct, 0),
        "GPU % p95": figure(card.util_p95_pct, 0),
        "SM active %": figure(card.sm_active_mean_pct, 0),
        "encoder s": figure(card.encoder_s),
        "energy J": figure(card.energy_j, 0),
        "memory peak GiB": figure(card.memory_peak_gib),
        "card idle because": use.idle_reason or "",
    }
