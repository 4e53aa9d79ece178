"""A part of a script that can be produced by itself: one chapter, or about its first seconds."""

from __future__ import annotations

from dataclasses import replace

from studio.errors import SettingError
from studio.timeline import line_seconds
from studio.types import Assets, MusicCue, Rehearsal, Script


def first_seconds(script: Script, seconds: float, rate_wpm: int) -> tuple[int, int]:
    """The lines from the first on that take about `seconds` to speak, at least one: the first and
    the one after the last.
    """
    spoken_s = 0.0
    for segment in script.segments:
        spoken_s += line_seconds(segment.text, rate_wpm) + segment.pause_after_s
        if spoken_s >= seconds:
            return 0, segment.index + 1
    return 0, len(script.segments)


def chapter_lines(script: Script, number: int) -> tuple[int, int]:
    """The lines of chapter `number` (from 1): the first and the one after the last.

    Words before the first heading are chapter 1, as in the finished episode. Raises `SettingError`
    when there is no such chapter.
    """
    begins = [mark.at for mark in script.chapters]
    if begins[:1] != [0]:
        begins.insert(0, 0)
    begins = sorted({at for at in begins if at < len(script.segments)})
    if not 1 <= number <= len(begins):
        found = f"there is no chapter {number}"
        raise SettingError("--chapter", found, f"The script has {len(begins)}")
    ends = [*begins[1:], len(script.segments)]
    return begins[number - 1], ends[number - 1]


def excerpt(rehearsal: Rehearsal, first: int, end: int) -> Rehearsal:
    """The lines from `first` up to `end`, renumbered, with the chapters, cues and recordings that
    belong to them; the music that plays when they begin plays from their beginning.
    """
    script = rehearsal.script
    segments = tuple(
        replace(segment, index=number) for number, segment in enumerate(script.segments[first:end])
    )
    kept = _cues(script, first, end)
    cues = tuple(
        replace(cue, index=number, at=max(0, cue.at - first)) for number, cue in enumerate(kept)
    )
    marks = tuple(
        replace(mark, at=max(0, mark.at - first))
        for number, mark in enumerate(script.chapters)
        if mark.at < end and (mark.at >= first or _last_before(script, number, first))
    )
    numbers = {cue.index: number for number, cue in enumerate(kept)}
    files = tuple(
        (numbers[index], blob) for index, blob in rehearsal.assets.cue_files if index in numbers
    )
    assets: Assets = replace(rehearsal.assets, cue_files=files)
    part = replace(
        script,
        segments=segments,
        cues=cues,
        chapters=marks,
        pause_before_s=script.pause_before_s if first == 0 else 0.0,
    )
    return replace(rehearsal, script=part, assets=assets)


def _cues(script: Script, first: int, end: int) -> list[MusicCue]:
    """The cues of the part, after the one whose music is still playing when it begins."""
    playing: list[MusicCue] = []
    for cue in script.cues:
        if cue.at >= first and (cue.at > 0 or first == 0):
            break
        if cue.action == "play":
            playing = [cue] if cue.hold_s is None else []
        elif cue.action == "level":
            playing = [*playing[:1], cue] if playing else []
        else:
            playing = []
    inside = [
        cue
        for cue in script.cues
        if first <= cue.at < end or (cue.at == end == len(script.segments))
    ]
    if any(cue.at == first and cue.action == "play" for cue in inside):
        playing = []
    return [*playing, *inside]


def _last_before(script: Script, number: int, first: int) -> bool:
    """Whether a chapter is the one that line `first` lies in."""
    following = [mark.at for mark in script.chapters[number + 1 :]]
    return not following or following[0] > first
