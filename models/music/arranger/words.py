"""From a cue's words to what will be played.

`read` looks for phrases it knows (mood, genre, instruments, tempo, key, drums, energy), lets what
was said decide, and fills what was not said by a choice seeded by the words and the cue's seed: two
cues with unknown words still differ.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from models.music.arranger import vocabulary as vocab
from models.music.arranger.styles import GENRE_MOODS, GENRES, MOOD_GENRES, MOODS, Genre, Mood

PITCH_CLASSES: Mapping[str, int] = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}
MINOR_MODES = frozenset({"aeolian", "dorian", "harmonic_minor"})

_BPM = re.compile(r"(\d{2,3}(?:\.\d+)?)\s*-?\s*(?:bpm|beats per minute)")
_KEY = re.compile(
    r"\b(?:in\s+|key of\s+)?([a-g])\s?(#|♯|b|♭|sharp|flat)?[\s-]+"
    r"(major|minor|dorian|lydian|mixolydian|ionian|aeolian|harmonic minor)\b"
)
_KEY_OF = re.compile(r"\b(?:key of|in)\s+([a-g])(#|♯|b|♭)?(m)?(?=\s*(?:[,.;]|$))")
_NOT_MUSIC = re.compile(
    r"(?:for\s+|about\s+|~)?[+-]?\d+(?:\.\d+)?\s*(?:db|ms|s|sec|secs|seconds?|minutes?|min|m)\b"
)
_TOKEN = re.compile(r"[\w#]+(?:['-]\w+)*")
_CLAUSE = re.compile(r"[,;.+|/]| but | with | and | then ")

SOLO_PARTS = frozenset({"solo", "only", "alone", "unaccompanied"})
LEADS = frozenset(
    {"piano", "electric_piano", "guitar", "harp", "bell", "vibraphone", "marimba", "accordion",
     "pulse", "horns", "flute", "strings", "organ"}
)  # fmt: skip
PLAYABLE: Mapping[str, tuple[str, ...]] = {
    # What suits an instrument that accompanies, the most typical first.
    "piano": ("broken", "blocks", "arpeggio", "pulse", "offbeat", "comping", "sparse", "laid_back"),
    "electric_piano": ("laid_back", "blocks", "sparse", "comping", "broken", "offbeat"),
    "guitar": ("picking", "broken", "arpeggio", "offbeat"),
    "harp": ("arpeggio", "broken", "sparse"),
    "marimba": ("ostinato", "pulse", "arpeggio", "sixteenths", "offbeat"),
    "pulse": ("sixteenths", "pulse", "ostinato", "arpeggio"),
    "organ": ("blocks", "offbeat", "sparse"),
    "accordion": ("offbeat", "blocks", "broken"),
    "strings_short": ("ostinato", "pulse"),
    "vibraphone": ("blocks", "comping", "sparse"),
}
PADS = frozenset({"strings", "pad", "choir", "organ", "horns"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """What a cue asks for, complete. A part that is "" does not play.

    `bpm` counts quarter notes; `root` is a pitch class (0 is C); `energy`, `density` and
    `brightness` run from 0 to 1; `swing` is where in a beat the second eighth falls; `role` is
    "bed" (under a voice), "feature" (heard by itself) or "gesture" (a sting).
    """

    mood: str
    genre: str
    bpm: float
    bpm_fixed: bool
    beats: int
    root: int
    mode: str
    lead: str
    comp: str
    pattern: str
    pad: str
    bass: str
    bass_line: str
    kit: str
    energy: float
    density: float
    brightness: float
    swing: float
    richness: float
    room: str
    role: str

    @property
    def minor(self) -> bool:
        """Whether the mode has a minor third."""
        return self.mode in MINOR_MODES


def seed_of(prompt: str, seed: int) -> int:
    """64 bits that depend on the words (not on case, spacing, levels or durations) and on the cue's
    seed.
    """
    words = " ".join(_TOKEN.findall(_NOT_MUSIC.sub(" ", prompt.lower())))
    digest = hashlib.blake2b(f"{seed}\n{words}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big")


def read(prompt: str, seed: int) -> Intent:
    """What `prompt` asks for. Any text is understood to some degree; the same text and seed give
    the same answer.
    """
    # A decade ("80s synth") is no duration; a non-breaking hyphen is a hyphen.
    text = prompt.lower().replace("80s", "eighties").replace("‑", "-")
    text = _NOT_MUSIC.sub(" ", text)
    rng = np.random.default_rng(seed_of(prompt, seed))
    wanted, refused = _split_negations(text)
    mood_name, genre_name, genre_said = _mood_and_genre(wanted, rng)
    mood, genre = MOODS[mood_name], GENRES[genre_name]
    role = _role(wanted)
    energy = _shifted(mood.energy, wanted, vocab.ENERGY_WORDS)
    density = mood.density + (energy - mood.energy) / 2
    bpm, bpm_fixed = _tempo(text, wanted, mood, genre, rng)
    root, mode = _key(text, wanted, mood, rng)
    parts = _parts(wanted, refused, genre, energy, genre_said, rng)
    return Intent(
        mood=mood_name,
        genre=genre_name,
        bpm=bpm,
        bpm_fixed=bpm_fixed,
        beats=3 if "waltz" in wanted.words or "3/4" in text else 4,
        root=root,
        mode=mode,
        energy=energy,
        density=_shifted(density, wanted, vocab.DENSITY_WORDS),
        brightness=_shifted(mood.brightness, wanted, vocab.BRIGHTNESS_WORDS),
        swing=0.64 if {"swing", "shuffle", "swung"} & wanted.words else genre.swing,
        richness=genre.richness,
        room=wanted.first(vocab.ROOM_WORDS) or genre.room,
        role=role,
        **parts,
    )


@dataclass(frozen=True, slots=True)
class _Phrases:
    """The phrases of up to three words in a text, in order."""

    ordered: tuple[str, ...]

    @property
    def words(self) -> frozenset[str]:
        return frozenset(self.ordered)

    def has(self, *phrases: str) -> bool:
        return not self.words.isdisjoint(phrases)

    def all(self, meanings: Mapping[str, str]) -> tuple[str, ...]:
        """What the text's phrases mean, once each, longer phrases first, then in order."""
        found = [meanings[phrase] for phrase in self.ordered if phrase in meanings]
        return tuple(dict.fromkeys(found))

    def first(self, meanings: Mapping[str, str]) -> str:
        found = self.all(meanings)
        return found[0] if found else ""


def _phrases(text: str) -> _Phrases:
    """Every run of three, two and one words; what a longer known phrase uses up is not read again
    by its parts.
    """
    known = (
        *(vocab.MOOD_WORDS, vocab.GENRE_WORDS, vocab.INSTRUMENT_WORDS, vocab.BASS_WORDS),
        *(vocab.KIT_WORDS, vocab.TEMPO_WORDS, vocab.MODE_WORDS, vocab.ROOM_WORDS),
    )
    tokens: list[str | None] = list(_TOKEN.findall(text))
    found: list[tuple[int, str]] = []
    for size in (3, 2, 1):
        for start in range(len(tokens) - size + 1):
            run = tokens[start : start + size]
            if None in run:
                continue
            phrase = " ".join(token for token in run if token is not None)
            if size > 1 and not any(phrase in words for words in known):
                continue
            found.append((start, phrase))
            if size > 1:
                tokens[start : start + size] = [None] * size
    return _Phrases(tuple(phrase for _, phrase in sorted(found, key=lambda item: item[0])))


def _split_negations(text: str) -> tuple[_Phrases, _Phrases]:
    """What is wanted and what is refused: "no drums", "without piano or bass" refuse until the
    clause ends.
    """
    wanted: list[str] = []
    refused: list[str] = []
    for clause in _CLAUSE.split(text.replace("drumless", "no drums")):
        words = clause.split()
        cut = next((i for i, word in enumerate(words) if word in vocab.NEGATIONS), len(words))
        wanted.append(" ".join(words[:cut]))
        refused.append(" ".join(words[cut + 1 :]))
    return _phrases(" , ".join(wanted)), _phrases(" , ".join(refused))


def _mood_and_genre(wanted: _Phrases, rng: np.random.Generator) -> tuple[str, str, bool]:
    """The first mood and genre named; one suggests the other; with neither, a seeded choice."""
    mood, genre = wanted.first(vocab.MOOD_WORDS), wanted.first(vocab.GENRE_WORDS)
    minor = {"minor", "minor key"} & wanted.words
    if not mood and genre:
        mood = "sad" if minor else _choose(GENRE_MOODS[genre], rng)
    if not mood:
        mood = "sad" if minor else _choose(("calm", "warm", "happy", "playful", "dreamy"), rng)
    said = bool(genre)
    return mood, genre or _choose(MOOD_GENRES[mood], rng), said


def _tempo(
    text: str, wanted: _Phrases, mood: Mood, genre: Genre, rng: np.random.Generator
) -> tuple[float, bool]:
    """Beats per minute, and whether the cue gave the number itself (then it is never bent)."""
    drawn = float(rng.uniform())
    said = _BPM.search(text)
    if said and 30 <= float(said[1]) <= 240:
        return float(said[1]), True
    ranges = [vocab.TEMPO_WORDS[p] for p in wanted.ordered if p in vocab.TEMPO_WORDS]
    if ranges:
        low, high = ranges[0]
    else:
        # The genre bends the mood's range by a third of the way towards its own.
        low = round((2 * mood.bpm[0] + genre.bpm[0]) / 3)
        high = round((2 * mood.bpm[1] + genre.bpm[1]) / 3)
    return float(round(low + drawn * (high - low))), False


def _key(text: str, wanted: _Phrases, mood: Mood, rng: np.random.Generator) -> tuple[int, str]:
    """Root pitch class and mode: as said, else drawn from the mood's modes."""
    root = int(rng.choice([0, 2, 3, 4, 5, 7, 8, 9, 10]))
    mode = _choose(mood.modes, rng)
    said_mode = wanted.first(vocab.MODE_WORDS)
    if said_mode:
        mode = said_mode
    full = _KEY.search(text)
    if full:
        return _pitch_class(full[1], full[2]), vocab.MODE_WORDS[full[3]]
    short = _KEY_OF.search(text)
    if short:
        family = "aeolian" if short[3] else mode
        return _pitch_class(short[1], short[2]), family
    return root, mode


def _pitch_class(letter: str, accidental: str | None) -> int:
    shift = {None: 0, "#": 1, "♯": 1, "sharp": 1, "b": -1, "♭": -1, "flat": -1}[accidental]
    return (PITCH_CLASSES[letter] + shift) % 12


def _role(wanted: _Phrases) -> str:
    if vocab.GESTURE_WORDS & wanted.words:
        return "gesture"
    if vocab.BED_WORDS & wanted.words:
        return "bed"
    return "feature" if vocab.FEATURE_WORDS & wanted.words else "bed"


def _parts(
    wanted: _Phrases,
    refused: _Phrases,
    genre: Genre,
    energy: float,
    genre_said: bool,
    rng: np.random.Generator,
) -> dict[str, str]:
    """Who plays: named instruments first, the genre's for what is left open, nobody who was
    refused.
    """
    named = wanted.all(vocab.INSTRUMENT_WORDS)
    leads = [name for name in named if name in LEADS]
    comps = [name for name in named if name in PLAYABLE or name == "strings"]
    pads = [name for name in named if name in PADS]
    if len(leads) > 1 and leads[0] == "strings":
        leads = leads[1:]
    comp = _choose(genre.comp, rng)
    pattern = _choose(genre.pattern, rng)
    line = _choose(genre.bass_line, rng)
    if comps:
        # Two players named: the second accompanies the first, unless only the first can.
        comp = comps[1] if len(comps) > 1 and comps[1] not in PADS else comps[0]
        if comp == "strings":
            # Short bows drive; where nothing drives, long ones sing over a piano.
            comp = "strings_short" if energy > 0.5 else "piano"
    suits = PLAYABLE.get(comp, ("",))
    # A named player does what it is best at, unless the genre named asks for something it can do.
    if pattern not in suits or (comps and not genre_said):
        pattern = suits[0]
    parts = {
        "lead": leads[0] if leads else _choose(genre.lead, rng),
        "comp": comp,
        "pattern": pattern if comp else "",
        "pad": pads[0] if pads else _choose(genre.pad, rng),
        "bass": wanted.first(vocab.BASS_WORDS) or _choose(genre.bass, rng),
        "bass_line": "walking" if wanted.has("walking bass", "walking") else line,
        "kit": _kit(wanted, genre, energy, genre_said, rng),
    }
    if named and SOLO_PARTS & wanted.words:
        parts |= {"pad": "" if named[0] not in PADS else named[0], "bass": "", "kit": ""}
        parts |= {"comp": comp if comps else "", "lead": leads[0] if leads else ""}
    return _without(parts, refused)


def _kit(
    wanted: _Phrases, genre: Genre, energy: float, genre_said: bool, rng: np.random.Generator
) -> str:
    """Drums when they are named, when the named genre lives by them, or when the mood moves."""
    drawn = float(rng.uniform())
    said = wanted.first(vocab.KIT_WORDS)
    if said:
        # "Drums" in a genre that has its own kit means that kit.
        return genre.kit if said == "pop" and genre.kit else said
    if genre_said and genre.kit:
        return genre.kit if energy > 0.3 or drawn < 0.7 else ""
    return genre.kit if drawn < (energy - 0.35) * 2.2 else ""


def _without(parts: Mapping[str, str], refused: _Phrases) -> dict[str, str]:
    kept = dict(parts)
    instruments = set(refused.all(vocab.INSTRUMENT_WORDS))
    spare = next(n for n in ("piano", "guitar", "harp", "marimba") if n not in instruments)
    if "strings" in instruments:
        instruments.add("strings_short")
    for part in ("lead", "comp", "pad"):
        if kept[part] in instruments:
            kept[part] = spare if part == "lead" else ""
    if refused.all(vocab.BASS_WORDS):
        kept["bass"] = ""
    if refused.all(vocab.KIT_WORDS):
        kept["kit"] = ""
    if {"melody", "lead", "tune"} & refused.words:
        kept["lead"] = ""
    if not kept["comp"]:
        kept["pattern"] = ""
    return kept


def _shifted(value: float, wanted: _Phrases, shifts: Mapping[str, float]) -> float:
    return min(1.0, max(0.05, value + sum(shifts.get(p, 0.0) for p in wanted.ordered)))


def _choose(options: Sequence[str], rng: np.random.Generator) -> str:
    return options[int(rng.integers(len(options)))]
