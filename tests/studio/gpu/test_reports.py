"""Reports: whole, small, escaped, self-contained."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.errors import OutputError, SettingError, StoreError
from studio.gpu.cards import Card
from studio.gpu.expectations import METRIC_NAMES, check_expectations, parse_expectation
from studio.gpu.lease import Holding
from studio.gpu.ledger import Ledger
from studio.gpu.prometheus import exposition, metrics_endpoint
from studio.gpu.report_html import report_html
from studio.gpu.report_rows import (
    card_rows,
    holding_rows,
    host_rows,
    use_rows,
    verdict_markdown,
)
from studio.gpu.run_report import RunReport, report_from_dict, report_of, report_to_dict
from studio.gpu.timeline_svg import svg_data_uri, timeline_svg
from studio.gpu.trace import Trace
from studio.gpu.usage import UNATTRIBUTED
from studio.types import CardUse, StageUse
from tests.studio.gpu.demo_run import batch_of, demo_run

SVG = "{http://www.w3.org/2000/svg}"
USES = (
    StageUse(
        stage="avatar",
        wall_s=46.0,
        cpu_s=50.0,
        rss_peak_mib=2100.0,
        read_mib=None,
        write_mib=0.0,
        cards=(
            CardUse(card=0, name="x", gpu_s=28.0, energy_j=9000.0, util_mean_pct=61.0),
            CardUse(card=1, name="y", gpu_s=1.0, util_mean_pct=3.0),
        ),
    ),
    StageUse(stage="mix", wall_s=7.0, cpu_s=6.0, rss_peak_mib=9.0, read_mib=1.0, write_mib=2.0),
)


def demo_report(title: str = "Episode 12") -> RunReport:
    return report_of(title, demo_run(), USES)


@pytest.mark.parametrize(
    "trace", [demo_run(), demo_run(500.0), batch_of(60)], ids=["run", "long", "batch"]
)
def test_the_picture_is_small_well_formed_and_needs_nothing(trace: Trace) -> None:
    text = timeline_svg(trace)
    assert len(svg_data_uri(text)) < 100_000
    root = ET.fromstring(text)  # noqa: S314
    tags = {element.tag.removeprefix(SVG) for element in root.iter()}
    assert tags <= {"svg", "title", "desc", "style", "rect", "text", "path"}
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")


def test_the_picture_shows_what_happened_where_it_happened() -> None:
    root = ET.fromstring(timeline_svg(demo_run()))  # noqa: S314
    words = [element.text for element in root.iter(f"{SVG}text")]
    assert {"speech", "avatar", "package <&>", "card 1: NVIDIA <L4> & co"} <= set(words)
    assert any("video encoder was the limit" in (word or "") for word in words)
    (bars,) = [item.get("d") for item in root.iter(f"{SVG}path") if item.get("fill") == "#8a5aa8"]
    match = re.match(r"M([\d.]+) \d+h([\d.]+)v", bars or "")
    assert match is not None
    left, width = float(match[1]), float(match[2])
    scale = (960 - 132 - 14) / 76.0
    assert left == pytest.approx(132 + 12 * scale, abs=0.2)
    assert width == pytest.approx(46 * scale, abs=0.2)


def test_an_empty_run_gives_an_empty_frame() -> None:
    ET.fromstring(timeline_svg(Trace(cpu_count=1)))  # noqa: S314
    assert "without a GPU" in report_html(report_of("nothing", Trace(cpu_count=1), ()))


class Page(HTMLParser):
    """Collects what could load something, and the text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "srcset")]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_the_page_loads_nothing_and_runs_nothing() -> None:
    page = Page(report_html(demo_report()))
    assert page.links == []
    assert not page.tags & {"script", "link", "iframe", "img", "object", "embed"}
    assert {"h1", "h2", "table", "caption", "svg"} <= page.tags
    assert "url(" not in report_html(demo_report())


@given(st.text(max_size=40))
@settings(max_examples=12, deadline=None)
def test_text_from_outside_stays_text(name: str) -> None:
    trace = demo_run()
    spans = tuple(replace(item, stage=f"<i>{name}") for item in trace.spans[:1])
    ET.fromstring(timeline_svg(replace(trace, spans=spans), title=name))  # noqa: S314
    report = report_of(f"<script>{name}", replace(trace, spans=spans), USES)
    page = Page(report_html(report))
    assert not page.tags & {"script", "i"}
    assert f"<script>{name}".replace("\r", "\n") in [
        text.replace("\r", "\n") for text in page.texts
    ]


def test_absent_figures_are_not_zero() -> None:
    first = use_rows(USES)[0]
    assert (first["read MiB"], first["written MiB"], first["encoder s"]) == ("n/a", "0.0", "n/a")
    assert [row["card"] for row in use_rows(USES)] == ["0", "1", "n/a"]


def test_without_cards_there_are_no_columns_for_them_and_nothing_is_said_of_gpus() -> None:
    uses = tuple(replace(use, cards=()) for use in USES)
    assert card_rows(uses) == []
    assert [list(row) for row in use_rows(uses)] == [list(row) for row in host_rows(uses)]
    report = report_of("quiet", Trace(cpu_count=2, spans=demo_run().spans), uses)
    assert "kernel was running" not in report_html(report)
    assert "kernel was running" not in verdict_markdown(report)
    assert "GPU s" not in report_html(report)


def test_what_nobody_can_claim_has_no_wall_time_of_its_own() -> None:
    nobodys = replace(USES[1], stage=UNATTRIBUTED)
    assert [row["wall s"] for row in host_rows((USES[1], nobodys))] == ["7.0", ""]
    assert [row["stage"] for row in card_rows(USES)] == ["avatar", "avatar"]


def test_the_rows_learn_why_the_cards_were_idle() -> None:
    rows = {use.stage: use.idle_reason for use in demo_report().uses}
    assert rows["avatar"] == "an engine was being loaded"


def test_markdown_has_the_verdict_and_escapes_names() -> None:
    text = verdict_markdown(demo_report("A *bold* | title"))
    assert text.startswith("## A \\*bold\\* \\| title")
    assert "saves up to" in text
    assert "kernel was running" in text
    assert "<L4>" not in text


def test_a_report_survives_json_and_refuses_other_files() -> None:
    report = demo_report()
    assert report_from_dict(json.loads(json.dumps(report_to_dict(report)))) == report
    with pytest.raises(StoreError, match="schema"):
        report_from_dict({"schema": "other"})
    with pytest.raises(StoreError, match=r"uses\.0\.stage"):
        report_from_dict({**report_to_dict(report), "uses": [{"stage": 1}]})


def test_the_ledger_as_rows(tmp_path: Path) -> None:
    card = Card(index=0, uuid="u", name="n", memory_gib=24.0, nvenc_sessions=1)
    ledger = Ledger(tmp_path, [card])
    with ledger.lend(stage="avatar", need_gib=8.0, nvenc=1):
        (row,) = holding_rows(ledger.holdings())
    assert (row["stage"], row["card"], row["GiB"], row["state"]) == ("avatar", "0", "8.0", "in use")


def test_prometheus_text_has_base_units_and_leaves_out_what_is_absent() -> None:
    waiting = Holding(stage='a"b', pid=1, card=None, card_uuid=None, gib=2.0, nvenc=0, seconds=1.0)
    text = exposition(demo_run(), USES, [waiting])
    lines = text.splitlines()
    assert 'podcast_studio_stage_gpu_seconds_total{run="",stage="avatar",card="0"} 28' in lines
    assert f'podcast_studio_stage_written_bytes_total{{run="",stage="mix"}} {2 * 1024**2}' in lines
    assert not any("read_bytes" in line and "avatar" in line for line in lines)
    assert (
        'podcast_studio_ledger_memory_bytes{stage="a\\"b",card="",state="waiting"} 2147483648'
        in lines
    )
    assert text.endswith("\n")
    for line in lines:
        if not line.startswith("#"):
            float(line.rpartition(" ")[2])
    names = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(names) == len(set(names))


def test_the_endpoint_answers_on_loopback_until_it_is_closed() -> None:
    with metrics_endpoint(lambda: "podcast_studio_up 1\n", port=0) as port:
        address = f"http://127.0.0.1:{port}"
        with urllib.request.urlopen(f"{address}/metrics", timeout=5) as answer:  # noqa: S310
            assert answer.read() == b"podcast_studio_up 1\n"
            assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(f"{address}/other", timeout=5)  # noqa: S310
        with pytest.raises(OutputError, match="cannot listen"), metrics_endpoint(str, port=port):
            pass
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"{address}/metrics", timeout=5)  # noqa: S310


@pytest.mark.parametrize(
    ("text", "met", "measured"),
    [
        ("expect.avatar.gpu_util_pct_mean >= 60", True, 61.0),
        ("avatar.gpu_util_pct_mean>=62", False, 61.0),
        ("expect.avatar.gpu_s <= 29", True, 29.0),
        ("expect.avatar.energy_j < 9000", False, 9000.0),
        ("expect.mix.wall_s > 6.5", True, 7.0),
        ("expect.avatar.read_mib < 5", None, None),
        ("expect.mix.gpu_s < 5", None, None),
        ("expect.never.wall_s < 5", None, None),
    ],
)
def test_expectations(text: str, met: bool | None, measured: float | None) -> None:
    (outcome,) = check_expectations([parse_expectation(text)], USES)
    assert (outcome.met, outcome.measured) == (met, measured)
    words = {True: "met", False: "missed", None: "not measured"}[met]
    assert words in str(outcome)


def test_an_expectation_is_checked_in_every_episode() -> None:
    uses = [replace(USES[1], run="one"), replace(USES[1], run="two", wall_s=99.0)]
    outcomes = check_expectations([parse_expectation("mix.wall_s < 10")], uses)
    assert [outcome.met for outcome in outcomes] == [True, False]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("avatar.gpu_util >= 60", "Did you mean gpu_util_pct"),
        ("avatar.gpu_s == 60", "is no expectation"),
        ("avatar.gpu_s >= many", "is no expectation"),
    ],
)
def test_a_bad_expectation_names_its_remedy(text: str, words: str) -> None:
    with pytest.raises(SettingError, match=words):
        parse_expectation(text)


def test_every_metric_name_can_be_parsed_and_measured() -> None:
    for name in METRIC_NAMES:
        check_expectations([parse_expectation(f"avatar.{name} >= 0")], USES)
