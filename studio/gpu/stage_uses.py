"""From the books to rows: one `StageUse` per stage, then what nobody can claim."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from studio.gpu.books import Books, CardPeaks
from studio.gpu.usage import OTHERS, UNATTRIBUTED, Histogram, Tally
from studio.types import CardUse, StageUse

MIB = 1024**2


class Measured(Protocol):
    """A span of the meter, running or ended (`end_ns` 0: still running)."""

    id: str
    stage: str
    run: str
    start_ns: int
    end_ns: int


def rows_of(
    books: Books,
    spans: Sequence[Measured],
    names: Mapping[int, str],
    *,
    origin_ns: int,
    now_ns: int,
) -> list[StageUse]:
    """Rows in order of start; spans of one stage and run are one row. Sums over all rows are the
    whole.

    Args:
        books: the tallies.
        spans: every span so far.
        names: names of the cards by index.
        origin_ns: when the meter began; the rows that belong to nobody have its whole time as wall
            time.
        now_ns: when the books were last written.
    """
    grouped: dict[tuple[str, str], list[Measured]] = {}
    for span in spans:
        grouped.setdefault((span.run, span.stage), []).append(span)
    elapsed_ns = now_ns - origin_ns
    rows = [use_of(books, group, names, now_ns=now_ns) for group in grouped.values()]
    rows.append(_row(books, UNATTRIBUTED, "", [UNATTRIBUTED], names, elapsed_ns))
    if any(OTHERS in tally.rows for card in books.cards.values() for tally in card.values()):
        rows.append(_row(books, OTHERS, "", [OTHERS], names, elapsed_ns))
    return rows


def use_of(
    books: Books, spans: Sequence[Measured], names: Mapping[int, str], *, now_ns: int
) -> StageUse:
    """One row for some spans of one stage and run."""
    ids = [span.id for span in spans]
    return _row(books, spans[0].stage, spans[0].run, ids, names, _covered_ns(spans, now_ns))


def _row(
    books: Books, stage: str, run: str, ids: Sequence[str], names: Mapping[int, str], wall_ns: int
) -> StageUse:
    def amount(tally: Tally, unit: float) -> float | None:
        return sum(tally.rows.get(name, 0) for name in ids) / unit if tally.known else None

    rss = max((books.rss_peak_b[name] for name in ids if name in books.rss_peak_b), default=None)
    cards = tuple(
        _card_row(
            card,
            names.get(card, ""),
            {quantity: amount(tally, 1.0) for quantity, tally in tallies.items()},
            [books.peaks[name][card] for name in ids if name in books.peaks],
        )
        for card, tallies in sorted(books.cards.items())
    )
    foreign = stage == OTHERS
    return StageUse(
        stage=stage,
        run=run,
        wall_s=wall_ns / 1e9,
        cpu_s=None if foreign else amount(books.cpu_ns, 1e9),
        rss_peak_mib=None if rss is None else rss / MIB,
        read_mib=None if foreign else amount(books.read_b, MIB),
        write_mib=None if foreign else amount(books.write_b, MIB),
        cards=cards,
    )


def _card_row(
    card: int, name: str, amounts: Mapping[str, float | None], peaks: Sequence[CardPeaks]
) -> CardUse:
    util = Histogram.merged(peak.util for peak in peaks)
    return CardUse(
        card=card,
        name=name,
        gpu_s=_per(amounts["gpu_ns"], 1e9),
        encoder_s=_per(amounts["encoder_ns"], 1e9),
        decoder_s=_per(amounts["decoder_ns"], 1e9),
        energy_j=_per(amounts["energy_mj"], 1e3),
        util_mean_pct=util.mean,
        util_p50_pct=util.percentile(50.0),
        util_p95_pct=util.percentile(95.0),
        util_peak_pct=util.peak,
        encoder_mean_pct=Histogram.merged(peak.encoder for peak in peaks).mean,
        sm_active_mean_pct=Histogram.merged(peak.sm_active for peak in peaks).mean,
        memory_peak_gib=_most_gib([peak.memory_ours_mib for peak in peaks]),
        card_memory_peak_gib=_most_gib([peak.memory_used_mib for peak in peaks]),
    )


def _per(amount: float | None, unit: float) -> float | None:
    return None if amount is None else amount / unit


def _most_gib(values_mib: Sequence[float | None]) -> float | None:
    known = [value for value in values_mib if value is not None]
    return max(known) / 1024.0 if known else None


def _covered_ns(spans: Sequence[Measured], now_ns: int) -> int:
    """Time during which at least one of the spans ran."""
    covered = reached = 0
    for start, end in sorted((span.start_ns, span.end_ns or now_ns) for span in spans):
        covered += max(0, end - max(start, reached))
        reached = max(reached, end)
    return covered
