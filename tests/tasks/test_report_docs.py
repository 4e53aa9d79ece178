"""What the page about the GPU tells of expectations is what the code and Prefect know."""

from __future__ import annotations

import re
from pathlib import Path

import yaml  # type: ignore[import-untyped]
from prefect.events.schemas.automations import AutomationCore

from studio.gpu.expectations import METRIC_NAMES, parse_expectation
from tasks.report import MISSED_EVENT

PAGE = (Path(__file__).parents[2] / "docs" / "gpu.md").read_text(encoding="utf-8")


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)


def test_every_figure_that_may_be_expected_is_named() -> None:
    for name in METRIC_NAMES:
        assert re.search(rf"\b{name}\b", PAGE), name


def test_the_automation_is_one_that_prefect_takes() -> None:
    (text,) = _blocks("yaml")
    automation = AutomationCore.model_validate(yaml.safe_load(text))
    assert MISSED_EVENT in text
    assert automation.actions[0].type == "send-notification"


def test_the_examples_of_expectations_are_read() -> None:
    (text,) = [block for block in _blocks("toml") if "[expect." in block]
    stage = re.search(r"\[expect\.(\w+)\]", text)
    assert stage is not None
    found = re.findall(r'^(\w+) = "([^"]+)"', text, flags=re.MULTILINE)
    assert found
    for metric, bound in found:
        parse_expectation(f"{stage[1]}.{metric} {bound}")
