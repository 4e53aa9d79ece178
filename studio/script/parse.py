"""From a script's text to the `Script` that every stage works from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from studio.errors import ScriptError
from studio.script.assemble import Assembly, assemble
from studio.script.events import Asked, Event, Said
from studio.script.header import read_header
from studio.script.lines import ReadLines, read_lines
from studio.script.source import numbered_lines, read_source
from studio.types import Header, MusicCue, Script

UNTITLED: Final = "Untitled Podcast"
SHORT_CHARACTERS: Final = 100
LONG_CHARACTERS: Final = 50_000
"""Spoken characters below and above which a script is probably not what was meant (8 s and 55
minutes of speech).
"""

_NO_MUSIC: Final = frozenset({"none", "no", "off", "no music", "without"})


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanText:
    """What is spoken, line by line, and where the cues stand in it.

    `text` is the non-blank spoken lines joined by one newline; `cue_offsets[i]` is the offset at
    which the speech after cue `i` begins (after the last line: one past its newline, as if
    another line followed).
    """

    text: str
    cue_offsets: tuple[int, ...]


def read_script(path: Path) -> Script:
    """Read and parse a script file.

    Raises:
        ScriptError: the file cannot be read as text, or see `parse_script`.
        SettingError: a header line with a value that its key cannot take.
    """
    return parse_script(read_source(path), str(path))


def parse_script(text: str, name: str) -> Script:
    """Parse a script; `name` stands for it in errors.

    Raises:
        ScriptError: nothing to speak, an empty cue, a pause over 60 s, an unknown header key.
        SettingError: a header line with a value that its key cannot take.
    """
    lines = numbered_lines(text, name)
    if not any(line.strip() for line in lines):
        raise ScriptError(name, "the script is empty", "Write at least one line of speech")
    read = read_lines(lines, name)
    header, title, language = read_header(read.header, name)
    assembly = assemble(read.events, language)
    if not assembly.segments:
        found = "nothing to speak: it holds only directions, headings or notes"
        raise ScriptError(name, found, "Add at least one line of speech outside brackets")
    cues, cue_warnings = _settle_cues(assembly, header, read)
    speakers = tuple(dict.fromkeys(segment.speaker for segment in assembly.segments))
    header, header_warnings = _match_speakers(header, speakers)
    return Script(
        title=title or read.title or UNTITLED,
        language=language,
        header=header,
        segments=assembly.segments,
        cues=cues,
        chapters=assembly.chapters,
        notes=read.notes,
        warnings=(
            *_length_warnings(assembly),
            *read.warnings,
            *assembly.warnings,
            *cue_warnings,
            *header_warnings,
        ),
        pause_before_s=assembly.pause_before_s,
    )


def clean_text(text: str, name: str = "script") -> CleanText:
    r"""The spoken text of a script with its cues' offsets.

    `"[MUSIC: x]\n\nOne.\n[MUSIC: y]\nTwo.\nThree.\n[MUSIC: z]"` gives offsets 0, 5 and 17.

    Raises:
        ScriptError: an empty cue, a pause over 60 s, an unknown header key.
    """
    return _clean(read_lines(numbered_lines(text, name), name).events)


@dataclass(slots=True)
class _CleanLines:
    lines: list[str] = field(default_factory=list)
    base: int = 0
    current: list[str] = field(default_factory=list)
    length: int = 0
    offsets: list[int] = field(default_factory=list)
    waiting: int = 0

    def end_line(self) -> None:
        self._place(self.base + self.length)
        if self.current:
            self.lines.append(" ".join(self.current))
            self.base += self.length + 1
        self.current, self.length = [], 0

    def say(self, words: str) -> None:
        self._place(self.base + self.length + (1 if self.current else 0))
        self.length += len(words) + (1 if self.current else 0)
        self.current.append(words)

    def _place(self, offset: int) -> None:
        self.offsets += [offset] * self.waiting
        self.waiting = 0


def _clean(events: Sequence[Event]) -> CleanText:
    clean = _CleanLines()
    line_no = 0
    for event in events:
        if event.line_no != line_no:
            clean.end_line()
            line_no = event.line_no
        if isinstance(event, Said):
            clean.say(" ".join(event.text.split()))
        elif isinstance(event, Asked):
            clean.waiting += 1
    clean.end_line()
    return CleanText(text="\n".join(clean.lines), cue_offsets=tuple(clean.offsets))


def _settle_cues(
    assembly: Assembly, header: Header, read: ReadLines
) -> tuple[tuple[MusicCue, ...], list[str]]:
    """Cues with their prompts filled in from the header; warnings for changes to music that does
    not play.
    """
    if header.music.casefold().strip(" .") in _NO_MUSIC:
        return (), []
    cues = list(assembly.cues)
    if header.music and not any(cue.action == "play" for cue in cues):
        line_no = next(line.line_no for line in read.header if line.key == "Music" and line.value)
        cues.insert(0, MusicCue(index=0, at=0, prompt=header.music, line_no=line_no))
    settled, warnings, plays = [], [], False
    for index, cue in enumerate(cues):
        prompt = cue.prompt
        if cue.action == "play":
            plays = True
            if not prompt and cue.file is None:
                prompt = header.music or "background music"
        elif not plays:
            warnings.append(f"line {cue.line_no}: no music plays that this cue could change")
        settled.append(replace(cue, index=index, prompt=prompt))
    return tuple(settled), warnings


def _match_speakers(header: Header, speakers: Sequence[str]) -> tuple[Header, list[str]]:
    """Header pairs under the speakers' own spelling; warnings for names that never speak."""
    spelling = {speaker.casefold(): speaker for speaker in speakers}
    warnings = []

    def own(pairs: tuple[tuple[str, str], ...], key: str) -> tuple[tuple[str, str], ...]:
        for speaker, _ in pairs:
            if speaker and speaker.casefold() not in spelling:
                names = ", ".join(speakers[:8])
                warnings.append(f"{key}: {speaker!r} never speaks (speakers: {names})")
        return tuple((spelling.get(name.casefold(), name), value) for name, value in pairs)

    voices, avatars = own(header.voices, "Voice"), own(header.avatars, "Avatar")
    return replace(header, voices=voices, avatars=avatars), warnings


def _length_warnings(assembly: Assembly) -> list[str]:
    num_characters = sum(len(segment.text) + 1 for segment in assembly.segments) - 1
    if num_characters < SHORT_CHARACTERS:
        return [f"only {num_characters} characters are spoken (under {SHORT_CHARACTERS})"]
    if num_characters > LONG_CHARACTERS:
        return [f"{num_characters} characters are spoken (over {LONG_CHARACTERS})"]
    return []
