"""From spoken lines to captions on the timeline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from studio.captions.atoms import Atom, atoms_of
from studio.captions.blocks import break_lines, fits, split_blocks
from studio.captions.rules import LONGEST, MAX_CPS, SHORTEST
from studio.types import SAMPLE_RATE, Caption, Script, SpeechTrack, Word

_LINGER: Final = SAMPLE_RATE // 4
"""Samples that a caption stays after its last word where there is room."""

_SMALL_GAP: Final = SAMPLE_RATE // 8
"""A shorter gap between captions is closed: it would be a flicker."""

MAX_EARLY: Final = SAMPLE_RATE // 2
"""Samples by which a caption may precede its first word to be readable."""

MAX_LATE: Final = SAMPLE_RATE
"""Samples by which a caption may follow its first word when the ones before need time."""

_ROUNDING: Final = SAMPLE_RATE // 500
"""Two milliseconds of reserve: files hold whole ones."""


@dataclass(slots=True)
class _Block:
    """A caption being made."""

    atoms: list[Atom]
    speaker: str

    @property
    def start(self) -> int:
        return self.atoms[0].start

    @property
    def end(self) -> int:
        return self.atoms[-1].end


def make_captions(script: Script, speech: SpeechTrack) -> tuple[Caption, ...]:
    """Captions of all that is spoken, in order, in the written form.

    Each word of each line is in exactly one caption. Captions keep to the rules of
    `studio.captions.rules` as long as the speech leaves room for them. Where it does not, they
    yield in this order: a caption lingers into the pause after it; short neighbours of one speaker
    share a caption; a caption begins up to half a second early or one second late; its reading
    speed rises to that of the voice; at last, in a quick exchange of very short turns, it falls
    further behind. No word is dropped, and no two captions overlap.

    Args:
        script: must be the one that was spoken.
        speech: its lines on the timeline.
    """
    if len(script.segments) != len(speech.lines):
        raise ValueError(f"{len(script.segments)} segments but {len(speech.lines)} spoken lines")
    blocks: list[_Block] = []
    for line, start in zip(speech.lines, speech.starts, strict=True):
        atoms = atoms_of(line, start)
        blocks += [
            _Block(atoms=atoms[first:last], speaker=line.speaker)
            for first, last in split_blocks(atoms)
        ]
    blocks = _merge_hurried(blocks, speech.num_samples)
    lines = [break_lines(block.atoms) for block in blocks]
    spans = _schedule(blocks, lines, speech.num_samples)
    return tuple(
        Caption(
            speaker=block.speaker,
            lines=text,
            start=start,
            num_samples=end - start,
            words=_words(block.atoms),
        )
        for block, text, (start, end) in zip(blocks, lines, spans, strict=True)
    )


def _words(atoms: Sequence[Atom]) -> tuple[Word, ...]:
    return tuple(
        Word(text=atom.text, start=atom.start, num_samples=max(0, atom.end - atom.start))
        for atom in atoms
    )


def _merge_hurried(blocks: Sequence[_Block], num_samples: int) -> list[_Block]:
    """Join a block that has too little time to the one before or after it, if they fit."""
    merged: list[_Block] = []
    for index, block in enumerate(blocks):
        until = blocks[index + 1].start if index + 1 < len(blocks) else num_samples
        before = merged[-1] if merged else None
        hurried = until - block.start < _needs(block)
        was_hurried = before is not None and block.start - before.start < _needs(before)
        if before is not None and (hurried or was_hurried) and _may_join(before, block):
            before.atoms += block.atoms
        else:
            merged.append(_Block(atoms=list(block.atoms), speaker=block.speaker))
    return merged


def _needs(block: _Block) -> int:
    """Samples that a block must be on screen."""
    length = sum(len(atom.text) + 1 for atom in block.atoms)
    return max(SHORTEST + _ROUNDING, length * SAMPLE_RATE // MAX_CPS + _ROUNDING)


def _may_join(before: _Block, after: _Block) -> bool:
    if before.speaker != after.speaker or after.end - before.start > LONGEST - _ROUNDING:
        return False
    return fits([*before.atoms, *after.atoms])


def _schedule(
    blocks: Sequence[_Block], lines: Sequence[tuple[str, ...]], num_samples: int
) -> list[tuple[int, int]]:
    """When each caption is on screen: near its words, without overlap, long enough to be read."""
    if not blocks:
        return []
    needs = [_needs(block) for block in blocks]
    earliest = _pull_early([block.start for block in blocks], needs, num_samples)
    begins: list[int] = []
    for index, block in enumerate(blocks):
        begin = earliest[index]
        if begins:
            before = blocks[index - 1]
            # nobody falls further behind than MAX_LATE, nor catches up faster than the voice speaks
            limit = max(block.start + MAX_LATE, begins[-1] + before.end - before.start)
            begin = max(begin, min(begins[-1] + needs[index - 1], limit))
            begin = max(begin, begins[-1] + SHORTEST + _ROUNDING)
        begins.append(begin)
    _keep_inside(begins, [block.end - block.start for block in blocks], num_samples)
    ends = []
    for index, block in enumerate(blocks):
        limit = begins[index + 1] if index + 1 < len(blocks) else num_samples
        end = max(begins[index] + needs[index], block.end + _LINGER)
        if limit - end < _SMALL_GAP:
            end = limit
        ends.append(min(end, limit, begins[index] + LONGEST - _ROUNDING))
    return list(zip(begins, ends, strict=True))


def _pull_early(starts: Sequence[int], needs: Sequence[int], num_samples: int) -> list[int]:
    """The first sample of each caption when those that need more time than there is begin early."""
    earliest = list(starts)
    following = num_samples
    for index in range(len(starts) - 1, -1, -1):
        wanted = min(starts[index], following - needs[index])
        earliest[index] = max(0, starts[index] - MAX_EARLY, wanted)
        following = earliest[index]
    return earliest


def _keep_inside(begins: list[int], spoken: Sequence[int], num_samples: int) -> None:
    """Move the last captions forward so that each has its time before the episode ends."""
    least = [min(LONGEST, max(SHORTEST + _ROUNDING, length)) for length in spoken]
    total = sum(least)
    if total > num_samples:  # an episode of nothing but exclamations
        least = [length * num_samples // total for length in least]
    latest, following = num_samples, None
    for index in range(len(begins) - 1, -1, -1):
        spacing = least[index] if following is None else following - begins[index]
        following = begins[index]
        begins[index] = latest = min(begins[index], latest - min(least[index], spacing))
