"""Words for speech recordings turned into training data: what is asked for, what a store holds."""

from studio.corpus.asked import (
    AugmentSpec,
    BatchSpec,
    CorpusSpec,
    LimitSpec,
    MelSpec,
    TokenSpec,
)
from studio.corpus.found import (
    REASONS,
    ClipInfo,
    CorpusReport,
    Quarantined,
    Reason,
)

__all__ = [
    "REASONS",
    "AugmentSpec",
    "BatchSpec",
    "ClipInfo",
    "CorpusReport",
    "CorpusSpec",
    "LimitSpec",
    "MelSpec",
    "Quarantined",
    "Reason",
    "TokenSpec",
]
