"""What the lines of a script say, one value each, in the order in which it stands."""

from __future__ import annotations

from dataclasses import dataclass

from studio.script.cues import CueWords


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """Words spoken by `speaker`; `new_line` when they begin a line (or a bullet) of the script."""

    line_no: int
    speaker: str
    tone: str
    text: str
    new_line: bool
    bullet: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A music cue; `own_line` when no speech stands before it on its line."""

    line_no: int
    words: CueWords
    own_line: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """A pause written into the script."""

    line_no: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Aside:
    """A direction: kept, never spoken; `own_line` when no speech stands before it on its line."""

    line_no: int
    text: str
    own_line: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """A chapter begins."""

    line_no: int
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ParagraphEnd:
    """A blank line, a rule or a heading."""

    line_no: int


Event = Said | Asked | Silence | Aside | Heading | ParagraphEnd
