"""The values that travel between stages.

Frozen, slotted, keyword-only. Time is an integer number of samples (or frames) with its rate beside
it; seconds appear only where a person wrote them (a pause, a fade). Media is named by content
(`Blob`), never by path, and no value holds an array: the same inputs therefore give the same cache
key on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

SAMPLE_RATE = 48_000
"""The episode's clock in Hz: what the delivery codecs (AAC, MP3) and video players expect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """A file in the store, named by what is in it."""

    sha256: str
    suffix: str
    num_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One sentence that is spoken. `index` counts from 0 over the whole script."""

    index: int
    speaker: str
    text: str
    line_no: int
    direction: str = ""
    pause_after_s: float = 0.0
    ends_paragraph: bool = False


CueAction = Literal["play", "level", "fade_out", "stop"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MusicCue:
    """What the script asks of the music at the start of segment `at` (`at == len(segments)`: after
    the last one).

    `None` means "not said": the profile decides. `hold_s` is how long it sounds, its fades
    included, `file` a recording named in the script instead of words to compose from. Levels are dB
    relative to `gain_from`: the speech, or the profile's bed (`MixSpec.bed_db`);
    `studio.timeline.place_music` turns both into dB relative to the bed.
    """

    index: int
    at: int
    prompt: str
    line_no: int
    action: CueAction = "play"
    gain_db: float | None = None
    gain_from: Literal["speech", "bed"] = "bed"
    fade_in_s: float | None = None
    fade_out_s: float | None = None
    hold_s: float | None = None
    file: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChapterMark:
    """A chapter that begins with segment `at`."""

    at: int
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What the script's own header asks for; empty means "not said". Pairs are `(SPEAKER, value)`;
    `("", value)` is for all.
    """

    runtime_s: float | None = None
    tone: str = ""
    style: str = ""
    music: str = ""
    background: str = ""
    aspect: str = ""
    voices: tuple[tuple[str, str], ...] = ()
    avatars: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """A parsed script: what is said, what is played, where chapters begin. Directions are metadata,
    never speech.
    """

    title: str
    language: str
    header: Header
    segments: tuple[Segment, ...]
    cues: tuple[MusicCue, ...]
    chapters: tuple[ChapterMark, ...]
    notes: str = ""
    warnings: tuple[str, ...] = ()
    pause_before_s: float = 0.0

    @property
    def speakers(self) -> tuple[str, ...]:
        """Every speaker once, in order of appearance."""
        return tuple(dict.fromkeys(segment.speaker for segment in self.segments))


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
class SpokenLine:
    """One segment, spoken: mono audio at `SAMPLE_RATE`, with its words' and phonemes' times."""

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
class SpeakerPortrait:
    """The picture that the script gives a speaker; `""` is everybody without one."""

    speaker: str
    picture: Blob
    landmarks: Blob | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Assets:
    """The user's own files, taken into the store: what the script and the command line name.

    `cue_files` are pairs of a cue's index and its recording.
    """

    lexicon: tuple[tuple[str, str], ...] = ()
    music: Blob | None = None
    cue_files: tuple[tuple[int, Blob], ...] = ()
    portrait: Blob | None = None
    landmarks: Blob | None = None
    portraits: tuple[SpeakerPortrait, ...] = ()
    background: Blob | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """A script that can be produced: its words, and the user's files that it needs."""

    script: Script
    assets: Assets


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """A finished, checked episode in its folder. `folder` is where this run put it."""

    title: str
    folder: str
    files: tuple[str, ...]
    manifest_sha256: str
    duration_s: float
    loudness_lufs: float
    true_peak_dbtp: float
    checks: tuple[Check, ...]
    fallbacks: tuple[Fallback, ...]
    uses: tuple[StageUse, ...] = ()


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
class StageUse:
    """What one stage took from the machine, child processes included. `None`: no sensor could tell.

    Two rows complete a run so that its sums are whole: "unattributed" (nobody can say whose it was)
    and "other programs" (on the cards, not ours). `idle_reason` is the main cause of the cards'
    idle time in this stage.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchResult:
    """What became of one script of a batch: its episode's folder, or why there is none.

    `made` names the stages that ran; none of them: the episode stood unchanged, or its script could
    not be read. `wall_s` is the time it took, in which others were made as well.
    """

    script: str
    name: str = ""
    folder: str = ""
    duration_s: float = 0.0
    why: str = ""
    made: tuple[str, ...] = ()
    wall_s: float = 0.0
