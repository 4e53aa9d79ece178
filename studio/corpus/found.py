"""What is found in recordings and kept of them: a clip's facts, why one was put aside, a report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Reason = Literal[
    "bad_row",
    "duplicate_id",
    "missing",
    "empty_file",
    "truncated",
    "undecodable",
    "not_mono",
    "wrong_rate",
    "not_finite",
    "silent",
    "too_short",
    "too_long",
    "empty_text",
    "unknown_symbol",
    "text_too_long",
    "text_too_fast",
    "no_phonemes",
    "unlisted",
]
"""Why a clip was put aside.

`bad_row`: a line of the list that cannot be read. `missing`: no such file. `empty_file`: 0 bytes,
or no sample. `truncated`: shorter than its own header says. `undecodable`: no sound that can be
read. `not_finite`: holds NaN or infinity. `text_too_fast`: more tokens a second than anybody
speaks, so text and sound do not belong together. `no_phonemes`: phonemes were asked for and the
source has no times for them. `unlisted`: a recording that no line of the list names.
"""

REASONS: tuple[Reason, ...] = get_args(Reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantined:
    """A clip that is not used: its id, where it was named, the reason's code and what was found."""

    id: str
    source: str
    reason: Reason
    found: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipInfo:
    """A clip of a store as a person knows it: `text` as written, `normalised` as it was tokenised,
    `speaker` by name, `source` the file it came from.
    """

    id: str
    text: str
    normalised: str
    speaker: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusReport:
    """What preparation did and what the store now holds. Every clip of the source is in exactly
    one of `kept` (already there), `added` and `quarantined`.
    """

    folder: str
    store_sha256: str
    num_clips: int
    num_frames: int
    hours: float
    kept: int
    added: int
    dropped: int
    quarantined: tuple[Quarantined, ...]
    dead_bytes: int

    @property
    def reasons(self) -> dict[str, int]:
        """How many clips were put aside for each reason, most frequent first."""
        counts = dict.fromkeys(REASONS, 0)
        for one in self.quarantined:
            counts[one.reason] += 1
        ranked = sorted(counts.items(), key=lambda pair: -pair[1])
        return {reason: count for reason, count in ranked if count}
