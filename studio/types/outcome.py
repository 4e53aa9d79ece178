"""What a run was given, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass

from studio.types.media import Blob, Check, EngineInfo, Fallback
from studio.types.usage import StageUse
from studio.types.words import Script


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
    pose_film: Blob | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """A script that can be produced: its words, and the user's files that it needs."""

    script: Script
    assets: Assets


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """A finished, checked episode in its folder. `folder` is where this run put it; `engines` made
    it, and `fallbacks` are why others did not.
    """

    title: str
    folder: str
    files: tuple[str, ...]
    manifest_sha256: str
    duration_s: float
    loudness_lufs: float
    true_peak_dbtp: float
    checks: tuple[Check, ...]
    fallbacks: tuple[Fallback, ...]
    engines: tuple[EngineInfo, ...] = ()
    uses: tuple[StageUse, ...] = ()


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
