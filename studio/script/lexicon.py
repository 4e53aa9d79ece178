"""The pronunciation lexicon: how words sound that a voice would misread.
 One entry a line: `word = respelling`, or `word = [[phonemes]]` in the notation of espeak-ng,
which its double brackets mark. `#` begins a comment. Entries apply before synthesis; captions and
transcript keep the written form.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from studio.errors import ScriptError
from studio.script.source import numbered_lines, read_source

_PHONEMES: Final = re.compile(r"\[\[[!-Z\\^-~|: ]{1,200}\]\]")
"""espeak-ng's notation is printable ASCII; square brackets only enclose it."""

_REMEDY: Final = "Write 'word = respelling' or 'word = [[phonemes]]'"
_MAX_WORD: Final = 100


def read_lexicon(path: Path) -> tuple[tuple[str, str], ...]:
    """Entries `(word, pronunciation)` in the file's order.

    Raises:
        ScriptError: the file cannot be read as text, or a line that is no entry, or a word given
            twice; the line is
            named.
    """
    return parse_lexicon(read_source(path), str(path))


def parse_lexicon(text: str, name: str) -> tuple[tuple[str, str], ...]:
    """Entries of a lexicon's text; `name` stands for it in errors.

    Raises:
        ScriptError: as `read_lexicon`.
    """
    entries: dict[str, tuple[str, str]] = {}
    for line_no, line in enumerate(numbered_lines(text, name), start=1):
        entry = re.split(r"(?:^|\s)#", line, maxsplit=1)[0].strip()
        if not entry:
            continue
        where = f"{name}, line {line_no}"
        word, sound = _read_entry(entry, where)
        if word.casefold() in entries:
            raise ScriptError(where, f"'{word}' has a pronunciation already", "Keep one of the two")
        entries[word.casefold()] = (word, sound)
    return tuple(entries.values())


def _read_entry(entry: str, where: str) -> tuple[str, str]:
    word, equals, sound = (part.strip() for part in entry.partition("="))
    if not equals or not word or not sound:
        raise ScriptError(where, f"no lexicon entry: '{entry[:60]}'", _REMEDY)
    if len(word) > _MAX_WORD or not any(character.isalnum() for character in word):
        raise ScriptError(where, f"not a word: '{word[:60]}'", _REMEDY)
    if sound.startswith("[[") or sound.endswith("]]"):
        if not _PHONEMES.fullmatch(sound):
            found = f"not espeak-ng phonemes: '{sound[:60]}'"
            raise ScriptError(where, found, "Write them in ASCII between one [[ and one ]]")
    elif not any(character.isalnum() for character in sound):
        raise ScriptError(where, f"a pronunciation without a sound: '{sound[:60]}'", _REMEDY)
    return word, sound
