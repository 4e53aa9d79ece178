"""What a stage took from the machine."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CardUse:
    """What one stage did with one card. `None`: no sensor could tell, which is never the same as 0.

    `gpu_s`, `encoder_s`, `decoder_s` and `energy_j` are this row's share: over all rows of a run
    they add up to what the card did. Utilisation is the whole card's while the stage ran; NVML's
    "utilisation" means that a kernel was running, not that the card was full. `memory_peak_gib`
    counts our processes only.
    """

    card: int
    name: str
    gpu_s: float | None = None
    encoder_s: float | None = None
    decoder_s: float | None = None
    energy_j: float | None = None
    util_mean_pct: float | None = None
    util_p50_pct: float | None = None
    util_p95_pct: float | None = None
    util_peak_pct: float | None = None
    encoder_mean_pct: float | None = None
    sm_active_mean_pct: float | None = None
    memory_peak_gib: float | None = None
    card_memory_peak_gib: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepUse:
    """One step inside a stage, added up over all its `times`.

    `wall_s` is time of the thread that works; a card works behind its back, so a step of a card may
    take the thread no time at all. `gpu_s` is the card's own time from the step's first kernel to
    its last; `None` where no card worked.
    """

    step: str
    times: int
    wall_s: float
    gpu_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StageUse:
    """What one stage took from the machine, child processes included. `None`: no sensor could tell.

    Two rows complete a run so that its sums are whole: "unattributed" (nobody can say whose it was)
    and "other programs" (on the cards, not ours). `idle_reason` is the main cause of the cards'
    idle time in this stage. `steps` are what its engines said of their work.
    """

    stage: str
    run: str = ""
    wall_s: float
    cpu_s: float | None
    rss_peak_mib: float | None
    read_mib: float | None
    write_mib: float | None
    cards: tuple[CardUse, ...] = ()
    idle_reason: str | None = None
    steps: tuple[StepUse, ...] = ()
