"""The text as it is to be read aloud, with the way back to the written words.

Engines read "$2.5 million", "1080p" or "Dr. Smith" badly or differently. What is written is turned
into plain words before any engine sees it, word by word, so that every spoken word still belongs to
a written one and captions keep the written form with the right times. Numbers of other languages
than English are left to the engine, which knows their grammar.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from models.voice.reading_de import read_german
from models.voice.reading_en import read_english
from studio.types import Word

Lexicon = Sequence[tuple[str, str]]

SILENT_MARKS = re.compile(r"[\[\]{}`|\\]|(?<!\w)[*_]+|[*_]+(?!\w)")
"""Brackets and marks of emphasis: written, never spoken."""

ABBREVIATIONS = {
    "de": {
        "dr.": "Doktor", "prof.": "Professor", "z.b.": "zum Beispiel", "d.h.": "das heißt",
        "bzw.": "beziehungsweise", "usw.": "und so weiter", "ca.": "circa", "nr.": "Nummer",
        "vgl.": "vergleiche", "u.a.": "unter anderem", "evtl.": "eventuell", "inkl.": "inklusive",
        "mio.": "Millionen", "mrd.": "Milliarden", "str.": "Straße", "&": "und", "gb": "Gigabyte",
        "mb": "Megabyte", "km": "Kilometer", "kg": "Kilogramm", "khz": "Kilohertz",
    },
    "fr": {
        "m.": "monsieur", "mme": "madame", "mlle": "mademoiselle", "dr": "docteur",
        "etc.": "et cetera", "p.ex.": "par exemple", "env.": "environ", "&": "et",
        "go": "gigaoctets", "mo": "mégaoctets", "km": "kilomètres", "kg": "kilogrammes",
    },
    "es": {
        "sr.": "señor", "sra.": "señora", "dr.": "doctor", "dra.": "doctora",
        "p.ej.": "por ejemplo", "etc.": "etcétera", "ud.": "usted", "uds.": "ustedes",
        "aprox.": "aproximadamente", "&": "y", "gb": "gigabytes", "km": "kilómetros",
        "kg": "kilogramos",
    },
    "it": {
        "sig.": "signor", "sig.ra": "signora", "dott.": "dottor", "prof.": "professor",
        "ecc.": "eccetera", "es.": "esempio", "&": "e", "gb": "gigabyte", "km": "chilometri",
        "kg": "chilogrammi",
    },
    "pt": {
        "sr.": "senhor", "sra.": "senhora", "dr.": "doutor", "dra.": "doutora",
        "etc.": "etcetera", "p.ex.": "por exemplo", "&": "e", "gb": "gigabytes",
        "km": "quilômetros", "kg": "quilogramas",
    },
    "nl": {
        "dhr.": "de heer", "mevr.": "mevrouw", "dr.": "dokter", "bijv.": "bijvoorbeeld",
        "enz.": "enzovoort", "ca.": "circa", "nr.": "nummer", "&": "en", "km": "kilometer",
        "kg": "kilogram",
    },
}  # fmt: skip
"""Abbreviations and units per language, in lower case. A unit is read so only after a number."""

UNITS_AFTER_NUMBERS = frozenset({"gb", "mb", "km", "kg", "khz", "go", "mo"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A stretch of spoken text and the written words `first` to `last` (inclusive) that it stands
    for.
    """

    text: str
    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A line to be read: the written words and the pieces to speak, which together cover every
    written word once.
    """

    written: tuple[str, ...]
    pieces: tuple[Piece, ...]

    @property
    def text(self) -> str:
        """What an engine is given: the pieces with a space between them."""
        return " ".join(piece.text for piece in self.pieces)

    @property
    def positions(self) -> tuple[int, ...]:
        """Where each piece begins in `text`, in characters."""
        lengths = [len(piece.text) + 1 for piece in self.pieces]
        return tuple(accumulate(lengths[:-1], initial=0)) if lengths else ()


def read(text: str, language: str, lexicon: Lexicon = (), *, phonemes: bool = True) -> Reading:
    """How `text` is read in `language` (a BCP 47 tag).

    `lexicon` entries match whole words whatever their case and punctuation, several written words
    included, and come before every other rule. A respelling `[[...]]` is passed on only where the
    engine understands `phonemes`; without, the word is read as written. A line of nothing but marks
    gives a reading without pieces.
    """
    written = tuple(clean(text).split())
    spoken: list[str | None] = [None] * len(written)
    groups = _apply_lexicon(written, lexicon, spoken, phonemes=phonemes)
    plain = [strip_marks(word) for word in written]
    code = language.replace("_", "-").split("-")[0].casefold()
    if code == "en":
        rest = read_english(plain)
    else:
        figures = read_german(plain) if code == "de" else plain
        table = ABBREVIATIONS.get(code, {})
        rest = [_by_table(figures, index, table) for index in range(len(plain))]
    pieces = [
        Piece(
            text=_speakable(rest[index] if said is None else said), first=index, last=groups[index]
        )
        for index, said in enumerate(spoken)
        if groups[index] >= index
    ]
    return Reading(written=written, pieces=_join_silent(pieces, written))


def clean(text: str) -> str:
    """`text` composed (NFC), without control, formatting and unassigned characters; line ends
    become spaces.
    """
    kept = "".join(
        " " if char.isspace() else char
        for char in unicodedata.normalize("NFC", text)
        if char.isspace() or unicodedata.category(char)[0] != "C" or char in "\u200c\u200d"
    )
    return kept.strip()


def strip_marks(word: str) -> str:
    """`word` without pictographs and markup."""
    return SILENT_MARKS.sub("", "".join(char for char in word if not _is_pictograph(char)))


def _is_pictograph(char: str) -> bool:
    # Emoji and dingbats are "Symbol, other"; the degree sign and the like below U+2000 are spoken.
    return ord(char) >= 0x2190 and (
        unicodedata.category(char) in {"So", "Sk"} or char in "\ufe0f\u200d→←↔⇒"
    )


def _apply_lexicon(
    written: Sequence[str], lexicon: Lexicon, spoken: list[str | None], *, phonemes: bool
) -> list[int]:
    """Fill `spoken` where the lexicon knows better; the last word of the group that begins at each
    word, -1 inside one.
    """
    ends = list(range(len(written)))
    bare = [_bare(word) for word in written]
    entries = sorted(lexicon, key=lambda entry: -len(entry[0].split()))
    for word, respelling in entries:
        key = [_bare(part) for part in word.split()]
        if not key or not respelling.strip() or (not phonemes and "[[" in respelling):
            continue
        for start in range(len(written) - len(key) + 1):
            stop = start + len(key)
            taken = any(said is not None for said in spoken[start:stop])
            if taken or any(ends[index] < index for index in range(start, stop)):
                continue
            said = _match(bare[start:stop], key, respelling.strip())
            if said is None:
                continue
            lead, trail = _edges(written[start])[0], _edges(written[stop - 1])[1]
            spoken[start] = f"{lead}{said}{trail}"
            ends[start] = stop - 1
            for inner in range(start + 1, stop):
                spoken[inner], ends[inner] = "", -1
    return ends


def _match(words: Sequence[str], key: Sequence[str], respelling: str) -> str | None:
    """The respelling when `words` are the entry `key`, also in the possessive; None when they are
    not.
    """
    if list(words) == list(key):
        return respelling
    if list(words[:-1]) == list(key[:-1]) and words[-1] in {f"{key[-1]}'s", f"{key[-1]}’s"}:
        return f"{respelling[:-2]}z]]" if respelling.endswith("]]") else f"{respelling}'s"
    return None


def _edges(word: str) -> tuple[str, str]:
    """Punctuation before and after the letters of `word` that an engine may hear as phrasing."""
    found = re.fullmatch(r"(\W*)(.*?)(\W*)", strip_marks(word), re.DOTALL)
    lead, _, trail = found.groups() if found else ("", word, "")
    return lead, trail


def _bare(word: str) -> str:
    return re.sub(r"^\W+|\W+$", "", strip_marks(word)).casefold() or word.casefold()


def _by_table(words: Sequence[str], index: int, table: dict[str, str]) -> str:
    word = words[index]
    key = word.casefold().rstrip(",;:!?")
    for candidate in (key, key.rstrip(".")):
        if candidate not in table:
            continue
        if candidate in UNITS_AFTER_NUMBERS and not (index and words[index - 1][-1:].isdigit()):
            continue
        return table[candidate] + word[len(candidate) :]
    return re.sub(r"^(?:https?://)(?:www\.)?", "", word, flags=re.IGNORECASE)


def _speakable(text: str) -> str:
    """`text` where double brackets mean phonemes only if they hold a lexicon's phonemes; "" if
    nothing is to be heard.
    """
    if re.fullmatch(r"\W*\[\[[^\[\]]+\]\]\W*", text):
        return text
    plain = text.replace("[[", "").replace("]]", "").strip()
    return plain if any(char.isalnum() or char in "&%+=@#$€£¥°" for char in plain) else ""


def _join_silent(pieces: Sequence[Piece], written: Sequence[str]) -> tuple[Piece, ...]:
    """Words that are not spoken (a dash by itself) go with the piece before them, leading ones with
    the first spoken.
    """
    out: list[Piece] = []
    first: int | None = None
    for piece in pieces:
        if piece.text:
            begin = piece.first if first is None else first
            out.append(Piece(text=piece.text, first=begin, last=piece.last))
            first = None
        elif out:
            before = out[-1]
            # A dash by itself is a breath; engines hear one at a comma.
            breath = (
                ","
                if set(written[piece.first]) <= set("-–—…") and before.text[-1].isalnum()
                else ""
            )
            out[-1] = Piece(text=before.text + breath, first=before.first, last=piece.last)
        elif first is None:
            first = piece.first
    return tuple(out)


def place_words(
    reading: Reading,
    marks: Sequence[tuple[int, int]],
    pauses: Sequence[tuple[int, int]],
    num_samples: int,
) -> tuple[Word, ...]:
    """Times of the written words from marks `(position in the spoken text, start)` of the words
    that sounded.

    A piece begins at its first mark; a piece without one (engines join short words) between its
    neighbours, in proportion to the text. It ends where the next begins, or with the pause `(start,
    end)` that leads up to that. A piece of several written words is shared out by their letters.
    The words do not overlap and each has at least one sample wherever `num_samples` allows.
    """
    if not reading.pieces:
        return ()
    starts = _piece_starts(reading, marks, num_samples)
    bounds = [*starts, num_samples]
    words: list[Word] = []
    for piece, start, stop in zip(reading.pieces, bounds, bounds[1:], strict=False):
        ending = [
            begin for begin, end in pauses if begin > start and end >= stop - 1 and begin < stop
        ]
        end = max(min([*ending, stop]), start)
        texts = reading.written[piece.first : piece.last + 1]
        weights = [0.2 + sum(char.isalnum() for char in text) for text in texts]
        shares = list(accumulate(weights, initial=0.0))
        edges = [start + round((end - start) * share / shares[-1]) for share in shares]
        words += [
            Word(text=text, start=a, num_samples=b - a)
            for text, a, b in zip(texts, edges, edges[1:], strict=False)
        ]
    return _at_least_one_sample(words, num_samples)


def _piece_starts(
    reading: Reading, marks: Sequence[tuple[int, int]], num_samples: int
) -> list[int]:
    """When each piece begins to sound, rising."""
    positions = [*reading.positions, len(reading.text) + 1]
    known: list[tuple[float, int]] = []
    for index in range(len(reading.pieces)):
        inside = [start for at, start in marks if positions[index] <= at < positions[index + 1]]
        if inside:
            known.append((float(positions[index]), min(inside)))
    xs = [0.0, *(at for at, _ in known), float(positions[-1])]
    ys = [0, *(start for _, start in known), num_samples]
    starts: list[int] = []
    for at in positions[:-1]:
        after = next(index for index in range(1, len(xs)) if xs[index] >= at)
        exact = [y for x, y in zip(xs[1:-1], ys[1:-1], strict=True) if x == at]
        span = max(xs[after] - xs[after - 1], 1e-9)
        between = ys[after - 1] + (ys[after] - ys[after - 1]) * (at - xs[after - 1]) / span
        start = exact[0] if exact else round(between)
        starts.append(min(max(start, starts[-1] if starts else 0), num_samples))
    return starts


def _at_least_one_sample(words: Sequence[Word], num_samples: int) -> tuple[Word, ...]:
    """The same words, in order, none empty: an empty one takes a sample of what follows."""
    out: list[Word] = []
    free = 0
    for index, word in enumerate(words):
        latest = max(num_samples - (len(words) - index), free)
        start = min(max(word.start, free), latest)
        stop = max(min(word.start + word.num_samples, latest + 1), start + 1)
        out.append(Word(text=word.text, start=start, num_samples=stop - start))
        free = stop
    return tuple(out)
