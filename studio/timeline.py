"""The one clock: where every line, piece of music, chapter and frame lies, in integer samples.

Seconds are rounded to samples once, where a person wrote them; everything after is integer
arithmetic, so that picture and sound cannot drift at any length.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from studio.cue_sheet import CueClock, draw_beds, music_end, placements, stings_before
from studio.specs import MixSpec, VoiceSpec
from studio.types import (
    SAMPLE_RATE,
    Chapter,
    MusicPlacement,
    Script,
    Segment,
    SpeechTrack,
)

LEAD_SILENCE: Final = SAMPLE_RATE // 4
"""Samples before the first word of an episode without opening music: players fade sound in."""

TAIL_SILENCE: Final = SAMPLE_RATE // 2
"""Samples after the last sound: an episode that ends on its last phoneme sounds cut off."""

CLAUSE_SHARE: Final = 0.4
"""Share of the sentence pause between the parts of a sentence that was too long for one line."""

_ENDED: Final = re.compile(r"[.!?…‼⁇⁈⁉‽؟۔।॥։።፧။។៕。！？｡．:：;；][\"'”’»)\]」』）*_]{0,6}$")

_BREATHS: Final = frozenset(".!?;:,…–—。、，！？")

ESTIMATE_MARGIN: Final = 1.1
"""Factor on an estimated line. espeak-ng was measured at 0.57 to 1.01 of `line_seconds` in English,
German, Spanish, Korean and Hindi at 120, 165 and 300 words a minute.
"""


def lay_out(
    script: Script, line_num_samples: Sequence[int], voice: VoiceSpec, mix: MixSpec
) -> tuple[tuple[int, ...], int]:
    """Put the spoken lines on the timeline.

    Args:
        script: its segments are the lines.
        line_num_samples: length of each line in samples at `SAMPLE_RATE`.
        voice: the pauses between sentences, paragraphs and speakers.
        mix: how long music sounds alone before the first and after the last word.

    Returns:
        Each line's first sample, and the episode's length in samples. Lines never overlap. A
        pause of the script is added to the natural one; music cues with a length that are followed
        by another cue at the same place (a jingle before a bed) sound before speech goes on.

    Raises:
        ValueError: not one positive length per segment.
    """
    segments = script.segments
    if len(line_num_samples) != len(segments) or any(count <= 0 for count in line_num_samples):
        raise ValueError(f"{len(segments)} segments need as many lengths above 0")
    opens = any(cue.action == "play" and cue.at == 0 for cue in script.cues)
    lead = _samples(mix.lead_in_s) if opens else LEAD_SILENCE
    at = lead + _samples(script.pause_before_s) + stings_before(script, 0)
    starts: list[int] = []
    for index, (segment, count) in enumerate(zip(segments, line_num_samples, strict=True)):
        starts.append(at)
        at += count
        if index + 1 < len(segments):
            at += _samples(_pause_s(segment, segments[index + 1], voice))
            at += stings_before(script, index + 1)
    if not starts:
        return (), lead + TAIL_SILENCE
    clock = CueClock.of(script, starts, line_num_samples)
    beds = draw_beds(script, clock, mix)
    return tuple(starts), max(at + TAIL_SILENCE, music_end(beds, clock, mix))


def _pause_s(segment: Segment, following: Segment, voice: VoiceSpec) -> float:
    """Seconds of silence between two lines: the natural pause and what the script asks for."""
    changes = segment.speaker != following.speaker
    if segment.ends_paragraph:
        natural = voice.paragraph_pause_s
    elif _ENDED.search(segment.text[-8:]) or changes:
        natural = voice.sentence_pause_s
    elif segment.pause_after_s > 0:
        natural = 0.0  # the script holds its breath in mid-sentence, for as long as it says
    else:
        natural = voice.sentence_pause_s * CLAUSE_SHARE
    if changes:
        natural = max(natural, voice.speaker_pause_s)
    return natural + segment.pause_after_s


def place_music(script: Script, speech: SpeechTrack, mix: MixSpec) -> tuple[MusicPlacement, ...]:
    """Where each piece of music sounds, ordered by start.

    A piece sounds from its cue until the next cue that plays, fades out or stops it, until its
    `hold_s`, or until the episode ends; two beds in succession cross-fade. A change of level is an
    exact sum of placements of the same piece (`studio.cue_sheet`), so one cue may have several.
    Every placement lies within the episode and its fades within the placement; a cue that another
    one replaces at the same moment has none.
    """
    lengths = [line.num_samples for line in speech.lines]
    clock = CueClock.of(script, speech.starts, lengths)
    return placements(draw_beds(script, clock, mix), speech.num_samples, mix)


def chapters(script: Script, speech: SpeechTrack) -> tuple[Chapter, ...]:
    """Chapters that cover the whole episode without gap or overlap; none if the script has none.

    The first begins with the episode. Speech before the first heading is a chapter under the
    episode's title. A chapter that opens with a jingle begins with it.
    """
    marks = [(mark.at, mark.title) for mark in script.chapters if mark.at < len(speech.starts)]
    if not marks:
        return ()
    if marks[0][0] > 0:
        marks.insert(0, (0, script.title))
    begins = [0 if at == 0 else speech.starts[at] - stings_before(script, at) for at, _ in marks]
    ends = [*begins[1:], speech.num_samples]
    return tuple(
        Chapter(title=title, start=start, num_samples=end - start)
        for (_, title), start, end in zip(marks, begins, ends, strict=True)
        if end > start
    )


def frame_count(num_samples: int, fps: int) -> int:
    """Frames of a picture as long as the sound: round(duration x fps), halves up, at least one."""
    return max(1, (2 * num_samples * fps + SAMPLE_RATE) // (2 * SAMPLE_RATE))


def frame_at(sample: int, fps: int) -> int:
    """The frame that is on screen when a sample sounds."""
    return sample * fps // SAMPLE_RATE


def sample_at(frame: int, fps: int) -> int:
    """The first sample that sounds while a frame is on screen; `frame_at` of it is the frame."""
    return -(-frame * SAMPLE_RATE // fps)


def seconds_estimate(
    script: Script, voice: VoiceSpec, mix: MixSpec | None = None
) -> tuple[float, ...]:
    """Seconds of music that each cue needs at most, before anything is spoken; 0.0 for a cue that
    plays nothing.

    From the text's length and the speaking rate, on the safe side: music composed too long closes
    early, music composed too short would have to repeat.
    """
    spec = mix or MixSpec()
    lengths = [
        round(line_seconds(segment.text, voice.rate_wpm) * ESTIMATE_MARGIN * SAMPLE_RATE)
        for segment in script.segments
    ]
    starts, num_samples = lay_out(script, lengths, voice, spec)
    beds = draw_beds(script, CueClock.of(script, starts, lengths), spec)
    longest = [1.0 if cue.action == "play" else 0.0 for cue in script.cues]
    # Shorter speech can let a fade-out fall into a piece that would have ended by itself.
    fades_s = max([spec.fade_out_s, *(cue.fade_out_s or 0.0 for cue in script.cues)])
    for placed in placements(beds, num_samples, spec):
        reach = (placed.offset + placed.num_samples) / SAMPLE_RATE
        held = script.cues[placed.cue].hold_s is not None
        longest[placed.cue] = max(longest[placed.cue], reach + 1.0 + (fades_s if held else 0.0))
    return tuple(longest)


def line_seconds(text: str, rate_wpm: int) -> float:
    """Seconds that a text takes to speak, rather too many than too few.

    A word is reckoned at 4.6 characters and its space (English prose: 4.7). A digit is spoken as a
    word, a symbol as half of one. Kana and Hangul are syllables, of which a word has about 2.2; a
    Chinese character is more than a word where a voice must spell it, as espeak-ng does in
    Japanese. Arabic and Hebrew leave short vowels unwritten.
    """
    return (0.5 + sum(map(_words_of, text))) * 60.0 / rate_wpm


def _words_of(character: str) -> float:
    """How much of an English word's time a character takes to speak."""
    if character.isdigit():
        return 1.0
    if "\u4e00" <= character <= "\u9fff" or "\u3400" <= character <= "\u4dbf":
        return 1.15
    if "\u3040" <= character <= "\u30ff" or "\uac00" <= character <= "\ud7a3":
        return 1 / 2.2
    if "\u0590" <= character <= "\u08ff":
        return 1.5 / 5.6
    if character.isalpha() or character.isspace():
        return 1 / 5.6
    return 0.35 if character in _BREATHS else 0.5


def _samples(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE)
