"""What lies in the store, and what a stage made of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """A file in the store, named by what is in it."""

    sha256: str
    suffix: str
    num_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """A written word and when it sounds, in samples from the start of its line."""

    text: str
    start: int
    num_samples: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Phoneme:
    """An IPA phoneme ("" is a pause) and when it sounds, in samples from the start of its line."""

    symbol: str
    start: int
    num_samples: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceTraits:
    """What a spoken line tells of its voice.

    `timbre` holds cepstral distances from the embedded voice speaking the same words, `pitch_hz`
    the median pitch (None where little is voiced), `tempo` how much faster it speaks than the
    embedded voice, `seconds` how much of it is audible.
    """

    timbre: tuple[float, ...]
    pitch_hz: float | None
    tempo: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SpokenLine:
    """One segment, spoken: mono audio at `SAMPLE_RATE`, with its words' and phonemes' times.

    `takes` is how often it was spoken, `rejected` what was wrong with the takes before; `traits`
    are None for engines that cannot change their voice.
    """

    index: int
    speaker: str
    text: str
    engine: str
    voice: str
    audio: Blob
    num_samples: int
    words: tuple[Word, ...]
    phonemes: tuple[Phoneme, ...]
    takes: int = 1
    rejected: tuple[str, ...] = ()
    traits: VoiceTraits | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechTrack:
    """All lines on the episode's timeline: line `i` begins at sample `starts[i]`; the episode ends
    at `num_samples`.
    """

    sample_rate: int
    num_samples: int
    lines: tuple[SpokenLine, ...]
    starts: tuple[int, ...]
    engines: tuple[EngineInfo, ...] = ()
    fallbacks: tuple[Fallback, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MusicPiece:
    """Music for one cue, in chunks that overlap-add: chunk k begins at `k * hop_samples`; `ending`
    closes the piece.

    `audio` holds all chunks (then the ending) one after another, stereo at `SAMPLE_RATE`;
    `chunk_samples` are their lengths. A recording or a generated clip is a single chunk without an
    ending and is looped by crossfade.
    """

    cue: int
    engine: str
    prompt: str
    audio: Blob
    hop_samples: int
    chunk_samples: tuple[int, ...]
    ending_samples: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MusicTrack:
    """A piece for every cue that plays."""

    sample_rate: int
    pieces: tuple[MusicPiece, ...]
    engines: tuple[EngineInfo, ...] = ()
    fallbacks: tuple[Fallback, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MusicPlacement:
    """Where a piece sounds on the episode's timeline, all in samples; `gain_db` is relative to
    `MixSpec.bed_db`.
    """

    cue: int
    start: int
    num_samples: int
    gain_db: float
    fade_in: int
    fade_out: int
    offset: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AvatarPart:
    """One line of a presenter's performance: `data` is its motion (`.npz`) or its recorded frames
    (`.mkv`).
    """

    line: int
    start_frame: int
    num_frames: int
    data: Blob


@dataclass(frozen=True, slots=True, kw_only=True)
class AvatarClip:
    """One presenter over the whole episode.

    A weightless engine stores *motion*, which the encode draws as it goes; a neural engine stores
    *frames*. Frames not covered by a part show the presenter listening.
    """

    speaker: str
    engine: str
    look: str
    portrait: Blob | None
    landmarks: Blob | None = None
    kind: Literal["motion", "frames"]
    fps: int
    num_frames: int
    width_px: int
    height_px: int
    alpha: bool
    seed: int
    parts: tuple[AvatarPart, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Presenters:
    """Everyone who is seen, in order of appearance; empty when the episode has no presenter."""

    clips: tuple[AvatarClip, ...]
    engines: tuple[EngineInfo, ...] = ()
    fallbacks: tuple[Fallback, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """The finished sound and its stems, each FLAC at `sample_rate`, all `num_samples` long."""

    audio: Blob
    speech_stem: Blob
    music_stem: Blob
    sample_rate: int
    num_samples: int
    num_channels: int
    loudness_lufs: float
    true_peak_dbtp: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """A chapter on the episode's timeline, in samples."""

    title: str
    start: int
    num_samples: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Caption:
    """One caption on screen: at most two lines of text, who says it, and its words' times, in
    samples of the timeline.
    """

    speaker: str
    lines: tuple[str, ...]
    start: int
    num_samples: int
    words: tuple[Word, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One figure of the release gate, measured on the decoded deliverable."""

    name: str
    measured: str
    required: str
    passed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Fallback:
    """A step down the profile's list of alternatives, with its cause."""

    stage: str
    wanted: str
    used: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedVideo:
    """The encoded episode, before it is packaged."""

    video: Blob
    encoder: str
    width_px: int
    height_px: int
    fps: int
    num_frames: int
    fallbacks: tuple[Fallback, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineInfo:
    """What an engine says of itself: licences, memory need, native rate (Hz of audio or frames per
    second).
    """

    name: str
    code_licence: str
    weights_licence: str
    commercial: bool
    memory_gib: float
    rate: int
    identity: str = ""
    """What determines its output beside the line or cue: weights and settings, hashed. Part of the
    key that a result is remembered by."""
