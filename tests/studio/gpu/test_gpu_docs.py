"""The page about the GPU names every figure as the code does."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from studio.gpu.causes import WORDS
from studio.gpu.metrics import METRICS
from studio.gpu.trace import CardReading, Sample

PAGE = Path(__file__).parents[3] / "docs" / "gpu.md"


def test_the_page_has_every_metric_with_its_unit_and_source() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for metric in METRICS:
        row = f"| `{metric.name}` | {metric.scope} | {metric.unit} | {metric.source} | "
        assert row + metric.meaning in page


def test_the_page_has_every_cause_in_the_reports_words() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for cause, words in WORDS.items():
        assert f"| `{cause}` | {words} |" in page


def test_the_table_of_metrics_is_the_readings_fields() -> None:
    times = {"start_s", "end_s", "cards", "card"}
    host = {field.name for field in fields(Sample)} - times
    card = {field.name for field in fields(CardReading)} - times
    assert {metric.name for metric in METRICS if metric.scope == "host"} == host
    assert {metric.name for metric in METRICS if metric.scope == "card"} == card
    assert len({metric.name for metric in METRICS}) == len(METRICS)
