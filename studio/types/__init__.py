"""The values that travel between stages.

Frozen, slotted, keyword-only. Time is an integer number of samples (or frames) with its rate beside
it; seconds appear only where a person wrote them (a pause, a fade). Media is named by content
(`Blob`), never by path, and no value holds an array: the same inputs therefore give the same cache
key on every machine.
"""

from studio.types.media import (
    AvatarClip,
    AvatarPart,
    Blob,
    Caption,
    Chapter,
    Check,
    EncodedVideo,
    EngineInfo,
    Fallback,
    Mix,
    MusicPiece,
    MusicPlacement,
    MusicTrack,
    Phoneme,
    Presenters,
    SpeechTrack,
    SpokenLine,
    VoiceTraits,
    Word,
)
from studio.types.outcome import (
    Assets,
    BatchResult,
    Episode,
    Rehearsal,
    SpeakerPortrait,
)
from studio.types.usage import (
    CardUse,
    StageUse,
    StepUse,
)
from studio.types.words import (
    SAMPLE_RATE,
    ChapterMark,
    CueAction,
    Header,
    MusicCue,
    Script,
    Segment,
)

__all__ = [
    "SAMPLE_RATE",
    "Assets",
    "AvatarClip",
    "AvatarPart",
    "BatchResult",
    "Blob",
    "Caption",
    "CardUse",
    "Chapter",
    "ChapterMark",
    "Check",
    "CueAction",
    "EncodedVideo",
    "EngineInfo",
    "Episode",
    "Fallback",
    "Header",
    "Mix",
    "MusicCue",
    "MusicPiece",
    "MusicPlacement",
    "MusicTrack",
    "Phoneme",
    "Presenters",
    "Rehearsal",
    "Script",
    "Segment",
    "SpeakerPortrait",
    "SpeechTrack",
    "SpokenLine",
    "StageUse",
    "StepUse",
    "VoiceTraits",
    "Word",
]
