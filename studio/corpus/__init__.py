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
    ClipInfo,
    CorpusReport,
    Quarantined,
    Reason,
)

__all__ = [
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
