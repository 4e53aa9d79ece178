"""Captions from words whose times are known: no recogniser, no word lost.

The rules are those of broadcast subtitling: at most two lines of 42 columns, at most 20 characters
a second, 5/6 s to 7 s on screen, never two at once, lines broken where the sentence breathes.
"""

from studio.captions.make import make_captions
from studio.captions.rules import check_captions
from studio.captions.write import chapters_json, to_srt, to_transcript, to_vtt

__all__ = [
    "chapters_json",
    "check_captions",
    "make_captions",
    "to_srt",
    "to_transcript",
    "to_vtt",
]
